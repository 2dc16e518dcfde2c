//! Descriptions of images: the document of `inspect`, and the history.

use super::{Image, Name};
use crate::Error;
use image_store::Store;
use serde_json::{Value, json};

/// Returns the document that `inspect` shows.
pub fn details(image: &Image) -> Value {
    let config = &image.config;
    let comment = config.history.last().and_then(|last| last.comment.clone()).unwrap_or_default();
    let mut document = json!({
        "Id": image.id.to_string(),
        "RepoTags": image.names.iter().map(Name::to_string).collect::<Vec<_>>(),
        "RepoDigests": image.digests.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "Parent": "",
        "Comment": comment,
        "Created": config.created,
        "DockerVersion": "",
        "Author": config.author,
        "Config": container_config(image),
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size().stored,
        "GraphDriver": { "Name": "overlay2", "Data": Value::Null },
        "RootFS": { "Type": "layers", "Layers": config.rootfs.diff_ids },
        "Metadata": { "LastTagTime": "0001-01-01T00:00:00Z" },
        "Descriptor": { "mediaType": image.kept.media_type, "digest": image.kept.digest, "size": image.kept.size },
    });
    if let (Some(variant), Some(fields)) = (&config.variant, document.as_object_mut()) {
        fields.insert("Variant".to_owned(), json!(variant));
    }
    document
}

/// Returns the configuration of containers with every field that scripts ask for, `null` where nothing is set.
fn container_config(image: &Image) -> Value {
    let config = &image.config.config;
    let mut written = json!(config);
    if let Some(fields) = written.as_object_mut() {
        for name in ["Cmd", "Entrypoint", "Env", "Volumes", "OnBuild", "Labels"] {
            fields.entry(name).or_insert(Value::Null);
        }
        for name in ["User", "WorkingDir"] {
            fields.entry(name).or_insert_with(|| json!(""));
        }
        fields.remove("ArgsEscaped");
    }
    written
}

/// One line of an image's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryLine {
    /// Id of the image for the newest line; other lines have none.
    pub id: Option<String>,
    /// When, RFC 3339.
    pub created: Option<String>,
    /// By which instruction.
    pub created_by: String,
    /// Bytes of its layer.
    pub size: u64,
    /// A note.
    pub comment: String,
    /// Names of the image, for the newest line.
    pub tags: Vec<String>,
}

/// Returns the history, the newest line first.
pub fn history(store: &Store, image: &Image) -> Result<Vec<HistoryLine>, Error> {
    let mut layers = image.document.layers.iter();
    let mut lines = Vec::new();
    for line in &image.config.history {
        let layer = if line.empty_layer { None } else { layers.next() };
        let size = layer.map_or(0, |layer| store.size(&layer.digest).unwrap_or(layer.size));
        lines.push(HistoryLine {
            id: None,
            created: line.created.clone(),
            created_by: line.created_by.clone().unwrap_or_default(),
            size,
            comment: line.comment.clone().unwrap_or_default(),
            tags: Vec::new(),
        });
    }
    lines.reverse();
    if let Some(newest) = lines.first_mut() {
        newest.id = Some(image.id.to_string());
        newest.tags = image.names.iter().map(Name::to_string).collect();
    }
    Ok(lines)
}
