//! The content of an OCI layout: layers on top of a base, flattened to lines of text.

use builder::layer::decompress;
use files::tar::{Entry, EntryKind, Reader};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// An image as it is compared.
pub(crate) struct Image {
    /// The configuration.
    pub config: Value,
    /// Digests of the layers' tars.
    pub diff_ids: Value,
    /// `created_by` of the history entries after the base's.
    pub history: Vec<String>,
    /// The names in each layer after the base's.
    pub layers: Vec<Vec<String>>,
    /// One line for each path of them, the later layer's where it is in several.
    pub files: Vec<String>,
}

impl Image {
    /// Reads the image of a layout; what it has of the image in `base` is left out.
    pub(crate) fn read(layout: &Path, base: &Path) -> Image {
        let (manifest, config) = documents(layout);
        let (base_manifest, base_config) = documents(base);
        let list = |value: &Value, key: &str| value[key].as_array().unwrap().clone();
        let (layers, base_layers) = (list(&manifest, "layers"), list(&base_manifest, "layers"));
        let on_base = layers.len() >= base_layers.len()
            && layers.iter().zip(&base_layers).all(|(one, other)| one["digest"] == other["digest"]);
        let known_layers = if on_base { base_layers.len() } else { 0 };
        let known_history = if on_base { list(&base_config, "history").len() } else { 0 };
        let history = config["history"].as_array().unwrap().iter().skip(known_history);
        let history = history.map(|entry| entry["created_by"].as_str().unwrap_or_default().to_owned()).collect();
        let mut files = BTreeMap::new();
        let mut layers = Vec::new();
        for layer in manifest["layers"].as_array().unwrap().iter().skip(known_layers) {
            layers.push(add_layer(layout, layer, &mut files));
        }
        let diff_ids = config["rootfs"]["diff_ids"].clone();
        Image { config, diff_ids, history, layers, files: files.into_values().collect() }
    }
}

fn documents(layout: &Path) -> (Value, Value) {
    let read = |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let blob = |descriptor: &Value| read(&blob_path(layout, descriptor));
    let manifest = blob(&read(&layout.join("index.json"))["manifests"][0]);
    let config = blob(&manifest["config"]);
    (manifest, config)
}

fn blob_path(layout: &Path, descriptor: &Value) -> std::path::PathBuf {
    layout.join("blobs").join(descriptor["digest"].as_str().unwrap().replace(':', "/"))
}

/// Adds the lines of a layer; returns its names.
fn add_layer(layout: &Path, layer: &Value, files: &mut BTreeMap<String, String>) -> Vec<String> {
    let blob = BufReader::new(File::open(blob_path(layout, layer)).unwrap());
    let tar = decompress(blob, layer["mediaType"].as_str().unwrap()).unwrap();
    let mut reader = Reader::new(tar);
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).unwrap();
        let path = String::from_utf8_lossy(&entry.path).into_owned();
        let mark = if entry.kind == EntryKind::Directory { "/" } else { "" };
        names.push(format!("{path}{mark}"));
        let below = format!("{path}/");
        if entry.kind != EntryKind::Directory {
            files.retain(|known, _| !known.starts_with(&below));
        }
        files.insert(path.clone(), line(&path, &entry, &content));
    }
    // Files of archives come in the archives' order.
    names.sort();
    names
}

fn line(path: &str, entry: &Entry, content: &[u8]) -> String {
    let target = |target: &[u8]| String::from_utf8_lossy(target).into_owned();
    let mark = if entry.kind == EntryKind::Directory { "/" } else { "" };
    let what = match &entry.kind {
        EntryKind::File { .. } if content.len() > 200 => format!(" ({} bytes)", content.len()),
        EntryKind::File { .. } => format!(" {:?}", String::from_utf8_lossy(content)),
        EntryKind::Symlink { target: to } => format!(" -> {}", target(to)),
        EntryKind::HardLink { target: to } => format!(" = /{}", target(to)),
        EntryKind::Fifo => " fifo".to_owned(),
        EntryKind::Character { major, minor } => format!(" character {major}:{minor}"),
        EntryKind::Block { major, minor } => format!(" block {major}:{minor}"),
        EntryKind::Directory | EntryKind::Socket => String::new(),
    };
    let xattrs = entry.xattrs.iter().map(|(name, _)| format!(" +{}", String::from_utf8_lossy(name)));
    let xattrs: String = xattrs.collect();
    format!("/{path}{mark} {:o} {}:{}{what}{xattrs} @{}", entry.mode, entry.uid, entry.gid, entry.mtime)
}
