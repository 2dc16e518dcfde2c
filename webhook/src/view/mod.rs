//! What the service shows, in the API, in requests to webhooks and on pages.

pub mod explanation;
pub mod terminal;
pub mod text;
pub mod time;
