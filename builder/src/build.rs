//! One build from beginning to end: source, plan, resolution, execution, image, push.

use crate::cache::Cache;
use crate::context::{NamedContext, Sources};
use crate::event::{Event, Observer, Phase, StepSummary};
use crate::execute::{Execution, Materials, Options};
use crate::plan::{self, Plan};
use crate::push::{self, CloseOnDrop, TagOrder, Uploads};
use crate::result::{self, Image};
use crate::{Error, Services, dockerfile};
use registry_client::{Platform, Reference};
use runtime::Cancel;
use std::collections::{BTreeMap, HashMap};

/// What shall be built, and what becomes of it.
pub struct Request {
    /// The context with its ignore file.
    pub context: NamedContext,
    /// Further contexts by name.
    pub named: HashMap<String, NamedContext>,
    /// The Dockerfile's text and the name it has in messages.
    pub dockerfile: DockerfileText,
    /// Build arguments.
    pub build_args: BTreeMap<String, String>,
    /// Labels for the result.
    pub labels: BTreeMap<String, String>,
    /// The stage to build.
    pub target: Option<String>,
    /// The platform of the result.
    pub platform: Platform,
    /// Names of the image; the first is the primary one.
    pub tags: Vec<Reference>,
    /// Whether the image is pushed to where its names say.
    pub push: bool,
    /// Which repository's cache is used.
    pub cache_namespace: String,
    /// Names the attempt's directories: letters, digits, `-` and `_`.
    pub attempt: String,
    /// How steps are executed.
    pub options: Options,
    /// Decides which names may move when the image is pushed.
    pub order: Box<dyn TagOrder + Send>,
}

impl Request {
    /// Returns what the plan has to know of it.
    pub fn settings(&self) -> plan::Settings {
        plan::Settings {
            build_args: self.build_args.clone(),
            target: self.target.clone(),
            labels: self.labels.clone(),
            platform: self.platform.clone(),
            named_contexts: self.named.keys().cloned().collect(),
            ignore: self.context.ignore.clone(),
        }
    }
}

/// What a build came to.
#[derive(Debug, Clone)]
pub struct Built {
    /// The image, which is in the store.
    pub image: Image,
    /// The names under which a registry has it now.
    pub pushed: Vec<Reference>,
    /// Whether a name was left alone because a newer commit has it.
    pub superseded: bool,
}

/// A Dockerfile as it was found.
#[derive(Debug, Clone)]
pub struct DockerfileText {
    /// What it is called in messages.
    pub name: String,
    /// Its bytes.
    pub text: Vec<u8>,
}

/// Builds `request`; the image is in the store afterwards and, if asked for, in the registry under all its names.
pub fn build(request: &Request, services: &Services, observer: &dyn Observer, cancel: &Cancel) -> Result<Built, Error> {
    let file = &request.dockerfile;
    build_parsed(request, services, observer, cancel).map_err(|error| with_snippet(error, file))
}

fn build_parsed(
    request: &Request,
    services: &Services,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<Built, Error> {
    observer.observe(Event::Phase(Phase::Preparing, "reading the Dockerfile"));
    let materials = Materials::new(services, &request.attempt, cancel.clone());
    let (plan, sources) = prepare(request, services, observer)?;
    observer.observe(Event::Planned(&summaries(&plan)));
    observer.observe(Event::Phase(Phase::Building, "executing the steps"));
    let image = execute(request, services, (&plan, &sources, &materials), observer)?;
    if cancel.is_cancelled() {
        return Err(Error::cancelled());
    }
    let mut pushed = Vec::new();
    if request.push {
        observer.observe(Event::Phase(Phase::Pushing, "pushing the image"));
        pushed = push::manifest(&materials, &image, &request.tags, request.order.as_ref())?;
    }
    let superseded = request.push && pushed.len() < request.tags.len();
    Ok(Built { image, pushed, superseded })
}

/// Parses, resolves base images and plans; `ONBUILD` triggers of a base may ask for further images.
///
/// What is odd about the Dockerfile is told before what is wrong with it.
fn prepare<'r>(
    request: &'r Request,
    services: &Services,
    observer: &dyn Observer,
) -> Result<(Plan, Sources<'r>), Error> {
    let parsed = dockerfile::Dockerfile::parse(&request.dockerfile.text).map_err(|error| plan::parse_error(&error))?;
    let settings = request.settings();
    let lint = plan::Lint::new(&parsed, &settings)?;
    let prepared = resolve_and_plan(request, services, (&parsed, &settings, &lint));
    lint.warnings().iter().for_each(|warning| observer.observe(Event::Warning(&warning.to_string())));
    let (mut plan, sources) = prepared?;
    match plan.violation.take() {
        Some(violation) => Err(violation),
        None => Ok((plan, sources)),
    }
}

fn resolve_and_plan<'r>(
    request: &'r Request,
    services: &Services,
    (parsed, settings, lint): (&dockerfile::Dockerfile, &plan::Settings, &plan::Lint),
) -> Result<(Plan, Sources<'r>), Error> {
    let sources = Sources::new(&request.context, &request.named);
    let mut images = plan::BaseImages::new();
    loop {
        let needed = match plan::Plan::for_file(parsed, settings, &images, (plan::Scope::Target, lint))? {
            plan::Planned::Ready(plan) => return Ok((*plan, sources)),
            plan::Planned::Needs(needed) => needed,
        };
        let resolving =
            needed.iter().map(|image| crate::resolve::image(&services.client, &image.name, &image.platform));
        let resolved: Vec<_> = services.tokio.block_on(join_in_order(resolving));
        for (image, resolved) in needed.iter().zip(resolved) {
            let resolved = resolved.map_err(|error| error.at_step(0, image.lines, &image.instruction))?;
            images.insert(image.key.clone(), resolved.config.clone());
            sources.add_image(&image.key, resolved);
        }
    }
}

async fn join_in_order<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut results = Vec::new();
    for future in futures {
        results.push(future.await);
    }
    results
}

fn execute(
    request: &Request,
    services: &Services,
    (plan, sources, materials): (&Plan, &Sources<'_>, &Materials),
    observer: &dyn Observer,
) -> Result<Image, Error> {
    let cache = Cache {
        database: &services.database,
        namespace: &request.cache_namespace,
        tokio: &services.tokio,
        pushed_to: request.tags.first().filter(|_| request.push),
    };
    let (uploads, receiver) = Uploads::new();
    let layers = std::thread::scope(|scope| {
        let _closed_at_the_end = CloseOnDrop(&uploads);
        if request.push {
            uploads.start((&receiver, materials), &request.tags, scope);
        }
        let on_layer = |layer| uploads.add(layer);
        Execution::new(plan, sources, materials, (&cache, &request.options), (observer, &on_layer)).run()
    })?;
    uploads.result()?;
    result::assemble(plan, (sources, materials), &layers, request.options.now)
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
    let snippet = dockerfile::snippet(&file.name, &file.text, &error.places());
    error.with_detail(snippet)
}
