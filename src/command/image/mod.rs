//! Commands on images, one file each.

pub mod archive;
mod arguments;
pub mod history;
pub mod import;
pub mod inspect;
pub mod layers;
pub mod login;
pub mod ls;
pub mod prune;
pub mod pull;
pub mod push;
pub mod rm;
pub mod tag;

pub use arguments::{Arguments, run};
