//! `docker save` and `docker load` in a hook: archives of one image, as docker itself reads and writes them.

use super::asked::Asked;
use super::build_command::absolute;
use super::container::copy_request;
use super::engine::Failed;
use super::flags::Flags;
use super::image_commands::no_such_image;
use super::images::{familiar, named};
use crate::Image;
use crate::context::Tarball;
use crate::execute::Committed;
use crate::image::output;
use files::tar::{Entry, EntryKind, Writer};
use registry_client::{Descriptor, ImageConfig, Manifest, Reference, media_type};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

/// Largest document of an archive.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;
/// The first bytes of a gzip stream.
const GZIP: [u8; 2] = [0x1f, 0x8b];

const SAVE: Flags = Flags { values: &[("output", 'o')], switches: &[], stops_at_argument: false };
const LOAD: Flags = Flags { values: &[("input", 'i')], switches: &[("quiet", 'q')], stops_at_argument: false };

/// An image of an archive, in docker's own list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// `docker save`.
pub(crate) fn save(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = SAVE.parse(asked.arguments).map_err(Failed::usage)?;
    let [text] = flags.arguments.as_slice() else {
        return Err(Failed::usage("\"docker save\" in a hook takes exactly 1 image."));
    };
    let known = asked.engine.images.get(text).ok_or_else(|| no_such_image(text))?;
    let wanted = named(text).filter(|name| known.names.contains(name));
    let names: Vec<Reference> = wanted.map_or_else(|| known.names.clone(), |name| vec![name]);
    let resources = asked.engine.resources(&asked.engine.terms.services, &asked.caller.cancel)?;
    let failed = |error: io::Error| Failed::daemon(format!("saving {text}: {error}"));
    let mut file = tempfile::tempfile().map_err(failed)?;
    output::docker_archive(&resources, &known.image, &names, BufWriter::new(&mut file)).map_err(failed)?;
    let size = file.stream_position().map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let Some(path) = flags.last("output") else {
        let mut buffer = vec![0; 64 * 1024];
        while let got @ 1.. = file.read(&mut buffer).map_err(failed)? {
            asked.caller.print(&buffer[..got]);
        }
        return Ok(0);
    };
    let path = absolute(asked, path);
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let (name, kind) = (name.as_bytes().to_vec(), EntryKind::File { size });
    let entry = Entry { path: name, kind, mode: 0o600, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() };
    let mut writer = Writer::new(BufWriter::new(tempfile::tempfile().map_err(failed)?));
    writer.entry(&entry, &mut file).map_err(failed)?;
    let mut tar = writer.finish().and_then(|out| Ok(out.into_inner()?)).map_err(failed)?;
    tar.seek(SeekFrom::Start(0)).map_err(failed)?;
    let request = copy_request(None, if directory.is_empty() { "/" } else { directory });
    let copied = asked.engine.sandbox.copy_to_container(&asked.engine.hook, &request, &mut tar);
    copied.map_err(|error| Failed::daemon(format!("saving {text}: {error}")))?;
    Ok(0)
}

/// `docker load`.
pub(crate) fn load(asked: &Asked<'_>) -> Result<u8, Failed> {
    let flags = LOAD.parse(asked.arguments).map_err(Failed::usage)?;
    let scratch = &asked.engine.terms.scratch;
    let read = match flags.last("input") {
        None => Tarball::read("-", &mut asked.caller.input(), scratch),
        Some(path) => {
            let request = copy_request(None, &absolute(asked, path));
            let found = asked.engine.sandbox.copy_from_container(&asked.engine.hook, &request);
            let (_, tar) = found.map_err(|error| Failed { code: 1, text: format!("open {path}: {error}") })?;
            let mut reader = files::tar::Reader::new(tar);
            reader.next_entry().map_err(Failed::daemon)?;
            Tarball::read(path, &mut reader, scratch)
        }
    };
    let archive = read.map_err(crate::Error::source)?;
    let list: Vec<Listed> = document(&archive, "manifest.json")?;
    for listed in list {
        let names = listed.repo_tags.iter().flatten().filter_map(|name| named(name));
        let names: Vec<Reference> = names.filter(|name| name.digest().is_none()).collect();
        let image = image(asked, &archive, &listed)?;
        let id = image.config.digest.clone();
        asked.engine.images.add(image, &names).map_err(Failed::daemon)?;
        match names.is_empty() {
            true => asked.caller.print(format!("Loaded image ID: {id}\n")),
            false => names.iter().for_each(|name| asked.caller.print(format!("Loaded image: {}\n", familiar(name)))),
        }
    }
    Ok(0)
}

fn bytes(archive: &Tarball, path: &str) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let file = archive.open_file(path.as_bytes()).map_err(Failed::daemon)?;
    file.take(MAX_DOCUMENT).read_to_end(&mut bytes).map_err(Failed::daemon)?;
    Ok(bytes)
}

fn document<T: for<'d> Deserialize<'d>>(archive: &Tarball, path: &str) -> Result<T, Failed> {
    serde_json::from_slice(&bytes(archive, path)?).map_err(|error| Failed::daemon(format!("{path}: {error}")))
}

/// Takes an image of an archive into the store; its layers are checked against its configuration when they are unpacked.
fn image(asked: &Asked<'_>, archive: &Tarball, listed: &Listed) -> Result<Image, Failed> {
    let store = &asked.engine.terms.services.store;
    let config_bytes = bytes(archive, &listed.config)?;
    let config: ImageConfig = serde_json::from_slice(&config_bytes).map_err(Failed::daemon)?;
    if config.rootfs.diff_ids.len() != listed.layers.len() {
        return Err(Failed::daemon(format!("{}: layers and diff ids differ in number", listed.config)));
    }
    let mut layers = Vec::new();
    for (path, diff_id) in listed.layers.iter().zip(&config.rootfs.diff_ids) {
        let mut content = archive.open_file(path.as_bytes()).map_err(Failed::daemon)?;
        let mut head = Vec::new();
        content.by_ref().take(2).read_to_end(&mut head).map_err(Failed::daemon)?;
        let kind = if head == GZIP { media_type::OCI_LAYER_GZIP } else { media_type::OCI_LAYER };
        let mut writer = store.writer().map_err(Failed::daemon)?;
        writer.write_all(&head).map_err(Failed::daemon)?;
        io::copy(&mut content, &mut writer).map_err(Failed::daemon)?;
        let written = writer.commit().map_err(Failed::daemon)?;
        let descriptor = Descriptor::new(kind, written.digest, written.size);
        let diff_id = diff_id.clone();
        layers.push(Arc::new(Committed {
            diff_id,
            descriptor,
            empty: false,
            made: None,
            origin: None,
            is_foreign: true,
        }));
    }
    let digest = store.put(&config_bytes).map_err(Failed::daemon)?;
    let descriptor = Descriptor::new(media_type::OCI_CONFIG, digest, config_bytes.len() as u64);
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        config: descriptor.clone(),
        layers: layers.iter().map(|layer| layer.descriptor.clone()).collect(),
        annotations: BTreeMap::new(),
    };
    let manifest = serde_json::to_vec(&manifest).map_err(Failed::daemon)?;
    Ok(Image {
        digest: store.put(&manifest).map_err(Failed::daemon)?,
        manifest,
        media_type: media_type::OCI_MANIFEST,
        config: descriptor,
        layers,
        platform: config.platform(),
        annotations: BTreeMap::new(),
        of_platforms: Vec::new(),
    })
}
