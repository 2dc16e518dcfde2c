//! slipway: turns a git push into a pushed image. Reads flags, wires the crates together, prints.
#![forbid(unsafe_code)]

fn main() {}
