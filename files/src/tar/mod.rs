//! The tar format of layers: entries in, bytes out, and back.
//!
//! The writer makes the same bytes for the same entries, always: pax headers only where a value does not fit, no GNU
//! records, no sparse files, numeric owners. The reader accepts what image builders write (ustar, pax, GNU long names,
//! base-256 numbers) and refuses what is ambiguous. Neither touches a file system.

mod entry;
mod reader;
mod writer;

pub use crate::entry_kind::EntryKind;
pub use entry::{BLOCK, Entry};
pub use reader::{Reader, TarError};
pub use writer::Writer;

#[cfg(test)]
mod tests;
