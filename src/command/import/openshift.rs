//! OpenShift's BuildConfig, alone or in a list.

use super::repository::{Asked, Making, Repository};
use super::texts::{escaped, image_and_tag};
use bake::yaml::Node;

/// Tells whether JSON is of OpenShift.
pub(crate) fn is_json(json: &serde_json::Value) -> bool {
    matches!(json["kind"].as_str(), Some("BuildConfig" | "List")) && json.get("apiVersion").is_some()
}

/// Reads a document: one repository for each BuildConfig.
pub(crate) fn read(file: &str, document: &Node, asked: &Asked) -> Result<Vec<Repository>, String> {
    let items = document.get("items").map_or(std::slice::from_ref(document), Node::list);
    let configs = items.iter().filter(|item| text(item, &["kind"]).as_deref() == Some("BuildConfig"));
    configs.map(|config| one(file, config, asked)).collect()
}

fn find<'n>(node: &'n Node, path: &[&str]) -> Option<&'n Node> {
    path.iter().try_fold(node, |node, key| node.get(key))
}

fn text(node: &Node, path: &[&str]) -> Option<String> {
    find(node, path)?.scalar()
}

fn one(file: &str, config: &Node, asked: &Asked) -> Result<Repository, String> {
    let clone_url = text(config, &["spec", "source", "git", "uri"]);
    let output = find(config, &["spec", "output", "to"]);
    let (kind, name) = (output.and_then(|to| text(to, &["kind"])), output.and_then(|to| text(to, &["name"])));
    let name = name.unwrap_or_default();
    let (image, tag) = image_and_tag(&name);
    let pushed = (kind.as_deref() == Some("DockerImage")).then(|| image.to_owned());
    let mut repository = Repository::new(file, asked, clone_url, pushed)?;
    let line = config.line;
    let Some(strategy) = find(config, &["spec", "strategy"]) else {
        return Err(format!("{file}:{line}: the BuildConfig has no strategy"));
    };
    let Some(docker) = strategy.get("dockerStrategy") else {
        let text = "only dockerStrategy can be built: it needs a Dockerfile";
        return Err(format!("{file}:{}: {text}", strategy.line));
    };
    let mut making = Making {
        context: text(config, &["spec", "source", "contextDir"]),
        no_cache: text(docker, &["noCache"]).as_deref() == Some("true"),
        ..Making::default()
    };
    // The path of the Dockerfile begins at the context.
    let context = making.context.clone().map(|context| format!("{}/", context.trim_matches('/'))).unwrap_or_default();
    making.dockerfile = text(docker, &["dockerfilePath"]).map(|path| format!("{context}{path}"));
    for key in ["buildArgs", "env"] {
        for pair in docker.get(key).map(Node::list).unwrap_or_default() {
            match (text(pair, &["name"]), text(pair, &["value"])) {
                (Some(name), Some(value)) => drop(making.build_args.insert(name, escaped(&value))),
                _ => repository
                    .note(pair.line, format!("a value of `{key}` comes from elsewhere: set it in `build_args`")),
            }
        }
    }
    if let Some(from) = docker.get("from") {
        repository.note(from.line, "`from` takes the place of the last FROM: write it into the Dockerfile");
    }
    for (key, why) in [
        ("secrets", "secrets of the source"),
        ("images", "files of other images"),
        ("dockerfile", "a Dockerfile of its own"),
    ] {
        if let Some(node) = find(config, &["spec", "source", key]) {
            repository.note(node.line, format!("{why} (`source.{key}`) cannot be in a rule"));
        }
    }
    let branch = text(config, &["spec", "source", "git", "ref"]).unwrap_or_else(|| "main".to_owned());
    let tags = [tag.unwrap_or("latest").to_owned()];
    let mut rule = making.rule("branch", &branch, &tags);
    let triggers = find(config, &["spec", "triggers"]).map(Node::list).unwrap_or_default();
    let kinds: Vec<String> = triggers.iter().filter_map(|trigger| text(trigger, &["type"])).collect();
    if !kinds.iter().any(|kind| matches!(kind.as_str(), "GitHub" | "GitLab" | "Bitbucket" | "Generic")) {
        rule["autobuild"] = false.into();
    }
    if kinds.iter().any(|kind| kind == "ImageChange") {
        repository.others.insert("base_image_rebuild".to_owned(), true.into());
    }
    repository.rules.push(rule);
    if let Some(hook) = find(config, &["spec", "postCommit"]) {
        repository.note(hook.line, "`postCommit`: a stage of the Dockerfile that the image copies from can do it");
    }
    Ok(repository)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_build_config_is_a_repository() {
        let text = r#"
apiVersion: build.openshift.io/v1
kind: BuildConfig
spec:
  source:
    git: {uri: "https://github.com/acme/app.git", ref: stable}
    contextDir: app
  strategy:
    dockerStrategy:
      dockerfilePath: deploy/Dockerfile
      noCache: true
      buildArgs: [{name: V, value: "1"}]
      from: {kind: ImageStreamTag, name: "base:latest"}
  output:
    to: {kind: DockerImage, name: "registry.example.com/acme/app:stable"}
  triggers: [{type: ConfigChange}, {type: ImageChange}, {type: GitHub}]
"#;
        let document = bake::yaml::parse("bc.yaml", text).unwrap();
        let toml = read("bc.yaml", &document, &Asked::default()).unwrap()[0].to_toml().unwrap();
        webhook::Configuration::parse(&toml, std::path::Path::new("."))
            .unwrap_or_else(|error| panic!("{error}: {toml}"));
        let read: Value = toml::from_str(&toml).unwrap();
        let one = &read["repositories"][0];
        assert_eq!(
            (&one["image"], &one["base_image_rebuild"]),
            (&json!("registry.example.com/acme/app"), &json!(true))
        );
        let expected = json!({ "branch": "stable", "tags": ["stable"], "context": "app", "dockerfile": "deploy/Dockerfile",
            "build_args": { "V": "1" }, "cache": false });
        assert_eq!(one["rules"], json!([expected]));
        assert!(toml.contains("# bc.yaml:13: `from` takes the place"), "{toml}");
        let other = text.replace("dockerStrategy", "sourceStrategy");
        let document = bake::yaml::parse("bc.yaml", &other).unwrap();
        assert!(
            super::read("bc.yaml", &document, &Asked::default())
                .unwrap_err()
                .starts_with("bc.yaml:9: only dockerStrategy")
        );
    }
}
