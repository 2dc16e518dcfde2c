//! One build from beginning to end: source, plan, resolution, execution, image, push.

use crate::error::Code;
use crate::event::{self, Event, Observer, Phase, StepSummary};
use crate::execute::{BuildResources, Cache, Execution, Options, SourceImage, Sources};
use crate::image::assemble::{self, Image};
use crate::image::push::{self, Arrived};
use crate::image::retag;
use crate::image::uploads::{CloseOnDrop, Uploads};
use crate::key::KeyBuilder;
use crate::layer::Compression;
use crate::same::{is_whole, same_as_before};
use crate::trace::Work;
use crate::{Earlier, Error, LocalImages, Request, Services};
use database::{BaseImage, StepForecast};
use dockerfile::DockerfileText;
use dockerfile::plan::{self, Plan};
use registry_client::{Platform, Reference};
use runtime::CancellationToken;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

/// The result of a build.
#[derive(Debug, Clone)]
pub struct Built {
    /// The image, which is in the store.
    pub image: Image,
    /// The names under which a registry has it now.
    pub pushed: Vec<Reference>,
    /// Whether a name was left alone because a newer commit has it.
    pub superseded: bool,
    /// The earlier image that it is.
    pub same_as: Option<Reference>,
}

/// A build for one platform whose steps are known, none of which was executed.
pub struct PlannedBuild<'r> {
    request: &'r Request,
    platform: Platform,
    plan: Plan,
    sources: Sources<'r>,
}

impl<'r> PlannedBuild<'r> {
    /// Reads the Dockerfile of `request`, resolves its base images and plans the steps for `platform`.
    pub fn new(
        request: &'r Request,
        platform: &Platform,
        services: &Services,
        observer: &dyn Observer,
    ) -> Result<Self, Error> {
        observer.observe(Event::Phase(Phase::Preparing, "reading the Dockerfile"));
        let prepared = prepare(request, platform, services, observer);
        let (plan, sources) = prepared.map_err(|error| with_snippet(error, &request.dockerfile))?;
        Ok(PlannedBuild { request, platform: platform.clone(), plan, sources })
    }

    /// Returns the platform.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// Returns the request.
    pub fn request(&self) -> &'r Request {
        self.request
    }

    /// Returns the plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns where its files come from.
    pub(crate) fn sources(&self) -> &Sources<'r> {
        &self.sources
    }

    /// Returns the key of everything that the image is made from besides the context's files.
    pub fn inputs_key(&self) -> Result<String, Error> {
        let request = self.request;
        let mut key = KeyBuilder::new("inputs.2");
        key.field(&request.dockerfile.text).list(request.context.ignore.patterns().collect::<Vec<_>>());
        key.text(request.target.as_deref().unwrap_or("")).text(&self.platform.to_string());
        key.list(request.build_args.iter().map(|(name, value)| format!("{name}={value}")));
        key.list(request.labels.iter().map(|(name, value)| format!("{name}={value}")));
        key.list(request.options.secrets.keys());
        for name in self.plan.images() {
            key.text(name).text(&self.sources.image(name)?.reference.to_string());
        }
        // Keys of earlier versions, which knew one compression, stay as they are.
        if request.options.compression != Compression::default() {
            key.text(match request.options.compression {
                Compression::Zstd => Compression::Zstd.media_type(),
                other => other.name(),
            });
        }
        Ok(key.finish())
    }

    /// Returns the images of registries that the result is made from.
    pub fn base_images(&self) -> Result<BTreeSet<BaseImage>, Error> {
        let found = self.plan.images().into_iter().map(|name| {
            let image = self.sources.image(name)?;
            let SourceImage { asked, platform, reference, .. } = &*image;
            let digest = reference.digest().map(ToString::to_string).unwrap_or_default();
            Ok(BaseImage { reference: asked.to_string(), platform: platform.to_string(), digest })
        });
        found.collect()
    }

    /// Tells what would become of each step, in the order of the Dockerfile; executes none.
    pub fn dry_run(&self, services: &Services) -> Result<Vec<(StepSummary, StepForecast)>, Error> {
        self.fates(services).map_err(|error| with_snippet(error, &self.request.dockerfile))
    }

    fn fates(&self, services: &Services) -> Result<Vec<(StepSummary, StepForecast)>, Error> {
        let request = self.request;
        let resources =
            BuildResources::new(services, &request.attempt, request.options.cancel().clone(), request.trace.clone())?
                .within(request.options.fetching.max_paths);
        let (cache, on_layer) = (cache(request, services), |_, _| ());
        let execution =
            Execution::new(&self.plan, &self.sources, &resources, &cache, &request.options, &event::Silent, &on_layer)?;
        let mut fates: HashMap<usize, StepForecast> = execution.dry_run()?.into_iter().collect();
        let fate = |step: StepSummary| fates.remove(&step.number).map(|fate| (step, fate));
        Ok(summaries(&self.plan).into_iter().filter_map(fate).collect())
    }

    /// Executes the steps, puts the image together and pushes it if that is asked for.
    pub fn build(
        &self,
        services: &Services,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<Built, Error> {
        let mut built = self.execute(services, observer, &cancel.child_token());
        if built.as_ref().is_err_and(|error| error.code() == Code::BlobDamaged) {
            // The damaged blob was put aside: now it is missing, and what is missing is got or made again.
            built = self.execute(services, observer, &cancel.child_token());
        }
        built.map_err(|error| with_snippet(error, &self.request.dockerfile))
    }

    fn execute(
        &self,
        services: &Services,
        observer: &dyn Observer,
        cancel: &CancellationToken,
    ) -> Result<Built, Error> {
        let (request, plan) = (self.request, &self.plan);
        let resources = BuildResources::new(services, &request.attempt, cancel.clone(), request.trace.clone())?
            .within(request.options.fetching.max_paths)
            .sharing(request.options.sandbox.as_ref());
        observer.observe(Event::Planned(&summaries(plan)));
        observer.observe(Event::Phase(Phase::Building, "executing the steps"));
        let Made { image, arrived, same_as } = execute(request, services, plan, &self.sources, &resources, observer)?;
        if cancel.is_cancelled() {
            return Err(Error::cancelled());
        }
        let mut pushed = Vec::new();
        if request.push {
            observer.observe(Event::Phase(Phase::Pushing, "pushing the image"));
            pushed = push_image(request, &resources, &image, &arrived)?;
        }
        let superseded = request.push && pushed.len() < request.tags.len();
        Ok(Built { image, pushed, superseded, same_as })
    }
}

/// Pushes the image under its names, or without one where an index will name it.
fn push_image(
    request: &Request,
    resources: &BuildResources,
    image: &Image,
    arrived: &Arrived,
) -> Result<Vec<Reference>, Error> {
    if request.platforms.len() <= 1 && arrived.is_whole {
        return retag::manifest(resources, image, &request.tags, request.order.as_ref());
    }
    if request.platforms.len() <= 1 {
        return push::manifest(resources, image, &request.tags, request.order.as_ref(), arrived);
    }
    let unnamed: Vec<_> = request.tags.iter().map(|tag| tag.with_digest(image.digest.clone())).collect();
    push::manifest(resources, image, &unnamed, &push::Unordered, arrived)
}

/// Parses, resolves base images and plans; what is odd about the Dockerfile is told before what is wrong with it.
fn prepare<'r>(
    request: &'r Request,
    platform: &Platform,
    services: &Services,
    observer: &dyn Observer,
) -> Result<(Plan, Sources<'r>), Error> {
    let parsed = dockerfile::Dockerfile::parse(&request.dockerfile.text).map_err(plan::Error::from)?;
    let settings = request.settings(platform);
    let lint = plan::Lint::new(&parsed, &settings)?;
    let prepared = resolve_and_plan(request, services, &parsed, &settings, &lint, observer);
    lint.warnings().iter().for_each(|warning| observer.observe(Event::Warning(&warning.to_string())));
    let (mut plan, sources) = prepared?;
    match plan.violation.take() {
        Some(violation) => Err(violation.into()),
        None => Ok((plan, sources)),
    }
}

/// Plans again and again until all images are known: `ONBUILD` triggers of a base may ask for further ones.
fn resolve_and_plan<'r>(
    request: &'r Request,
    services: &Services,
    parsed: &dockerfile::Dockerfile,
    settings: &plan::Settings,
    lint: &plan::Lint,
    observer: &dyn Observer,
) -> Result<(Plan, Sources<'r>), Error> {
    let sources = Sources::new(&request.context, &request.named);
    let mut images = plan::BaseImages::new();
    loop {
        let needed = match plan::Plan::for_file(parsed, settings, &images, plan::Scope::Target, lint)? {
            plan::Planned::Ready(plan) => return Ok((with_network(*plan, &request.options), sources)),
            plan::Planned::Needs(needed) => needed,
        };
        for (image, resolved) in resolve(request, services, needed, request.options.cancel()) {
            let resolved = resolved.map_err(|error| {
                error.with_hint(&plan::image_hint(parsed, &image.name)).at_step(0, image.lines, &image.instruction)
            })?;
            if let Some(text) = &resolved.stale {
                observer.observe(Event::StaleImage(text));
            }
            images.insert(image.key.clone(), resolved.config.clone());
            sources.add_image(&image.key, resolved);
        }
    }
}

/// Resolves images side by side; those that the requester gave are read from where they are.
pub(crate) fn resolve(
    request: &Request,
    services: &Services,
    needed: Vec<plan::Needed>,
    cancel: &CancellationToken,
) -> Vec<(plan::Needed, Result<SourceImage, Error>)> {
    let _span = request.trace.span(Work::Resolve, "base images");
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for image in needed {
        match on_this_machine(request, services, &image) {
            Ok(None) => others.push(image),
            Ok(Some(resolved)) => found.push((image, Ok(resolved))),
            Err(error) => found.push((image, Err(error))),
        }
    }
    let wanted: Vec<_> = others
        .iter()
        .map(|image| {
            let name = crate::image::layout::reference(&request.named, &image.name);
            (crate::image::resolve::pinned(&name, &image.platform, &request.options.pinned), image.platform.clone())
        })
        .collect();
    let resolving = crate::image::resolve::images(services, cancel, wanted.into_iter());
    for (image, resolved) in others.into_iter().zip(resolving) {
        let resolved = resolved.map_err(|error| match request.options.local_images {
            LocalImages::Ignore => error,
            LocalImages::Prefer => error.with_hint(&crate::image::local::hint(services, &image.name, &image.platform)),
        });
        found.push((image, resolved));
    }
    found
}

/// Returns the image that the requester gave as a layout or from the store, or one that was built here by hand if that counts.
fn on_this_machine(request: &Request, services: &Services, image: &plan::Needed) -> Result<Option<SourceImage>, Error> {
    if crate::image::layout::is_layout(&request.named, &image.name) {
        return crate::image::layout::layout(&request.named, services, &image.name, &image.platform).map(Some);
    }
    if let Some(descriptor) = crate::image::layout::stored(&request.named, &image.name) {
        return crate::image::local::stored(services, descriptor, &image.platform).map(Some);
    }
    let own = request.options.own_images.as_ref().map_or(Ok(None), |own| own.find(&image.name))?;
    if let Some(descriptor) = own {
        return crate::image::local::stored(services, &descriptor, &image.platform).map(Some);
    }
    match request.options.local_images {
        LocalImages::Ignore => Ok(None),
        LocalImages::Prefer => {
            let name = crate::image::layout::reference(&request.named, &image.name);
            crate::image::local::find(services, &name, &image.platform)
        }
    }
}

/// Takes the network away from all steps if the requester does not want them to have one.
fn with_network(mut plan: Plan, options: &Options) -> Plan {
    for step in plan.stages.iter_mut().flat_map(|stage| &mut stage.steps) {
        if let plan::Action::Run(run) = &mut step.action {
            run.network = run.network && options.network;
        }
    }
    plan
}

/// Returns the cache as `request` sees it.
fn cache<'r>(request: &'r Request, services: &'r Services) -> Cache<'r> {
    Cache {
        database: &services.database,
        namespace: &request.cache_namespace,
        compression: request.options.compression,
        tokio: &services.tokio,
        pushed_to: request.tags.first().filter(|_| request.push),
    }
}

/// An image that is put together, and not pushed yet.
struct Made {
    image: Image,
    arrived: Arrived,
    /// The earlier image that it is.
    same_as: Option<Reference>,
}

fn execute(
    request: &Request,
    services: &Services,
    plan: &Plan,
    sources: &Sources<'_>,
    resources: &BuildResources,
    observer: &dyn Observer,
) -> Result<Made, Error> {
    let cache = cache(request, services);
    let (uploads, arriving) = Uploads::new();
    let (image, is_unnamed, kept) = std::thread::scope(|scope| -> Result<(Image, bool, Option<&Earlier>), Error> {
        let _closed_at_the_end = CloseOnDrop(&uploads);
        if request.push {
            uploads.start(&arriving, resources, &request.tags, scope);
        }
        let on_layer = |layer, status| uploads.add(layer, status);
        let execution = Execution::new(plan, sources, resources, &cache, &request.options, observer, &on_layer)?;
        let layers = execution.run()?;
        resources.steps_are_done();
        let image = assemble::assemble(plan, sources, resources, &layers, request.options.created, &request.form)?;
        let is_new = !uploads.all_known();
        if request.push && is_new {
            uploads.start_config(image.config.clone(), resources, &request.tags, scope);
        }
        if !request.push || is_new {
            return Ok((image, is_new, None));
        }
        let kept = same_as_before(request, resources, &image, observer)?;
        let names: Cow<[Reference]> = match &kept {
            // A repository that has the image by its digest has every part of it, whatever its tags name.
            Some(kept) => {
                let digest = &kept.image.digest;
                push::repositories(&request.tags).map(|tag| tag.with_digest(digest.clone())).collect()
            }
            None => request.tags.as_slice().into(),
        };
        let (image, earlier) = kept.map_or((image, None), |kept| (kept.image, Some(kept.earlier)));
        let is_unnamed =
            !earlier.is_some_and(|earlier| is_whole(request, earlier)) && !push::is_current(resources, &image, &names);
        if is_unnamed {
            uploads.start_known();
            uploads.start_config(image.config.clone(), resources, &request.tags, scope);
        }
        Ok((image, is_unnamed, earlier))
    })?;
    let is_whole = kept.is_some_and(|earlier| is_whole(request, earlier));
    let arrived = Arrived { is_whole, ..uploads.result(is_unnamed)? };
    Ok(Made { image, arrived, same_as: kept.map(|earlier| earlier.image.clone()) })
}

fn summaries(plan: &Plan) -> Vec<StepSummary> {
    let stages = plan.stages.iter();
    let steps = stages.flat_map(|stage| stage.steps.iter().map(move |step| (stage, step)));
    steps
        .map(|(stage, step)| StepSummary {
            number: step.number,
            stage: stage.name.clone(),
            position: step.position,
            instruction: step.instruction.clone(),
            line: step.lines.0,
        })
        .collect()
}

/// Shows the lines of the Dockerfile that an error is about.
fn with_snippet(error: Error, file: &DockerfileText) -> Error {
    // The output of a step is about its work, not about a word of its instruction.
    let message = if error.code() == Code::StepFailed { String::new() } else { error.report() };
    let snippet = dockerfile::snippet_of_error(&file.name, &file.text, &error.places(), &message);
    error.with_detail(snippet)
}
