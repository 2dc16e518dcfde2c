//! Workflows of GitHub Actions: the triggers and the tags of `docker/metadata-action` become rules of what
//! `docker/build-push-action` builds.

use super::actions_tags::{self, Tags};
use super::repository::{Asked, Making, Repository};
use super::texts::{escaped, image_and_tag, of_glob, replaced, texts};
use bake::yaml::{Content, Node};
use std::collections::BTreeMap;

/// The actions that are read, without their version.
const BUILD: &str = "docker/build-push-action";
const METADATA: &str = "docker/metadata-action";

/// Inputs of the build that need no rule: slipway does so by itself, or has nothing to do.
const NEEDLESS: [&str; 12] = [
    "builder",
    "cache-from",
    "cache-to",
    "github-token",
    "load",
    "provenance",
    "pull",
    "push",
    "sbom",
    "annotations",
    "labels",
    "outputs",
];

/// Which pushes start a workflow.
#[derive(Debug, Default)]
struct Triggers {
    branches: Vec<String>,
    tags: Vec<String>,
    paths: Vec<String>,
    schedules: Vec<String>,
    pull_requests: bool,
    notes: Vec<(usize, String)>,
}

/// Reads a workflow: one repository for each image that it pushes.
pub(crate) fn read(file: &str, document: &Node, asked: &Asked) -> Result<Vec<Repository>, String> {
    let triggers = triggers(document);
    let mut repositories: Vec<Repository> = Vec::new();
    let Some(jobs) = document.get("jobs") else { return Ok(Vec::new()) };
    for (_, job) in jobs.pairs() {
        let environment = environment(&[document, job]);
        let steps = job.get("steps").map(Node::list).unwrap_or_default();
        for step in steps.iter().filter(|step| uses(step, BUILD)) {
            let build = Build { file, steps, step, environment: &environment, triggers: &triggers };
            let found = build.repository(asked)?;
            found.join(&mut repositories);
        }
    }
    Ok(repositories)
}

fn uses(step: &Node, action: &str) -> bool {
    let used = step.get("uses").and_then(Node::written).unwrap_or_default();
    used.split('@').next() == Some(action)
}

fn environment(nodes: &[&Node]) -> BTreeMap<String, String> {
    let pairs = nodes.iter().filter_map(|node| node.get("env")).flat_map(Node::pairs);
    pairs.filter_map(|(name, value)| Some((name.clone(), value.scalar()?))).collect()
}

fn triggers(document: &Node) -> Triggers {
    let mut triggers = Triggers::default();
    let Some((_, on)) = document.pairs().iter().find(|(key, _)| key == "on") else { return triggers };
    let empty = Node::empty(on.line);
    let events: Vec<(String, &Node)> = match &on.content {
        Content::Map(pairs) => pairs.iter().map(|(name, node)| (name.clone(), node)).collect(),
        _ => texts(Some(on)).into_iter().map(|(_, name)| (name, &empty)).collect(),
    };
    for (event, node) in events {
        match event.as_str() {
            "push" => triggers.push(node),
            "pull_request" => triggers.pull_requests = true,
            "schedule" => {
                let crons = node.list().iter().filter_map(|entry| entry.get("cron")?.scalar());
                triggers.schedules.extend(crons);
            }
            // A trigger by hand is always there.
            "workflow_dispatch" => {}
            "release" | "create" => {
                triggers.tags.push("/.*/".to_owned());
                triggers.notes.push((node.line, format!("`{event}` becomes the push of any tag")));
            }
            other => triggers.notes.push((node.line, format!("`{other}` starts nothing here"))),
        }
    }
    triggers
}

impl Triggers {
    fn push(&mut self, node: &Node) {
        let has = |key: &str| node.get(key).is_some();
        for (key, is_branch) in [("branches", true), ("tags", false)] {
            for (line, pattern) in texts(node.get(key)) {
                match pattern.strip_prefix('!') {
                    Some(_) => self.notes.push((line, format!("`{pattern}`: a rule cannot exclude refs"))),
                    None if is_branch => self.branches.push(of_glob(&pattern)),
                    None => self.tags.push(of_glob(&pattern)),
                }
            }
        }
        for key in ["branches-ignore", "tags-ignore", "paths-ignore"] {
            texts(node.get(key)).iter().for_each(|(line, text)| {
                self.notes.push((*line, format!("`{key}: {text}`: a rule cannot exclude")));
            });
        }
        let every = |list: &mut Vec<String>| list.push("/.*/".to_owned());
        // Without a filter of refs, or with one that only excludes, all are built.
        if !has("branches") && (!has("tags") || has("branches-ignore")) {
            every(&mut self.branches);
        }
        if !has("tags") && (!has("branches") || has("tags-ignore")) {
            every(&mut self.tags);
        }
        self.paths.extend(texts(node.get("paths")).into_iter().map(|(_, path)| path));
    }
}

/// A build of a workflow.
struct Build<'b> {
    file: &'b str,
    steps: &'b [Node],
    step: &'b Node,
    environment: &'b BTreeMap<String, String>,
    triggers: &'b Triggers,
}

impl Build<'_> {
    fn with(&self, key: &str) -> Option<&Node> {
        self.step.get("with")?.get(key)
    }

    /// Returns a text with its expressions as templates; fails with the expression that has none.
    fn template(&self, text: &str) -> Result<String, String> {
        // A value of `env` may hold expressions.
        let text = replaced(text, "${{", "}}", &|name| {
            let known = name.strip_prefix("env.").and_then(|name| self.environment.get(name).cloned());
            Some(known.unwrap_or_else(|| format!("${{{{ {name} }}}}")))
        })?;
        replaced(&text, "${{", "}}", &|name| actions_tags::expression(name))
    }

    fn repository(&self, asked: &Asked) -> Result<Repository, String> {
        let (images, tags, mut notes) = self.tags();
        let owner = asked.clone_url.as_deref().and_then(|url| url.rsplit_once("github.com").map(|(_, path)| path));
        let owner = owner.map(|path| path.trim_matches([':', '/']).trim_end_matches(".git").to_lowercase());
        let full = |image: &String| match &owner {
            Some(owner) => image.replace(actions_tags::REPOSITORY, owner),
            None => image.clone(),
        };
        let is_known = |image: &String| !image.contains(actions_tags::REPOSITORY);
        let image = images.first().map(full).filter(is_known);
        let mut repository = Repository::new(self.file, asked, None, image)?;
        let making = self.making(&mut notes);
        for (sources, kind) in [(&self.triggers.branches, "branch"), (&self.triggers.tags, "tag")] {
            for source in sources {
                repository.rules.extend(tags.rules(kind, source, &making));
            }
        }
        images.iter().skip(1).map(full).filter(is_known).for_each(|other| repository.also_to(&other));
        if self.triggers.pull_requests {
            repository.others.insert("pull_requests".to_owned(), "own".into());
        }
        let scheduled = repository.rules.iter().any(|rule| rule.get("schedules").is_some());
        if !self.triggers.schedules.is_empty() && !scheduled {
            notes.push((self.step.line, "the schedule needs a rule for one branch, not for several".to_owned()));
        }
        if self.step.get("if").is_some() {
            notes.push((self.step.line, "the condition `if` of the step is not looked at".to_owned()));
        }
        if repository.rules.is_empty() {
            notes.push((self.step.line, "no push starts it: there are no rules".to_owned()));
        }
        repository.notes = notes;
        repository.notes.extend(self.triggers.notes.iter().cloned());
        repository.notes.extend(tags.notes);
        Ok(repository)
    }

    /// Returns the images without tags, their tags, and what is to be done by hand.
    fn tags(&self) -> (Vec<String>, Tags, Vec<(usize, String)>) {
        let (mut images, mut tags, mut notes) = (Vec::new(), Tags::default(), Vec::new());
        for (line, text) in texts(self.with("tags")) {
            for text in text.split(',').map(str::trim).filter(|text| !text.is_empty()) {
                let metadata = self.metadata(text);
                if let Some(inputs) = metadata {
                    for (line, image) in texts(inputs.get("images")) {
                        self.image(&image, line, &mut images, &mut notes);
                    }
                    tags = Tags::of_metadata(inputs);
                    continue;
                }
                match self.template(text) {
                    Ok(name) => {
                        let (image, tag) = image_and_tag(&name);
                        if !images.iter().any(|known| known == image) {
                            images.push(image.to_owned());
                        }
                        tags.add(tag.unwrap_or("latest"));
                    }
                    Err(unknown) => {
                        notes.push((line, format!("the tag `{text}` is left out: `{unknown}` is not known here")))
                    }
                }
            }
        }
        (images, tags, notes)
    }

    fn image(&self, text: &str, line: usize, images: &mut Vec<String>, notes: &mut Vec<(usize, String)>) {
        let name = text.strip_prefix("name=").unwrap_or(text).split(',').next().unwrap_or_default();
        match self.template(name) {
            Ok(name) => images.push(name),
            Err(unknown) => {
                notes.push((line, format!("the image `{text}` is left out: `{unknown}` is not known here")))
            }
        }
    }

    /// Returns the inputs of the metadata step whose output a text is.
    fn metadata(&self, text: &str) -> Option<&Node> {
        let id = text.strip_prefix("${{")?.trim().strip_prefix("steps.")?.split('.').next()?;
        let is_it = |step: &&Node| uses(step, METADATA) && step.get("id").and_then(Node::written) == Some(id);
        self.steps.iter().find(is_it)?.get("with")
    }

    fn making(&self, notes: &mut Vec<(usize, String)>) -> Making {
        let mut making = Making {
            paths: self.triggers.paths.clone(),
            schedules: self.triggers.schedules.clone(),
            ..Making::default()
        };
        let inputs = self.step.get("with").map(Node::pairs).unwrap_or_default();
        for (key, node) in inputs {
            let line = node.line;
            let mut text = |line: usize, text: String| match self.template(&text) {
                Ok(text) => Some(text),
                Err(unknown) => {
                    notes.push((line, format!("`{key}: {text}`: `{unknown}` is not known here")));
                    None
                }
            };
            let value = node.scalar().unwrap_or_default();
            match key.as_str() {
                "tags" => {}
                "context" => making.context = text(line, value),
                "file" => making.dockerfile = text(line, value),
                "target" => making.target = text(line, value),
                "no-cache" => making.no_cache = value == "true",
                "platforms" => {
                    let all =
                        texts(Some(node)).into_iter().filter_map(|(line, value)| text(line, value)).collect::<Vec<_>>();
                    making.platforms =
                        all.iter().flat_map(|list| list.split(',')).map(|one| one.trim().to_owned()).collect();
                }
                "build-args" => {
                    for (line, pair) in texts(Some(node)) {
                        let Some((name, value)) = pair.split_once('=') else { continue };
                        let value =
                            if value.contains("${{") { text(line, value.to_owned()) } else { Some(escaped(value)) };
                        value.map(|value| making.build_args.insert(name.to_owned(), value));
                    }
                }
                "secrets" | "secret-files" | "secret-envs" => {
                    notes.push((
                        line,
                        format!("`{key}`: set each with `slipway secret set`, and name it in `secrets` of the rules"),
                    ));
                }
                known if NEEDLESS.contains(&known) => {}
                other => notes.push((line, format!("`{other}` of the build has nothing like it in a rule"))),
            }
        }
        making
    }
}

#[cfg(test)]
mod tests {
    use super::super::repository::Asked;
    use super::*;
    use serde_json::{Value, json};
    use webhook::Configuration;

    const WORKFLOW: &str = r#"
on:
  push:
    branches: [main, "release/**"]
    tags: ["v*"]
    paths: [src/**]
  pull_request:
  schedule:
    - cron: "0 3 * * *"
  workflow_run:
env:
  REGISTRY: ghcr.io
jobs:
  docker:
    steps:
      - uses: actions/checkout@v4
      - id: meta
        uses: docker/metadata-action@v5
        with:
          images: |
            ${{ env.REGISTRY }}/${{ github.repository }}
            acme/app
          tags: |
            type=ref,event=branch
            type=semver,pattern={{version}}
            type=semver,pattern={{major}}.{{minor}}
            type=sha
            type=raw,value=latest,enable={{is_default_branch}}
            type=pep440,pattern={{version}}
      - uses: docker/build-push-action@v6
        with:
          context: app
          file: app/docker/Dockerfile
          push: true
          platforms: linux/amd64,linux/arm64
          tags: ${{ steps.meta.outputs.tags }}
          build-args: |
            COMMIT=${{ github.sha }}
            JSON={"a": 1}
            TOKEN=${{ secrets.TOKEN }}
          ulimit: nofile=1:1
"#;

    fn imported(text: &str) -> (String, Value) {
        let document = bake::yaml::parse("ci.yml", text).unwrap();
        let asked = Asked { clone_url: Some("https://github.com/Acme/App.git".to_owned()), image: None };
        let repositories = read("ci.yml", &document, &asked).unwrap();
        let toml: String = repositories.iter().map(|repository| repository.to_toml().unwrap()).collect();
        Configuration::parse(&toml, std::path::Path::new(".")).unwrap_or_else(|error| panic!("{error}: {toml}"));
        let read: Value = toml::from_str(&toml).unwrap();
        (toml, read["repositories"][0].clone())
    }

    #[test]
    fn triggers_and_tags_are_rules() {
        let (toml, repository) = imported(WORKFLOW);
        assert_eq!(repository["image"], "ghcr.io/acme/app");
        assert_eq!(repository["pull_requests"], "own");
        let rules = repository["rules"].as_array().unwrap();
        let sources: Vec<_> =
            rules.iter().map(|rule| rule.get("branch").or(rule.get("tag")).unwrap().clone()).collect();
        let refs = ["main", "/^release/.*$/", "/^v[^/]*$/"];
        assert_eq!(json!(sources), json!([refs, refs].concat()), "the rules of each image");
        assert_eq!((rules[2].get("image"), &rules[3]["image"]), (None, &json!("docker.io/acme/app")));
        assert_eq!(rules[0]["tags"], json!(["{branch}", "sha-{sha7}", "{default_branch?latest}"]));
        assert_eq!(rules[2]["tags"], json!(["{semver}", "{semver.major}.{semver.minor}", "sha-{sha7}", "latest"]));
        assert_eq!((&rules[0]["context"], &rules[0]["dockerfile"]), (&json!("app"), &json!("docker/Dockerfile")));
        assert_eq!(rules[0]["build_args"], json!({ "COMMIT": "{sha}", "JSON": "{{\"a\": 1}}" }));
        assert_eq!((&rules[0]["schedules"], rules[1].get("schedules")), (&json!(["0 3 * * *"]), None));
        assert_eq!(rules[0]["platforms"], json!(["linux/amd64", "linux/arm64"]));
        for note in [
            "ci.yml:10: `workflow_run` starts nothing",
            "ci.yml:29: the tag `type=pep440",
            "ci.yml:40: `build-args: ${{ secrets.TOKEN }}`: `${{ secrets.TOKEN }}` is not known here",
            "`ulimit` of the build has nothing",
            "the short versions also move for a pre-release",
        ] {
            assert!(toml.lines().any(|line| line.starts_with("# ci.yml") && line.contains(note)), "{note}:\n{toml}");
        }
    }

    #[test]
    fn a_version_with_its_short_forms_is_one_template() {
        let text = WORKFLOW.replace("type=sha\n", "type=semver,pattern={{major}}\n");
        let rules = imported(&text).1["rules"].clone();
        assert_eq!(rules[2]["tags"], json!(["{semver.*}", "latest"]));
    }

    #[test]
    fn tags_may_stand_in_the_build_itself() {
        let text = "on: push\njobs:\n  a:\n    steps:\n      - uses: docker/build-push-action@v6\n        with:\n          tags: acme/app:latest,acme/app:${{ github.sha }},acme/app:${{ matrix.x }}\n";
        let (toml, repository) = imported(text);
        assert_eq!(repository["rules"][0], json!({ "branch": "/.*/", "tags": ["latest", "{sha}"] }));
        assert_eq!(repository["rules"][1]["tag"], "/.*/");
        assert!(toml.contains("# ci.yml:7: the tag `acme/app:${{ matrix.x }}` is left out"), "{toml}");
    }
}
