//! Quay's build triggers, as `/api/v1/repository/NAMESPACE/NAME/trigger/` answers.

use super::repository::{Asked, Making, Repository};
use super::texts::replaced;
use serde_json::Value;

/// Tells whether JSON is a list of Quay's triggers, or one.
pub(crate) fn is_quay(json: &Value) -> bool {
    let is_trigger = |trigger: &Value| trigger.get("service").is_some() && trigger.get("config").is_some();
    is_trigger(json) || json.get("triggers").and_then(Value::as_array).is_some_and(|list| list.iter().any(is_trigger))
}

/// Reads triggers: one repository.
pub(crate) fn read(file: &str, json: &Value, asked: &Asked) -> Result<Vec<Repository>, String> {
    let one = [json.clone()];
    let triggers = json.get("triggers").and_then(Value::as_array).map_or(one.as_slice(), Vec::as_slice);
    let mut repositories: Vec<Repository> = Vec::new();
    for trigger in triggers {
        let config = &trigger["config"];
        let text = |key: &str| config[key].as_str().filter(|text| !text.is_empty());
        let host = match trigger["service"].as_str() {
            Some("github") => Some("github.com"),
            Some("gitlab") => Some("gitlab.com"),
            Some("bitbucket") => Some("bitbucket.org"),
            _ => None,
        };
        let source = text("build_source");
        let url = host.zip(source).map(|(host, source)| format!("https://{host}/{source}.git"));
        let mut repository = Repository::new(file, asked, url.or(text("build_source").map(str::to_owned)), None)?;
        let making = Making {
            context: text("context").map(str::to_owned),
            dockerfile: text("dockerfile_path").map(str::to_owned),
            ..Making::default()
        };
        let tags = tags(config, &mut repository);
        for (kind, source) in sources(text("branchtag_regex"), &mut repository) {
            repository.rules.push(making.rule(kind, &source, &tags));
        }
        if trigger["enabled"] == Value::Bool(false) {
            repository.note(0, "the trigger is disabled: its rules build nothing by themselves");
            repository.rules.iter_mut().for_each(|rule| rule["autobuild"] = false.into());
        }
        match repositories.iter_mut().find(|known| known.clone_url == repository.clone_url) {
            Some(known) => {
                known.rules.append(&mut repository.rules);
                known.notes.append(&mut repository.notes);
            }
            None => repositories.push(repository),
        }
    }
    Ok(repositories)
}

/// Returns the kinds of refs that an expression is for, and the expression for each.
fn sources(expression: Option<&str>, repository: &mut Repository) -> Vec<(&'static str, String)> {
    let Some(expression) = expression else {
        return vec![("branch", "/.*/".to_owned()), ("tag", "/.*/".to_owned())];
    };
    let whole = expression.trim_start_matches('^').trim_end_matches('$');
    let whole = whole
        .strip_prefix("(?:")
        .or_else(|| whole.strip_prefix('('))
        .and_then(|inner| inner.strip_suffix(')'))
        .unwrap_or(whole);
    let mut sources = Vec::new();
    for part in whole.split('|') {
        let part = part.trim_start_matches('^').trim_end_matches('$');
        let part = part.strip_prefix("refs/").unwrap_or(part);
        let (kind, name) = match (part.strip_prefix("heads/"), part.strip_prefix("tags/")) {
            (Some(name), _) => ("branch", name),
            (_, Some(name)) => ("tag", name),
            _ => {
                repository.note(0, format!("branchtag_regex `{expression}`: only heads/… and tags/… are understood"));
                continue;
            }
        };
        let is_name = name.chars().all(|char| char.is_ascii_alphanumeric() || "-_/".contains(char));
        sources.push((kind, if is_name { name.to_owned() } else { format!("/^{name}$/") }));
    }
    sources
}

fn tags(config: &Value, repository: &mut Repository) -> Vec<String> {
    let mut tags = Vec::new();
    if config["default_tag_from_ref"] != Value::Bool(false) {
        tags.push("{sourceref}".to_owned());
    }
    if config["latest_for_default_branch"] == Value::Bool(true) {
        tags.push("{default_branch?latest}".to_owned());
    }
    for template in config["tag_templates"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let known = replaced(template, "${", "}", &|name| {
            let template = match name {
                "parsed_ref.branch" => "{branch}",
                "parsed_ref.tag" => "{tag}",
                "commit_info.short_sha" | "short_sha" => "{sha7}",
                "commit" | "commit_info.sha" => "{sha}",
                "default_branch" => "{default_branch}",
                _ => return None,
            };
            Some(template.to_owned())
        });
        match known {
            Ok(tag) => tags.push(tag),
            Err(unknown) => {
                repository.note(0, format!("the tag `{template}` is left out: `{unknown}` is not known here"))
            }
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn triggers_are_rules() {
        let triggers = json!({ "triggers": [{ "service": "github", "enabled": true, "config": {
            "build_source": "acme/app", "dockerfile_path": "/docker/Dockerfile", "context": "/",
            "branchtag_regex": "heads/main|tags/v.*", "default_tag_from_ref": true, "latest_for_default_branch": true,
            "tag_templates": ["${commit_info.short_sha}", "${commit_info.author.name}"] } }] });
        assert!(is_quay(&triggers));
        let asked = Asked { clone_url: None, image: Some("quay.io/acme/app".to_owned()) };
        let toml = read("t.json", &triggers, &asked).unwrap()[0].to_toml().unwrap();
        webhook::Configuration::parse(&toml, std::path::Path::new("."))
            .unwrap_or_else(|error| panic!("{error}: {toml}"));
        let read: Value = toml::from_str(&toml).unwrap();
        let tags = json!(["{sourceref}", "{default_branch?latest}", "{sha7}"]);
        let rule = |kind: &str, source: &str| json!({ kind: source, "tags": tags, "context": "/", "dockerfile": "docker/Dockerfile" });
        assert_eq!(read["repositories"][0]["rules"], json!([rule("branch", "main"), rule("tag", "/^v.*$/")]));
        assert!(toml.contains("`${commit_info.author.name}` is not known here"), "{toml}");
    }
}
