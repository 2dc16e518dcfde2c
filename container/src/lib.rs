//! Images and containers handled by hand: names, pulls, removals, records, writable layers, supervisors.
#![forbid(unsafe_code)]

mod error;
mod image;
mod login;
mod template;

pub use error::Error;
pub use image::{
    Catalog, Filters, HistoryLine, Image, ImageUser, LayerStatus, Name, Pulled, Pushed, Removal, Removed, SizeOf,
    Watch, details, history, name_matches, prune, pull, push, remove, short_id, tag,
};
pub use login::{Account, ConfigFile};
pub use template::Template;
