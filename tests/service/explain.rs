//! Why steps were executed or taken from the cache, as the API, the page and the command tell it.

use crate::service::api::{ADMIN, ask};
use crate::support::{Site, curl, run, slipway};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE} AS tools\nCOPY tool /tool\nRUN cat /tool > /made; date > /when\n\
    FROM ${BASE}\nCOPY src/ /src/\nRUN cat /src/a > /b\nARG FLAVOUR=plain\nRUN echo $FLAVOUR > /f\n\
    COPY --from=tools /made /made\nRUN cat /made\n";

// The numbers of its steps.
const TOOL: usize = 1;
const MADE: usize = 2;
const SOURCES: usize = 3;
const USE: usize = 4;
const FLAVOUR: usize = 5;
const FLAVOURED: usize = 6;
const TAKEN: usize = 7;
const LAST: usize = 8;

/// A site with the base image and a first commit.
fn site() -> Site {
    let site = Site::start(ADMIN);
    site.push_base();
    site.commit(&[
        ("Dockerfile", DOCKERFILE),
        (".dockerignore", "**/*.log\n"),
        ("tool", "1"),
        ("src/a", "1"),
        ("src/deep/b", "1"),
        ("src/x.log", "1"),
        ("elsewhere", "1"),
    ]);
    site
}

/// Builds the main branch and returns the build's id.
fn build(site: &Site, more: &Value) -> String {
    let mut asked = json!({ "ref": "main" });
    more.as_object().into_iter().flatten().for_each(|(key, value)| asked[key] = value.clone());
    let started = ask(site, "POST", "/v1/repos/team/app/builds", &asked);
    assert_eq!(started.status, 202, "{}", started.text);
    let id = started.json()["builds"][0]["id"].as_str().unwrap().to_owned();
    site.succeeded(&id);
    id
}

fn explain(site: &Site, id: &str) -> Value {
    site.get(&format!("/v1/builds/{id}/explain"))
}

fn codes(explained: &Value, number: usize) -> Vec<&str> {
    let step = &explained["steps"][number - 1];
    assert_eq!(step["n"], number, "{explained:#}");
    step["why"].as_array().unwrap().iter().map(|why| why["code"].as_str().unwrap()).collect()
}

/// Returns the reason of a step that has this code.
fn why<'e>(explained: &'e Value, number: usize, code: &str) -> &'e Value {
    let all = explained["steps"][number - 1]["why"].as_array().unwrap();
    all.iter().find(|why| why["code"] == code).unwrap_or_else(|| panic!("{code} of step {number}: {explained:#}"))
}

#[test]
fn changed_files_are_named_and_what_follows_says_so() {
    let site = site();
    let first = build(&site, &json!({}));
    let told = explain(&site, &first);
    assert_eq!((&told["build"], &told["against"]), (&json!(first), &Value::Null));
    assert!((TOOL..=LAST).all(|step| codes(&told, step) == ["first_build"]), "{told:#}");

    let same = build(&site, &json!({}));
    let told = explain(&site, &same);
    assert_eq!(told["against"], json!(first));
    assert!((TOOL..=LAST).all(|step| codes(&told, step) == ["same"]), "{told:#}");
    assert_eq!(told["summary"], "no step was executed: all that make a layer came from the cache");

    let commit = site.commit(&[("src/a", "2"), ("src/c", "1"), ("src/x.log", "2"), ("elsewhere", "2")]);
    let changed = site.push(&commit);
    site.succeeded(&changed);
    let told = explain(&site, &changed);
    assert_eq!(told["against"], json!(same), "a push is compared with the newest build of its ref");
    let paths = &why(&told, SOURCES, "files_changed")["paths"];
    let named: Vec<_> = paths.as_array().unwrap().iter().map(|path| (&path["path"], &path["change"])).collect();
    assert_eq!(named, [(&json!("src/a"), &json!("changed")), (&json!("src/c"), &json!("added"))], "{told:#}");
    assert_eq!(paths[0]["new"].as_str().map(str::len), Some(40));
    let by = &why(&told, SOURCES, "files_changed")["commit"];
    assert_eq!((&by["id"], &by["is_alone"]), (&json!(commit), &json!(true)), "{told:#}");
    let author = by["author"].as_str().filter(|author| !author.is_empty()).unwrap_or_else(|| panic!("{by}"));
    assert_eq!(why(&told, USE, "earlier_step_changed")["step"], SOURCES);
    assert_eq!(codes(&told, TOOL), ["same"]);
    assert_eq!(
        (&told["steps"][TOOL - 1]["cached"], &told["steps"][USE - 1]["was"]),
        (&json!(true), &json!("executed"))
    );
    let summary = told["summary"].as_str().unwrap();
    let start = "step 3 COPY src/ /src/ was executed because 2 files changed: src/a, src/c (added)";
    let start = format!("{start}, by commit {} of {author}, `", &commit[..7]);
    assert!(summary.starts_with(&start), "{summary}");
    told_to_people(&site, &changed);

    // Files that a stage takes from another one change with it.
    site.commit(&[("elsewhere", "3")]);
    site.commit(&[("tool", "2")]);
    let told = explain(&site, &build(&site, &json!({})));
    let by = &why(&told, TOOL, "files_changed")["commit"];
    assert_eq!(by["is_alone"], false, "of several commits it is not known which one changed a file: {told:#}");
    assert_eq!(why(&told, TOOL, "files_changed")["paths"][0]["path"], "tool");
    assert_eq!(why(&told, MADE, "earlier_step_changed")["step"], TOOL);
    assert_eq!(codes(&told, USE), ["same"]);
    assert_eq!(why(&told, TAKEN, "earlier_step_changed")["step"], TOOL);
    assert_eq!(why(&told, LAST, "earlier_step_changed")["step"], TOOL);

    // Another way to the same files changes nothing for whoever takes them.
    site.commit(&[("Dockerfile", &DOCKERFILE.replace("date > /when", "date > /when; true"))]);
    let told = explain(&site, &build(&site, &json!({})));
    assert_eq!(codes(&told, MADE), ["instruction_changed"]);
    assert_eq!(
        (codes(&told, TAKEN), &told["steps"][TAKEN - 1]["was"]),
        (vec!["earlier_step_changed"], &json!("cached"))
    );
    assert_eq!((codes(&told, LAST), &told["steps"][LAST - 1]["was"]), (vec!["same"], &json!("cached")));
}

/// The page and the command say the same.
fn told_to_people(site: &Site, id: &str) {
    let page = |path: &str| curl(&["-H", "Accept: text/html", &format!("{}{path}", site.url)]).text;
    assert!(page(&format!("/builds/{id}")).contains(&format!("href=\"/builds/{id}/explain\"")));
    let shown = page(&format!("/builds/{id}/explain"));
    assert!(shown.contains("2 files changed: src/a, src/c (added)"), "{shown}");
    assert!(shown.contains("it rests on step 3, which changed") && !shown.contains("<script>"), "{shown}");
    let said = run(slipway().args(["explain", id, "--server", &site.url]));
    assert!(said.contains("2 files changed: src/a, src/c (added)"), "{said}");
    assert!(said.contains("\n   3  executed    COPY src/ /src/\n      2 files"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    let document = run(slipway().args(["explain", id, "--json", "--server", &site.url]));
    assert_eq!(serde_json::from_str::<Value>(&document).unwrap(), explain(site, id));
}

#[test]
fn arguments_instructions_and_a_cache_that_was_off_are_told_apart() {
    let site = site();
    let first = build(&site, &json!({}));
    let fancy = build(&site, &json!({ "build_args": { "FLAVOUR": "very-fancy" } }));
    let told = explain(&site, &fancy);
    assert_eq!(codes(&told, USE), ["same"]);
    assert_eq!(why(&told, FLAVOUR, "argument_changed")["names"], json!(["FLAVOUR"]));
    assert_eq!(why(&told, FLAVOURED, "argument_changed")["names"], json!(["FLAVOUR"]));
    assert_eq!(why(&told, TAKEN, "earlier_step_changed")["step"], FLAVOURED);
    assert!(!told.to_string().contains("very-fancy"), "values are not told: the log does not show them");

    site.commit(&[("Dockerfile", &DOCKERFILE.replace("RUN cat /src/a > /b", "RUN cat /src/a > /other"))]);
    let other = build(&site, &json!({}));
    let told = site.get(&format!("/v1/builds/{other}/explain?against={first}"));
    let found = why(&told, USE, "instruction_changed");
    assert_eq!((&found["old"], &found["new"]), (&json!("RUN cat /src/a > /b"), &json!("RUN cat /src/a > /other")));
    assert_eq!(codes(&told, FLAVOUR), ["same"]);
    assert_eq!(codes(&told, FLAVOURED), ["earlier_step_changed"]);

    let off = build(&site, &json!({ "cache": "off" }));
    let told = explain(&site, &off);
    assert!([TOOL, MADE, SOURCES, USE, LAST].iter().all(|step| codes(&told, *step) == ["not_cached"]), "{told:#}");
}

#[test]
fn a_base_image_that_moved_is_named_and_older_builds_are_compared_with_theirs() {
    let site = site();
    let first = build(&site, &json!({}));
    site.commit(&[("src/a", "2")]);
    let second = build(&site, &json!({}));
    let before = explain(&site, &second);
    let base = format!("{}/base/busybox", site.registry);
    let context = site.path("base");
    std::fs::create_dir(&context).unwrap();
    std::fs::write(context.join("Dockerfile"), format!("FROM {base}\nRUN echo new > /new\n")).unwrap();
    run(slipway()
        .args(["build", "--progress", "plain", "--push", "-t", &base, "--data-dir"])
        .arg(site.path("data"))
        .arg(&context));
    let moved = build(&site, &json!({}));
    let told = explain(&site, &moved);
    let digest = |id: &str| site.get(&format!("/v1/builds/{id}"))["base_images"][0]["digest"].clone();
    for step in [TOOL, SOURCES] {
        let found = why(&told, step, "base_image_changed");
        assert_eq!((&found["old"], &found["new"]), (&digest(&second), &digest(&moved)), "{told:#}");
        assert_eq!(found["reference"], json!(base));
    }
    assert_eq!(why(&told, USE, "earlier_step_changed")["step"], SOURCES);
    // Both older builds had the image that the name led to then.
    assert_eq!(before["against"], json!(first));
    assert_eq!(explain(&site, &second), before);
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let mut site = site();
    let first = build(&site, &json!({}));
    let second = build(&site, &json!({}));
    let refused = |site: &Site, path: &str| {
        let answer = curl(&[&format!("{}/v1/builds/{path}", site.url)]);
        (answer.status, answer.json()["code"].as_str().unwrap().to_owned())
    };
    let unknown = format!("bld_{}", "0".repeat(32));
    assert_eq!(refused(&site, &format!("{unknown}/explain")), (404, "build_not_found".to_owned()));
    assert_eq!(refused(&site, &format!("{first}/explain?against={unknown}")), (404, "build_not_found".to_owned()));
    assert_eq!(refused(&site, &format!("{first}/explain?against={first}")), (400, "invalid_against".to_owned()));
    assert_eq!(refused(&site, &format!("{first}/explain?agianst={first}")), (400, "invalid_query".to_owned()));

    let file = site.path("slipway.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("[server]", "[server]\nworkers = 0")).unwrap();
    site.server = None;
    site.serve();
    let queued = ask(&site, "POST", "/v1/repos/team/app/builds", &json!({ "ref": "main" })).json();
    let queued = queued["builds"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(refused(&site, &format!("{queued}/explain")), (409, "not_finished".to_owned()));
    let began = Instant::now();
    assert_eq!(refused(&site, &format!("{second}/explain")), (503, "no_answer".to_owned()));
    assert!((Duration::from_secs(19)..Duration::from_secs(28)).contains(&began.elapsed()), "{:?}", began.elapsed());
}

#[test]
fn mounts_removed_steps_and_a_platform_are_told() {
    let site = Site::start(ADMIN);
    site.push_base();
    let dockerfile = "ARG BASE\nFROM ${BASE}\nRUN --mount=type=bind,source=src,target=/s cat /s/a > /m\n\
        RUN --mount=type=cache,id=one,target=/c true\nRUN echo gone\nRUN echo kept\nRUN <<EOF\necho first\necho 1\nEOF\n";
    site.commit(&[("Dockerfile", dockerfile), ("src/a", "1"), ("src/b", "1")]);
    build(&site, &json!({}));
    let changed = dockerfile.replace("id=one", "id=two").replace("RUN echo gone\n", "").replace("echo 1", "echo 2");
    site.commit(&[("Dockerfile", &changed), ("src/b", "2")]);
    let second = build(&site, &json!({}));
    let told = explain(&site, &second);
    assert_eq!(why(&told, 1, "files_changed")["paths"][0]["path"], "src/b", "all that is mounted counts");
    assert_eq!(why(&told, 2, "secret_or_mount_changed")["ids"], json!(["one", "two"]));
    assert_eq!(why(&told, 3, "instruction_removed")["old"], "RUN echo gone");
    assert!(why(&told, 4, "instruction_changed")["new"].as_str().unwrap().ends_with("… echo 2"), "{told:#}");

    // The binary is static: what the platform is called is all that differs.
    let other = if cfg!(target_arch = "x86_64") { "linux/amd64/v2" } else { "linux/arm64/v9" };
    let third = ask(&site, "POST", "/v1/repos/team/app/builds", &json!({ "ref": "main", "platforms": [other] }));
    let third = third.json()["builds"][0]["id"].as_str().unwrap().to_owned();
    site.finished(&third);
    let told = explain(&site, &third);
    let found = why(&told, 1, "platform_changed");
    assert_eq!(found["new"], other, "{told:#}");
}

#[test]
fn steps_that_the_cache_forgot_are_told_apart_from_changed_ones() {
    let site = site();
    build(&site, &json!({}));
    let forget = "import sqlite3, sys; base = sqlite3.connect(sys.argv[1]); base.execute('DELETE FROM cached_layers'); base.commit()";
    run(std::process::Command::new("python3").args(["-c", forget]).arg(site.path("data/slipway.db")));
    let told = explain(&site, &build(&site, &json!({})));
    assert!([TOOL, MADE, SOURCES, USE, FLAVOURED].iter().all(|step| codes(&told, *step) == ["cache_lost"]), "{told:#}");
    // Files of another stage may differ by now: only their content tells.
    assert_eq!(codes(&told, TAKEN), ["content_unknown"]);
}
