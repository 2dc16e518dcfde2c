//! Steps of Woodpecker with `plugin-docker-buildx`, or of Drone with `plugins/docker`.

use super::repository::{Asked, Making, Repository};
use super::texts::{escaped, of_glob, texts, with_variables};
use bake::yaml::{Content, Node};

/// Images of plugins that build, without registry and tag.
const PLUGINS: [&str; 3] = ["plugin-docker-buildx", "plugins/docker", "plugins/kaniko"];
/// Settings that need no rule: logins are set once, the cache is there.
const NEEDLESS: [&str; 11] = [
    "username",
    "password",
    "login",
    "logins",
    "registry",
    "repo",
    "cache_from",
    "cache_to",
    "pull_image",
    "provenance",
    "auto_tag",
];

/// Reads a pipeline: one repository for each step that builds.
pub(crate) fn read(file: &str, document: &Node, asked: &Asked) -> Result<Vec<Repository>, String> {
    let Some(steps) = document.get("steps").or_else(|| document.get("pipeline")) else { return Ok(Vec::new()) };
    let steps: Vec<&Node> = match &steps.content {
        Content::Map(pairs) => pairs.iter().map(|(_, step)| step).collect(),
        _ => steps.list().iter().collect(),
    };
    let builds = steps.into_iter().filter(|step| is_build(step));
    builds.map(|step| one(file, document, step, asked)).collect()
}

fn is_build(step: &Node) -> bool {
    let image = step.get("image").and_then(Node::scalar).unwrap_or_default();
    PLUGINS.iter().any(|plugin| image.split(':').next().is_some_and(|name| name.ends_with(plugin)))
}

fn variable(name: &str) -> Option<String> {
    let template = match name {
        "CI_COMMIT_SHA" | "DRONE_COMMIT_SHA" => "{sha}",
        "CI_COMMIT_SHA:0:7" | "DRONE_COMMIT_SHA:0:7" => "{sha7}",
        "CI_COMMIT_BRANCH" | "DRONE_BRANCH" => "{branch}",
        "CI_COMMIT_TAG" | "DRONE_TAG" => "{tag}",
        "CI_COMMIT_TAG##v" | "DRONE_TAG##v" => "{semver}",
        "CI_PIPELINE_NUMBER" | "DRONE_BUILD_NUMBER" => "{number}",
        _ => return None,
    };
    Some(template.to_owned())
}

fn one(file: &str, document: &Node, step: &Node, asked: &Asked) -> Result<Repository, String> {
    let empty = Node::empty(step.line);
    let settings = step.get("settings").unwrap_or(&empty);
    let text = |key: &str| settings.get(key).and_then(Node::scalar);
    let image = text("repo").map(|repo| match text("registry") {
        Some(registry) if !repo.starts_with(registry.trim_start_matches("https://")) => {
            format!("{}/{repo}", registry.trim_start_matches("https://").trim_end_matches('/'))
        }
        _ => repo,
    });
    let mut repository = Repository::new(file, asked, None, image)?;
    let making = making(settings, &mut repository);
    let mut tags = Vec::new();
    for key in ["tags", "tag"] {
        for (line, list) in texts(settings.get(key)) {
            for tag in list.split(',').map(str::trim) {
                match with_variables(tag, &variable) {
                    Ok(tag) => tags.push(tag),
                    Err(unknown) => {
                        repository.note(line, format!("the tag `{tag}` is left out: `{unknown}` is not known here"))
                    }
                }
            }
        }
    }
    let auto = text("auto_tag").is_some_and(|auto| auto == "true");
    for (kind, source) in sources(document, step, &mut repository) {
        let own = match (auto, kind) {
            (false, _) if tags.is_empty() => vec!["latest".to_owned()],
            (false, _) => tags.clone(),
            (true, "tag") => vec!["{semver.*}".to_owned(), "latest".to_owned()],
            (true, _) => vec!["{default_branch?latest}".to_owned()],
        };
        repository.rules.push(making.rule(kind, &source, &own));
    }
    Ok(repository)
}

fn making(settings: &Node, repository: &mut Repository) -> Making {
    let mut making = Making::default();
    for (key, node) in settings.pairs() {
        let value = node.scalar();
        match key.as_str() {
            "context" => making.context = value,
            "dockerfile" => making.dockerfile = value,
            "target" => making.target = value,
            "no_cache" => making.no_cache = value.as_deref() == Some("true"),
            "platforms" | "platform" => {
                let lists = texts(Some(node));
                making.platforms =
                    lists.iter().flat_map(|(_, list)| list.split(',')).map(|one| one.trim().to_owned()).collect();
            }
            "build_args" => {
                let pairs: Vec<(usize, String, Option<String>)> = match &node.content {
                    Content::Map(pairs) => {
                        pairs.iter().map(|(name, node)| (node.line, name.clone(), node.scalar())).collect()
                    }
                    _ => texts(Some(node))
                        .into_iter()
                        .map(|(line, pair)| {
                            let (name, value) =
                                pair.split_once('=').map_or((pair.as_str(), None), |(name, value)| (name, Some(value)));
                            (line, name.to_owned(), value.map(str::to_owned))
                        })
                        .collect(),
                };
                for (line, name, value) in pairs {
                    let template = value.map(|value| match value.contains('$') {
                        true => with_variables(&value, &variable),
                        false => Ok(escaped(&value)),
                    });
                    match template {
                        Some(Ok(value)) => drop(making.build_args.insert(name, value)),
                        _ => repository.note(
                            line,
                            format!(
                                "the build argument `{name}` takes its value from elsewhere: set it in `build_args`"
                            ),
                        ),
                    }
                }
            }
            "tags" | "tag" => {}
            "dry_run" if value.as_deref() == Some("true") => {
                repository.note(node.line, "`dry_run`: the step pushes nothing, a rule does")
            }
            "dry_run" => {}
            known if NEEDLESS.contains(&known) => {}
            other => repository.note(node.line, format!("`{other}` of the step has nothing like it in a rule")),
        }
    }
    making
}

/// Returns the refs for which the step runs.
fn sources(document: &Node, step: &Node, repository: &mut Repository) -> Vec<(&'static str, String)> {
    let conditions = step.get("when").or_else(|| document.get("when"));
    let each: Vec<&Node> = match conditions {
        Some(node) if !node.list().is_empty() => node.list().iter().collect(),
        Some(node) => vec![node],
        None => Vec::new(),
    };
    let mut sources = Vec::new();
    let mut add = |kind: &'static str, source: String| {
        if !sources.contains(&(kind, source.clone())) {
            sources.push((kind, source));
        }
    };
    if each.is_empty() {
        add("branch", "/.*/".to_owned());
        add("tag", "/.*/".to_owned());
    }
    for when in each {
        let branches: Vec<String> = texts(when.get("branch")).iter().map(|(_, name)| of_glob(name)).collect();
        let mut events: Vec<String> = texts(when.get("event")).into_iter().map(|(_, event)| event).collect();
        if events.is_empty() {
            events =
                if branches.is_empty() { vec!["push".to_owned(), "tag".to_owned()] } else { vec!["push".to_owned()] };
        }
        for event in events {
            match event.as_str() {
                "push" if branches.is_empty() => add("branch", "/.*/".to_owned()),
                "push" => branches.iter().for_each(|branch| add("branch", branch.clone())),
                "tag" => add("tag", "/.*/".to_owned()),
                "pull_request" => drop(repository.others.insert("pull_requests".to_owned(), "own".into())),
                // A trigger by hand is always there.
                "manual" => {}
                other => repository.note(when.line, format!("the event `{other}` starts nothing here")),
            }
        }
        for key in when.pairs().iter().filter(|(key, _)| !matches!(key.as_str(), "branch" | "event")) {
            repository.note(key.1.line, format!("the condition `{}` is not looked at", key.0));
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_step_that_builds_is_rules() {
        let text = r#"
steps:
  - name: test
    image: rust
  - name: publish
    image: woodpeckerci/plugin-docker-buildx:5
    settings:
      repo: acme/app
      registry: codeberg.org
      dockerfile: app/Dockerfile
      platforms: linux/amd64,linux/arm64
      tags: [latest, "${CI_COMMIT_SHA:0:7}", "${CI_REPO_OWNER}"]
      build_args: {V: "1"}
      password: {from_secret: token}
      squash: true
    when:
      - event: push
        branch: [main, release/*]
      - event: [tag, cron]
"#;
        let document = bake::yaml::parse(".woodpecker.yml", text).unwrap();
        let asked = Asked { clone_url: Some("https://codeberg.org/acme/app.git".to_owned()), image: None };
        let toml = read(".woodpecker.yml", &document, &asked).unwrap()[0].to_toml().unwrap();
        webhook::Configuration::parse(&toml, std::path::Path::new("."))
            .unwrap_or_else(|error| panic!("{error}: {toml}"));
        let read: Value = toml::from_str(&toml).unwrap();
        let one = &read["repositories"][0];
        assert_eq!(one["image"], "codeberg.org/acme/app");
        let rule = |kind: &str, source: &str| {
            json!({ kind: source, "tags": ["latest", "{sha7}"], "context": "/", "dockerfile": "app/Dockerfile",
                "platforms": ["linux/amd64", "linux/arm64"], "build_args": { "V": "1" } })
        };
        assert_eq!(
            one["rules"],
            json!([rule("branch", "main"), rule("branch", "/^release/[^/]*$/"), rule("tag", "/.*/")])
        );
        for note in
            [":12: the tag `${CI_REPO_OWNER}` is left out", ":15: `squash` of the step", ":19: the event `cron`"]
        {
            assert!(toml.contains(&format!("# .woodpecker.yml{note}")), "{note}:\n{toml}");
        }
    }
}
