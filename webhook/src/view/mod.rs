//! Views: the objects of the API as types, shared by the server, webhook deliveries, pages and the command line.
//!
//! Words of a fixed set are texts here, so that a command of an older version reads what a newer server adds.

pub mod build;
pub mod code;
pub mod comparison;
pub mod delivery;
pub mod difference;
pub(crate) mod explanation;
pub mod forge;
pub mod forge_delivery;
pub mod person;
pub mod queue;
pub mod registry;
pub mod registry_images;
pub mod repository;
pub mod rules;
pub mod service;
pub mod target;
pub mod terminal;
pub mod text;
pub mod time;
pub mod trigger;
pub mod webhook;
