//! Hostile input: clients, repositories, images and archives that mean harm.

pub(crate) mod base_images;
pub(crate) mod decompression_bombs;
pub(crate) mod deliveries;
pub(crate) mod http_clients;
pub(crate) mod huge_trees;
pub(crate) mod log_floods;
pub(crate) mod secret_leaks;
