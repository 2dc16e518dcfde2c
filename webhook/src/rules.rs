//! Rules: which pushes build what, into which tags. Docker Hub's grammar; pure.

use regex::Regex;
use std::collections::BTreeMap;

/// Longest tag that a registry takes.
const MAX_TAG: usize = 128;

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefKind {
    /// Branches.
    Branch,
    /// Tags.
    Tag,
}

/// A ref that was pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed<'p> {
    /// What it is.
    pub kind: RefKind,
    /// Its short name: `main`.
    pub name: &'p str,
    /// The commit's full hash, if it is known.
    pub commit: Option<&'p str>,
}

impl<'p> Pushed<'p> {
    /// Takes the full name of a ref; `None` for one that is neither branch nor tag.
    pub fn new(git_ref: &'p str, commit: Option<&'p str>) -> Option<Self> {
        let branch = git_ref.strip_prefix("refs/heads/").map(|name| (RefKind::Branch, name));
        let (kind, name) = branch.or_else(|| git_ref.strip_prefix("refs/tags/").map(|name| (RefKind::Tag, name)))?;
        (!name.is_empty()).then_some(Pushed { kind, name, commit })
    }
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name, shown with builds and statuses.
    pub name: String,
    kind: RefKind,
    source: String,
    expression: Option<Regex>,
    tags: Vec<String>,
    /// Path of the Dockerfile from the root of the repository.
    pub dockerfile: String,
    /// Path of the context from the root of the repository; empty for the root.
    pub context: String,
    /// Stage to build.
    pub target: Option<String>,
    /// Build arguments.
    pub build_args: BTreeMap<String, String>,
    /// Whether cached steps may be used.
    pub cache: bool,
    /// Whether pushes build at all; triggers always do.
    pub autobuild: bool,
}

/// What a rule makes of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// Tags of the image, the primary one first.
    pub tags: Vec<String>,
}

impl Rule {
    /// Returns a rule: `source` is a name, or a regular expression between slashes that may match anywhere in it.
    pub fn new(name: &str, (kind, source): (RefKind, &str), tags: &[String]) -> Result<Self, String> {
        let expression = source.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let expression = expression
            .map(|text| Regex::new(text).map_err(|error| format!("`{source}` is no regular expression: {error}")))
            .transpose()?;
        if source.is_empty() {
            return Err("the name of a branch or tag is empty".to_owned());
        }
        let tags = if tags.is_empty() { vec!["latest".to_owned()] } else { tags.to_vec() };
        for template in &tags {
            check_template(template)?;
        }
        Ok(Rule {
            name: name.to_owned(),
            kind,
            source: source.to_owned(),
            expression,
            tags,
            dockerfile: "Dockerfile".to_owned(),
            context: String::new(),
            target: None,
            build_args: BTreeMap::new(),
            cache: true,
            autobuild: true,
        })
    }

    /// Returns the rules of a repository that names none: the main branch is `latest`.
    pub fn defaults() -> Vec<Rule> {
        let rule = |branch| Rule::new(branch, (RefKind::Branch, branch), &[]).expect("a plain name is a rule");
        vec![rule("main"), rule("master")]
    }

    /// Says where Dockerfile and context are, by Docker Hub's rules.
    ///
    /// With a context the Dockerfile is looked for from there; without one the context is the Dockerfile's directory.
    pub fn place(&mut self, dockerfile: Option<&str>, context: Option<&str>) -> Result<(), String> {
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

    /// Returns what the rule makes of a push, or why nothing.
    pub fn matches(&self, pushed: &Pushed<'_>) -> Result<Matched, String> {
        let what = |kind| if kind == RefKind::Branch { "branches" } else { "tags" };
        if pushed.kind != self.kind {
            return Err(format!("rule `{}` is for {}", self.name, what(self.kind)));
        }
        let groups: Vec<String> = match &self.expression {
            None if self.source == pushed.name => Vec::new(),
            None => return Err(format!("rule `{}` is for `{}` alone", self.name, self.source)),
            Some(expression) => {
                let found = expression.captures(pushed.name);
                let found = found.ok_or_else(|| {
                    format!("rule `{}`: `{}` does not match `{}`", self.name, self.source, pushed.name)
                })?;
                found.iter().skip(1).map(|group| group.map_or("", |group| group.as_str()).to_owned()).collect()
            }
        };
        let mut tags: Vec<String> = Vec::new();
        for template in &self.tags {
            let tag = legal(&expand(template, pushed, &groups));
            if !tag.is_empty() && !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        if tags.is_empty() {
            return Err(format!("rule `{}` gives no tag for `{}`", self.name, pushed.name));
        }
        Ok(Matched { tags })
    }
}

/// Returns a path from the root of the repository without `.`; `..` and links out are refused.
fn inside(path: &str) -> Result<String, String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err(format!("`{path}` leads out of the repository"));
    }
    Ok(parts.join("/"))
}

fn check_template(template: &str) -> Result<(), String> {
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        let close = rest[open..].find('}').ok_or_else(|| format!("tag `{template}`: a brace is not closed"))?;
        let name = &rest[open + 1..open + close];
        let group = name.strip_prefix('\\').is_some_and(|digit| matches!(digit.as_bytes(), [b'1'..=b'9']));
        if !group && !["sourceref", "branch", "tag", "sha", "sha7"].contains(&name) {
            return Err(format!(
                "tag `{template}`: `{{{name}}}` is unknown; there are {{sourceref}}, {{\\1}} to {{\\9}}, {{branch}}, {{tag}}, {{sha}} and {{sha7}}"
            ));
        }
        rest = &rest[open + close + 1..];
    }
    Ok(())
}

fn expand(template: &str, pushed: &Pushed<'_>, groups: &[String]) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        text.push_str(before);
        let commit = pushed.commit.unwrap_or("");
        match name {
            "sourceref" => text.push_str(pushed.name),
            "branch" if pushed.kind == RefKind::Branch => text.push_str(pushed.name),
            "tag" if pushed.kind == RefKind::Tag => text.push_str(pushed.name),
            "sha" => text.push_str(commit),
            "sha7" => text.push_str(&commit[..commit.len().min(7)]),
            group => {
                let number: usize = group.strip_prefix('\\').and_then(|digit| digit.parse().ok()).unwrap_or(0);
                text.push_str(number.checked_sub(1).and_then(|index| groups.get(index)).map_or("", String::as_str));
            }
        }
        rest = after;
    }
    text + rest
}

/// Makes a text a tag that registries take: other characters become `-`, no `.` or `-` in front, not too long.
fn legal(text: &str) -> String {
    let replaced: String = text
        .chars()
        .map(|char| if char.is_ascii_alphanumeric() || "_.-".contains(char) { char } else { '-' })
        .collect();
    replaced.trim_start_matches(['.', '-']).chars().take(MAX_TAG).collect()
}

/// Checks the name of an image without a tag.
pub fn check_image(image: &str) -> Result<(), String> {
    let valid = Regex::new(r"^[a-zA-Z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$")
        .expect("the expression is well formed");
    if valid.is_match(image) {
        return Ok(());
    }
    Err(format!("`{image}` is no image name: registry/name in lower case and without a tag is expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(kind: RefKind, source: &str, template: &str, git_ref: &str) -> Option<Vec<String>> {
        let templates: Vec<String> = template.split(',').map(str::to_owned).collect();
        let rule = Rule::new("r", (kind, source), &templates).unwrap();
        rule.matches(&Pushed::new(git_ref, Some("0123456789abcdef")).unwrap()).ok().map(|matched| matched.tags)
    }

    #[test]
    fn docker_hubs_vectors() {
        use RefKind::{Branch, Tag};
        let several = r"/^(7.1)([.][0-9.]+)?-([0-9]+)[.][0-9.]+$/";
        let templates = r"{sourceref},{\1},{\1}{\2},{\1}-{\3}.x,latest";
        let cases: [(RefKind, &str, &str, &str, Option<&str>); 10] = [
            (Branch, "master", "latest", "refs/heads/master", Some("latest")),
            (Branch, "master", "latest", "refs/heads/master2", None),
            (Tag, "/^[0-9.]+$/", "release-{sourceref}", "refs/tags/1.2.0", Some("release-1.2.0")),
            (Tag, "/^[0-9.]+$/", "release-{sourceref}", "refs/tags/1.2.0-rc", None),
            (Tag, "/^[0-9.]+/", "release-{sourceref}", "refs/tags/1.2.0-rc", Some("release-1.2.0-rc")),
            (Tag, "/^v([0-9.]+)$/", r"version-{\1}", "refs/tags/v1.2.3", Some("version-1.2.3")),
            (Branch, "/[0-9.]+$/", "version-{sourceref}", "refs/heads/rel-2.0", Some("version-rel-2.0")),
            (Tag, several, templates, "refs/tags/7.1.2-1.4", Some("7.1.2-1.4,7.1,7.1.2,7.1-1.x,latest")),
            (Tag, several, templates, "refs/tags/7.1-1.4", Some("7.1-1.4,7.1,7.1-1.x,latest")),
            (Tag, "/.*/", "{sourceref}", "refs/heads/x", None),
        ];
        for (kind, source, template, git_ref, expected) in cases {
            let expected = expected.map(|tags| tags.split(',').map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(tags(kind, source, template, git_ref), expected, "{source} {git_ref}");
        }
    }

    #[test]
    fn names_become_legal_tags() {
        assert_eq!(
            tags(RefKind::Branch, "/.*/", "{branch}-{sha7}", "refs/heads/feature/ä b").unwrap(),
            ["feature---b-0123456"]
        );
        assert_eq!(tags(RefKind::Branch, "/.*/", "{sourceref}", "refs/heads/-.x").unwrap(), ["x"]);
        assert!(Rule::new("r", (RefKind::Tag, "x"), &["{nosuch}".into()]).is_err());
        assert!(Pushed::new("refs/notes/x", None).is_none());
    }

    #[test]
    fn dockerfile_and_context_are_placed_as_docker_hub_does() {
        let placed = |dockerfile, context| {
            let mut rule = Rule::new("r", (RefKind::Branch, "x"), &[]).unwrap();
            rule.place(dockerfile, context).map(|()| (rule.dockerfile, rule.context))
        };
        let pair = |one: &str, other: &str| Ok((one.to_owned(), other.to_owned()));
        assert_eq!(placed(None, None), pair("Dockerfile", ""));
        assert_eq!(placed(Some("/"), Some("/")), pair("Dockerfile", ""));
        assert_eq!(placed(Some("deploy/Dockerfile"), None), pair("deploy/Dockerfile", "deploy"));
        assert_eq!(placed(Some("deploy/Dockerfile"), Some("/")), pair("deploy/Dockerfile", ""));
        assert_eq!(placed(Some("Dockerfile.x"), Some("/sub/")), pair("sub/Dockerfile.x", "sub"));
        assert!(placed(Some("../x"), None).is_err());
    }
}
