//! Commands on images, one file each.

pub(crate) mod archive;
mod arguments;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod layers;
pub(crate) mod login;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod rm;
pub(crate) mod search;
pub(crate) mod tag;

pub(crate) use arguments::{Arguments, run};
