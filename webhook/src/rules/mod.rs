//! Rules: which pushes build what, into which tags. Docker Hub's grammar and more; pure.

mod pushed;
mod rule;
mod schedule;
pub mod sensitive;
mod tags;
mod template;
#[cfg(test)]
mod tests;
mod version;

pub use pushed::{Pushed, RefKind, is_ref, skip_marker};
pub use rule::{Matched, Rule, default_filter, inside};
pub use schedule::Schedule;
pub use tags::{check_image, legal};
pub use template::Template;
