//! Packs the layer of a step: tar, hash, compress, hash, file, index, in one pass.

use super::{Committed, Execution, Layer, stage::Progress, store_error};
use crate::Error;
use crate::event::Event;
use crate::layer::{LayerWriter, Packed};
use crate::plan::Step;
use image_store::{BlobWriter, Store};
use registry_client::{Descriptor, media_type};
use runtime::tar;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// A layer that is being written into the store.
pub type StoreLayer = LayerWriter<BlobWriter>;

/// Starts a layer in `store`.
pub fn begin(store: &Store) -> Result<StoreLayer, Error> {
    let blob = store.writer().map_err(|error| store_error("writing a layer".into(), error))?;
    Ok(LayerWriter::new(blob))
}

/// Settles a layer whose tar has been written: blob, index and cache entry; tells the observer.
pub fn commit(execution: &Execution<'_>, (layer, step): (&Layer, &Step), writer: StoreLayer) -> Result<(), Error> {
    let (packed, blob): (Packed, BlobWriter) =
        writer.finish().map_err(|error| Error::service("store", "packing a layer").with_cause(error))?;
    let written =
        blob.commit_expecting(&packed.digest).map_err(|error| store_error("storing a layer".into(), error))?;
    let committed = Committed {
        diff_id: packed.diff_id,
        descriptor: Descriptor::new(media_type::OCI_LAYER_GZIP, packed.digest, written.size),
        empty: packed.index.is_empty(),
        origin: None,
    };
    execution.materials.put_index(&committed, packed.index)?;
    execution.cache.store(&layer.key, &committed, execution.materials)?;
    execution.observer.observe(Event::Layer {
        step: step.number,
        digest: &committed.descriptor.digest,
        size: committed.descriptor.size,
    });
    layer.committed.keep(Ok(Arc::new(committed)));
    Ok(())
}

/// Packs a layer of entries without content.
pub fn entries(progress: &Progress<'_, '_>, made: (&Arc<Layer>, &Step), entries: &[tar::Entry]) -> Result<(), Error> {
    let mut writer = begin(&progress.execution.materials.store)?;
    write_tar(&mut writer, entries.iter().map(|entry| (entry, None)))
        .map_err(|error| Error::service("store", "packing a layer").with_cause(error))?;
    commit(progress.execution, (made.0, made.1), writer)
}

/// Writes a whole tar.
fn write_tar<'e>(
    out: &mut dyn Write,
    entries: impl Iterator<Item = (&'e tar::Entry, Option<Box<dyn Read>>)>,
) -> io::Result<()> {
    let mut writer = tar::Writer::new(out);
    for (entry, content) in entries {
        match content {
            Some(mut content) => writer.entry(entry, &mut content)?,
            None => writer.bare(entry)?,
        }
    }
    writer.finish().map(drop)
}
