//! Rules: which pushes build what, into which tags. Docker Hub's grammar and more; pure.

use super::pushed::{Pushed, RefKind};
use super::schedule::Schedule;
use super::template::{Template, Values};
use super::{sensitive, tags};
use database::{BuildOptions, PathFilter, PullRequest};
use regex::Regex;
use std::collections::BTreeMap;

/// A rule.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Its name, shown with builds and statuses.
    pub name: String,
    /// The kind of ref that it matches.
    pub kind: RefKind,
    source: String,
    expression: Option<Regex>,
    tags: Vec<Template>,
    /// Where its images go, without a tag; `None` for the image of the repository.
    pub image: Option<String>,
    /// Targets of the file in place of a Dockerfile, if there is one that names several images.
    pub bake: Option<Vec<String>>,
    /// Path of the Dockerfile, or of that file, from the root of the repository.
    pub dockerfile: String,
    /// Path of the context from the root of the repository; empty for the root.
    pub context: String,
    /// Stage to build.
    pub target: Option<String>,
    /// Build arguments.
    pub build_args: BTreeMap<String, Template>,
    /// Labels of the image.
    pub labels: BTreeMap<String, Template>,
    /// Values of `{env.NAME}`, also build arguments unless `build_args` sets them.
    pub env: BTreeMap<String, String>,
    /// Whether cached steps may be used.
    pub cache: bool,
    /// Whether pushes build at all; triggers always do.
    pub autobuild: bool,
    /// Moments, in UTC, at which the rule builds without a push.
    pub schedules: Vec<Schedule>,
    /// Platforms, secrets, path filter, policy, limits, priority.
    pub options: BuildOptions,
}

/// The result of a rule that matched a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Matched {
    /// Tags of the image, the primary one first.
    pub tags: Vec<String>,
    /// Build arguments.
    pub build_args: BTreeMap<String, String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Warnings about parts that were changed or left out, a sentence each.
    pub warnings: Vec<String>,
}

impl Rule {
    /// Returns a rule: `source` is a name, or a regular expression between slashes that may match anywhere in it.
    pub(crate) fn new(name: &str, kind: RefKind, source: &str, tags: &[String]) -> Result<Self, String> {
        let expression = source.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let expression = expression.map(|text| regular(source, text)).transpose()?;
        if source.is_empty() {
            return Err("the name of a branch or tag is empty".to_owned());
        }
        let mut templates = Vec::new();
        // Docker Hub's field is one text: a comma parts tags in every entry.
        for text in tags.iter().flat_map(|tag| tag.split(',')).map(str::trim).filter(|text| !text.is_empty()) {
            templates.push(Template::parse(text).map_err(|problem| format!("tag {problem}"))?);
        }
        if templates.is_empty() {
            templates.push(Template::parse("latest")?);
        }
        Ok(Rule {
            name: name.to_owned(),
            kind,
            source: source.to_owned(),
            expression,
            tags: templates,
            image: None,
            bake: None,
            dockerfile: "Dockerfile".to_owned(),
            context: String::new(),
            target: None,
            build_args: BTreeMap::new(),
            labels: BTreeMap::new(),
            env: BTreeMap::new(),
            cache: true,
            autobuild: true,
            schedules: Vec::new(),
            options: BuildOptions::default(),
        })
    }

    /// Returns the rules of a repository that names none: the main branch is `latest`.
    pub(crate) fn defaults() -> Vec<Rule> {
        let rule = |branch| Rule::new(branch, RefKind::Branch, branch, &[]).expect("a plain name is a rule");
        vec![rule("main"), rule("master")]
    }

    /// Says where Dockerfile and context are, by Docker Hub's rules.
    ///
    /// With a context the Dockerfile is looked for from there; without one the context is the Dockerfile's directory.
    pub(crate) fn place(&mut self, dockerfile: Option<&str>, context: Option<&str>) -> Result<(), String> {
        let file = inside(dockerfile.unwrap_or("Dockerfile"))?;
        let file = if file.is_empty() { "Dockerfile".to_owned() } else { file };
        match context.filter(|context| !context.is_empty()) {
            Some(context) => {
                self.context = inside(context)?;
                self.dockerfile = if self.context.is_empty() { file } else { format!("{}/{file}", self.context) };
            }
            None => {
                self.context = file.rsplit_once('/').map(|(directory, _)| directory.to_owned()).unwrap_or_default();
                self.dockerfile = file;
            }
        }
        Ok(())
    }

    /// Checks that every group which a template names is one of the rule's expression: another would always be empty.
    pub(crate) fn check_groups(&self) -> Result<(), String> {
        let groups = self.expression.as_ref().map_or(0, |expression| expression.captures_len() - 1);
        let named = self.tags.iter().chain(self.build_args.values()).chain(self.labels.values());
        match named
            .flat_map(|template| template.groups().map(move |group| (template, group)))
            .find(|(_, group)| *group > groups)
        {
            None => Ok(()),
            Some((template, group)) => {
                let has = match (&self.expression, groups) {
                    (None, _) => format!("`{}` is a name and no expression: write `/…/` around it", self.source),
                    (Some(_), 0) => format!("`{}` has no group: parentheses make one", self.source),
                    (Some(_), 1) => format!("`{}` has one group, `{{\\1}}`", self.source),
                    (Some(_), groups) => {
                        format!("`{}` has {groups} groups, `{{\\1}}` to `{{\\{groups}}}`", self.source)
                    }
                };
                Err(format!("`{}` names the group {group}, and {has}", template.text()))
            }
        }
    }

    /// Returns the name or expression that the rule looks for.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Returns the templates of the image's tags, as they were written.
    pub(crate) fn templates(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(Template::text)
    }

    /// Returns the name of the ref that the rule is for, if it is for one alone.
    pub(crate) fn only_ref(&self) -> Option<String> {
        let prefix = if self.kind == RefKind::Branch { "refs/heads/" } else { "refs/tags/" };
        self.expression.is_none().then(|| format!("{prefix}{}", self.source))
    }

    /// Tells whether each push to a ref gets the same tags, so that one which changes nothing may be left out.
    pub(crate) fn has_fixed_tags(&self) -> bool {
        self.tags.iter().all(Template::is_fixed)
    }

    /// Returns what the rule makes of a push, or why nothing.
    pub(crate) fn matches(&self, pushed: &Pushed<'_>) -> Result<Matched, String> {
        let groups = self.groups(pushed)?;
        let values = Values { pushed, groups: &groups, env: &self.env };
        let mut matched = Matched { build_args: self.env.clone(), ..Matched::default() };
        for template in &self.tags {
            match template.expand(&values) {
                Ok(texts) => texts.iter().for_each(|text| tags::add(text, &mut matched.tags, &mut matched.warnings)),
                Err(why) => matched.warnings.push(format!("the tag `{}` is left out: {why}", template.text())),
            }
        }
        for (name, template) in &self.build_args {
            matched.build_args.insert(name.clone(), self.argument(name, template, &values)?);
        }
        label(self.labels.iter(), &mut matched, &values);
        if matched.tags.is_empty() {
            let why =
                if matched.warnings.is_empty() { String::new() } else { format!(": {}", matched.warnings.join("; ")) };
            return Err(format!("rule `{}` gives no tag for `{}`{why}", self.name, pushed.name));
        }
        sensitive::warn(matched.build_args.keys(), &mut matched.warnings);
        Ok(matched)
    }

    /// Returns what the rule makes of a pull request to the branch `pushed`, or why nothing: the tags are those that its image
    /// will have once it is merged, and one of a fork has none, and nothing of the rule's `env`, in which secrets may be.
    pub(crate) fn matches_pull(&self, pushed: &Pushed<'_>, pull: &PullRequest) -> Result<Matched, String> {
        let groups = self.groups(pushed)?;
        let env = if pull.is_fork { &BTreeMap::new() } else { &self.env };
        let values = Values { pushed, groups: &groups, env };
        let mut matched = Matched { build_args: env.clone(), ..Matched::default() };
        for text in
            self.tags.iter().filter(|_| !pull.is_fork).flat_map(|template| template.expand(&values).unwrap_or_default())
        {
            tags::add(&text, &mut matched.tags, &mut Vec::new());
        }
        for (name, template) in &self.build_args {
            if pull.is_fork && template.names_env() {
                let why = "it comes from `env`, which pull requests from forks do not get";
                matched.warnings.push(format!("the build argument `{name}` is left out: {why}"));
                continue;
            }
            matched.build_args.insert(name.clone(), self.argument(name, template, &values)?);
        }
        let known = self.labels.iter().filter(|(_, template)| !(pull.is_fork && template.names_env()));
        label(known, &mut matched, &values);
        sensitive::warn(matched.build_args.keys(), &mut matched.warnings);
        Ok(matched)
    }

    fn argument(&self, name: &str, template: &Template, values: &Values<'_>) -> Result<String, String> {
        let text = template.expand(values);
        text.map(|text| text.join(",")).map_err(|why| format!("rule `{}`: build argument `{name}`: {why}", self.name))
    }

    /// Returns what the groups of the expression matched, or why the rule is not for this push.
    fn groups(&self, pushed: &Pushed<'_>) -> Result<Vec<String>, String> {
        let name = &self.name;
        if pushed.kind != self.kind {
            return Err(format!(
                "rule `{name}` is for {}, `{}` is a {}",
                self.kind.plural(),
                pushed.name,
                pushed.kind.singular()
            ));
        }
        match &self.expression {
            None if self.source == pushed.name => Ok(Vec::new()),
            None => Err(format!("rule `{name}` is for `{}` alone{}", self.source, self.hint(pushed))),
            Some(expression) => {
                let found = expression.captures(pushed.name);
                let found = found
                    .ok_or_else(|| format!("rule `{name}`: `{}` does not match `{}`", self.source, pushed.name))?;
                Ok(found.iter().skip(1).map(|group| group.map_or("", |group| group.as_str()).to_owned()).collect())
            }
        }
    }

    /// Says what was probably meant: expressions stand between slashes.
    fn hint(&self, pushed: &Pushed<'_>) -> String {
        let looks_regular = self.source.contains(['^', '$', '*', '+', '(', '[', '\\']);
        let would_match = Regex::new(&self.source).is_ok_and(|expression| expression.is_match(pushed.name));
        match (looks_regular, would_match) {
            (true, true) => format!("; as an expression it would match: write `/{}/`", self.source),
            (true, false) => format!("; if it is an expression, write `/{}/`", self.source),
            (false, _) if self.source.eq_ignore_ascii_case(pushed.name) => "; upper and lower case differ".to_owned(),
            (false, _) => String::new(),
        }
    }
}

/// Adds labels; one that a push has no value for, as `{semver}` on a branch, is left out like a tag.
fn label<'l>(labels: impl Iterator<Item = (&'l String, &'l Template)>, matched: &mut Matched, values: &Values<'_>) {
    for (name, template) in labels {
        match template.expand(values) {
            Ok(texts) => drop(matched.labels.insert(name.clone(), texts.join(","))),
            Err(why) => matched.warnings.push(format!("the label `{name}` is left out: {why}")),
        }
    }
}

/// Tells which pushes a rule that names no path filter leaves out.
pub(crate) fn default_filter(rule: &Rule) -> PathFilter {
    if rule.kind == RefKind::Branch && rule.has_fixed_tags() { PathFilter::Automatic } else { PathFilter::Off }
}

fn regular(source: &str, text: &str) -> Result<Regex, String> {
    // `\/` is how slashes are written between slashes elsewhere.
    let plain = text.replace("\\/", "/");
    Regex::new(&plain).map_err(|error| {
        let why = error.to_string();
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        format!("`{source}` is not a regular expression: {why}")
    })
}

/// Returns a path from the root of the repository without `.`; `..` and links out are refused.
pub(crate) fn inside(path: &str) -> Result<String, String> {
    if path.chars().any(char::is_control) {
        return Err(format!("{path:?} holds a control character"));
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(format!("`{path}` leads out of the repository"));
    }
    if parts.first().is_some_and(|first| first.starts_with('-')) {
        return Err(format!("`{path}` begins with a hyphen, like an option; write `./{path}` without it"));
    }
    Ok(parts.join("/"))
}
