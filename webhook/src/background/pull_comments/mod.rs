//! Comments on pull requests: what a request changes in the image, kept up to date.

mod publish;
mod text;

pub use publish::publish_pull_comments;
