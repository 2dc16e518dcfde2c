//! Puts the image together: configuration, history and manifest, from the plan and the settled layers.

use crate::Error;
use crate::error::Code;
use crate::execute::{BuildResources, Committed, Sources, StageLayers};
use crate::image::annotation::{self, Annotation, Level};
use dockerfile::plan::{Base, Plan, Step};
use registry_client::{Descriptor, Digest, History, ImageConfig, Manifest, Platform, RootFs, media_type};
use std::collections::BTreeMap;
use std::sync::Arc;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The comment of history entries; tools look for BuildKit's mark.
const COMMENT: &str = "buildkit.dockerfile.v0";

/// An image in the store.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of its manifest.
    pub digest: Digest,
    /// The manifest as it is pushed.
    pub manifest: Vec<u8>,
    /// Its media type.
    pub media_type: &'static str,
    /// The configuration's descriptor.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Arc<Committed>>,
    /// The platform that it runs on.
    pub platform: Platform,
    /// Notes that stand where it is named.
    pub annotations: BTreeMap<String, String>,
    /// If it is an index: the images of its platforms. Configuration, layers and platform are those of the first then.
    pub of_platforms: Vec<Image>,
}

impl Image {
    /// Returns the bytes of all compressed layers and configurations.
    pub fn size(&self) -> u64 {
        let size =
            |image: &Image| image.layers.iter().map(|layer| layer.descriptor.size).sum::<u64>() + image.config.size;
        self.parts().into_iter().map(size).sum()
    }

    /// Returns the images of all platforms: itself, if it is not an index.
    pub fn parts(&self) -> Vec<&Image> {
        if self.of_platforms.is_empty() { vec![self] } else { self.of_platforms.iter().collect() }
    }

    /// Returns the descriptor that names the image in another document.
    pub fn descriptor(&self) -> Descriptor {
        let mut descriptor = Descriptor::new(self.media_type, self.digest.clone(), self.manifest.len() as u64);
        descriptor.annotations.clone_from(&self.annotations);
        descriptor
    }

    /// Returns the name of a directory for the platform: `linux_arm64`.
    pub fn platform_directory(&self) -> String {
        self.platform.to_string().replace('/', "_")
    }
}

/// The properties of an image that its Dockerfile does not set.
#[derive(Debug, Clone, Default)]
pub struct Form {
    /// Its annotations.
    pub annotations: Vec<Annotation>,
}

/// Writes the configuration and manifest of the plan's target into the store.
pub(crate) fn assemble(
    plan: &Plan,
    sources: &Sources<'_>,
    resources: &BuildResources,
    result: &StageLayers,
    created: Option<i64>,
    form: &Form,
) -> Result<Image, Error> {
    let layers = result.layers.iter().map(|layer| resources.committed(layer)).collect::<Result<Vec<_>, _>>()?;
    let mut config = plan.stages[plan.target].config.clone();
    config.rootfs = RootFs::new(layers.iter().map(|layer| layer.diff_id.clone()).collect());
    let newest = layers.iter().filter_map(|layer| layer.made).max();
    let created = created.or(newest).map_or_else(|| base_created(plan, sources), |time| Ok(Some(written(time))))?;
    config.history = history(plan, sources, &created)?;
    config.created = config.history.iter().rev().find_map(|entry| entry.created.clone());
    let platform = config.platform();
    let bytes = config_bytes(&config)?;
    let digest = put(resources, &bytes)?;
    let config = Descriptor::new(media_type::OCI_CONFIG, digest, bytes.len() as u64);
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(media_type::OCI_MANIFEST.to_owned()),
        config: config.clone(),
        layers: layers.iter().map(|layer| layer.oci_descriptor()).collect(),
        annotations: annotation::of(&form.annotations, Level::Manifest, Some(&platform)),
    };
    let manifest = serde_json::to_vec(&manifest)
        .map_err(|error| Error::new(Code::Image, "writing the manifest").with_cause(error))?;
    let digest = put(resources, &manifest)?;
    let annotations = annotation::of(&form.annotations, Level::ManifestDescriptor, Some(&platform));
    let (media_type, of_platforms) = (media_type::OCI_MANIFEST, Vec::new());
    Ok(Image { digest, manifest, media_type, config, layers, platform, annotations, of_platforms })
}

fn config_bytes(config: &ImageConfig) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(config)
        .map_err(|error| Error::new(Code::Image, "writing the image configuration").with_cause(error))
}

fn put(resources: &BuildResources, bytes: &[u8]) -> Result<Digest, Error> {
    let storing = || "storing the image".to_owned();
    resources.store.put(bytes).map_err(|error| Error::store(storing(), error))
}

/// Returns the time of an image to which no layer was added: that of its base, or 1970, so that it is always the same.
fn base_created(plan: &Plan, sources: &Sources<'_>) -> Result<Option<String>, Error> {
    let mut base = &plan.stages[plan.target].base;
    while let Base::Stage(stage) = base {
        base = &plan.stages[*stage].base;
    }
    let known = match base {
        Base::Image(name) => sources.image(name)?.config.created.clone(),
        Base::Scratch | Base::Stage(_) => None,
    };
    Ok(known.or_else(|| Some(written(0))))
}

/// Returns a time as configurations have it; one that no calendar has becomes 1970.
fn written(time: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(time).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Rfc3339).unwrap_or_default()
}

/// Returns the base image's history and an entry for each instruction of the target's chain of stages.
fn history(plan: &Plan, sources: &Sources<'_>, created: &Option<String>) -> Result<Vec<History>, Error> {
    let mut chain = vec![plan.target];
    let mut entries = loop {
        match &plan.stages[chain[chain.len() - 1]].base {
            Base::Stage(base) => chain.push(*base),
            Base::Scratch => break Vec::new(),
            Base::Image(name) => {
                let image = sources.image(name)?;
                break complete(image.config.history.clone(), image.layers.len());
            }
        }
    };
    let steps = chain.iter().rev().flat_map(|&stage| &plan.stages[stage].steps);
    entries.extend(steps.map(|step| entry(step, created.clone())));
    Ok(entries)
}

fn entry(step: &Step, created: Option<String>) -> History {
    History {
        created,
        created_by: Some(step.created_by.clone()),
        author: None,
        comment: Some(COMMENT.to_owned()),
        empty_layer: !step.action.makes_layer(),
    }
}

/// Adds entries for layers that the base's history does not tell of, so that entries and layers stay in step.
fn complete(mut history: Vec<History>, layers: usize) -> Vec<History> {
    let told = history.iter().filter(|entry| !entry.empty_layer).count();
    for _ in told..layers {
        history.push(History { comment: Some("buildkit.exporter.image.v0".to_owned()), ..History::default() });
    }
    history
}
