//! Builds with Docker Hub's hooks and tests: whether they may run, and what they are given.

use super::build_request::RequestBuilder;
use super::outcome::{AttemptResult, Inputs};
use super::recorder::Recorder;
use super::tag_order::InDatabase;
use crate::git::{CommitTree, Mirror};
use crate::hub::{Commit, Ended, Facts, Found, Session, Terms};
use crate::secrets::Masks;
use crate::{Error, Services};
use database::{BuildOptions, BuildRequest};
use registry_client::Reference;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why hooks are not executed where nobody switched them on.
const OFF: &str = "`hub_hooks = true` of the repository switches Docker Hub's hooks and tests on";
/// Why hooks of strangers are not executed.
const NOT_APPROVED: &str =
    "those of a pull request from a fork run only where such builds wait for approval (`pull_requests_need_approval`)";
/// Why tests of a pull request are not executed.
const NO_TESTS: &str = "`autotest` of the repository says which pull requests are tested";

/// Returns the hooks and tests that the build runs; warns of those that it does not.
pub(crate) fn found(tree: &CommitTree, request: &BuildRequest, recorder: &Recorder) -> Option<Found> {
    let options = &request.spec.options;
    let mut found = Found::beside(tree, &request.spec.dockerfile);
    let mut warnings = Vec::new();
    match refusal(options) {
        Some(why) => {
            warnings = found.unused(why);
            found = Found::default();
        }
        None if !options.hub_tests => warnings = found.take_tests().unused(NO_TESTS),
        None => {}
    }
    if !warnings.is_empty() {
        recorder.warn(warnings);
    }
    (!found.is_empty()).then_some(found)
}

/// Returns why the hooks of a build do not run, if they do not.
fn refusal(options: &BuildOptions) -> Option<&'static str> {
    // A build that had to be approved was: no worker is given another one.
    match (options.hub_hooks, options.trusted || options.needs_approval) {
        (false, _) => Some(OFF),
        (true, false) => Some(NOT_APPROVED),
        (true, true) => None,
    }
}

/// Everything that an attempt gives to the hooks of its build.
pub(crate) struct HubBuild<'a> {
    /// The hooks and tests.
    pub found: &'a Found,
    /// The commit.
    pub tree: &'a CommitTree,
    /// Where it is.
    pub mirror: &'a Mirror,
    /// Makes requests.
    pub builder: &'a RequestBuilder<'a>,
    /// Reads the image of the hooks, with the operator's rights.
    pub image_services: &'a Services,
    /// The secrets of the rule.
    pub secrets: &'a BTreeMap<String, Vec<u8>>,
    /// Hides them.
    pub masks: &'a Masks,
    /// Decides which tags may move.
    pub order: Arc<InDatabase>,
    /// Names the build.
    pub id: &'a str,
}

impl HubBuild<'_> {
    /// Runs all phases; returns what an attempt ends with.
    pub(crate) fn attempt(&self, recorder: &Recorder) -> Result<AttemptResult, Error> {
        let Ended { built, inputs_key, base_images } = self.run(recorder)?;
        Ok(AttemptResult::Built(
            Box::new(built),
            Inputs { key: inputs_key, base_images, tree: None, merged: Vec::new() },
        ))
    }

    fn run(&self, recorder: &Recorder) -> Result<Ended, Error> {
        let HubBuild { builder, tree, secrets, .. } = self;
        let (spec, settings) = (&builder.request.spec, builder.settings);
        let request = |files| builder.request(tree, files, secrets, Box::new(self.order.clone()));
        // Options that do not depend on the files: those that a hook has changed may not be there yet.
        let options = builder.options(tree, secrets);
        let tags = spec.tags.iter().filter_map(|tag| Reference::parse(tag).ok());
        let tags: Vec<Reference> = tags.filter(|_| spec.push).collect();
        let files = builder.checkout(tree)?;
        let commit = Commit {
            mirror: self.mirror,
            tree,
            files: &files,
            url: &spec.clone_url,
            git_ref: &spec.git_ref,
            max_paths: settings.max_paths,
            hooks: self.found.path("hooks"),
        };
        let terms = Terms {
            services: builder.services.clone(),
            options,
            default_labels: super::labels::defaults(spec, tree),
            cache_namespace: builder.cache_namespace(),
            attempt: builder.attempt.to_owned(),
            trace: builder.trace.clone(),
            cancel: builder.cancel.clone(),
            tags: tags.clone(),
            order: self.order.clone(),
            scratch: settings.git_dir.with_file_name("contexts"),
        };
        let session = Session {
            found: self.found,
            commit,
            facts: self.facts(tags),
            terms,
            image_services: self.image_services,
            image: &settings.hook_image,
            timeout: builder.limits.step,
            masks: self.masks,
            request: &request,
        };
        session.run(recorder)
    }

    fn facts(&self, tags: Vec<Reference>) -> Facts {
        let request = self.builder.request;
        let spec = &request.spec;
        let mut own = spec.build_args.clone();
        // A secret is a variable under its own name, if that is one.
        let is_variable = |name: &str| {
            !name.starts_with(|first: char| first.is_ascii_digit())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        for (name, value) in self.secrets.iter().filter(|(name, _)| is_variable(name)) {
            own.insert(name.clone(), String::from_utf8_lossy(value).trim_end_matches('\n').to_owned());
        }
        Facts {
            git_ref: spec.git_ref.clone(),
            commit: self.tree.id().to_owned(),
            message: self.tree.message().to_owned(),
            dockerfile: spec.dockerfile.clone(),
            context: spec.context.clone(),
            tags,
            repository: request.repository.clone(),
            use_cache: spec.use_cache,
            push: spec.push,
            build: self.id.to_owned(),
            own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_of_strangers_run_only_after_approval() {
        let refused = |hub_hooks, trusted, needs_approval| {
            refusal(&BuildOptions { hub_hooks, trusted, needs_approval, ..BuildOptions::default() })
        };
        assert_eq!(refused(false, true, false), Some(OFF));
        assert_eq!((refused(true, true, false), refused(true, false, true)), (None, None));
        assert_eq!(refused(true, false, false), Some(NOT_APPROVED));
    }
}
