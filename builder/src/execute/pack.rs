//! Packs the layer of a step: tar, hash, compress, hash, file, index, in one pass.

use super::layer::{Committed, Layer};
use super::offered::OfferedBlob;
use super::progress::{Progress, StepLayer};
use super::state::Execution;
use crate::Error;
use crate::copy::{Content, LayerEntry};
use crate::error::Code;
use crate::event::Event;
use crate::layer::{LayerWriter, Packed};
use files::tar::{self, EntryKind};
use files::tree::IndexError;
use registry_client::Descriptor;
use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// A layer that is being written into the store.
pub(crate) type StoreLayer = LayerWriter<OfferedBlob>;

/// Opens a file, given the number of its place and its path there.
pub(crate) type Open<'o> = dyn FnMut(usize, &[u8]) -> io::Result<Box<dyn Read + Send>> + 'o;

/// Starts a layer in the store; `offered` may be uploaded while it is packed.
pub(crate) fn begin(execution: &Execution<'_>, offered: Option<&Arc<Layer>>) -> Result<StoreLayer, Error> {
    let blob = execution.resources.store.writer().map_err(|error| Error::store("writing a layer", error))?;
    let offered = offered.filter(|_| execution.cache.pushed_to.is_some()).cloned();
    Ok(LayerWriter::new(OfferedBlob::new(blob, offered), execution.options.compression))
}

/// Settles a layer whose tar has been written: blob and index.
pub(crate) fn settle(execution: &Execution<'_>, writer: StoreLayer) -> Result<Committed, Error> {
    let (packed, blob): (Packed, OfferedBlob) = writer.finish().map_err(packing)?;
    let written = blob.commit()?;
    let media_type = execution.options.compression.media_type();
    let descriptor = Descriptor::new(media_type, written.digest, written.size);
    let committed = Committed {
        diff_id: packed.diff_id,
        descriptor: Descriptor { annotations: packed.annotations, ..descriptor },
        empty: packed.index.is_empty(),
        made: Some(execution.options.now),
        origin: None,
        is_foreign: false,
    };
    execution.resources.store.note_tar(&committed.descriptor.digest, &committed.diff_id);
    execution.resources.put_index(&committed, packed.index)?;
    Ok(committed)
}

/// Turns an error of packing into the build's: the disk's, unless the layer holds what no layer may.
fn packing(error: io::Error) -> Error {
    let refused = error.get_ref().and_then(|inner| inner.downcast_ref::<IndexError>());
    match refused {
        Some(IndexError::Refused { .. }) => Error::new(Code::TooManyPaths, "packing a layer").with_cause(error),
        _ => Error::new(Code::Store, "packing a layer").with_cause(error),
    }
}

/// Settles the layer of a step; keeps it for later builds and tells the observer.
pub(crate) fn commit(execution: &Execution<'_>, made: StepLayer<'_, '_>, writer: StoreLayer) -> Result<(), Error> {
    keep(execution, made, settle(execution, writer)?, None);
    Ok(())
}

/// Makes `committed` the layer of a step, which later builds also find by `placed`.
pub(crate) fn keep(execution: &Execution<'_>, made: StepLayer<'_, '_>, committed: Committed, placed: Option<String>) {
    let StepLayer { layer, step } = made;
    execution.settle(layer, &committed, placed);
    execution.observer.observe(Event::Layer {
        step: step.number,
        digest: &committed.descriptor.digest,
        size: committed.descriptor.size,
    });
    layer.settle(Ok(Arc::new(committed)));
}

/// Packs a layer of entries without content.
pub(crate) fn entries(
    progress: &Progress<'_, '_>,
    made: StepLayer<'_, '_>,
    entries: &[tar::Entry],
) -> Result<(), Error> {
    let mut layer = begin(progress.execution, None)?;
    let mut writer = tar::Writer::new(&mut layer);
    entries
        .iter()
        .try_for_each(|entry| writer.bare(entry))
        .and_then(|()| writer.finish().map(drop))
        .map_err(|error| Error::new(Code::Store, "packing a layer").with_cause(error))?;
    commit(progress.execution, made, layer)
}

/// Writes planned entries but those of archives; `open` opens the files of the source.
pub(crate) fn planned<W: Write>(
    writer: &mut tar::Writer<W>,
    planned: &[LayerEntry],
    open: &mut Open<'_>,
) -> io::Result<()> {
    let archives = planned.iter().any(|entry| matches!(entry.content, Content::Archived { .. }));
    for LayerEntry { entry, content } in planned {
        match content {
            // Links into an archive come when its files are there.
            Content::None if archives && matches!(entry.kind, EntryKind::HardLink { .. }) => {}
            Content::None => writer.bare(entry)?,
            Content::Inline(bytes) => writer.entry(entry, &mut bytes.as_slice())?,
            Content::Source { place, path } => writer.entry(entry, &mut open(*place, path)?)?,
            Content::Archived { .. } => {}
        }
    }
    Ok(())
}

/// Writes planned entries whose contents come one after the other in one stream.
pub(crate) fn streamed<W: Write>(
    mut writer: tar::Writer<W>,
    planned: &[LayerEntry],
    mut contents: impl Read,
) -> io::Result<()> {
    for LayerEntry { entry, content } in planned {
        match content {
            Content::Source { .. } => writer.entry(entry, &mut contents)?,
            Content::Inline(bytes) => writer.entry(entry, &mut bytes.as_slice())?,
            _ => writer.bare(entry)?,
        }
    }
    writer.finish().map(drop)
}

/// Writes the planned files of one archive, in its own order.
pub(crate) fn archived<W: Write>(
    writer: &mut tar::Writer<W>,
    planned: &[LayerEntry],
    number: usize,
    content: &mut dyn Read,
) -> io::Result<()> {
    let members = planned.iter().filter_map(|planned| match planned.content {
        Content::Archived { archive, member } if archive == number => Some((member, &planned.entry)),
        _ => None,
    });
    let members: HashMap<usize, &tar::Entry> = members.collect();
    let mut reader = tar::Reader::new(content);
    let mut member = 0;
    while reader.next_entry().map_err(io::Error::other)?.is_some() {
        if let Some(entry) = members.get(&member) {
            writer.entry(entry, &mut reader)?;
        }
        member += 1;
    }
    Ok(())
}

/// Writes the hard links that wait for the files of archives.
pub(crate) fn links_of_archives<W: Write>(
    writer: &mut tar::Writer<W>,
    planned: &[LayerEntry],
    archives: bool,
) -> io::Result<()> {
    let waiting = archives && planned.iter().any(|entry| matches!(entry.content, Content::Archived { .. }));
    let links = planned.iter().filter(|planned| waiting && matches!(planned.entry.kind, EntryKind::HardLink { .. }));
    links.into_iter().try_for_each(|planned| writer.bare(&planned.entry))
}
