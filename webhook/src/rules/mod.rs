//! Rules: which pushes build what, into which tags. Docker Hub's grammar and more; pure.

mod pushed;
mod rule;
mod schedule;
pub(crate) mod sensitive;
mod tags;
mod template;
#[cfg(test)]
mod tests;
mod version;

pub(crate) use pushed::{Pushed, RefKind, is_ref, skip_marker};
pub(crate) use rule::{Matched, Rule, default_filter, inside};
pub(crate) use schedule::Schedule;
pub(crate) use tags::{check_image, is_at_or_below, legal};
pub(crate) use template::Template;
