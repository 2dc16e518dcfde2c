//! Making an image of a tar of files.

use super::commit::{Layers, put};
use super::store::now;
use crate::Error;
use image_store::Store;
use registry_client::{
    ContainerConfig, Descriptor, Digest, History, ImageConfig, Manifest, Platform, Reference, RootFs, media_type,
};
use std::collections::BTreeMap;
use std::io::Read;

/// The parts and notes of an image that is made of a tar.
pub struct ImportRequest<'i> {
    /// The configuration.
    pub config: ContainerConfig,
    /// A note in the history.
    pub message: String,
    /// The platform that its files are for.
    pub platform: Platform,
    /// The name.
    pub target: Option<&'i Reference>,
}

/// Makes an image of the files in `tar`; returns its id.
pub fn import(
    store: &Store,
    request: ImportRequest<'_>,
    tar: &mut dyn Read,
    layers: &dyn Layers,
) -> Result<Digest, Error> {
    let leased = store.leased()?;
    let packed = layers.pack(&leased, &mut |out| {
        let copied = std::io::copy(tar, out);
        copied.map(drop).map_err(|error| Error::Invalid(format!("reading the tar: {error}")))
    })?;
    let line = History {
        created: Some(now()),
        comment: Some(request.message).filter(|message| !message.is_empty()),
        ..History::default()
    };
    let config = ImageConfig {
        architecture: request.platform.architecture,
        os: request.platform.os,
        variant: request.platform.variant,
        config: request.config,
        created: line.created.clone(),
        history: vec![line],
        rootfs: RootFs::new(vec![packed.diff_id]),
        ..ImageConfig::default()
    };
    let mut manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        config: Descriptor::new(media_type::OCI_CONFIG, Digest::of(b""), 0),
        layers: vec![packed.descriptor],
        annotations: BTreeMap::new(),
    };
    put(&leased, &mut manifest, &config, request.target)
}
