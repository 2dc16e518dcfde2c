//! The syntax tree of a Dockerfile: values stand as they are written, and no name is looked up.

mod file;
mod instruction;

pub use file::{Dockerfile, MAX_SIZE, Stage, Written};
pub use instruction::{
    Arg, Command, Copy, CopyFlags, HealthcheckFlags, Instruction, InstructionKind, Mount, MountKind, Pair, Run,
    RunNetwork, RunSecurity, Sharing,
};
