//! From a pushed ref to requests for builds: one for each rule that matches.

use crate::rules::Pushed;
use crate::settings::{Repository, Settings};
use database::{BuildId, BuildOptions, BuildRequest, BuildSpec, Trigger};
use serde_json::{Value, json};

/// What a push or trigger asks for.
pub struct Asked<'a> {
    /// Full name of the ref.
    pub git_ref: &'a str,
    /// The commit's full hash, if it is known.
    pub commit: Option<&'a str>,
    /// First line of the commit's message.
    pub message: String,
    /// Why.
    pub trigger: Trigger,
    /// Whether rules count that do not build pushes.
    pub by_hand: bool,
}

/// Builds to store, and why other rules build nothing.
pub struct Requested {
    /// The builds.
    pub builds: Vec<BuildRequest>,
    /// A line for each rule that builds nothing.
    pub explain: Vec<String>,
}

/// Applies the rules of `repository`, those called `only` if that says so.
pub fn requests(repository: &Repository, asked: &Asked<'_>, only: Option<&str>) -> Requested {
    let mut requested = Requested { builds: Vec::new(), explain: Vec::new() };
    let Some(pushed) = Pushed::new(asked.git_ref, asked.commit) else {
        requested.explain.push(format!("`{}` is neither a branch nor a tag", asked.git_ref));
        return requested;
    };
    for rule in &repository.rules {
        if only.is_some_and(|only| only != rule.name) {
            continue;
        }
        if !rule.autobuild && !asked.by_hand {
            requested.explain.push(format!("rule `{}` builds no pushes: autobuild is off", rule.name));
            continue;
        }
        match rule.matches(&pushed) {
            Err(why) => requested.explain.push(why),
            Ok(matched) => requested.builds.push(BuildRequest {
                repository: repository.name.clone(),
                rule: rule.name.clone(),
                commit_message: asked.message.clone(),
                trigger: asked.trigger.clone(),
                spec: BuildSpec {
                    clone_url: repository.clone_url.clone(),
                    git_ref: asked.git_ref.to_owned(),
                    commit: asked.commit.map(str::to_owned),
                    dockerfile: rule.dockerfile.clone(),
                    context: rule.context.clone(),
                    target: rule.target.clone(),
                    build_args: rule.build_args.clone(),
                    tags: matched.tags.iter().map(|tag| format!("{}:{tag}", repository.image)).collect(),
                    use_cache: rule.cache,
                    push: true,
                    options: BuildOptions::default(),
                },
            }),
        }
    }
    requested
}

/// Returns stored builds as an answer lists them.
pub fn listed(ids: &[BuildId], builds: &[BuildRequest], settings: &Settings) -> Value {
    let list = ids.iter().enumerate().map(|(number, id)| {
        let status_url = format!("{}/v1/builds/{}", settings.public_url, id.as_str());
        match builds.get(number) {
            Some(build) => {
                json!({ "id": id.as_str(), "rule": build.rule, "tags": build.spec.tags, "status_url": status_url })
            }
            None => json!({ "id": id.as_str(), "status_url": status_url }),
        }
    });
    list.collect()
}
