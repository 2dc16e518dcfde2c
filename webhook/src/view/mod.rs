//! Views: the objects of the API as types, shared by the server, webhook deliveries, pages and the command line.

pub mod code;
pub mod explanation;
pub mod text;
pub mod time;
