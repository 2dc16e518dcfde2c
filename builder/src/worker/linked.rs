//! Targets that another target has as contexts: they are built first, in the same attempt.

use super::build_request::RequestBuilder;
use super::recorder::Recorder;
use super::target::{Linked, settings};
use crate::event::{Event, Observer};
use crate::git::CommitTree;
use crate::{Error, Unordered};
use database::{BuildRequest, BuildSpec, TargetContext};
use std::collections::BTreeMap;

/// Builds the targets that the one of `builder` has as contexts, and those that they have in turn.
pub(super) fn linked(
    builder: &RequestBuilder<'_>,
    tree: &CommitTree,
    secrets: &BTreeMap<String, Vec<u8>>,
    recorder: &Recorder,
) -> Result<Linked, Error> {
    let contexts = settings(&builder.request.spec).into_iter().flat_map(|target| &target.contexts);
    let targets: Vec<_> = contexts
        .filter_map(|(name, context)| match context {
            TargetContext::Target(spec) => Some((name, spec)),
            TargetContext::Image(_) | TargetContext::Directory(_) => None,
        })
        .collect();
    if targets.is_empty() {
        return Ok(Linked::default());
    }
    let storing = |error| Error::store("keeping the images of other targets", error);
    let store = builder.services.store.leased().map_err(storing)?;
    let services = crate::Services { store: store.clone(), ..builder.services.clone() };
    let mut images = BTreeMap::new();
    for (number, (name, spec)) in targets.into_iter().enumerate() {
        recorder.say(&format!("the context `{name}` is built first\n"));
        let mut spec = BuildSpec { push: false, tags: Vec::new(), ..(**spec).clone() };
        spec.commit.clone_from(&builder.request.spec.commit);
        let request = &BuildRequest { spec, ..builder.request.clone() };
        let attempt = &format!("{}-{number}", builder.attempt);
        let inner = RequestBuilder { services: &services, request, attempt, ..*builder };
        let below = linked(&inner, tree, secrets, recorder)?;
        let inner = RequestBuilder { linked: &below, ..inner };
        let secrets = secrets.iter().filter(|(name, _)| request.spec.options.secrets.contains(name));
        let secrets = secrets.map(|(name, value)| (name.clone(), value.clone())).collect();
        let asked = inner.request(tree, None, &secrets, Box::new(Unordered))?;
        let built = crate::build(&asked, &services, &Printed(recorder), builder.cancel)?;
        images.insert(name.clone(), crate::hold(&services, &built.image, builder.cancel)?);
    }
    Ok(Linked::new(images, store))
}

/// Shows what the steps of another target print, which are no steps of the build.
struct Printed<'r>(&'r Recorder);

impl Observer for Printed<'_> {
    fn observe(&self, event: Event<'_>) {
        match event {
            Event::Output { bytes, .. } => self.0.say(&String::from_utf8_lossy(bytes)),
            Event::Warning(text) => self.0.say(&format!("WARNING: {text}\n")),
            _ => {}
        }
    }
}
