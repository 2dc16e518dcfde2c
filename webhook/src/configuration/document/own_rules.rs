//! A repository's own `slipway.toml`: rules, and nothing that only the operator may give.

use super::compile::{RuleDefaults, rules};
use super::model::{PolicyText, RuleDocument};
use super::read::from_toml;
use crate::configuration::settings::Repository;
use crate::people::path_matches;
use crate::rules::{Rule, is_at_or_below};
use serde::Deserialize;

/// Largest file that is read.
const MAX_FILE: usize = 256 * 1024;

/// The file as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub(crate) struct OwnFile {
    /// Version of the schema: 1.
    version: Option<u32>,
    /// Where images go; must be what the server says, or below it, or one that it allows.
    image: Option<String>,
    #[serde(alias = "run_policy")]
    policy: Option<PolicyText>,
    rules: Vec<RuleDocument>,
}

/// Reads the file of `repository`; returns the image's name and the rules.
pub(crate) fn own_rules(repository: &Repository, text: &str) -> Result<(String, Vec<Rule>), String> {
    if text.len() > MAX_FILE {
        return Err(format!("the file has {} bytes, at most {MAX_FILE} are read", text.len()));
    }
    let file: OwnFile = from_toml(text).map_err(|error| error.to_string())?;
    if let Some(version) = file.version.filter(|version| *version != 1) {
        return Err(format!("version {version} of the schema is unknown: this slipway reads version 1"));
    }
    let image = file.image.unwrap_or_else(|| repository.image.clone());
    crate::rules::check_image(&image)?;
    check_allowed(repository, &image)?;
    let defaults = RuleDefaults { policy: file.policy, submodules: Some(repository.submodules) };
    let rules = rules(&file.rules, &defaults)?;
    let granted = repository.own_rules.as_ref().map(|own| own.secrets.as_slice()).unwrap_or_default();
    for rule in &rules {
        let place = |problem| format!("rule `{}`: {problem}", rule.name);
        rule.image.iter().try_for_each(|image| check_allowed(repository, image)).map_err(place)?;
        if let Some(name) = rule.options.secrets.iter().find(|name| !granted.contains(name)) {
            return Err(format!(
                "rule `{}`: the secret `{name}` is not granted to this file: the server's `own_rules.secrets` lists what is",
                rule.name
            ));
        }
    }
    Ok((image, rules))
}

/// Refuses an image that the operator did not allow: what a file names is pushed with the server's login.
fn check_allowed(repository: &Repository, image: &str) -> Result<(), String> {
    let patterns = repository.own_rules.as_ref().map(|own| own.images.as_slice()).unwrap_or_default();
    if is_at_or_below(image, &repository.image) || patterns.iter().any(|pattern| path_matches(pattern, image)) {
        return Ok(());
    }
    Err(format!(
        "image `{image}` is not what the server allows: `{}`, a name below it, or what the server's `own_rules.images` lists",
        repository.image
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{RepositoryDocument, compile};
    use super::*;

    fn repository() -> Repository {
        let text = r#"{"name":"team/app","clone_url":"https://x/y.git","image":"r.example.com/team/app",
                       "own_rules":{"secrets":["npm"],"images":["r.example.com/mono/*"]}}"#;
        let document: RepositoryDocument = super::super::from_json(text.as_bytes()).unwrap();
        compile(&document, Vec::new()).unwrap()
    }

    #[test]
    fn the_documented_file_is_read() {
        let text = r#"
            version = 1
            image = "r.example.com/team/app"
            run_policy = "SerialLatestOnly"
            [[rules]]
            branch = "main"
            tags = ["latest", "{sha7}"]
            [[rules]]
            tag = '/^v([0-9]+)\.([0-9]+)\.([0-9]+)$/'
            tags = ['{sourceref}', '{\1}.{\2}', '{\1}']
            [[rules]]
            branch = '/^feature\/(.+)$/'
            tags = ['pr-{\1}']
            dockerfile = "deploy/Dockerfile"
            context = "/"
            build_args = { COMMIT = "{sha}" }
            paths = ["svc/**"]
        "#;
        let (image, rules) = own_rules(&repository(), text).unwrap();
        assert_eq!((image.as_str(), rules.len()), ("r.example.com/team/app", 3));
        assert!(rules.iter().all(|rule| rule.options.policy == database::Policy::LatestOnly));
        assert_eq!((rules[2].dockerfile.as_str(), rules[2].context.as_str()), ("deploy/Dockerfile", ""));
    }

    #[test]
    fn the_file_cannot_take_what_it_was_not_given() {
        let rule = "[[rules]]\nbranch = \"main\"\n";
        let cases = [
            ("image = \"r.example.com/team/app2\"\n".to_owned(), "not what the server allows"),
            ("image = \"evil.example.com/team/app\"\n".to_owned(), "not what the server allows"),
            ("image = \"r.example.com/team/app/../x\"\n".to_owned(), "no tag"),
            (
                format!("{rule}image = \"r.example.com/team/app2\"\n"),
                "rule `rule-1`: image `r.example.com/team/app2` is not",
            ),
            (format!("{rule}image = \"r.example.com/mono/a/b\"\n"), "not what the server allows"),
            (format!("{rule}image = \"r.example.com/mono/a:1\"\n"), "no tag"),
            (format!("{rule}secrets = [\"deploy\"]\n"), "`deploy` is not granted"),
            ("clone_url = \"https://other\"\n".to_owned(), "unknown key `clone_url`"),
            // Whether strangers' code runs here is the operator's to say.
            ("pull_requests = \"all\"\n".to_owned(), "unknown key `pull_requests`"),
            ("pull_requests_need_approval = false\n".to_owned(), "unknown key `pull_requests_need_approval`"),
            // Nor whom this server sends requests to.
            ("[[webhooks]]\nurl = \"https://x\"\n".to_owned(), "unknown key `webhooks`"),
            ("version = 2\n".to_owned(), "reads version 1"),
            ("x".repeat(MAX_FILE + 1), "at most"),
        ];
        for (text, expected) in cases {
            let error = own_rules(&repository(), &text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        own_rules(&repository(), &format!("{rule}secrets = [\"npm\"]\n")).unwrap();
        own_rules(&repository(), "image = \"r.example.com/team/app/web\"\n").unwrap();
        let named = format!(
            "{rule}image = \"r.example.com/mono/web\"\n[[rules]]\nbranch = \"main\"\nimage = \"r.example.com/team/app/x\"\n"
        );
        let images = own_rules(&repository(), &named).unwrap().1.into_iter().map(|rule| rule.image.unwrap());
        assert_eq!(images.collect::<Vec<_>>(), ["r.example.com/mono/web", "r.example.com/team/app/x"]);
    }
}
