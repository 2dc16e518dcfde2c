//! Images: base images are resolved or read from a layout; the result is put together, pushed, and written elsewhere.

pub mod annotation;
pub(crate) mod assemble;
mod base_config;
pub(crate) mod contents;
pub(crate) mod layout;
pub(crate) mod local;
pub mod output;
pub(crate) mod push;
pub(crate) mod resolve;
pub(crate) mod retag;
pub(crate) mod unchanged;
pub(crate) mod uploads;
