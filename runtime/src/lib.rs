//! The sandbox: containers, snapshots, limits, network; directories, processes and tar streams only.

pub mod tar;
