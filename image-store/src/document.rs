//! Manifests and indexes as a registry reads them: what they name, and what is said about them to others.

use registry_client::{Digest, DigestError, media_type};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Largest document that is read.
pub const MAX_DOCUMENT: u64 = 4 * 1024 * 1024;

/// A manifest or an index; other fields are passed over. A field that stands there twice is refused, because readers would
/// disagree about it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// The media type, as the document states it.
    pub media_type: Option<String>,
    /// The kind of artifact.
    pub artifact_type: Option<String>,
    /// The configuration, in a manifest.
    pub config: Option<Named>,
    /// The layers, in a manifest.
    pub layers: Option<Vec<Named>>,
    /// The manifests, in an index.
    pub manifests: Option<Vec<Named>>,
    /// The manifest that this one is about.
    pub subject: Option<Named>,
    /// Annotations; clients write texts alone.
    pub annotations: Option<BTreeMap<String, Value>>,
}

/// A descriptor inside a document, not checked yet.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    /// The media type.
    pub media_type: Option<String>,
    /// The digest as it is written.
    pub digest: Option<String>,
    /// The size in bytes.
    pub size: Option<u64>,
    /// The content itself, in base64.
    pub data: Option<String>,
}

impl Named {
    /// Returns the digest.
    pub fn digest(&self) -> Result<Digest, DigestError> {
        self.digest.as_deref().unwrap_or_default().parse()
    }

    /// Tells whether it is a layer that stays with whoever may distribute it, and is never uploaded.
    pub fn is_foreign(&self) -> bool {
        let kind = self.media_type.as_deref().unwrap_or_default();
        kind.contains("foreign") || kind.contains("nondistributable")
    }
}

impl Document {
    /// Reads a document.
    pub fn read(bytes: &[u8]) -> Result<Document, serde_json::Error> {
        if bytes.trim_ascii_start().first() != Some(&b'{') {
            // A list of its values would do for the parser, and for no other reader.
            return Err(serde::de::Error::custom("it is not a JSON object"));
        }
        serde_json::from_slice(bytes)
    }

    /// Returns the media type: the one that the document states, or the one that its fields show; an error says what is wrong.
    pub fn kind(&self) -> Result<&str, String> {
        let shown = match (&self.manifests, &self.config, &self.layers) {
            (Some(_), None, None) => Some(media_type::OCI_INDEX),
            (None, Some(_), _) => Some(media_type::OCI_MANIFEST),
            (None, None, _) => None,
            // Readers would disagree about what it is (CVE-2021-41190).
            _ => return Err("it has `manifests` as an index, and `config` or `layers` as a manifest".to_owned()),
        };
        match (self.media_type.as_deref(), shown) {
            (Some(own), Some(shown)) if media_type::is_manifest(own) && media_type::is_manifest(shown) => Ok(own),
            // A list of no manifests may be null.
            (Some(own), None) if media_type::is_index(own) && self.layers.is_none() => Ok(own),
            (Some(own), Some(shown)) if media_type::is_index(own) && media_type::is_index(shown) => Ok(own),
            (Some(own), _) if !media_type::is_manifest(own) && !media_type::is_index(own) => Err(format!(
                "its mediaType `{own}` is not supported: OCI image manifests and indexes, and Docker's of version 2, schema 2, are"
            )),
            (Some(own), _) => Err(format!("its mediaType is `{own}`, and its fields are others")),
            (None, Some(shown)) => Ok(shown),
            (None, None) => Err("it is neither a manifest, with `config`, nor an index, with `manifests`".to_owned()),
        }
    }

    /// Returns configuration and layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Named> {
        self.config.iter().chain(self.layers.iter().flatten())
    }

    /// Returns the manifests of an index.
    pub fn manifests(&self) -> impl Iterator<Item = &Named> {
        self.manifests.iter().flatten()
    }

    /// Returns the kind of artifact, as lists of referrers show it: its own, or the media type of its configuration.
    pub fn shown_artifact_type(&self) -> Option<&str> {
        let own = self.artifact_type.as_deref().filter(|kind| !kind.is_empty());
        own.or_else(|| self.config.as_ref()?.media_type.as_deref()).filter(|kind| !kind.is_empty())
    }

    /// Returns the descriptor that lists of referrers show.
    pub fn as_referrer(&self, digest: &Digest, size: u64) -> Value {
        let mut fields = Map::new();
        fields.insert("mediaType".to_owned(), self.kind().unwrap_or(media_type::OCI_MANIFEST).into());
        fields.insert("digest".to_owned(), digest.as_str().into());
        fields.insert("size".to_owned(), size.into());
        if let Some(kind) = self.shown_artifact_type() {
            fields.insert("artifactType".to_owned(), kind.into());
        }
        let annotations = self.annotations.iter().flatten().filter(|annotation| annotation.1.is_string());
        let annotations: Map<_, _> = annotations.map(|(name, value)| (name.clone(), value.clone())).collect();
        if !annotations.is_empty() {
            fields.insert("annotations".to_owned(), annotations.into());
        }
        Value::Object(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_what_its_fields_and_its_media_type_agree_on() {
        for (text, expected) in [
            (r#"{"config":{}}"#, Ok(media_type::OCI_MANIFEST)),
            (r#"{"manifests":[]}"#, Ok(media_type::OCI_INDEX)),
            (&format!(r#"{{"mediaType":"{}","manifests":null}}"#, media_type::OCI_INDEX), Ok(media_type::OCI_INDEX)),
            (
                &format!(r#"{{"mediaType":"{}","config":{{}}}}"#, media_type::DOCKER_MANIFEST),
                Ok(media_type::DOCKER_MANIFEST),
            ),
            (
                &format!(r#"{{"mediaType":"{}","manifests":[]}}"#, media_type::OCI_MANIFEST),
                Err("its fields are others"),
            ),
            (&format!(r#"{{"mediaType":"{}","layers":[]}}"#, media_type::OCI_INDEX), Err("its fields are others")),
            (r#"{"manifests":[],"config":{}}"#, Err("as an index")),
            (r#"{"manifests":[],"layers":[]}"#, Err("as an index")),
            (r#"{"mediaType":"text/plain","config":{}}"#, Err("`text/plain` is not supported")),
            ("{}", Err("neither a manifest")),
        ] {
            let document = Document::read(text.as_bytes()).unwrap();
            match (document.kind(), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{text}: {found}"),
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
        assert!(Document::read(br#"{"config":{},"config":{}}"#).is_err(), "a field that stands there twice");
        assert!(Document::read(br#"[null,null,{},null,null,null,null]"#).is_err(), "a list of values");
    }

    #[test]
    fn a_referrer_shows_its_artifact_type_and_its_annotations() {
        let digest = Digest::of(b"x");
        let shown = |text: &str| Document::read(text.as_bytes()).unwrap().as_referrer(&digest, 7);
        let manifest = shown(r#"{"config":{"mediaType":"a/b"},"annotations":{"k":"v","n":1}}"#);
        assert_eq!(manifest["artifactType"], "a/b");
        assert_eq!(manifest["annotations"], serde_json::json!({"k": "v"}));
        assert_eq!(shown(r#"{"artifactType":"c/d","config":{"mediaType":"a/b"}}"#)["artifactType"], "c/d");
        let index = shown(r#"{"manifests":[]}"#);
        assert!(index.get("artifactType").is_none() && index.get("annotations").is_none(), "{index}");
        assert_eq!((index["size"].as_u64(), index["digest"].as_str()), (Some(7), Some(digest.as_str())));
    }
}
