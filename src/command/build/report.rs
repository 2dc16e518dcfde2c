//! Reports of a finished image for other programs: `--iidfile` and `--metadata-file`.

use builder::Built;
use registry_client::Reference;
use serde_json::{Value, json};
use std::path::Path;

/// Writes the image's digest.
pub(crate) fn iidfile(path: &Path, built: &Built) -> Result<(), String> {
    write(path, built.image.digest.as_str())
}

/// Returns what buildx writes of an image: digests, descriptor, names.
pub(crate) fn metadata(built: &Built, names: &[Reference]) -> Value {
    let image = &built.image;
    let mut metadata = json!({
        "containerimage.descriptor": image.descriptor(),
        "containerimage.digest": image.digest.to_string(),
    });
    // An index has no configuration of its own.
    if image.of_platforms.is_empty() {
        metadata["containerimage.config.digest"] = json!(image.config.digest.to_string());
        metadata["containerimage.descriptor"]["platform"] = json!(image.platform);
    }
    if !names.is_empty() {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        metadata["image.name"] = json!(names.join(","));
    }
    metadata
}

/// Writes a document.
pub(crate) fn write_json(path: &Path, document: &Value) -> Result<(), String> {
    write(path, &format!("{document:#}\n"))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("writing `{}`: {error}", path.display()))
}
