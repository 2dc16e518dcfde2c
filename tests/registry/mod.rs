//! Registries: pushing, pulling, and who may read what.

pub(crate) mod accounts;
mod growing_layers;
pub(crate) mod read_rights;
pub(crate) mod registries;
