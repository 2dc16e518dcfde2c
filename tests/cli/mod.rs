//! The command line.

pub mod archives;
pub mod bake;
pub mod call;
pub mod commands;
pub mod completion;
pub mod containers;
pub mod copies;
pub mod data_directory;
pub mod foreign_images;
pub mod images;
pub mod imports;
pub mod limits;
pub mod local_builds;
pub mod removals;
pub mod slow_readers;
pub mod space;
