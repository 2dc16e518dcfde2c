//! The tags of `docker/metadata-action`, and expressions of GitHub Actions, as templates of rules.

use super::repository::Making;
use super::texts::texts;
use bake::yaml::Node;
use serde_json::Value;
use std::collections::BTreeMap;

/// Stands for the name of the repository until it is known; no image's name can hold it.
pub(crate) const REPOSITORY: &str = "{REPOSITORY}";

/// A version and its shorter forms.
const VERSIONS: [&str; 3] = ["{semver}", "{semver.major}.{semver.minor}", "{semver.major}"];

/// A tag, and which kinds of refs have it.
#[derive(Debug, Clone)]
struct Tag {
    template: String,
    /// `branch`, `tag`, or any.
    only: Option<&'static str>,
    /// An expression that the name of a git tag must match.
    expression: Option<String>,
    is_version: bool,
}

/// All tags of an image.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tags {
    tags: Vec<Tag>,
    /// Whether `latest` is added where metadata-action adds it by itself.
    latest: bool,
    /// Lines, and what of them is to be done by hand.
    pub notes: Vec<(usize, String)>,
}

/// Returns an expression's template.
pub(crate) fn expression(text: &str) -> Option<String> {
    let template = match text {
        "github.sha" => "{sha}",
        "github.ref_name" | "github.head_ref || github.ref_name" => "{sourceref}",
        "github.run_number" | "github.run_id" => "{number}",
        "github.event.repository.default_branch" => "{default_branch}",
        "github.repository" => REPOSITORY,
        "github.workspace" => ".",
        _ => return None,
    };
    Some(template.to_owned())
}

/// Replaces `{{…}}` of metadata-action.
fn handlebars(text: &str) -> Result<String, String> {
    super::texts::replaced(text, "{{", "}}", &|name| {
        let template = match name {
            "version" => "{semver}",
            "major" => "{semver.major}",
            "minor" => "{semver.minor}",
            "patch" => "{semver.patch}",
            "raw" | "tag" => "{tag}",
            "branch" => "{branch}",
            "sha" => "{sha7}",
            "date 'YYYYMMDD'" => "{date}",
            _ => return None,
        };
        Some(template.to_owned())
    })
}

impl Tags {
    /// Adds a tag that every ref has.
    pub(crate) fn add(&mut self, template: &str) {
        let template = template.to_owned();
        self.tags.push(Tag { template, only: None, expression: None, is_version: false });
    }

    /// Returns the tags that the inputs of metadata-action describe.
    pub(crate) fn of_metadata(inputs: &Node) -> Tags {
        let mut tags = Tags { latest: true, ..Tags::default() };
        let (mut prefix, mut suffix) = (String::new(), String::new());
        for (line, text) in texts(inputs.get("flavor")) {
            match text.split_once('=') {
                Some(("latest", "auto" | "true")) => {}
                Some(("latest", "false")) => tags.latest = false,
                Some(("prefix", value)) => value.clone_into(&mut prefix),
                Some(("suffix", value)) => value.clone_into(&mut suffix),
                _ => tags.notes.push((line, format!("the flavor `{text}` is not known here"))),
            }
        }
        let mut described = texts(inputs.get("tags"));
        if described.is_empty() {
            described = ["type=schedule", "type=ref,event=branch", "type=ref,event=tag"]
                .map(|text| (inputs.line, text.to_owned()))
                .to_vec();
        }
        for (line, text) in described {
            match tag(&text, &prefix, &suffix) {
                Ok(Some(tag)) => tags.tags.push(tag),
                Ok(None) => {}
                Err(why) => tags.notes.push((line, format!("the tag `{text}` is left out: {why}"))),
            }
        }
        tags.join_versions(inputs.line);
        tags
    }

    /// Writes a version and its shorter forms as one template, which leaves the short ones out for a pre-release.
    fn join_versions(&mut self, line: usize) {
        let has = |template: &str| self.tags.iter().any(|tag| tag.template == template);
        if VERSIONS.iter().all(|template| has(template)) {
            self.tags.retain(|tag| tag.template == VERSIONS[0] || !VERSIONS.contains(&tag.template.as_str()));
            self.tags
                .iter_mut()
                .filter(|tag| tag.template == VERSIONS[0])
                .for_each(|tag| "{semver.*}".clone_into(&mut tag.template));
        } else if self.tags.iter().any(|tag| tag.template.contains("{semver.")) {
            self.notes
                .push((line, "the short versions also move for a pre-release; metadata-action leaves them".to_owned()));
        }
        if self.latest && self.tags.iter().any(|tag| tag.is_version) {
            let text =
                "`latest` moves with every tag of the rules, also for a pre-release; metadata-action leaves it then";
            self.notes.push((line, text.to_owned()));
        }
    }

    /// Returns the rules for a kind of refs.
    pub(crate) fn rules(&self, kind: &'static str, source: &str, making: &Making) -> Vec<Value> {
        let fits = |tag: &&Tag| tag.only.is_none_or(|only| only == kind);
        let mut templates: Vec<String> = Vec::new();
        let mut add = |template: &str| {
            if !templates.iter().any(|known| known == template) {
                templates.push(template.to_owned());
            }
        };
        let plain = self.tags.iter().filter(fits).filter(|tag| tag.expression.is_none());
        plain.clone().for_each(|tag| add(&tag.template));
        if kind == "tag" && self.latest && plain.clone().any(|tag| tag.is_version) {
            add("latest");
        }
        let mut rules = Vec::new();
        if !templates.is_empty() {
            rules.push(making.rule(kind, source, &templates));
        }
        if kind == "tag" {
            for tag in &self.tags {
                let expression = tag.expression.as_ref();
                rules.extend(
                    expression.map(|expression| making.rule(kind, expression, std::slice::from_ref(&tag.template))),
                );
            }
        }
        rules
    }
}

/// Returns a tag; `None` for one that only pull requests have, whose images are not pushed.
fn tag(text: &str, prefix: &str, suffix: &str) -> Result<Option<Tag>, String> {
    // A tag without a type is a text.
    let fields: BTreeMap<&str, &str> = match text.contains("type=") {
        true => text.split(',').filter_map(|field| field.split_once('=')).collect(),
        false => BTreeMap::from([("type", "raw"), ("value", text)]),
    };
    let field = |name: &str| fields.get(name).copied();
    let kind = field("type").unwrap_or_default();
    let unknown = |unknown: String| format!("`{unknown}` is not known here");
    let (mut only, mut expression, mut is_version) = (None, None, false);
    let template = match (kind, field("event")) {
        ("ref", Some("branch")) => ("{branch}".to_owned(), only = Some("branch")).0,
        ("ref", Some("tag")) => ("{tag}".to_owned(), (only, is_version) = (Some("tag"), true)).0,
        ("ref", Some("pr")) => return Ok(None),
        ("semver", _) => {
            (only, is_version) = (Some("tag"), true);
            handlebars(field("pattern").unwrap_or("{{version}}")).map_err(unknown)?
        }
        ("raw", _) => {
            let value =
                super::texts::replaced(field("value").unwrap_or_default(), "${{", "}}", &|name| self::expression(name));
            handlebars(&value.map_err(unknown)?).map_err(unknown)?
        }
        ("sha", _) if field("format") == Some("long") => "{sha}".to_owned(),
        ("sha", _) => "{sha7}".to_owned(),
        ("edge", _) if field("branch").is_none() => {
            only = Some("branch");
            "{default_branch?edge}".to_owned()
        }
        ("match", _) => {
            (only, is_version) = (Some("tag"), true);
            let pattern = field("pattern").unwrap_or_default().trim_matches('/');
            expression = Some(format!("/{pattern}/"));
            match field("group").unwrap_or("0") {
                "0" => {
                    expression = Some(format!("/({pattern})/"));
                    "{\\1}".to_owned()
                }
                group => format!("{{\\{group}}}"),
            }
        }
        ("schedule", _) => return Ok(None),
        _ => return Err("it has nothing like it in a rule".to_owned()),
    };
    let own = match kind {
        "sha" => field("prefix").unwrap_or("sha-"),
        _ => field("prefix").unwrap_or(prefix),
    };
    let template = format!("{own}{template}{}", field("suffix").unwrap_or(suffix));
    let template = match field("enable") {
        None | Some("true") => template,
        Some("false") => return Ok(None),
        // A template cannot stand within a condition.
        Some(text) if text.contains("is_default_branch") && !template.contains('{') => {
            only = Some("branch");
            format!("{{default_branch?{template}}}")
        }
        Some(text) => return Err(format!("the condition `{text}` is not known here")),
    };
    Ok(Some(Tag { template, only, expression, is_version }))
}
