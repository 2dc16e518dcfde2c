//! Registries: pushing, pulling, and who may read what.

pub mod accounts;
pub mod read_rights;
pub mod registries;
