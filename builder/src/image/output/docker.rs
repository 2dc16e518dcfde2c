//! Archives for `docker load`: a layout with Docker's media types, and the older `manifest.json` beside it.

use super::layout::blob;
use super::layout::{self, Sink};
use super::source::Source;
use super::tarball::Tarball;
use crate::Image;
use crate::execute::BuildResources;
use registry_client::{Descriptor, Digest, Index, Manifest, Reference, media_type};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

/// Writes the archive of an image, with its names.
pub(crate) fn archive(
    resources: &BuildResources,
    image: &Image,
    names: &[Reference],
    out: impl Write,
) -> io::Result<()> {
    write(&Source { resources, image, names }, out)
}

/// Writes the archive of an image for one platform.
pub(crate) fn write(source: &Source<'_>, out: impl Write) -> io::Result<()> {
    let image = source.image;
    if image.parts().len() > 1 {
        let text = "type=docker holds one platform: use type=oci for several";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let manifest = manifest(image)?;
    let bytes = serde_json::to_vec(&manifest)?;
    let digest = Digest::of(&bytes);
    let names: Vec<String> = source.names.iter().map(ToString::to_string).collect();
    let mut tar = Tarball::new(out);
    tar.directory("blobs")?;
    tar.directory("blobs/sha256")?;
    let mut blobs: BTreeSet<Digest> = manifest.layers.iter().map(|layer| layer.digest.clone()).collect();
    blobs.insert(manifest.config.digest.clone());
    for digest in &blobs {
        blob(source, digest, &mut tar)?;
    }
    let path = |digest: &Digest| format!("blobs/sha256/{}", digest.hex());
    tar.file(&path(&digest), bytes.len() as u64, &mut bytes.as_slice())?;
    let layers: Vec<_> = manifest.layers.iter().map(|layer| path(&layer.digest)).collect();
    let old = json!([{ "Config": path(&manifest.config.digest), "RepoTags": short(&names), "Layers": layers }]);
    let described = names.iter().map(|name| {
        let mut descriptor = Descriptor::new(media_type::DOCKER_MANIFEST, digest.clone(), bytes.len() as u64);
        descriptor.annotations.insert("io.containerd.image.name".to_owned(), name.clone());
        descriptor
    });
    let index = Index {
        schema_version: 2,
        media_type: Some(media_type::OCI_INDEX.to_owned()),
        manifests: described.collect(),
        annotations: BTreeMap::new(),
    };
    for (name, bytes) in [
        ("index.json", serde_json::to_vec(&index)?),
        ("manifest.json", serde_json::to_vec(&old)?),
        ("oci-layout", layout::LAYOUT.to_vec()),
    ] {
        tar.file(name, bytes.len() as u64, &mut bytes.as_slice())?;
    }
    tar.finish()
}

/// Returns names as docker shows them: without its own registry.
fn short(names: &[String]) -> Vec<&str> {
    names
        .iter()
        .map(|name| name.strip_prefix("docker.io/").unwrap_or(name))
        .map(|name| name.strip_prefix("library/").unwrap_or(name))
        .collect()
}

/// Returns the manifest with Docker's media types.
fn manifest(image: &crate::Image) -> io::Result<Manifest> {
    let mut manifest: Manifest = serde_json::from_slice(&image.manifest)?;
    manifest.media_type = Some(media_type::DOCKER_MANIFEST.to_owned());
    media_type::DOCKER_CONFIG.clone_into(&mut manifest.config.media_type);
    manifest.annotations.clear();
    for layer in &mut manifest.layers {
        let kind = match layer.media_type.as_str() {
            media_type::OCI_LAYER_GZIP | media_type::DOCKER_LAYER_GZIP => media_type::DOCKER_LAYER_GZIP,
            media_type::OCI_LAYER | media_type::DOCKER_LAYER => media_type::DOCKER_LAYER,
            other => {
                let text = format!("docker cannot load layers of type `{other}`: use type=oci");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        };
        kind.clone_into(&mut layer.media_type);
    }
    Ok(manifest)
}
