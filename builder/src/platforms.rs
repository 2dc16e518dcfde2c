//! One image for several platforms: a build for each, joined by an index.

use crate::annotation::{self, Level};
use crate::event::{Event, Observer, StepSummary};
use crate::result::Image;
use crate::{Built, Error, Request, Services};
use registry_client::{Index, Platform, media_type};
use runtime::Cancel;
use std::sync::{Mutex, PoisonError};

/// Builds `request` for each of `platforms`; more than one become one index.
pub fn build_platforms(
    request: &mut Request,
    platforms: &[Platform],
    (services, observer): (&Services, &dyn Observer),
    cancel: &Cancel,
) -> Result<Built, Error> {
    if let [only] = platforms {
        request.platform.clone_from(only);
        refuse_index_annotations(request)?;
        return crate::build(request, services, observer, cancel);
    }
    let numbered = Numbered::new(observer);
    let mut images = Vec::with_capacity(platforms.len());
    for platform in platforms {
        request.platform.clone_from(platform);
        request.form.by_digest = true;
        numbered.begin(platform);
        images.push(crate::build(request, services, &numbered, cancel)?.image);
    }
    let image = join(services, images, &request.form.annotations)?;
    let mut pushed = Vec::new();
    for tag in request.tags.iter().filter(|_| request.push) {
        if request.order.begin(tag)? {
            let put = services.client.put_manifest(tag, image.media_type, image.manifest.clone());
            let put = services.tokio.block_on(put);
            put.map_err(|error| crate::resolve::registry_error(format!("pushing `{tag}`"), error))?;
            request.order.end(tag, &image.digest)?;
            pushed.push(tag.clone());
        }
    }
    let superseded = request.push && pushed.len() < request.tags.len();
    Ok(Built { image, pushed, superseded })
}

fn refuse_index_annotations(request: &Request) -> Result<(), Error> {
    let of_index =
        |annotation: &&annotation::Annotation| matches!(annotation.level, Level::Index | Level::IndexDescriptor);
    match request.form.annotations.iter().find(of_index) {
        None => Ok(()),
        Some(annotation) => Err(Error::user(
            "invalid_annotation",
            format!("annotation `{}` is for an index, but an image for one platform has none", annotation.key),
        )),
    }
}

/// Writes the index of `images` into the store.
fn join(services: &Services, images: Vec<Image>, annotations: &[annotation::Annotation]) -> Result<Image, Error> {
    let failed = || "writing the index".to_owned();
    let manifests = images.iter().map(|image| {
        let mut descriptor = image.descriptor();
        descriptor.platform = Some(image.platform.clone());
        descriptor.annotations = annotation::of(annotations, Level::ManifestDescriptor, Some(&image.platform));
        descriptor
    });
    let index = Index {
        schema_version: 2,
        media_type: Some(media_type::OCI_INDEX.to_owned()),
        manifests: manifests.collect(),
        annotations: annotation::of(annotations, Level::Index, None),
    };
    let manifest = serde_json::to_vec(&index).map_err(|error| Error::service("image", failed()).with_cause(error))?;
    let digest = services.store.put(&manifest).map_err(|error| crate::execute::store_error(failed(), error))?;
    let first = images.first().cloned().ok_or_else(|| Error::user("invalid_platform", "no platform was asked for"))?;
    let descriptor_annotations = annotation::of(annotations, Level::IndexDescriptor, None);
    Ok(Image {
        digest,
        manifest,
        media_type: media_type::OCI_INDEX,
        of_platforms: images,
        annotations: descriptor_annotations,
        ..first
    })
}

/// Passes events on with the steps of all platforms numbered as one list.
struct Numbered<'o> {
    observer: &'o dyn Observer,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Steps of the platforms that were planned.
    steps: Vec<StepSummary>,
    /// How many of them are not of the platform that is being built.
    before: usize,
    platform: String,
}

impl<'o> Numbered<'o> {
    fn new(observer: &'o dyn Observer) -> Self {
        Numbered { observer, state: Mutex::default() }
    }

    fn begin(&self, platform: &Platform) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.before = state.steps.len();
        state.platform = platform.to_string();
    }

    fn planned(&self, steps: &[StepSummary]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, platform) = (state.before, state.platform.clone());
        let renumbered = steps.iter().map(|step| StepSummary {
            number: step.number + before,
            stage: format!("{platform} {}", step.stage),
            ..step.clone()
        });
        state.steps.extend(renumbered);
        self.observer.observe(Event::Planned(&state.steps));
    }
}

impl Observer for Numbered<'_> {
    fn observe(&self, event: Event<'_>) {
        let before = self.state.lock().unwrap_or_else(PoisonError::into_inner).before;
        self.observer.observe(match event {
            Event::Planned(steps) => return self.planned(steps),
            Event::Started { step } => Event::Started { step: step + before },
            Event::Output { step, bytes } => Event::Output { step: step + before, bytes },
            Event::Layer { step, digest, size } => Event::Layer { step: step + before, digest, size },
            Event::Finished { step, cached, duration } => Event::Finished { step: step + before, cached, duration },
            Event::Failed { step, exit_code, duration } => Event::Failed { step: step + before, exit_code, duration },
            other => other,
        });
    }
}
