//! Tags: only moved forward, one attempt at a time, and checked afterwards.

pub(crate) mod publish;
pub(crate) mod pull_tag;
pub(crate) mod tag_check;
