//! Archives of images, as docker writes them: a layout of OCI and docker's own `manifest.json` in one tar.

use super::{Catalog, Image, Name};
use crate::Error;
use files::tar::EntryKind;
use files::tar::{Entry, Writer};
use image_store::Store;
use registry_client::{Descriptor, Digest, Index, Platform, Reference, media_type};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

/// Content of the file that says that the tar is a layout.
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The annotation of a manifest in which docker keeps the whole name.
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";
/// The annotation of a manifest in which layouts keep a tag.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// An image on its way out, with the names that were asked for.
struct Chosen {
    image: Image,
    names: Vec<Name>,
}

/// Writes the images that `texts` mean: a name, an id, or a repository with all its tags. Of an image of several platforms
/// only that of `platform` is written, if it is given.
pub fn save(store: &Store, texts: &[String], platform: Option<&Platform>, out: &mut dyn Write) -> Result<(), Error> {
    let leased = store.leased()?;
    let catalog = Catalog::load(&leased)?;
    let mut chosen: Vec<Chosen> = Vec::new();
    for text in texts {
        for (text, name) in meant(&catalog, text) {
            let image = catalog.find_own(&leased, &text)?;
            let image = match platform {
                Some(platform) => image.of_platform(&leased, &text, platform)?,
                None => whole(&leased, image),
            };
            let place = chosen.iter().position(|known| known.image.kept.digest == image.kept.digest);
            let place = place.unwrap_or_else(|| {
                chosen.push(Chosen { image, names: Vec::new() });
                chosen.len() - 1
            });
            let names = &mut chosen[place].names;
            names.extend(name.filter(|name| !names.contains(name)));
        }
    }
    write(&leased, &chosen, out)
}

/// Returns the single names that `text` stands for; an id stands for itself.
fn meant(catalog: &Catalog, text: &str) -> Vec<(String, Option<Name>)> {
    let Some(reference) = Reference::parse(text).ok().filter(|reference| reference.digest().is_none()) else {
        return vec![(text.to_owned(), None)];
    };
    let wanted = Name::of(&reference);
    let has_tag = text.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let names = catalog.images.iter().flat_map(|image| &image.names);
    let fitting = names.filter(|name| name.stored == wanted.stored && (!has_tag || name.tag == wanted.tag));
    let found: Vec<_> = fitting.map(|name| (name.to_string(), Some(name.clone()))).collect();
    if found.is_empty() { vec![(text.to_owned(), None)] } else { found }
}

/// Returns the image with its index if all that the index names is here, else without it.
fn whole(store: &Store, image: Image) -> Image {
    match store.closure(&image.kept).iter().all(|digest| store.contains(digest)) {
        true => image,
        false => Image { kept: image.manifest.clone(), ..image },
    }
}

fn write(store: &Store, chosen: &[Chosen], out: &mut dyn Write) -> Result<(), Error> {
    let failed = |error: io::Error| Error::Invalid(format!("writing the archive: {error}"));
    let mut tar = Writer::new(out);
    for directory in ["blobs", "blobs/sha256"] {
        tar.bare(&entry(directory, EntryKind::Directory)).map_err(failed)?;
    }
    let blobs: BTreeSet<Digest> = chosen.iter().flat_map(|chosen| store.closure(&chosen.image.kept)).collect();
    for digest in &blobs {
        let mut blob = store.open_blob(digest)?;
        let size = store.size(digest).unwrap_or(0);
        let kind = EntryKind::File { size };
        tar.entry(&entry(&path_of(digest), kind), &mut blob).map_err(failed)?;
    }
    let index = Index {
        schema_version: 2,
        media_type: Some(media_type::OCI_INDEX.to_owned()),
        manifests: chosen.iter().flat_map(descriptors).collect(),
        annotations: BTreeMap::new(),
    };
    let old: Vec<Value> = chosen.iter().map(old_entry).collect();
    let damaged = |_| Error::Damaged("the list of images".to_owned());
    for (name, bytes) in [
        ("index.json", serde_json::to_vec(&index).map_err(damaged)?),
        ("manifest.json", serde_json::to_vec(&old).map_err(damaged)?),
        ("oci-layout", LAYOUT.to_vec()),
    ] {
        let kind = EntryKind::File { size: bytes.len() as u64 };
        let mut content: &mut dyn Read = &mut bytes.as_slice();
        tar.entry(&entry(name, kind), &mut content).map_err(failed)?;
    }
    tar.finish().and_then(Write::flush).map_err(failed)
}

/// Returns an image as the index of the layout has it: once for each name.
fn descriptors(chosen: &Chosen) -> Vec<Descriptor> {
    let kept = &chosen.image.kept;
    let plain = Descriptor::new(&kept.media_type, kept.digest.clone(), kept.size);
    let named = |name: &Name| {
        let mut descriptor = plain.clone();
        descriptor.annotations.insert(IMAGE_NAME.to_owned(), format!("{}:{}", name.stored, name.tag));
        descriptor.annotations.insert(REF_NAME.to_owned(), name.tag.clone());
        descriptor
    };
    if chosen.names.is_empty() { vec![plain] } else { chosen.names.iter().map(named).collect() }
}

/// Returns an image as docker's own list has it.
fn old_entry(chosen: &Chosen) -> Value {
    let Chosen { image, names } = chosen;
    let names: Vec<String> = names.iter().map(Name::to_string).collect();
    json!({
        "Config": path_of(&image.id),
        "RepoTags": if names.is_empty() { Value::Null } else { json!(names) },
        "Layers": image.document.layers.iter().map(|layer| path_of(&layer.digest)).collect::<Vec<_>>(),
    })
}

fn path_of(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

fn entry(path: &str, kind: EntryKind) -> Entry {
    let mode = if kind == EntryKind::Directory { 0o755 } else { 0o644 };
    Entry { path: path.as_bytes().to_vec(), kind, mode, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }
}
