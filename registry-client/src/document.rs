//! The documents an image consists of: descriptors, manifests, indexes, configurations.

use crate::digest::{DiffId, Digest};
use crate::go_json::or_default;
use crate::platform::Platform;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// An empty JSON object: the value of each exposed port and volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// Names a blob: what it is, its digest, its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the blob.
    #[serde(default, deserialize_with = "or_default")]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes.
    #[serde(default, deserialize_with = "or_default")]
    pub size: u64,
    /// The platform it is for, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Notes on it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "map_or_default")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// Returns a descriptor without platform and annotations.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Descriptor { media_type: media_type.to_owned(), digest, size, platform: None, annotations: BTreeMap::new() }
    }
}

/// The manifest of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    #[serde(default, deserialize_with = "or_default")]
    pub schema_version: u32,
    /// Media type of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, bottom first.
    #[serde(default, deserialize_with = "or_default")]
    pub layers: Vec<Descriptor>,
    /// Notes on the image.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "map_or_default")]
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests, one for each platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    #[serde(default, deserialize_with = "or_default")]
    pub schema_version: u32,
    /// Media type of the index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    #[serde(default, deserialize_with = "or_default")]
    pub manifests: Vec<Descriptor>,
    /// Notes on the list.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "map_or_default")]
    pub annotations: BTreeMap<String, String>,
}

/// An image's configuration document. Fields stand in the order in which they are written: sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Architecture, as Go calls it.
    #[serde(default, deserialize_with = "or_default")]
    pub architecture: String,
    /// Its author.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub author: String,
    /// Configuration of its containers.
    #[serde(default, deserialize_with = "or_default")]
    pub config: ContainerConfig,
    /// When it was made, RFC 3339.
    #[serde(default)]
    pub created: Option<String>,
    /// How it was made.
    #[serde(default, deserialize_with = "list_or_default")]
    pub history: Vec<History>,
    /// Operating system.
    #[serde(default, deserialize_with = "or_default")]
    pub os: String,
    /// Features of the operating system it needs.
    #[serde(
        default,
        rename = "os.features",
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "list_or_default"
    )]
    pub os_features: Vec<String>,
    /// Version of the operating system it needs.
    #[serde(default, rename = "os.version", skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub os_version: String,
    /// Its layers.
    #[serde(default, deserialize_with = "or_default")]
    pub rootfs: RootFs,
    /// Variant of the architecture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

impl ImageConfig {
    /// Returns what the image runs on.
    pub fn platform(&self) -> Platform {
        Platform { os: self.os.clone(), architecture: self.architecture.clone(), variant: self.variant.clone() }
    }
}

/// The layers of an image, by their diff ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    /// Bottom first.
    #[serde(default, deserialize_with = "or_default")]
    pub diff_ids: Vec<DiffId>,
}

impl RootFs {
    /// Returns the document's part for these layers.
    pub fn new(diff_ids: Vec<DiffId>) -> Self {
        RootFs { kind: "layers".to_owned(), diff_ids }
    }
}

impl Default for RootFs {
    fn default() -> Self {
        RootFs::new(Vec::new())
    }
}

/// One line of an image's history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// By which instruction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether it made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not", deserialize_with = "or_default")]
    pub empty_layer: bool,
}

/// Configuration of the containers of an image. Fields stand in the order in which docker writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// User of the command.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub user: String,
    /// Ports that are listened on: `80/tcp`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "map_or_default")]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// `NAME=value`, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list_or_default")]
    pub env: Vec<String>,
    /// The command's beginning.
    #[serde(default, skip_serializing_if = "is_none_or_empty", deserialize_with = "words")]
    pub entrypoint: Option<Vec<String>>,
    /// The command, or the entrypoint's arguments.
    #[serde(default, skip_serializing_if = "is_none_or_empty", deserialize_with = "words")]
    pub cmd: Option<Vec<String>>,
    /// Paths of volumes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "map_or_default")]
    pub volumes: BTreeMap<String, Empty>,
    /// Working directory of the command.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub working_dir: String,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "map_or_default")]
    pub labels: BTreeMap<String, String>,
    /// The signal that ends the container.
    #[serde(default, skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub stop_signal: String,
    /// Whether the command is escaped already; docker sets it with `CMD`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not", deserialize_with = "or_default")]
    pub args_escaped: bool,
    /// How to tell whether the container is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Instructions for images built on this one.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list_or_default")]
    pub on_build: Vec<String>,
    /// The shell of shell-form commands.
    #[serde(default, skip_serializing_if = "is_none_or_empty", deserialize_with = "words")]
    pub shell: Option<Vec<String>>,
}

/// How to tell whether a container is well; times in nanoseconds, 0 for the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `NONE`, `CMD` and words, or `CMD-SHELL` and a line.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "list_or_default")]
    pub test: Vec<String>,
    /// Time between checks.
    #[serde(default, skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub interval: i64,
    /// Time a check may take.
    #[serde(default, skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub timeout: i64,
    /// Time in which failures do not count.
    #[serde(default, skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub start_period: i64,
    /// Time between checks in the start period.
    #[serde(default, skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub start_interval: i64,
    /// Failures in a row that make the container unwell.
    #[serde(default, skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub retries: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn is_none_or_empty(words: &Option<Vec<String>>) -> bool {
    words.as_ref().is_none_or(Vec::is_empty)
}

/// Reads a list or `null`, whose elements may be `null`.
fn list_or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let list: Option<Vec<Option<T>>> = Option::deserialize(deserializer)?;
    Ok(list.unwrap_or_default().into_iter().map(Option::unwrap_or_default).collect())
}

/// Reads a map or `null`, whose values may be `null`.
fn map_or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, T>, D::Error> {
    let map: Option<BTreeMap<String, Option<T>>> = Option::deserialize(deserializer)?;
    Ok(map.unwrap_or_default().into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect())
}

/// Reads a command, whose words may be `null`. One without words is none: Go leaves both out.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let words: Option<Vec<Option<String>>> = Option::deserialize(deserializer)?;
    let words = words.filter(|words| !words.is_empty());
    Ok(words.map(|words| words.into_iter().map(Option::unwrap_or_default).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_comes_back_as_it_was_written_and_nulls_are_read() {
        let text = r#"{"architecture":"amd64","config":{"User":"u","Env":null,"Cmd":["a"],"Healthcheck":{"Test":["NONE"]},"Tty":false},"created":null,"history":null,"os":"linux","rootfs":{"type":"layers","diff_ids":null},"docker_version":"1"}"#;
        let config: ImageConfig = serde_json::from_str(text).unwrap();
        assert_eq!(config.config.user, "u");
        let written = serde_json::to_string(&config).unwrap();
        assert_eq!(
            written,
            r#"{"architecture":"amd64","config":{"User":"u","Cmd":["a"],"Healthcheck":{"Test":["NONE"]}},"created":null,"history":[],"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#
        );
        assert_eq!(serde_json::from_str::<ImageConfig>(&written).unwrap(), config);
    }

    #[test]
    fn null_is_nothing_wherever_it_stands() {
        // SV-08
        let digest = Digest::of(b"x");
        let config = format!(
            r#"{{"mediaType":null,"digest":"{digest}","size":null,"annotations":null,"platform":null,"urls":null}}"#
        );
        let manifest: Manifest = serde_json::from_str(&format!(
            r#"{{"schemaVersion":null,"mediaType":null,"config":{config},"layers":null,"annotations":null,"subject":null}}"#
        ))
        .unwrap();
        assert_eq!(manifest.config, Descriptor::new("", digest.clone(), 0));
        let platform = r#"{"os":null,"architecture":null,"variant":null,"os.version":null,"os.features":null}"#;
        let entry = format!(
            r#"{{"mediaType":"m","digest":"{digest}","size":1,"platform":{platform},"annotations":{{"a":null}}}}"#
        );
        let index: Index = serde_json::from_str(&format!(r#"{{"manifests":[{entry}],"annotations":null}}"#)).unwrap();
        assert_eq!((index.manifests[0].annotations["a"].as_str(), index.schema_version), ("", 0));
        assert!(serde_json::from_str::<Index>(r#"{"schemaVersion":2,"manifests":null}"#).unwrap().manifests.is_empty());

        let every = |value: &str| {
            let fields = [
                "User",
                "ExposedPorts",
                "Env",
                "Entrypoint",
                "Cmd",
                "Volumes",
                "WorkingDir",
                "Labels",
                "StopSignal",
                "ArgsEscaped",
                "Healthcheck",
                "OnBuild",
                "Shell",
            ];
            fields.map(|field| format!("\"{field}\":{value}")).join(",")
        };
        let health =
            r#"{"Test":null,"Interval":null,"Timeout":null,"StartPeriod":null,"StartInterval":null,"Retries":null}"#;
        for text in [
            r#"{"architecture":null,"author":null,"config":null,"created":null,"history":null,"os":null,"os.features":null,"os.version":null,"rootfs":null,"variant":null}"#.to_owned(),
            format!(r#"{{"config":{{{}}},"rootfs":{{"type":null,"diff_ids":null}}}}"#, every("null")),
            format!(r#"{{"config":{{"Healthcheck":{health}}}}}"#),
            r#"{"history":[null,{"created":null,"created_by":null,"author":null,"comment":null,"empty_layer":null}]}"#.to_owned(),
        ] {
            serde_json::from_str::<ImageConfig>(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        }
        let inner = r#"{"config":{"Env":[null,"A=1"],"Cmd":["a",null],"Labels":{"a":null},"ExposedPorts":{"80/tcp":null},"Volumes":{"/v":null}}}"#;
        let config = serde_json::from_str::<ImageConfig>(inner).unwrap().config;
        assert_eq!((config.env, config.labels["a"].as_str()), (vec![String::new(), "A=1".to_owned()], ""));
        assert!(config.exposed_ports.contains_key("80/tcp") && config.volumes.contains_key("/v"));
        assert_eq!(config.cmd.unwrap(), ["a", ""]);
    }
}
