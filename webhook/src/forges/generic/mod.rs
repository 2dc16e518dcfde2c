//! A plain git server: deliveries that its `post-receive` hook, or anybody with the repository's secret, sends.

mod deliveries;

pub(crate) use deliveries::{headers, read};
