//! Making an image of what a container changed.

use super::client::Client;
use super::frames::Request;
use super::store::{Container, now};
use crate::Error;
use crate::image::{Image, Name, NamesLock, keep_without_name, name};
use image_store::Store;
use registry_client::{ContainerConfig, Descriptor, DiffId, Digest, History, Manifest, Reference, media_type};
use runtime::{ContainerId, Sandbox, Settings};
use std::fs::File;
use std::io::{self, Read, Write};

/// A layer that was packed into the store.
pub struct PackedLayer {
    /// Digest of its tar.
    pub diff_id: DiffId,
    /// The blob.
    pub descriptor: Descriptor,
    /// Whether nothing changed.
    pub is_empty: bool,
}

/// Packs layers: compression has an owner of its own.
pub trait Layers {
    /// Packs the tar that `write` writes.
    fn pack(
        &self,
        store: &Store,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<(), Error>,
    ) -> Result<PackedLayer, Error>;

    /// Returns the tar that a blob of `media_type` holds.
    fn tar(&self, blob: File, media_type: &str) -> io::Result<Box<dyn Read + Send>>;
}

/// The parts and notes of a new image.
pub struct CommitRequest<'c> {
    /// The author; the image's own if it is empty.
    pub author: String,
    /// A note in the history.
    pub message: String,
    /// The configuration, changes applied.
    pub config: ContainerConfig,
    /// Whether the container stands still meanwhile.
    pub pause: bool,
    /// The name.
    pub target: Option<&'c Reference>,
}

/// Makes an image of a container; returns its id.
pub fn commit(
    store: &Store,
    settings: &Settings,
    container: &Container,
    request: &CommitRequest<'_>,
    layers: &dyn Layers,
) -> Result<Digest, Error> {
    let leased = store.leased()?;
    let packed = packed(&leased, settings, container, request.pause, layers)?;
    let image = Image::read(&leased, &container.record.manifest)?;
    let (mut config, mut manifest) = (image.config.clone(), image.document.clone());
    let record = &container.record;
    config.created = Some(now());
    if !request.author.is_empty() {
        config.author.clone_from(&request.author);
    }
    config.config = request.config.clone();
    let line = History {
        created: config.created.clone(),
        created_by: Some(record.argv.join(" ")),
        author: Some(config.author.clone()).filter(|author| !author.is_empty()),
        comment: Some(request.message.clone()).filter(|message| !message.is_empty()),
        empty_layer: packed.is_empty,
    };
    config.history.push(line);
    if !packed.is_empty {
        config.rootfs.diff_ids.push(packed.diff_id);
        manifest.layers.push(packed.descriptor);
    }
    let id = put(&leased, &mut manifest, &config, request.target)?;
    Ok(id)
}

/// Stores the documents of an image and keeps it under its name, if it has one; returns its id.
pub(crate) fn put(
    store: &Store,
    manifest: &mut Manifest,
    config: &registry_client::ImageConfig,
    target: Option<&Reference>,
) -> Result<Digest, Error> {
    let damaged = |_| Error::Damaged("the image's configuration".to_owned());
    let bytes = serde_json::to_vec(config).map_err(damaged)?;
    let id = store.put(&bytes)?;
    manifest.config = Descriptor::new(&manifest.config.media_type, id.clone(), bytes.len() as u64);
    let bytes = serde_json::to_vec(manifest).map_err(damaged)?;
    let kind = manifest.media_type.clone().unwrap_or_else(|| media_type::OCI_MANIFEST.to_owned());
    let descriptor = Descriptor::new(&kind, store.put(&bytes)?, bytes.len() as u64);
    let lock = NamesLock::take(store)?;
    match target {
        Some(target) => name(store, &lock, &Name::of(target), &descriptor)?,
        None => keep_without_name(store, &descriptor)?,
    }
    Ok(id)
}

/// Packs the changes of a container, which stands still meanwhile if it runs and `pause` is set.
fn packed(
    store: &Store,
    settings: &Settings,
    container: &Container,
    pause: bool,
    layers: &dyn Layers,
) -> Result<PackedLayer, Error> {
    let frozen = match pause && container.state.status == super::Status::Running {
        true => Some(Frozen::new(container)?),
        false => None,
    };
    let id = ContainerId::new(&container.record.id)?;
    let sandbox = Sandbox::start(settings, &format!("commit-{}", std::process::id()))?;
    let packed = layers.pack(store, &mut |out| Ok(sandbox.write_container(&id, out)?));
    drop(frozen);
    packed
}

/// A container that stands still until this is dropped, or this process ends.
struct Frozen<'c>(&'c Container, Client);

impl Frozen<'_> {
    fn new(container: &Container) -> Result<Frozen<'_>, Error> {
        let client = Client::connect(container)?;
        client.answer(&Request::Hold)?;
        Ok(Frozen(container, client))
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.1.answer(&Request::Freeze(false)) {
            tracing::error!(%error, container = %self.0.record.id, "a container does not go on");
        }
    }
}
