//! Files without a file system: tar entries, views of trees, layer indexes, ignore files, patterns, whiteouts.
//!
//! Everything here is pure: bytes and values go in, bytes and values come out. No path is ever opened.
#![forbid(unsafe_code)]

pub mod entry_kind;
mod glob;
pub mod ignore;
pub mod path;
pub mod pattern;
pub mod size;
pub mod tar;
pub mod tree;
pub mod view;
pub mod whiteout;
