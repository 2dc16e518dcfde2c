//! A repository's own rules, read by a worker at the commit that was pushed.

use crate::support::wait_for;
use crate::support::worker_pool::{Yard, git};
use database::{NewRulesFetch, RulesFetchResult, Trigger};

fn looked_up(yard: &Yard, commit: &str, path: &str) -> RulesFetchResult {
    let rules_fetch = NewRulesFetch {
        repository: "team/app".to_owned(),
        clone_url: format!("http://{}/app.git", yard.git),
        git_ref: "refs/heads/main".to_owned(),
        commit: Some(commit.to_owned()),
        commit_message: String::new(),
        trigger: Trigger::Manual { by: "ci".to_owned() },
        path: path.to_owned(),
        rule: None,
    };
    let id = yard.tokio.block_on(yard.database.add_rules_fetch(&rules_fetch)).unwrap();
    wait_for("an answer", || {
        let answered = yard.tokio.block_on(yard.database.answered_rules_fetches(100)).unwrap();
        answered.into_iter().find(|answer| answer.id == id).map(|answer| answer.result)
    })
}

fn code(result: RulesFetchResult) -> (String, String) {
    match result {
        RulesFetchResult::Failed(reason) => (reason.code, reason.message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rules_are_read_at_the_commit_and_only_from_a_small_regular_file() {
    let yard = Yard::start("");
    let _worker = yard.worker(&[]);
    let old =
        yard.commit(&[("slipway.toml", "version = 1\n"), ("deep/rules.toml", "x"), ("Dockerfile", "FROM scratch\n")]);
    let large = "#".repeat(300 * 1024);
    std::os::unix::fs::symlink("/etc/passwd", yard.path("work/link.toml")).unwrap();
    std::fs::write(yard.path("work/binary.toml"), [0xff, 0xfe, 0x00]).unwrap();
    let new = yard.commit(&[("slipway.toml", "version = 2\n"), ("large.toml", &large)]);
    assert_eq!(looked_up(&yard, &old, "slipway.toml"), RulesFetchResult::Text("version = 1\n".to_owned()));
    assert_eq!(looked_up(&yard, &new, "slipway.toml"), RulesFetchResult::Text("version = 2\n".to_owned()));
    assert_eq!(looked_up(&yard, &new, "deep/rules.toml"), RulesFetchResult::Text("x".to_owned()));
    assert_eq!(looked_up(&yard, &new, "../../etc/passwd"), RulesFetchResult::Missing);
    assert_eq!(looked_up(&yard, &new, "none.toml"), RulesFetchResult::Missing);
    for (path, expected) in [
        ("large.toml", "307200 bytes"),
        ("link.toml", "not a regular file"),
        ("deep", "not a regular file"),
        ("binary.toml", "not UTF-8"),
    ] {
        let (code, message) = code(looked_up(&yard, &new, path));
        assert_eq!(code, "rules_invalid", "{path}");
        assert!(message.contains(expected) && message.contains(path), "{message}");
    }
}

#[test]
fn a_commit_that_is_gone_is_an_answer_too() {
    // GIT-03
    let yard = Yard::start("");
    let _worker = yard.worker(&[]);
    yard.commit(&[("slipway.toml", "")]);
    git(&yard.path("work"), &["checkout", "-q", "-b", "other"]);
    let (code, message) = code(looked_up(&yard, &"1".repeat(40), "slipway.toml"));
    assert_eq!(code, "commit_not_found", "{message}");
}
