//! The functions of the fuzz targets: each takes any bytes and checks the properties that hold for all of them.

mod git;
mod layers;
mod pack;
mod plans;
#[cfg(test)]
mod seeds;

pub use git::packets;
pub use layers::{ignore, layer, tar};
pub use pack::{limit_memory, pack};
pub use plans::dockerfile;
