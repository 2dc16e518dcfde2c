//! One image for several platforms: a build for each, joined by an index.

use crate::error::Code;
use crate::event::{Event, Observer, StepSummary};
use crate::image::annotation::{self, Level};
use crate::image::assemble::Image;
use crate::key::KeyBuilder;
use crate::{Built, Error, PlannedBuild, Request, Services};
use database::{BaseImage, StepForecast};
use registry_client::{Index, Platform, media_type};
use runtime::CancellationToken;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Builds `request` for each of its platforms; several become one index.
pub fn build(
    request: &Request,
    services: &Services,
    observer: &dyn Observer,
    cancel: &CancellationToken,
) -> Result<Built, Error> {
    Platforms::new(request, services, observer)?.build(services, observer, cancel)
}

/// The builds of one request, one for each platform, whose steps are known and not executed yet.
pub struct Platforms<'r> {
    request: &'r Request,
    each: Vec<PlannedBuild<'r>>,
}

impl<'r> Platforms<'r> {
    /// Plans `request` for each of its platforms; warnings that are the same for several are reported once.
    pub fn new(request: &'r Request, services: &Services, observer: &dyn Observer) -> Result<Self, Error> {
        if request.platforms.len() == 1 {
            refuse_index_annotations(request)?;
        }
        let once = Once { observer, said: Mutex::default() };
        let several = request.platforms.len() > 1;
        let planned = request.platforms.iter().map(|platform| {
            let planned = PlannedBuild::new(request, platform, services, &once);
            planned.map_err(|error| if several { error.for_platform(platform) } else { error })
        });
        let each = planned.collect::<Result<_, _>>()?;
        Ok(Platforms { request, each })
    }

    /// Returns the builds, in the order of the platforms.
    pub fn each(&self) -> &[PlannedBuild<'r>] {
        &self.each
    }

    /// Returns the key of everything that the images are made from besides the context's files.
    pub fn inputs_key(&self) -> Result<String, Error> {
        if let [only] = self.each() {
            return only.inputs_key();
        }
        let keys = self.each().iter().map(PlannedBuild::inputs_key).collect::<Result<Vec<_>, _>>()?;
        Ok(KeyBuilder::new("platforms.1").list(keys).finish())
    }

    /// Returns the images of registries that the results are made from, each once for every platform.
    pub fn base_images(&self) -> Result<Vec<BaseImage>, Error> {
        let each = self.each().iter().map(PlannedBuild::base_images).collect::<Result<Vec<_>, _>>()?;
        Ok(each.into_iter().flatten().collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// Tells what would become of each step, platform after platform; executes none.
    pub fn dry_run(&self, services: &Services) -> Result<Vec<(StepSummary, StepForecast)>, Error> {
        if let [only] = self.each() {
            return only.dry_run(services);
        }
        let mut all = Vec::new();
        for prepared in self.each() {
            let platform = prepared.platform();
            let before = all.len();
            let steps = prepared.dry_run(services).map_err(|error| error.for_platform(platform))?;
            all.extend(steps.into_iter().map(|(step, fate)| (of_platform(&step, platform, before), fate)));
        }
        Ok(all)
    }

    /// Builds all; several become one index, which is named only when all are there.
    pub fn build(
        &self,
        services: &Services,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<Built, Error> {
        if let [only] = self.each() {
            return only.build(services, observer, cancel);
        }
        // A platform that cannot be run here is an error before anything is executed.
        self.dry_run(services)?;
        let numbered = Numbered::new(observer);
        let (mut images, mut same_as) = (Vec::with_capacity(self.each.len()), Vec::new());
        for planned in &self.each {
            numbered.begin(planned.platform());
            let built = planned.build(services, &numbered, cancel);
            let built = built.map_err(|error| error.for_platform(planned.platform()))?;
            same_as.push(built.same_as);
            images.push(built.image);
        }
        let published = publish(self.request, images, services, cancel)?;
        let first = same_as.first().cloned().flatten();
        // The index is the same if all that it joins are.
        Ok(Built { same_as: first.filter(|first| same_as.iter().all(|one| one.as_ref() == Some(first))), ..published })
    }
}

/// Joins the images of all platforms and moves the tags of `request` to the index.
fn publish(
    request: &Request,
    images: Vec<Image>,
    services: &Services,
    cancel: &CancellationToken,
) -> Result<Built, Error> {
    let image = join(services, images, &request.form.annotations)?;
    let mut pushed = Vec::new();
    for tag in request.tags.iter().filter(|_| request.push) {
        if request.order.begin(tag)? {
            let put = services.pusher().put_manifest(tag, image.media_type, image.manifest.clone());
            let put = crate::execute::ask(&services.tokio, cancel, put);
            put.map_err(|error| error.at(format!("pushing `{tag}`")))?;
            request.order.end(tag, &image.digest)?;
            pushed.push(tag.clone());
        }
    }
    let superseded = request.push && pushed.len() < request.tags.len();
    Ok(Built { image, pushed, superseded, same_as: None })
}

fn refuse_index_annotations(request: &Request) -> Result<(), Error> {
    let of_index =
        |annotation: &&annotation::Annotation| matches!(annotation.level, Level::Index | Level::IndexDescriptor);
    match request.form.annotations.iter().find(of_index) {
        None => Ok(()),
        Some(annotation) => Err(Error::new(
            Code::InvalidAnnotation,
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
    let manifest = serde_json::to_vec(&index).map_err(|error| Error::new(Code::Image, failed()).with_cause(error))?;
    let digest = services.store.put(&manifest).map_err(|error| Error::store(failed(), error))?;
    let first =
        images.first().cloned().ok_or_else(|| Error::new(Code::InvalidPlatform, "no platform was asked for"))?;
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

/// Returns a step as one of a list that holds the steps of several platforms.
fn of_platform(step: &StepSummary, platform: impl std::fmt::Display, before: usize) -> StepSummary {
    StepSummary { number: step.number + before, stage: format!("{platform} {}", step.stage), ..step.clone() }
}

/// Passes each warning on once: most are the same for all platforms.
struct Once<'o> {
    observer: &'o dyn Observer,
    said: Mutex<BTreeSet<String>>,
}

impl Observer for Once<'_> {
    fn observe(&self, event: Event<'_>) {
        let said = || self.said.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Warning(text) | Event::Phase(_, text) if !said().insert(text.to_owned()) => {}
            other => self.observer.observe(other),
        }
    }
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
        // A build that is started again has the same steps.
        state.steps.truncate(before);
        state.steps.extend(steps.iter().map(|step| of_platform(step, &platform, before)));
        self.observer.observe(Event::Planned(&state.steps));
    }
}

impl Observer for Numbered<'_> {
    fn observe(&self, event: Event<'_>) {
        let before = self.state.lock().unwrap_or_else(PoisonError::into_inner).before;
        self.observer.observe(match event {
            Event::Planned(steps) => return self.planned(steps),
            other => other.after(before),
        });
    }
}
