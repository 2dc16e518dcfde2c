//! The blob of a layer that is being packed, which may be uploaded meanwhile.

use super::layer::Layer;
use crate::Error;
use image_store::{BlobWriter, Written};
use registry_client::{GrowingBlob, Growth};
use std::io::{self, Write};
use std::sync::Arc;

/// Bytes from which on a blob is worth an upload that may have to be given up.
const WORTHWHILE: u64 = 8 * 1024 * 1024;

/// Writes the blob of a layer, and offers it to those who upload once it is large.
pub(crate) struct OfferedBlob {
    blob: BlobWriter,
    layer: Option<Arc<Layer>>,
    growth: Option<Growth>,
}

impl OfferedBlob {
    /// Writes `blob`, which is that of `layer` if it may be offered.
    pub(super) fn new(blob: BlobWriter, layer: Option<Arc<Layer>>) -> Self {
        OfferedBlob { blob, layer, growth: None }
    }

    /// Puts the blob into the store.
    pub(super) fn commit(self) -> Result<Written, Error> {
        let written = self.blob.commit().map_err(|error| Error::store("storing a layer", error))?;
        if let Some(growth) = self.growth {
            growth.end(written.digest.clone());
        }
        Ok(written)
    }

    fn offer(&mut self) {
        match &self.growth {
            Some(growth) => growth.set_size(self.blob.size()),
            None if self.blob.size() < WORTHWHILE => {}
            None => {
                let Some(layer) = self.layer.take() else { return };
                // Without another file to read from the blob is uploaded when it is complete.
                let offered = self.blob.reader().ok().map(|file| GrowingBlob::new(file, self.blob.size()));
                let (growth, growing) = offered.unzip();
                layer.growing.set(growing);
                self.growth = growth;
            }
        }
    }
}

impl Write for OfferedBlob {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.blob.write(bytes)?;
        self.offer();
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.blob.flush()
    }
}
