//! The worker: claims builds under a lease, builds them, and writes what happens to the database.

mod attempt;
mod base_image;
mod build_request;
mod claim_loop;
mod context;
mod explain;
mod fd_budget;
mod filter;
mod garbage;
mod hub;
mod identity;
mod image;
mod janitor;
mod labels;
mod lease;
mod log_quota;
mod lookup;
mod outcome;
mod profile;
mod query;
mod reconcile;
mod recorder;
mod ref_poll;
mod rights;
mod secrets;
mod settings;
mod source;
mod stop;
mod tag_check;
mod tag_order;
mod watch;

pub use claim_loop::work;
pub use garbage::RECENT;
pub use identity::name;
pub use settings::{Logins, Reading, Settings};
pub use stop::Stop;
