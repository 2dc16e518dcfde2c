//! Contents of an image: its layers, settings and files, and in what it differs from another one.

mod difference;
mod items;
mod opened;
mod packages;
mod rpm;
mod settings;
pub(crate) mod shadow;

pub(crate) use difference::difference;
pub(crate) use items::listing;
pub(crate) use opened::Opened;
