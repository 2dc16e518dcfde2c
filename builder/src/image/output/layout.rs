//! An OCI image layout: `oci-layout`, `index.json`, and every blob under its digest.

use super::source::Source;
use crate::Image;
use registry_client::{Descriptor, Digest, Index, Reference, media_type};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Content of the file that says what the directory is.
pub(crate) const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Takes the files of a layout.
pub(crate) trait Sink {
    /// Makes a directory.
    fn directory(&mut self, path: &str) -> io::Result<()>;

    /// Writes a file of `size` bytes.
    fn file(&mut self, path: &str, size: u64, content: &mut dyn Read) -> io::Result<()>;
}

/// A layout in a directory.
pub(crate) struct Directory<'p>(&'p Path);

impl<'p> Directory<'p> {
    /// Writes to `path`, which is created.
    pub(crate) fn new(path: &'p Path) -> Self {
        Directory(path)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

impl Sink for Directory<'_> {
    fn directory(&mut self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.path(path))
    }

    fn file(&mut self, path: &str, _: u64, content: &mut dyn Read) -> io::Result<()> {
        fs::create_dir_all(self.0)?;
        io::copy(content, &mut File::create(self.path(path))?).map(drop)
    }
}

/// Writes the layout of an image.
pub(crate) fn write(source: &Source<'_>, sink: &mut dyn Sink) -> io::Result<()> {
    let descriptors = match source.names {
        [] => vec![descriptor(source.image, None)],
        names => names.iter().map(|name| descriptor(source.image, Some(name))).collect(),
    };
    let index = Index {
        schema_version: 2,
        media_type: Some(media_type::OCI_INDEX.to_owned()),
        manifests: descriptors,
        annotations: BTreeMap::new(),
    };
    let index = serde_json::to_vec(&index)?;
    sink.directory("blobs")?;
    sink.directory("blobs/sha256")?;
    for digest in blobs(source.image) {
        blob(source, &digest, sink)?;
    }
    sink.file("index.json", index.len() as u64, &mut index.as_slice())?;
    sink.file("oci-layout", LAYOUT.len() as u64, &mut &*LAYOUT)
}

/// Copies a blob of the store.
pub(crate) fn blob(source: &Source<'_>, digest: &Digest, sink: &mut dyn Sink) -> io::Result<()> {
    let mut file = source.resources.store.open_blob(digest).map_err(io::Error::other)?;
    let size = file.metadata()?.len();
    sink.file(&format!("blobs/sha256/{}", digest.hex()), size, &mut file)
}

/// Returns everything that an image consists of, each blob once, in the order of their names.
fn blobs(image: &Image) -> BTreeSet<Digest> {
    let mut digests = BTreeSet::from([image.digest.clone()]);
    for part in image.parts() {
        digests.insert(part.digest.clone());
        digests.insert(part.config.digest.clone());
        digests.extend(part.layers.iter().map(|layer| layer.descriptor.digest.clone()));
    }
    digests
}

/// Returns the line of `index.json` for an image under one of its names.
fn descriptor(image: &Image, name: Option<&Reference>) -> Descriptor {
    let mut descriptor = image.descriptor();
    if let Some(name) = name {
        descriptor.annotations.insert("io.containerd.image.name".to_owned(), name.to_string());
        if let Some(tag) = name.tag() {
            descriptor.annotations.insert("org.opencontainers.image.ref.name".to_owned(), tag.to_owned());
        }
    }
    descriptor
}
