//! Layers of images by hand, packed and unpacked by the builder, which owns compression.

use super::{Failure, Hand};
use crate::state::{self, Registries, open};
use container::{Error, Image, Layers, PackedLayer};
use image_store::Store;
use registry_client::{Credentials, Descriptor, report};
use runtime::SnapshotId;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};

/// Bytes of a blob that are read at once.
const BUFFER: usize = 128 * 1024;

/// Packs layers into the store.
pub(crate) struct StoreLayers;

impl Layers for StoreLayers {
    fn pack(
        &self,
        store: &Store,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), Error>,
    ) -> Result<PackedLayer, Error> {
        let compression = builder::layer::Compression::default();
        let mut writer = builder::layer::LayerWriter::new(store.writer()?, compression);
        write(&mut writer)?;
        let failed = |error: io::Error| Error::Invalid(format!("packing a layer: {error}"));
        let (packed, blob) = writer.finish().map_err(failed)?;
        let written = blob.commit()?;
        store.note_tar(&written.digest, &packed.diff_id);
        let descriptor = Descriptor::new(compression.media_type(), written.digest, written.size);
        Ok(PackedLayer { diff_id: packed.diff_id, descriptor, is_empty: packed.index.is_empty() })
    }

    fn tar(&self, blob: File, media_type: &str) -> io::Result<Box<dyn Read + Send>> {
        builder::layer::decompress(BufReader::with_capacity(BUFFER, blob), media_type)
    }
}

impl Hand {
    /// Returns the layers of an image on disk, bottom first; what is missing is unpacked.
    pub(crate) fn snapshots(&self, image: &Image, sandbox: &runtime::Settings) -> Result<Vec<SnapshotId>, Failure> {
        // After a start of the machine unpacked layers may be damaged, even if all are there.
        state::recover(&self.data, &self.store, sandbox)?;
        let (layers, diff_ids) = (&image.document.layers, &image.config.rootfs.diff_ids);
        // A configuration can name what was unpacked of any image: its own blobs have to hold it.
        let is_own = layers.len() == diff_ids.len()
            && layers.iter().zip(diff_ids).all(|(layer, diff_id)| self.store.holds_tar(&layer.digest, diff_id));
        let ids = diff_ids.iter().map(|layer| SnapshotId::new(layer.hex()));
        let ids = ids.collect::<Result<Vec<_>, _>>().map_err(Error::from)?;
        if is_own && ids.iter().all(|id| runtime::mark_used(sandbox, id)) {
            return Ok(ids);
        }
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let tokio = tokio.map_err(|error| Failure::from(format!("starting tokio: {error}")))?;
        let registries = Registries {
            credentials: Credentials::docker(crate::configuration::docker_config()),
            hosts: HashMap::new(),
            own_port: None,
        };
        let services = open(&self.data, &self.data.database_url(), registries, tokio.handle())?;
        let attempt = format!("unpack-{}", std::process::id());
        builder::unpack(&services, &image.manifest, &attempt).map_err(|error| Failure::from(report(&error)))
    }
}
