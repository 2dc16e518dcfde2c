//! Jobs of GitLab CI that call `docker build`, `buildah` or kaniko: the command line says how, the job's conditions when.

use super::repository::{Asked, Making, Repository};
use super::texts::{escaped, image_and_tag, texts, with_variables, words};
use bake::yaml::{Content, Node};
use std::collections::BTreeMap;

/// Flags of builders that stand alone.
const SWITCHES: [&str; 13] = [
    "--push",
    "--pull",
    "--no-cache",
    "--load",
    "--rm",
    "--quiet",
    "-q",
    "--cache",
    "--cleanup",
    "--single-snapshot",
    "--reproducible",
    "--use-new-run",
    "--squash",
];

/// Flags with a value that need no rule.
const NEEDLESS: [&str; 8] =
    ["--cache-from", "--cache-to", "--cache-repo", "--progress", "--builder", "--network", "--provenance", "--label"];

/// Reads a pipeline: one repository for each image that a job builds.
pub(crate) fn read(file: &str, document: &Node, asked: &Asked) -> Result<Vec<Repository>, String> {
    let mut repositories: Vec<Repository> = Vec::new();
    for (name, job) in document.pairs().iter().filter(|(_, job)| job.get("script").is_some()) {
        let reader = Job { file, name, job, asked, variables: variables(&[document, job]) };
        for (line, command) in commands(job.get("script")) {
            let words = words(&command);
            let Some(arguments) = arguments(&words) else { continue };
            let found = reader.repository(line, arguments)?;
            found.join(&mut repositories);
        }
    }
    Ok(repositories)
}

/// Returns the commands of a script, each on one line.
fn commands(script: Option<&Node>) -> Vec<(usize, String)> {
    let entries = match script.map(|node| &node.content) {
        Some(Content::List(list)) => list.iter().filter_map(|node| Some((node.line, node.scalar()?))).collect(),
        _ => script.and_then(|node| Some(vec![(node.line, node.scalar()?)])).unwrap_or_default(),
    };
    let split = entries.into_iter().flat_map(|(line, text): (usize, String)| {
        let mut commands = Vec::new();
        let mut begins = line;
        // A backslash at the end of a line joins it with the next.
        for command in text.replace("\\\n", "\u{1}").split('\n') {
            let one_line = command.replace('\u{1}', " ");
            let parts = one_line.split(';').flat_map(|part| part.split("&&"));
            commands.extend(parts.map(|part| (begins, part.to_owned())));
            begins += 1 + command.matches('\u{1}').count();
        }
        commands
    });
    split.collect()
}

/// Returns the arguments of a command that builds an image.
fn arguments(words: &[String]) -> Option<&[String]> {
    let word = |at: usize| words.get(at).map_or("", String::as_str);
    match (word(0), word(1), word(2)) {
        ("docker" | "podman", "buildx" | "image", "build") => words.get(3..),
        ("docker" | "podman", "build", _) | ("buildah", "build" | "bud", _) => words.get(2..),
        (program, ..) if program.ends_with("/executor") || program == "executor" => words.get(1..),
        _ => None,
    }
}

fn variables(nodes: &[&Node]) -> BTreeMap<String, String> {
    let pairs = nodes.iter().filter_map(|node| node.get("variables")).flat_map(Node::pairs);
    let value = |node: &Node| node.scalar().or_else(|| node.get("value")?.scalar());
    pairs.filter_map(|(name, node)| Some((name.clone(), value(node)?))).collect()
}

/// A job of a pipeline.
struct Job<'j> {
    file: &'j str,
    name: &'j str,
    job: &'j Node,
    asked: &'j Asked,
    variables: BTreeMap<String, String>,
}

impl Job<'_> {
    /// Returns a variable's template.
    fn variable(&self, name: &str, depth: usize) -> Option<String> {
        let path = || {
            let url = self.asked.clone_url.as_deref()?;
            let path = url.split_once("gitlab.com").map(|(_, path)| path.trim_matches([':', '/']));
            path.map(|path| path.trim_end_matches(".git").to_lowercase())
        };
        let template = match name {
            "CI_COMMIT_SHA" => "{sha}",
            // GitLab's has a digit more.
            "CI_COMMIT_SHORT_SHA" => "{sha7}",
            "CI_COMMIT_REF_NAME" => "{sourceref}",
            "CI_COMMIT_REF_SLUG" => "{sourceref|slug}",
            "CI_COMMIT_TAG" => "{tag}",
            "CI_COMMIT_BRANCH" => "{branch}",
            "CI_DEFAULT_BRANCH" => "{default_branch}",
            "CI_PIPELINE_IID" | "CI_PIPELINE_ID" => "{number}",
            "CI_PROJECT_DIR" => ".",
            "CI_REGISTRY" => "registry.gitlab.com",
            "CI_REGISTRY_IMAGE" => {
                return self.asked.image.clone().or_else(|| Some(format!("registry.gitlab.com/{}", path()?)));
            }
            "CI_PROJECT_PATH" => return path(),
            other if depth < 4 => {
                let value = self.variables.get(other)?;
                return with_variables(value, &|name| self.variable(name, depth + 1)).ok();
            }
            _ => return None,
        };
        Some(template.to_owned())
    }

    fn template(&self, text: &str) -> Result<String, String> {
        with_variables(text, &|name| self.variable(name, 0))
    }

    fn repository(&self, line: usize, arguments: &[String]) -> Result<Repository, String> {
        let mut command = Command::default();
        command.read(line, arguments, self);
        let image = command.images.first().cloned();
        let mut repository = Repository::new(self.file, self.asked, None, image.clone())?;
        repository.notes.append(&mut command.notes);
        if command.tags.is_empty() {
            command.tags.push("latest".to_owned());
        }
        if command.tags.iter().any(|tag| tag.contains("{sha7}")) {
            repository.note(line, "{sha7} has seven digits of the commit, CI_COMMIT_SHORT_SHA has eight");
        }
        for (kind, source) in self.sources(&mut repository) {
            repository.rules.push(command.making.rule(kind, &source, &command.tags));
        }
        command.images.iter().skip(1).for_each(|other| repository.also_to(other));
        Ok(repository)
    }

    /// Returns the refs for which the job runs.
    fn sources(&self, repository: &mut Repository) -> Vec<(&'static str, String)> {
        let every = || vec![("branch", "/.*/".to_owned()), ("tag", "/.*/".to_owned())];
        if let Some(except) = self.job.get("except") {
            repository.note(except.line, "`except`: a rule cannot exclude refs");
        }
        if let Some(rules) = self.job.get("rules") {
            let mut sources = Vec::new();
            for rule in rules.list() {
                let condition = rule.get("if").and_then(Node::scalar).unwrap_or_default();
                if rule.get("when").and_then(Node::written) == Some("never") {
                    repository
                        .note(rule.line, format!("`if: {condition}` with `when: never`: a rule cannot exclude refs"));
                    continue;
                }
                sources.extend(condition_sources(&condition, rule.line, repository));
            }
            return sources;
        }
        let Some(only) = self.job.get("only") else { return every() };
        let refs = only.get("refs").unwrap_or(only);
        let mut sources = Vec::new();
        for (line, name) in texts(Some(refs)) {
            match name.as_str() {
                "branches" => sources.push(("branch", "/.*/".to_owned())),
                "tags" => sources.push(("tag", "/.*/".to_owned())),
                "merge_requests" => drop(repository.others.insert("pull_requests".to_owned(), "own".into())),
                "schedules" | "web" | "api" | "triggers" | "pipelines" => {
                    repository.note(line, format!("`only: {name}` of `{}` is not a push", self.name));
                }
                name if name.starts_with('/') => {
                    sources.extend([("branch", name.to_owned()), ("tag", name.to_owned())]);
                }
                name => sources.push(("branch", name.to_owned())),
            }
        }
        sources
    }
}

/// Returns the refs for which a condition holds.
fn condition_sources(condition: &str, line: usize, repository: &mut Repository) -> Vec<(&'static str, String)> {
    let words: Vec<&str> = condition.split_whitespace().collect();
    let text = |word: &str| word.trim_matches(['"', '\'']).to_owned();
    match words.as_slice() {
        [] => vec![("branch", "/.*/".to_owned()), ("tag", "/.*/".to_owned())],
        ["$CI_COMMIT_TAG"] => vec![("tag", "/.*/".to_owned())],
        ["$CI_COMMIT_BRANCH"] => vec![("branch", "/.*/".to_owned())],
        ["$CI_COMMIT_BRANCH", "==", "$CI_DEFAULT_BRANCH"] => {
            repository.note(line, "`main` is taken for the default branch");
            vec![("branch", "main".to_owned())]
        }
        ["$CI_COMMIT_BRANCH" | "$CI_COMMIT_REF_NAME", "==", name] if !name.starts_with('$') => {
            vec![("branch", text(name))]
        }
        ["$CI_COMMIT_TAG", "=~", pattern] if pattern.ends_with('/') => vec![("tag", (*pattern).to_owned())],
        ["$CI_COMMIT_BRANCH" | "$CI_COMMIT_REF_NAME", "=~", pattern] if pattern.ends_with('/') => {
            vec![("branch", (*pattern).to_owned())]
        }
        ["$CI_PIPELINE_SOURCE", "==", source] if text(source) == "merge_request_event" => {
            repository.others.insert("pull_requests".to_owned(), "own".into());
            Vec::new()
        }
        _ => {
            repository.note(line, format!("the condition `{condition}` is not known here"));
            Vec::new()
        }
    }
}

/// A command line that builds an image.
#[derive(Default)]
struct Command {
    images: Vec<String>,
    tags: Vec<String>,
    making: Making,
    notes: Vec<(usize, String)>,
}

impl Command {
    fn read(&mut self, line: usize, arguments: &[String], job: &Job<'_>) {
        let mut rest = arguments.iter().map(String::as_str).peekable();
        while let Some(word) = rest.next() {
            if !word.starts_with('-') {
                self.place(line, word, job);
                continue;
            }
            let (flag, value) = word.split_once('=').map_or((word, None), |(flag, value)| (flag, Some(value)));
            if SWITCHES.contains(&flag) {
                self.making.no_cache |= flag == "--no-cache" && value != Some("false");
                continue;
            }
            let value = value.or_else(|| rest.next_if(|next| !next.starts_with('-'))).unwrap_or_default();
            self.flag(line, flag, value, job);
        }
    }

    fn flag(&mut self, line: usize, flag: &str, value: &str, job: &Job<'_>) {
        if NEEDLESS.contains(&flag) {
            return;
        }
        let text = match job.template(value) {
            Ok(text) => text,
            Err(unknown) => {
                self.notes.push((line, format!("`{flag} {value}` is left out: `{unknown}` is not known here")));
                return;
            }
        };
        match flag {
            "-t" | "--tag" | "--destination" | "-d" => {
                let (image, tag) = image_and_tag(&text);
                if !self.images.iter().any(|known| known == image) {
                    self.images.push(image.to_owned());
                }
                let tag = tag.unwrap_or("latest").to_owned();
                if !self.tags.contains(&tag) {
                    self.tags.push(tag);
                }
            }
            "-f" | "--file" | "--dockerfile" => self.making.dockerfile = Some(text),
            "-c" | "--context" => self.place(line, value, job),
            "--target" => self.making.target = Some(text),
            "--platform" | "--custom-platform" | "--customPlatform" => {
                self.making.platforms.extend(text.split(',').map(str::to_owned));
            }
            "--build-arg" => match value.split_once('=') {
                Some((name, plain)) => {
                    let value = if plain.contains('$') {
                        text.split_once('=').map_or("", |(_, value)| value).to_owned()
                    } else {
                        escaped(plain)
                    };
                    self.making.build_args.insert(name.to_owned(), value);
                }
                None => self.notes.push((
                    line,
                    format!("`--build-arg {value}` takes its value from the job: set it in `build_args`"),
                )),
            },
            other => self.notes.push((line, format!("`{other}` of the build has nothing like it in a rule"))),
        }
    }

    fn place(&mut self, line: usize, word: &str, job: &Job<'_>) {
        match job.template(word) {
            Ok(place) => self.making.context = Some(place.trim_start_matches("dir://").to_owned()),
            Err(unknown) => self.notes.push((line, format!("the context `{word}`: `{unknown}` is not known here"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn imported(text: &str) -> (String, Value) {
        let document = bake::yaml::parse(".gitlab-ci.yml", text).unwrap();
        let asked = Asked { clone_url: Some("https://gitlab.com/Acme/App.git".to_owned()), image: None };
        let toml = read(".gitlab-ci.yml", &document, &asked).unwrap()[0].to_toml().unwrap();
        webhook::Configuration::parse(&toml, std::path::Path::new("."))
            .unwrap_or_else(|error| panic!("{error}: {toml}"));
        let read: Value = toml::from_str(&toml).unwrap();
        (toml, read["repositories"][0].clone())
    }

    #[test]
    fn a_job_that_calls_docker_is_rules() {
        let (toml, one) = imported(
            r#"
variables: {IMAGE: "$CI_REGISTRY_IMAGE/web"}
build:
  script:
    - docker login -u x
    - docker build --pull -t "$IMAGE:$CI_COMMIT_REF_SLUG" -t $IMAGE:${CI_COMMIT_SHORT_SHA} --build-arg V=1 --build-arg T=$TOKEN -f web/Dockerfile --ssh default web && docker push $IMAGE
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
    - if: $CI_COMMIT_TAG =~ /^v/
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
    - if: $SOMETHING
"#,
        );
        assert_eq!((&one["image"], &one["pull_requests"]), (&json!("registry.gitlab.com/acme/app/web"), &json!("own")));
        let rule = |kind: &str, source: &str| json!({ kind: source, "tags": ["{sourceref|slug}", "{sha7}"], "context": "web", "build_args": { "V": "1" } });
        assert_eq!(one["rules"], json!([rule("branch", "main"), rule("tag", "/^v/")]));
        for note in [
            ":6: `--build-arg T=$TOKEN` is left out: `$TOKEN`",
            ":6: `--ssh` of the build",
            ":11: the condition `$SOMETHING`",
        ] {
            assert!(toml.contains(&format!("# .gitlab-ci.yml{note}")), "{note}:\n{toml}");
        }
    }

    #[test]
    fn jobs_for_several_images_are_rules_of_one_repository() {
        let (toml, one) = imported(
            "web:\n  script: [docker build -t registry.gitlab.com/acme/app/web:1 -t acme/web web]\n  only: [main]\napi:\n  script: [docker build -t registry.gitlab.com/acme/app/api:1 api]\n  only: [main]\n",
        );
        assert_eq!(toml.matches("[[repositories]]").count(), 1, "{toml}");
        let images: Vec<&Value> = one["rules"].as_array().unwrap().iter().map(|rule| &rule["image"]).collect();
        assert_eq!(
            (&one["image"], one["rules"][0].get("image")),
            (&json!("registry.gitlab.com/acme/app/web"), None),
            "{toml}"
        );
        assert_eq!(json!(images[1..]), json!(["docker.io/acme/web", "registry.gitlab.com/acme/app/api"]), "{toml}");
    }

    #[test]
    fn a_job_with_kaniko_is_rules() {
        let (_, one) = imported(
            "build:\n  image: gcr.io/kaniko-project/executor:debug\n  script:\n    - /kaniko/executor\n      --context \"${CI_PROJECT_DIR}\"\n      --dockerfile \"${CI_PROJECT_DIR}/deploy/Dockerfile\"\n      --destination \"${CI_REGISTRY_IMAGE}:${CI_COMMIT_TAG}\"\n  only: [tags, develop]\n",
        );
        let rule = |kind: &str, source: &str| json!({ kind: source, "tags": ["{tag}"], "context": "/", "dockerfile": "deploy/Dockerfile" });
        assert_eq!(one["rules"], json!([rule("tag", "/.*/"), rule("branch", "develop")]));
    }
}
