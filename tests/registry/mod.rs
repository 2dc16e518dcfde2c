//! Registries: pushing, pulling, and who may read what.

pub(crate) mod accounts;
pub(crate) mod clients;
mod growing_layers;
pub(crate) mod mirrors;
pub(crate) mod notifications;
pub(crate) mod read_rights;
pub(crate) mod registries;
