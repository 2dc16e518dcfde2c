//! Docker Hub's examples, and what they leave open.

use super::*;
use std::collections::BTreeMap;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Type, source, template, pushed ref, and the tags that result.
type Case = (RefKind, &'static str, &'static str, &'static str, Option<&'static [&'static str]>);

fn rule(kind: RefKind, source: &str, template: &str) -> Rule {
    Rule::new("r", kind, source, &[template.to_owned()]).unwrap()
}

fn tags(kind: RefKind, source: &str, template: &str, git_ref: &str) -> Option<Vec<String>> {
    let pushed = Pushed::new(git_ref, Some(COMMIT)).unwrap();
    rule(kind, source, template).matches(&pushed).ok().map(|matched| matched.tags)
}

#[test]
fn rules_match_as_docker_hub_does() {
    use RefKind::{Branch, Tag};
    let groups = "/^(7.1)([.][0-9.]+)?-([0-9]+)[.][0-9.]+$/";
    let many = "{sourceref},{\\1},{\\1}{\\2},{\\1}-{\\3}.x,latest";
    let cases: &[Case] = &[
        (Branch, "master", "latest", "refs/heads/master", Some(&["latest"])),
        (Branch, "master", "latest", "refs/heads/master2", None),
        (Tag, "/^[0-9.]+$/", "release-{sourceref}", "refs/tags/1.2.0", Some(&["release-1.2.0"])),
        (Tag, "/^[0-9.]+$/", "release-{sourceref}", "refs/tags/1.2.0-rc", None),
        (Tag, "/^[0-9.]+/", "release-{sourceref}", "refs/tags/1.2.0-rc", Some(&["release-1.2.0-rc"])),
        (Tag, "/^v([0-9.]+)$/", "version-{\\1}", "refs/tags/v1.2.3", Some(&["version-1.2.3"])),
        (Branch, "/[0-9.]+$/", "version-{sourceref}", "refs/heads/rel-2.0", Some(&["version-rel-2.0"])),
        (Tag, groups, many, "refs/tags/7.1.2-1.4", Some(&["7.1.2-1.4", "7.1", "7.1.2", "7.1-1.x", "latest"])),
        (Tag, groups, many, "refs/tags/7.1-1.4", Some(&["7.1-1.4", "7.1", "7.1-1.x", "latest"])),
        (Tag, "/.*/", "{sourceref}", "refs/heads/x", None),
        // Beyond the ten: case, slashes, spaces after commas, groups of nothing, a slash that is part of the name.
        (Branch, "Master", "latest", "refs/heads/master", None),
        (Branch, "/^feature\\/(.+)$/", "pr-{\\1}", "refs/heads/feature/x", Some(&["pr-x"])),
        (Branch, "/^feature/", "{sourceref}", "refs/heads/feature/x", Some(&["feature-x"])),
        (Branch, "main", " a , b ,, a", "refs/heads/main", Some(&["a", "b"])),
        (Branch, "/^(a)?(b)?/", "x{\\1}{\\2}", "refs/heads/b", Some(&["xb"])),
        (Branch, "/(?i)MAIN/", "latest", "refs/heads/main", Some(&["latest"])),
        (Branch, "/m", "latest", "refs/heads/main", None),
        (Branch, "//", "any", "refs/heads/main", Some(&["any"])),
        (Tag, "/^v/", "{semver.*}", "refs/tags/v1.2.3", Some(&["1.2.3", "1.2", "1"])),
        (Tag, "/^v/", "{semver.*},{tag}", "refs/tags/vx", Some(&["vx"])),
        (Branch, "/.*/", "{sourceref},{default_branch?latest}", "refs/heads/main", Some(&["main", "latest"])),
        (Branch, "/.*/", "{sourceref},{default_branch?latest}", "refs/heads/dev", Some(&["dev"])),
        (Branch, "/.*/", "{\\9}", "refs/heads/dev", None),
    ];
    for (kind, source, template, git_ref, expected) in cases {
        let expected = expected.map(|tags| tags.iter().copied().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(tags(*kind, source, template, git_ref), expected, "{source} {git_ref}");
    }
}

#[test]
fn a_rule_says_why_it_does_not_match_and_what_was_meant() {
    let why = |source: &str, git_ref: &str| {
        rule(RefKind::Tag, source, "x").matches(&Pushed::new(git_ref, None).unwrap()).unwrap_err()
    };
    assert_eq!(why("v1", "refs/heads/main"), "rule `r` is for tags, `main` is a branch");
    assert!(why("^v.*$", "refs/tags/v1").contains("write `/^v.*$/`"));
    assert!(why("V1", "refs/tags/v1").contains("upper and lower case differ"));
    assert_eq!(why("/^x/", "refs/tags/v1"), "rule `r`: `/^x/` does not match `v1`");
}

#[test]
fn expressions_take_time_that_grows_with_the_name_only() {
    let rule = rule(RefKind::Branch, "/^(a+)+$/", "x");
    let name = format!("refs/heads/{}!", "a".repeat(200));
    let began = std::time::Instant::now();
    assert!(rule.matches(&Pushed::new(&name, None).unwrap()).is_err());
    assert!(began.elapsed() < std::time::Duration::from_secs(1));
    let huge = Rule::new("r", RefKind::Branch, "/(a{1000}){1000}/", &[]).unwrap_err();
    assert!(huge.contains("is not a regular expression"), "{huge}");
}

#[test]
fn dockerfile_and_context_are_placed_as_docker_hub_does() {
    let placed = |dockerfile, context| {
        let mut rule = Rule::new("r", RefKind::Branch, "x", &[]).unwrap();
        rule.place(dockerfile, context).map(|()| (rule.dockerfile, rule.context))
    };
    let pair = |one: &str, other: &str| Ok((one.to_owned(), other.to_owned()));
    assert_eq!(placed(None, None), pair("Dockerfile", ""));
    assert_eq!(placed(Some("/"), Some("/")), pair("Dockerfile", ""));
    assert_eq!(placed(Some("deploy/Dockerfile"), None), pair("deploy/Dockerfile", "deploy"));
    assert_eq!(placed(Some("deploy/Dockerfile"), Some("/")), pair("deploy/Dockerfile", ""));
    assert_eq!(placed(Some("Dockerfile.x"), Some("/sub/")), pair("sub/Dockerfile.x", "sub"));
    // API-10, API-11
    for bad in ["../x", "a/../../x", "-f", "a\nb", "a\0b"] {
        assert!(placed(Some(bad), None).is_err() && placed(None, Some(bad)).is_err(), "{bad:?}");
    }
}

#[test]
fn build_arguments_are_templates_and_go_before_env() {
    let mut rule = rule(RefKind::Tag, "/^v(.+)$/", "{\\1}-{env.KIND}");
    rule.env = BTreeMap::from([("KIND".to_owned(), "slim".to_owned()), ("VERSION".to_owned(), "none".to_owned())]);
    rule.build_args.insert("VERSION".to_owned(), Template::parse("{semver}+{sha7}").unwrap());
    let matched = rule.matches(&Pushed::new("refs/tags/v1.2.3", Some(COMMIT)).unwrap()).unwrap();
    assert_eq!(matched.tags, ["1.2.3-slim"]);
    assert_eq!((&*matched.build_args["VERSION"], &*matched.build_args["KIND"]), ("1.2.3+0123456", "slim"));
    assert!(
        rule.matches(&Pushed::new("refs/tags/vx", None).unwrap()).unwrap_err().contains("build argument `VERSION`")
    );
}

#[test]
fn labels_are_templates_like_tags() {
    // US-07
    let mut rule = Rule::new("r", RefKind::Branch, "main", &[]).unwrap();
    for (name, text) in [("at", "{branch}@{sha7}"), ("version", "{semver}")] {
        rule.labels.insert(name.to_owned(), Template::parse(text).unwrap());
    }
    let matched = rule.matches(&Pushed::new("refs/heads/main", Some(COMMIT)).unwrap()).unwrap();
    assert_eq!(matched.labels.into_iter().collect::<Vec<_>>(), [("at".to_owned(), format!("main@{}", &COMMIT[..7]))]);
    assert!(matched.warnings[0].contains("the label `version` is left out"), "{:?}", matched.warnings);
    let document = serde_json::json!([{ "branch": "main", "labels": { "a": "{nosuch}" } }]);
    let rules: Vec<crate::configuration::document::RuleDocument> = serde_json::from_value(document).unwrap();
    let problem = crate::configuration::document::rules(&rules, &Default::default()).unwrap_err();
    assert!(format!("{problem:?}").contains("labels.a: `{nosuch}`"), "{problem:?}");
}
