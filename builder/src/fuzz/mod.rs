//! What the fuzz targets run: each function takes any bytes and checks what must hold of them.

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
