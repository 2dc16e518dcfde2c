//! Why the steps of a build were executed: the build and an earlier one are prepared once more and compared.

use super::build_request::{Limits, RequestBuilder};
use super::context::{Deadline, TaskContext};
use super::settings::Settings;
use super::source::{Place, fetch};
use super::target::Linked;
use super::{rights, secrets};
use crate::error::Code;
use crate::event::Silent;
use crate::explain::{Side, compare};
use crate::secrets::Masks;
use crate::trace::Trace;
use crate::{Error, Platforms, Request, Services, Unordered};
use database::{BaseImage, Build, BuildId, BuildRequest, Explained, ExplainedStep, Step, Why};
use runtime::CancellationToken;
use std::collections::BTreeMap;
use std::time::Duration;

/// Until when, and for whom, a comparison is made.
pub(crate) struct Asked<'a> {
    /// Ends it.
    pub cancel: &'a CancellationToken,
    /// How long somebody waits.
    pub patience: Duration,
    /// Names what is made for it.
    pub name: &'a str,
}

/// Compares `build` with `against`, as far as both can still be had.
pub(crate) fn explain(
    services: &Services,
    settings: &Settings,
    build: &BuildId,
    against: &BuildId,
    asked: &Asked<'_>,
) -> Result<Explained, Error> {
    let context = TaskContext { services, settings };
    let (new, old) = (Ended::read(context, build)?, Ended::read(context, against)?);
    let mut notes = Vec::new();
    let mut hidden = secrets::open(services, &new.build.request)?.into_values().collect::<Vec<_>>();
    hidden.extend(secrets::open(services, &old.build.request)?.into_values());
    let masks = Masks::new(hidden.iter().map(Vec::as_slice));
    let again = Again { settings, asked };
    // The earlier commit comes first: who opens the mirror after it sees both.
    let mut old_request = again.request(&old)?;
    let mut new_request = again.request(&new)?;
    let old_platforms = again.prepare(&old, &mut old_request, &mut notes)?;
    let new_platforms = again.prepare(&new, &mut new_request, &mut notes)?;
    let new = Side { platforms: &new_platforms, steps: &new.steps, base_images: &new.base_images };
    let old = Side { platforms: &old_platforms, steps: &old.steps, base_images: &old.base_images };
    let mut steps = compare(&new, &old);
    hide(&mut steps, &masks);
    notes.iter_mut().for_each(|note| *note = masks.text(note));
    Ok(Explained { steps, notes, failure: None })
}

/// Hides secrets, as in a log: a file or a script may be called or hold what should not have been committed.
fn hide(steps: &mut [ExplainedStep], masks: &Masks) {
    for why in steps.iter_mut().flat_map(|step| &mut step.why) {
        let texts: Vec<&mut String> = match why {
            Why::InstructionChanged { old, new } => vec![old, new],
            Why::InstructionRemoved { old } => vec![old],
            Why::FilesChanged { paths, commit, .. } => {
                let said = commit.iter_mut().flat_map(|commit| [&mut commit.author, &mut commit.message]);
                paths.iter_mut().map(|changed| &mut changed.path).chain(said).collect()
            }
            Why::BaseImageChanged { reference, old_reference, .. } => {
                std::iter::once(reference).chain(old_reference).collect()
            }
            Why::ArgumentChanged { names } | Why::SecretOrMountChanged { ids: names } => names.iter_mut().collect(),
            _ => Vec::new(),
        };
        texts.into_iter().for_each(|text| *text = masks.text(text));
    }
}

/// A build that ended, as the database knows it.
struct Ended {
    build: Build,
    /// Services that read what the build may.
    services: Services,
    steps: Vec<Step>,
    base_images: Vec<BaseImage>,
}

impl Ended {
    fn read(context: TaskContext<'_>, id: &BuildId) -> Result<Ended, Error> {
        let TaskContext { services, settings } = context;
        let doing = || format!("reading the build {id} that is to be explained");
        let failed = |error| Error::new(Code::Database, doing()).with_cause(error);
        let (database, tokio) = (&services.database, &services.tokio);
        let build = tokio.block_on(database.build(id)).map_err(failed)?;
        let build = build.ok_or_else(|| Error::new(Code::BuildNotFound, doing()))?;
        let steps = tokio.block_on(database.steps(id)).map_err(failed)?;
        let base_images = build.image.as_ref().map(|image| image.base_images.clone()).unwrap_or_default();
        let services = rights::services(services, settings, &build.request);
        Ok(Ended { build, services, steps, base_images })
    }

    fn shown(&self) -> String {
        format!("{}#{}", self.build.request.repository, self.build.number)
    }
}

/// Prepares builds once more.
struct Again<'a> {
    settings: &'a Settings,
    asked: &'a Asked<'a>,
}

impl Again<'_> {
    fn request(&self, ended: &Ended) -> Result<Request, Error> {
        let (Again { settings, asked }, services) = (self, &ended.services);
        let request = &ended.build.request;
        if let Some(file) = request.spec.options.bake.as_ref().map(|_| &request.spec.dockerfile) {
            let text = format!("the build has no steps of its own: ask about a target of `{file}`");
            return Err(Error::new(Code::BakeInvalid, text));
        }
        let commit = ended.build.commit.as_deref().or(request.spec.commit.as_deref());
        let place = Place { commit, ..Place::of(request) };
        let (_mirror, tree) =
            fetch(TaskContext { services, settings }, &place, Deadline { cancel: asked.cancel, limit: asked.patience })
                .map_err(Error::source)?;
        let request = &BuildRequest { spec: request.spec.with_commit(tree.id()), ..request.clone() };
        let (limits, trace) = (Limits::of(settings, &request.spec), &Trace::default());
        let (cancel, attempt) = (asked.cancel, asked.name);
        let builder =
            RequestBuilder { services, settings, request, limits, cancel, attempt, trace, linked: &Linked::default() };
        let mut request = builder.request(&tree, None, &BTreeMap::new(), Box::new(Unordered))?;
        request.options.pinned.clone_from(&ended.base_images);
        Ok(request)
    }

    /// Plans a build with the base images it had; with those of today where they are gone or were not written down.
    fn prepare<'r>(
        &self,
        ended: &Ended,
        request: &'r mut Request,
        notes: &mut Vec<String>,
    ) -> Result<Platforms<'r>, Error> {
        let is_known = !ended.base_images.is_empty();
        let failure = is_known.then(|| Platforms::new(request, &ended.services, &Silent).err()).flatten();
        if let Some(error) = failure {
            request.options.pinned.clear();
            notes.push(format!(
                "the base images of {} cannot be read as they were ({error}): what they say of themselves is as it is now",
                ended.shown()
            ));
        }
        let platforms = Platforms::new(request, &ended.services, &Silent)?;
        if !is_known && !platforms.base_images()?.is_empty() {
            notes.push(format!(
                "which base images {} had was not written down: they are taken as they are now",
                ended.shown()
            ));
        }
        Ok(platforms)
    }
}
