//! Hostile input: clients, repositories, images and archives that mean harm.

pub mod base_images;
pub mod decompression_bombs;
pub mod deliveries;
pub mod http_clients;
pub mod huge_trees;
pub mod log_floods;
pub mod secret_leaks;
