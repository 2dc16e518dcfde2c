//! Images that people keep under names of their own.

mod catalog;
mod filter;
mod inspect;
mod load;
mod name;
mod prune;
mod pull;
mod push;
mod remove;
mod save;
mod tag;

pub use catalog::{Catalog, Image, SizeOf};
pub use filter::{Filters, moment, name_matches};
pub use inspect::{HistoryLine, details, history};
pub use load::{Loaded, load};
pub use name::{Name, short_id};
pub use prune::prune;
pub use pull::{LayerStatus, Pulled, Watch, pull};
pub use push::{Pushed, push};
pub use remove::{ImageUser, Removal, Removed, remove};
pub use save::save;
pub use tag::{keep_for_container, release_container, tag};

pub(crate) use catalog::{CONTAINERS, NAMELESS, PINNED, REPO_DIGEST};
pub(crate) use tag::{NamesLock, keep_without_name, name};
