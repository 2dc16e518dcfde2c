//! Makes the index of a layer while its tar passes by.

use super::building::Building;
use super::index::{Index, IndexError};
use crate::tar::{self, EntryKind, TarError};
use std::io::Read;

impl Index {
    /// Reads a layer's tar, contents included; what follows the tar's end is left unread.
    pub fn from_tar(input: &mut dyn Read) -> Result<Self, IndexError> {
        Index::bounded(input, u64::MAX)
    }

    /// Does the same for a layer whose files may have `max_bytes` together: one that announces more is not read further.
    pub fn bounded(input: &mut dyn Read, max_bytes: u64) -> Result<Self, IndexError> {
        let mut reader = tar::Reader::new(input);
        let mut building = Building::new(max_bytes);
        while let Some(entry) = reader.next_entry()? {
            building.check(&entry)?;
            let content = match entry.kind {
                EntryKind::File { .. } => Some(hash(&mut reader)?),
                _ => None,
            };
            building.add(entry, content)?;
        }
        Ok(building.finish())
    }
}

fn hash(content: &mut dyn Read) -> Result<[u8; 32], TarError> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(content)?;
    Ok(*hasher.finalize().as_bytes())
}
