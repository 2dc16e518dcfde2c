//! The command line.

pub(crate) mod archives;
pub(crate) mod bake;
pub(crate) mod call;
pub(crate) mod commands;
pub(crate) mod completion;
pub(crate) mod containers;
pub(crate) mod copies;
pub(crate) mod data_directory;
pub(crate) mod foreign_images;
pub(crate) mod images;
pub(crate) mod imports;
pub(crate) mod limits;
pub(crate) mod local_builds;
pub(crate) mod removals;
pub(crate) mod slow_readers;
pub(crate) mod space;
pub(crate) mod volumes;
