//! Evaluates rules for a pushed ref: a build request for each rule that matches, and the reasons why others do not.

use crate::configuration::settings::Repository;
use crate::intake::pull_requests;
use crate::rules::{Matched, Pushed, Rule, legal};
use database::{BakeFile, BuildRequest, BuildSpec, PathFilter, PullRequest, Trigger};

/// Longest first line of a message that is kept.
const MAX_MESSAGE: usize = 200;

/// A push, pull request, trigger or schedule that rules are evaluated for.
#[derive(Clone)]
pub(crate) struct BuildTrigger<'a> {
    /// Full name of the ref; for a pull request that of the branch that it wants to change.
    pub git_ref: &'a str,
    /// The commit's full hash, if it is known.
    pub commit: Option<&'a str>,
    /// The commit's message.
    pub message: &'a str,
    /// The default branch, as the forge says.
    pub default_branch: Option<&'a str>,
    /// Why.
    pub trigger: Trigger,
}

impl BuildTrigger<'_> {
    /// Tells whether somebody wants the build, whatever a rule says of pushes.
    fn by_hand(&self) -> bool {
        !self.trigger.is_push()
    }
}

/// Where rules come from: the server's configuration, the API, or the repository's own file.
#[derive(Clone, Copy)]
pub(crate) struct Rules<'r> {
    /// The repository.
    pub repository: &'r Repository,
    /// Where images go, without a tag.
    pub image: &'r str,
    /// The rules.
    pub rules: &'r [Rule],
}

impl<'r> Rules<'r> {
    /// Returns the rules that the server has for a repository.
    pub(crate) fn of(repository: &'r Repository) -> Rules<'r> {
        Rules { repository, image: &repository.image, rules: &repository.rules }
    }

    /// Evaluates all rules, in their order.
    pub(crate) fn evaluate(&self, asked: &BuildTrigger<'_>) -> Vec<RuleMatch<'r>> {
        let default_branch = asked.default_branch.or(self.repository.default_branch.as_deref());
        let pushed = Pushed::new(asked.git_ref, asked.commit).map(|pushed| pushed.on_default(default_branch));
        let evaluate = |rule: &'r Rule| {
            let verdict = match &pushed {
                None => Err(format!("`{}` is neither a branch nor a tag", asked.git_ref)),
                Some(_) if !rule.autobuild && !asked.by_hand() => {
                    Err(format!("rule `{}` builds no pushes: autobuild is off", rule.name))
                }
                Some(pushed) => match asked.trigger.pull_request() {
                    Some(pull) => rule.matches_pull(pushed, pull),
                    None => rule.matches(pushed),
                },
            };
            RuleMatch { rule, verdict }
        };
        self.rules.iter().map(evaluate).collect()
    }

    /// Returns requests for builds, and a line for each rule that builds nothing.
    pub(crate) fn requests(&self, asked: &BuildTrigger<'_>) -> Requested {
        let mut requested = Requested { builds: Vec::new(), explain: Vec::new() };
        for evaluated in self.evaluate(asked) {
            match evaluated.verdict {
                Ok(matched) => requested.builds.push(self.request(evaluated.rule, matched, asked)),
                Err(why) => requested.explain.push(why),
            }
        }
        requested
    }

    /// Returns the request for a build of a rule that matched.
    pub(crate) fn request(&self, rule: &Rule, matched: Matched, asked: &BuildTrigger<'_>) -> BuildRequest {
        let mut options = rule.options.clone();
        options.warnings = matched.warnings;
        options.labels = matched.labels;
        let image = rule.image.as_deref().unwrap_or(self.image);
        let mut own = own_images(self.repository);
        if image != self.image && !own.iter().any(|known| known == image) {
            own.push(image.to_owned());
        }
        own.extend(self.repository.may_read.iter().chain(&self.repository.shadow_of).cloned());
        options.images = Some(own);
        options.bake = rule.bake.as_ref().map(|targets| {
            Box::new(BakeFile { targets: targets.clone(), images: pushed_images(self.repository, image) })
        });
        (options.hub_hooks, options.hub_tests) = (self.repository.hub_hooks, self.repository.hub_hooks);
        if asked.by_hand() {
            // A build that was asked for is built even if its paths did not change.
            options.path_filter = PathFilter::Off;
        }
        let mut request = BuildRequest {
            repository: self.repository.name.clone(),
            rule: rule.name.clone(),
            commit_message: first_line(asked.message),
            trigger: asked.trigger.clone(),
            spec: BuildSpec {
                clone_url: self.repository.clone_url.clone(),
                git_ref: asked.git_ref.to_owned(),
                commit: asked.commit.map(str::to_owned),
                dockerfile: rule.dockerfile.clone(),
                context: rule.context.clone(),
                target: rule.target.clone(),
                build_args: matched.build_args,
                tags: matched.tags.iter().map(|tag| format!("{image}:{tag}")).collect(),
                use_cache: rule.cache,
                push: true,
                options,
            },
        };
        if let Some(pull) = asked.trigger.pull_request() {
            let version = matched.tags.first().cloned();
            pull_requests::restrict(&mut request, pull, self.repository);
            pull_requests::name(&mut request, pull, self.repository, version);
            self.tag_pull(&mut request, rule, pull);
        }
        request
    }

    /// Gives the image of a pull request a tag of its own, if it is to have one: of several rules for one image, the first has
    /// the plain tag.
    fn tag_pull(&self, request: &mut BuildRequest, rule: &Rule, pull: &PullRequest) {
        let options = &request.spec.options;
        // An image of strangers is pushed only if somebody approves its build.
        let may_push = options.trusted || options.needs_approval;
        if options.bake.is_some() && pull.is_fork {
            // The file of strangers would say which images get it.
            return;
        }
        let Some(pull_image) = options.pull.as_ref().filter(|pull| pull.tag_days.is_some() && may_push) else {
            return;
        };
        let image_of = |rule: &Rule| rule.image.clone().unwrap_or_else(|| self.image.to_owned());
        let image = image_of(rule);
        let target = format!("refs/heads/{}", pull.target);
        let is_for = |rule: &&Rule| {
            image_of(rule) == image
                && Pushed::new(&target, None).is_some_and(|pushed| rule.matches_pull(&pushed, pull).is_ok())
        };
        let is_first = self.rules.iter().find(is_for).is_none_or(|first| first.name == rule.name);
        let number = pull_image.number;
        let tag = if is_first { format!("pr-{number}") } else { legal(&format!("pr-{number}-{}", rule.name)) };
        (request.spec.push, request.spec.tags) = (true, vec![format!("{image}:{tag}")]);
    }
}

/// Returns the patterns of a repository's own images: a file of its own may put some below, and rules may name others.
pub(crate) fn own_images(repository: &Repository) -> Vec<String> {
    let mut images: Vec<String> = repository.images().into_iter().map(str::to_owned).collect();
    images.insert(1, format!("{}/**", repository.image));
    images
}

/// Returns the patterns of the images that the targets of a rule's file may be pushed to: `image` is that of the rule, which
/// somebody with the right to it named.
fn pushed_images(repository: &Repository, image: &str) -> Vec<String> {
    let mut images = vec![repository.image.clone(), format!("{}/**", repository.image)];
    if image != repository.image {
        images.push(image.to_owned());
    }
    match &repository.own_rules {
        Some(own) => images.extend(own.images.iter().cloned()),
        None if image != repository.image => images.push(format!("{image}/**")),
        None => {}
    }
    images
}

/// A rule, and whether it matched.
pub(crate) struct RuleMatch<'r> {
    /// The rule.
    pub rule: &'r Rule,
    /// Tags and more, or why not.
    pub verdict: Result<Matched, String>,
}

/// Builds to store, and why other rules build nothing.
pub(crate) struct Requested {
    /// The builds.
    pub builds: Vec<BuildRequest>,
    /// A line for each rule that builds nothing.
    pub explain: Vec<String>,
}

/// Returns the first line of a commit's message. PostgreSQL keeps no NUL in a text.
pub(crate) fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.chars().take(MAX_MESSAGE).map(|char| if char == '\0' { '\u{fffd}' } else { char }).collect()
}
