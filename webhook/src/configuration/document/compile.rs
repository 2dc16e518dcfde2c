//! From documents to what the service works with: every value checked.

use super::duration::milliseconds;
use super::model::{Autotest, FilterText, PolicyText, Priority, RepositoryDocument, RuleDocument};
use super::values::{check_key, check_pattern, check_platforms};
use super::webhooks::webhooks;
use crate::configuration::network;
use crate::configuration::registries::check_image_pattern;
use crate::configuration::settings::{OwnRules, Repository};
use crate::rules::{RefKind, Rule, Template, check_image, default_filter, inside};
use database::PathFilter;
use std::collections::BTreeMap;

/// Most rules of a repository.
const MAX_RULES: usize = 200;
/// Repositories that one follows, at most.
const MAX_LINKS: usize = 20;
/// Longest value of a build argument, variable or label.
const MAX_VALUE: usize = 32 * 1024;

/// The values of keys that a rule leaves out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RuleDefaults {
    /// How its builds get on with one another.
    pub policy: Option<PolicyText>,
    /// Whether submodules are fetched.
    pub submodules: Option<bool>,
}

impl RuleDefaults {
    /// Returns what a repository says for its rules.
    pub(crate) fn of(document: &RepositoryDocument) -> Self {
        RuleDefaults { policy: document.policy, submodules: document.submodules }
    }
}

/// Checks a repository; `keys` are those that its deliveries are signed with.
pub(crate) fn compile(document: &RepositoryDocument, keys: Vec<String>) -> Result<Repository, String> {
    check_repository_name(&document.name)?;
    check_clone_url(&document.clone_url)?;
    keys.iter().try_for_each(|key| check_key(key)).map_err(|problem| format!("secret: {problem}"))?;
    check_image(&document.image)?;
    let retention =
        document.retention.as_ref().map_or(Ok(()), crate::configuration::retention::RetentionDocument::check);
    retention.map_err(|problem| format!("retention: {problem}"))?;
    document.may_read.iter().try_for_each(|text| check_image_pattern("may_read", text))?;
    let own = document.own_rules.as_ref().map(|own| {
        own.secrets.iter().try_for_each(|name| check_name("secret", name))?;
        let path = inside(&own.path).map_err(|problem| format!("own_rules.path: {problem}"))?;
        own.images.iter().try_for_each(|text| check_image_pattern("own_rules.images", text))?;
        Ok::<_, String>(OwnRules { path, secrets: own.secrets.clone(), images: own.images.clone() })
    });
    Ok(Repository {
        name: document.name.clone(),
        forge_name: document.forge_name.clone().unwrap_or_else(|| document.name.clone()),
        forge: document.forge.clone(),
        clone_url: document.clone_url.clone(),
        image: document.image.clone(),
        shadow_of: shadow_of(document)?,
        keys,
        default_branch: document.default_branch.clone(),
        own_rules: own.transpose()?,
        pull_requests: document.pull_requests.unwrap_or_default(),
        pull_request_tag_days: pull_request_tag_days(document)?,
        pull_request_comments: document.pull_request_comments.unwrap_or(false),
        pull_requests_need_approval: document.pull_requests_need_approval.unwrap_or(true),
        base_image_rebuild: document.base_image_rebuild.unwrap_or(false),
        links: links(document)?,
        may_read: document.may_read.clone(),
        webhooks: webhooks(&document.webhooks)?,
        hub_hooks: document.hub_hooks.unwrap_or(false),
        autotest: document.autotest.unwrap_or(Autotest::All),
        submodules: document.submodules.unwrap_or(true),
        rules: rules(&document.rules, &RuleDefaults::of(document))?,
    })
}

/// Checks the image of another service.
fn shadow_of(document: &RepositoryDocument) -> Result<Option<String>, String> {
    let Some(image) = &document.shadow_of else { return Ok(None) };
    check_image(image).map_err(|problem| format!("shadow_of: {problem}"))?;
    let rules = document.rules.iter().filter_map(|rule| rule.image.as_ref());
    if rules.chain([&document.image]).any(|own| own == image) {
        let problem = format!("shadow_of: `{image}` is where images of this repository go");
        return Err(format!("{problem}: they go elsewhere until `slipway repo switch` lets them take its place"));
    }
    Ok(Some(image.clone()))
}

/// Checks the repositories that builds follow.
fn links(document: &RepositoryDocument) -> Result<Vec<String>, String> {
    if document.links.len() > MAX_LINKS {
        return Err(format!("there are {} links, at most {MAX_LINKS} are taken", document.links.len()));
    }
    for link in &document.links {
        check_repository_name(link).map_err(|problem| format!("links: {problem}"))?;
        if *link == document.name {
            return Err(format!("links: `{link}` is the repository itself: another one is expected"));
        }
    }
    Ok(document.links.clone())
}

/// Checks rules; where there are none, the usual ones.
pub(crate) fn rules(documents: &[RuleDocument], defaults: &RuleDefaults) -> Result<Vec<Rule>, String> {
    if documents.len() > MAX_RULES {
        return Err(format!("there are {} rules, at most {MAX_RULES} are taken", documents.len()));
    }
    let mut rules: Vec<Rule> = Vec::new();
    for (number, document) in documents.iter().enumerate() {
        let place = |problem| format!("rules[{number}]: {problem}");
        let rule = document.compile(number + 1, defaults).map_err(place)?;
        if rules.iter().any(|other| other.name == rule.name) {
            return Err(place(format!("there are two rules called `{}`: give them a `name` each", rule.name)));
        }
        rules.push(rule);
    }
    check_names_of_targets(&rules)?;
    if rules.is_empty() {
        rules = Rule::defaults();
        rules.iter_mut().for_each(|rule| {
            rule.options.policy = defaults.policy.map(Into::into).unwrap_or_default();
            rule.options.submodules = defaults.submodules.unwrap_or(true);
            rule.options.path_filter = default_filter(rule);
        });
    }
    Ok(rules)
}

/// Refuses a rule whose name may become that of a target: `RULE/TARGET`.
fn check_names_of_targets(rules: &[Rule]) -> Result<(), String> {
    for group in rules.iter().filter(|rule| rule.bake.is_some()) {
        let begin = format!("{}/", group.name);
        if let Some(rule) = rules.iter().find(|rule| rule.name.starts_with(&begin)) {
            return Err(format!(
                "the rule `{}` has a name that targets of the rule `{}` have: give it another `name`",
                rule.name, group.name
            ));
        }
    }
    Ok(())
}

impl RuleDocument {
    fn compile(&self, number: usize, defaults: &RuleDefaults) -> Result<Rule, String> {
        let source = match (&self.branch, &self.tag) {
            (Some(branch), None) => (RefKind::Branch, branch),
            (None, Some(tag)) => (RefKind::Tag, tag),
            _ => return Err("a rule has either `branch` or `tag`".to_owned()),
        };
        let name = self.name.clone().unwrap_or_else(|| format!("rule-{number}"));
        check_name("rule", &name)?;
        let mut rule = Rule::new(&name, source.0, source.1, &self.tags)?;
        self.image.iter().try_for_each(|image| check_image(image))?;
        rule.image.clone_from(&self.image);
        match self.bake_file()? {
            Some(file) => {
                rule.place(Some(file), Some(self.context.as_deref().filter(|text| !text.is_empty()).unwrap_or("/")))?;
                rule.bake = Some(self.targets.clone());
            }
            None => rule.place(self.dockerfile.as_deref(), self.context.as_deref())?,
        }
        rule.target = self.target.clone().map(|target| check_name("target", &target).map(|()| target)).transpose()?;
        check_values("env", &self.env)?;
        check_values("build_args", &self.build_args)?;
        check_values("labels", &self.labels)?;
        rule.env.clone_from(&self.env);
        for (name, text) in &self.build_args {
            let template = Template::parse(text).map_err(|problem| format!("build_args.{name}: {problem}"))?;
            rule.build_args.insert(name.clone(), template);
        }
        for (name, text) in &self.labels {
            let template = Template::parse(text).map_err(|problem| format!("labels.{name}: {problem}"))?;
            rule.labels.insert(name.clone(), template);
        }
        rule.check_groups()?;
        (rule.cache, rule.autobuild) = (self.cache.unwrap_or(true), self.autobuild.unwrap_or(true));
        rule.schedules = self.schedules.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        if !rule.schedules.is_empty() && rule.only_ref().is_none() {
            return Err(
                "`schedules` need a rule for one branch or tag: an expression does not say which to build".to_owned()
            );
        }
        self.set_options(&mut rule, defaults)?;
        Ok(rule)
    }

    /// Returns the file whose targets the rule builds, if it names one.
    fn bake_file(&self) -> Result<Option<&str>, String> {
        let (key, file, endings) = match (&self.bake, &self.compose) {
            (None, None) if self.targets.is_empty() => return Ok(None),
            (None, None) => return Err("`targets` are those of a file: name it with `bake` or `compose`".to_owned()),
            (Some(_), Some(_)) => {
                return Err("a rule has either `bake` or `compose`: two rules build two files".to_owned());
            }
            (Some(file), None) => ("bake", file, [".hcl", ".json"]),
            (None, Some(file)) => ("compose", file, [".yaml", ".yml"]),
        };
        if !endings.iter().any(|ending| file.to_ascii_lowercase().ends_with(ending)) {
            return Err(format!(
                "{key}: `{file}`: a file that ends in `{}` or `{}` is expected",
                endings[0], endings[1]
            ));
        }
        for (other, is_given) in [("dockerfile", self.dockerfile.is_some()), ("target", self.target.is_some())] {
            if is_given {
                return Err(format!("`{other}` and `{key}` exclude each other: `{file}` says what is built"));
            }
        }
        for target in &self.targets {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-*?[]".contains(&byte);
            if target.is_empty() || target.len() > 200 || !target.bytes().all(is_name) {
                return Err(format!("targets: {target:?} is not the name of a target or group, or a pattern of names"));
            }
        }
        Ok(Some(file))
    }

    fn set_options(&self, rule: &mut Rule, defaults: &RuleDefaults) -> Result<(), String> {
        self.secrets.iter().try_for_each(|name| check_name("secret", name))?;
        check_platforms(&self.platforms).map_err(|problem| format!("platforms: {problem}"))?;
        let filter = match (self.path_filter, self.paths.is_empty()) {
            (Some(FilterText::Off), false) => {
                return Err("`paths` and `path_filter = \"off\"` contradict each other: leave one out".to_owned());
            }
            (_, false) => PathFilter::Paths,
            (Some(FilterText::Automatic), true) => PathFilter::Automatic,
            (Some(FilterText::Off), true) => PathFilter::Off,
            (None, true) => default_filter(rule),
        };
        for path in &self.paths {
            inside(path.trim_start_matches('!')).map_err(|problem| format!("paths: {problem}"))?;
            check_pattern(path).map_err(|problem| format!("paths: {problem}"))?;
        }
        let span = |key: &str, text: &Option<String>| {
            text.as_deref().map(milliseconds).transpose().map_err(|problem| format!("{key}: {problem}"))
        };
        let options = &mut rule.options;
        options.path_filter = filter;
        options.paths.clone_from(&self.paths);
        options.secrets.clone_from(&self.secrets);
        options.platforms.clone_from(&self.platforms);
        options.compression = self.compression.map(Into::into).unwrap_or_default();
        options.lfs = self.lfs.unwrap_or(true);
        options.submodules = self.submodules.or(defaults.submodules).unwrap_or(true);
        options.policy = self.policy.or(defaults.policy).map(Into::into).unwrap_or_default();
        options.timeout_ms = span("timeout", &self.timeout)?;
        options.step_timeout_ms = span("step_timeout", &self.step_timeout)?;
        options.priority = self.priority.map_or(0, Priority::number);
        Ok(())
    }
}

/// Checks for how long images of pull requests have tags.
fn pull_request_tag_days(document: &RepositoryDocument) -> Result<Option<u32>, String> {
    let Some(days) = document.pull_request_tag_days else { return Ok(None) };
    if !(1..=365).contains(&days) {
        return Err(format!("pull_request_tag_days: {days}: from 1 to 365 days are possible"));
    }
    if document.hub_hooks == Some(true) {
        return Err(
            "`pull_request_tag_days` and `hub_hooks` exclude each other: a hook may push whatever it wants".to_owned()
        );
    }
    Ok(Some(days))
}

/// Checks where commits are fetched from. A login in it would be shown wherever the URL is.
fn check_clone_url(url: &str) -> Result<(), String> {
    let parsed = network::parse("clone_url", url).map_err(|refused| refused.detail)?;
    if parsed.query().is_some() || parsed.fragment().is_some() {
        let shown = database::redact(url);
        return Err(format!("clone_url `{shown}` has a query or a fragment: git servers are asked below its path"));
    }
    Ok(())
}

/// Checks `namespace/name`.
pub(crate) fn check_repository_name(name: &str) -> Result<(), String> {
    let parts: Vec<&str> = name.split('/').collect();
    let valid = parts.len() == 2 && name.len() <= 200 && parts.iter().all(|part| is_name(part));
    if valid {
        return Ok(());
    }
    Err(format!(
        "`{name}` is not a valid repository name: write `namespace/name`, of letters, digits, `.`, `_` and `-`"
    ))
}

/// Checks the name of a rule, secret or stage.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), String> {
    if is_name(name) {
        return Ok(());
    }
    Err(format!(
        "{what} {name:?}: a name has 1 to 100 letters, digits, `.`, `_`, `/` and `-` and begins with a letter or digit"
    ))
}

/// Checks a name that is a part of longer ones: it has no `/`.
pub(crate) fn check_part(what: &str, name: &str) -> Result<(), String> {
    match name.contains('/') {
        true => Err(format!("{what} {name:?}: a name here has no `/`")),
        false => check_name(what, name),
    }
}

fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    first && name.len() <= 100 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte))
}

/// Checks names and values of build arguments, variables or labels.
pub(crate) fn check_values(what: &str, values: &BTreeMap<String, String>) -> Result<(), String> {
    for (name, value) in values {
        let is_label = what == "labels";
        let named =
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || is_label && b".-/".contains(&byte));
        if name.is_empty() || name.len() > 200 || !named || !is_label && name.as_bytes()[0].is_ascii_digit() {
            return Err(format!(
                "{what}: {name:?} is not a valid name: it has letters, digits and `_`, and does not begin with a digit"
            ));
        }
        if value.len() > MAX_VALUE || value.contains('\0') {
            return Err(format!("{what}.{name}: a value has at most {MAX_VALUE} bytes and no NUL"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compiled(rule: &str) -> Result<Vec<Rule>, String> {
        let text = format!("{{\"rules\":[{rule}]}}");
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let documents: Vec<RuleDocument> = serde_json::from_value(document["rules"].clone()).unwrap();
        rules(&documents, &RuleDefaults::default())
    }

    #[test]
    fn a_file_of_several_images_takes_the_place_of_the_dockerfile() {
        let placed = |rule: &str| {
            let rule = compiled(rule).unwrap().remove(0);
            (rule.dockerfile, rule.context, rule.bake)
        };
        let own = |file: &str, context: &str, targets: &[&str]| {
            let targets = targets.iter().map(|target| (*target).to_owned()).collect();
            (file.to_owned(), context.to_owned(), Some(targets))
        };
        assert_eq!(
            placed(r#"{"branch":"main","bake":"deploy/docker-bake.hcl"}"#),
            own("deploy/docker-bake.hcl", "", &[]),
            "its paths count from the root"
        );
        assert_eq!(
            placed(r#"{"branch":"main","compose":"compose.yaml","context":"deploy","targets":["web","api-*"]}"#),
            own("deploy/compose.yaml", "deploy", &["web", "api-*"])
        );
    }

    #[test]
    fn what_contradicts_such_a_file_is_refused() {
        for (rule, part) in [
            (r#""bake":"a.hcl","compose":"compose.yaml""#, "either `bake` or `compose`"),
            (r#""targets":["a"]"#, "name it with `bake` or `compose`"),
            (r#""bake":"compose.yaml""#, "ends in `.hcl` or `.json`"),
            (r#""compose":"docker-bake.hcl""#, "ends in `.yaml` or `.yml`"),
            (r#""bake":"a.hcl","dockerfile":"Dockerfile""#, "`dockerfile` and `bake` exclude each other"),
            (r#""compose":"a.yml","target":"x""#, "`target` and `compose` exclude each other"),
            (r#""bake":"../a.hcl""#, "leads out of the repository"),
            (r#""bake":"a.hcl","targets":["a b"]"#, "is not the name of a target"),
        ] {
            let problem = compiled(&format!("{{\"branch\":\"main\",{rule}}}")).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
        let two = r#"{"name":"a","branch":"main","bake":"a.hcl"},{"name":"a/b","branch":"main"}"#;
        assert!(compiled(two).unwrap_err().contains("a name that targets of the rule `a` have"));
    }
}
