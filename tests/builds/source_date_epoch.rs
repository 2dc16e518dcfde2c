//! `SOURCE_DATE_EPOCH`: a number, or a place that has a time.

use crate::support::build_directory::Place;
use crate::support::{Site, run};
use std::process::Command;

const RESULT: &str = "FROM scratch\nARG SOURCE_DATE_EPOCH\nCOPY <<F /f\nat $SOURCE_DATE_EPOCH\nF\n";
/// When the web server's files were changed last, and that in seconds.
const MODIFIED: (&str, &str) = ("2015-10-21 07:28:00", "1445412480");

/// Returns the time of the file in the result, and what the stage saw.
fn times(place: &Place, dockerfile: &str, arguments: &[&str]) -> Result<(String, String), String> {
    let files = place.files(dockerfile, arguments)?;
    let seen = run(Command::new("tar").arg("-xOf").arg(place.path("out.tar")).arg("f"));
    let words: Vec<_> = files.lines().next().unwrap().split(' ').collect();
    Ok((words[3..5].join(" "), seen.trim().trim_start_matches("at").trim().to_owned()))
}

#[test]
fn the_time_of_an_image_is_a_number_or_that_of_a_place() {
    // DF-069
    let place = Place::new();
    let prepare = "export GIT_COMMITTER_DATE=2001-02-03T04:05:06Z;";
    place.repository("dated", &[("Dockerfile", RESULT), ("x", "1")], prepare);
    let git = format!("{}/git/dated.git#v1", place.web);
    let committed = ("2001-02-03 04:05:06".to_owned(), "981173106".to_owned());
    let modified = (MODIFIED.0.to_owned(), MODIFIED.1.to_owned());
    let given = |value: &str| format!("SOURCE_DATE_EPOCH={value}");
    let built = |dockerfile: &str, arguments: &[&str]| {
        times(&place, dockerfile, arguments).unwrap_or_else(|said| panic!("{arguments:?} {dockerfile}: {said}"))
    };
    assert_eq!(built(RESULT, &["--build-arg", &given("981173106")]), committed);
    assert_eq!(built(&format!("ARG SOURCE_DATE_EPOCH=981173106\n{RESULT}"), &[]), committed);
    let other = built(&format!("ARG SOURCE_DATE_EPOCH=5\n{RESULT}"), &["--build-arg", &given("981173106")]);
    assert_eq!(other, committed, "what is given counts");
    let named = format!("dated={git}");
    assert_eq!(built(RESULT, &["--build-context", &named, "--build-arg", &given("dated")]), committed);
    let stage = |add: &str| format!("FROM scratch AS Source\nARG DIR=d\n{add}\n{RESULT}");
    let from = |add: &str| built(&stage(add), &["--build-arg", &given("source")]);
    assert_eq!(from("ADD @WEB@/$DIR/file /"), modified);
    assert_eq!(from("ADD @WEB@/git/dated.git#v1 /"), committed);
    // A server that says no time has sent an archive: its last file tells.
    run(Command::new("touch").args(["-d", "2001-02-03T04:05:06Z", "last"]).current_dir(place.directory.path()));
    run(Command::new("touch").args(["-d", "2000-01-01T00:00:00Z", "first"]).current_dir(place.directory.path()));
    run(Command::new("tar").args(["-czf", "a.tgz", "last", "first"]).current_dir(place.directory.path()));
    *place.served.content.lock().unwrap() = std::fs::read(place.path("a.tgz")).unwrap();
    assert_eq!(from("ADD @WEB@/plain /"), committed);
    // A directory has no time of its own, and nothing is nothing.
    for value in ["context", ""] {
        let (time, seen) = built(RESULT, &["--build-arg", &given(value)]);
        assert!(time.starts_with("20") && time.as_str() > "2024" && seen.is_empty(), "{value:?}: {time} {seen}");
    }
}

#[test]
fn a_time_that_cannot_be_found_is_an_error_that_says_what_is_right() {
    // DF-069
    let place = Place::new();
    for (stage, expected) in [
        ("", "invalid SOURCE_DATE_EPOCH: source"),
        ("FROM other AS source\nADD @WEB@/d /", "stage must use FROM scratch"),
        ("FROM scratch AS source\nADD @WEB@/a /\nADD @WEB@/b /", "exactly one remote ADD"),
        ("FROM scratch AS source\nARG A", "exactly one remote ADD"),
        ("FROM scratch AS source\nADD Dockerfile /", "single HTTP(S) or Git ADD"),
        ("FROM scratch AS source\nENV a=1", "unsupported ENV instruction"),
        ("FROM scratch AS source\nADD @WEB@/missing /", "404"),
    ] {
        let said = times(&place, &format!("{stage}\n{RESULT}"), &["--build-arg", "SOURCE_DATE_EPOCH=source"]);
        let said = said.unwrap_err();
        assert!(said.contains(expected), "{stage}: `{expected}` is missing: {said}");
    }
}

#[test]
fn a_pushed_dockerfile_may_ask_for_another_time_than_the_commits() {
    // DF-069
    let site = Site::start("");
    let created = |dockerfile: &str| {
        let id = site.push(&site.commit(&[("Dockerfile", dockerfile)]));
        site.succeeded(&id);
        let image = format!("docker://{}/team/app:latest", site.registry);
        let config = run(Command::new("skopeo").args(["inspect", "--config", "--tls-verify=false", &image]));
        serde_json::from_str::<serde_json::Value>(&config).unwrap()["created"].as_str().unwrap().to_owned()
    };
    let dockerfile = "FROM scratch\nCOPY Dockerfile /d\n";
    assert!(created(dockerfile).as_str() > "2024", "the commit's time");
    assert_eq!(created(&format!("ARG SOURCE_DATE_EPOCH=981173106\n{dockerfile}")), "2001-02-03T04:05:06Z");
}
