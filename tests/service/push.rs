//! The main job: a push becomes a pushed image, told live and afterwards.

use crate::support::{Site, TOKEN, curl, pull_and_run, wait_for};
use std::process::Command;
use std::time::{Duration, Instant};

/// Three stages, a step with network, files from other stages, and somebody else than root.
const DOCKERFILE: &str = r#"
ARG BASE
FROM ${BASE} AS network
# The machine's package mirror, if it reaches one: a step can look it up and talk to it. Static programs cannot look
# names up by themselves.
ARG MIRROR
RUN if [ -z "$MIRROR" ]; then echo none > /release; exit; fi; host=${MIRROR#http://}; host=${host%%/*}; \
    address=$(nslookup "$host" | sed -n '/^Name:/,$s/^Address[^0-9]*\([0-9.]*\)$/\1/p' | head -n 1); \
    wget -q -O /release --header "Host: $host" "http://$address/${MIRROR#http://*/}/dists/stable/Release"
RUN test -s /release
FROM ${BASE} AS tools
WORKDIR /work
COPY src/ .
RUN cat a.txt b.txt > both.txt
FROM ${BASE}
RUN echo 'app:x:1000:1000::/:/bin/sh' >> /etc/passwd
COPY --from=tools --chown=app /work/both.txt /srv/
COPY --from=network /release /srv/release
USER app
RUN id -un > /tmp/who
CMD ["cat", "/srv/both.txt"]
"#;

/// Returns the package mirror that this machine uses.
fn mirror() -> String {
    let mut text = std::fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    for entry in std::fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten() {
        text.push_str(&std::fs::read_to_string(entry.path()).unwrap_or_default());
        text.push('\n');
    }
    let words = text.split_whitespace().filter(|word| word.starts_with("http://"));
    let mut plain = words.filter(|word| word.trim_end_matches('/').ends_with("/debian"));
    let mirror = plain.next().unwrap_or_default().trim_end_matches('/').to_owned();
    let reached = Command::new("curl")
        .args(["-sfI", "--max-time", "20", &format!("{mirror}/dists/stable/Release")])
        .output()
        .unwrap();
    if reached.status.success() {
        return mirror;
    }
    println!("this machine reaches no package mirror: the step's network is not tried");
    String::new()
}

/// Commits what the main job is tried with.
pub(crate) fn commit_three_stages(site: &Site) -> String {
    let dockerfile = DOCKERFILE.replace("ARG MIRROR", &format!("ARG MIRROR={}", mirror()));
    site.commit(&[("Dockerfile", &dockerfile), ("src/a.txt", "one\n"), ("src/b.txt", "two\n")])
}

#[test]
fn a_push_becomes_an_image_that_can_be_pulled_and_run() {
    let site = Site::start("");
    site.push_base();
    let commit = commit_three_stages(&site);
    let id = site.push(&commit);
    let build = site.succeeded(&id);
    assert_eq!(build["commit"], commit.as_str());
    assert_eq!(build["image"]["tags"].as_array().unwrap().len(), 2);
    let step = |text: &str| {
        build["steps"]
            .as_array()
            .unwrap()
            .iter()
            .find(|step| step["instruction"].as_str().unwrap().contains(text))
            .unwrap()
            .clone()
    };
    let cat = step("cat a.txt");
    assert_eq!((&cat["state"], &cat["cached"]), (&"succeeded".into(), &false.into()));
    assert!(cat["layer"]["digest"].as_str().unwrap().starts_with("sha256:") && cat["duration_ms"].is_i64());
    let image = format!("{}/team/app:latest", site.registry);
    assert_eq!(pull_and_run(&[], &image, &["/bin/cat", "/srv/both.txt", "/tmp/who"]), "one\ntwo\napp\n");
    let tagged = format!("{}/team/app:{}", site.registry, &commit[..7]);
    assert_eq!(pull_and_run(&[], &tagged, &["/bin/cat", "/tmp/who"]), "app\n");

    // A second push that changes one file runs only what depends on it.
    let commit = site.commit(&[("src/b.txt", "three\n")]);
    let build = site.succeeded(&site.push(&commit));
    let cached = |text: &str| {
        build["steps"]
            .as_array()
            .unwrap()
            .iter()
            .find(|step| step["instruction"].as_str().unwrap().contains(text))
            .unwrap()["cached"]
            .clone()
    };
    assert_eq!((cached("wget"), cached("/etc/passwd"), cached("cat a.txt")), (true.into(), true.into(), false.into()));
    assert_eq!(pull_and_run(&[], &image, &["/bin/cat", "/srv/both.txt"]), "one\nthree\n");

    // A third one that changes nothing runs nothing.
    let commit = site.commit(&[]);
    let build = site.succeeded(&site.push(&commit));
    let made = |step: &&serde_json::Value| {
        ["RUN", "COPY", "WORKDIR"].iter().any(|word| step["instruction"].as_str().unwrap().starts_with(word))
    };
    let steps: Vec<_> = build["steps"].as_array().unwrap().iter().filter(made).collect();
    assert!(steps.len() > 8 && steps.iter().all(|step| step["cached"] == true), "{build:#}");
    let page = curl(&[&format!("{}/builds/{}", site.url, build["id"].as_str().unwrap())]);
    assert!(page.status == 200 && page.text.contains("Succeeded") && page.text.contains("both.txt"), "{}", page.text);
}

#[test]
fn a_failing_build_says_why_and_pushes_nothing() {
    let site = Site::start("");
    site.push_base();
    let commit = site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo nearly there; exit 3\n")]);
    let id = site.push(&commit);
    let build = site.finished(&id);
    assert_eq!((&build["state"], &build["reason"]["code"]), (&"failed".into(), &"step_failed".into()));
    let reason = build["reason"]["message"].as_str().unwrap();
    for part in ["exit code: 3", "nearly there", ">>> RUN echo nearly there"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert_eq!(build["steps"][0]["exit_code"], 3);
    assert!(site.log(&id).contains("nearly there"));
    assert_eq!(
        curl(&[&format!("http://{}/v2/team/app/tags/list", site.registry)]).status,
        404,
        "nothing half-built is tagged"
    );
}

#[test]
fn a_log_can_be_followed_and_resumed_and_a_build_cancelled() {
    let site = Site::start("");
    site.push_base();
    let commit = site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo first; sleep 1000\n")]);
    let id = site.push(&commit);
    wait_for("the first line", || site.log(&id).contains("\nfirst\n").then_some(()));
    let events = Command::new("curl")
        .args([
            "-sN",
            "--max-time",
            "2",
            "-H",
            "Accept: text/event-stream",
            &format!("{}/v1/builds/{id}/logs", site.url),
        ])
        .output()
        .unwrap();
    let events = String::from_utf8_lossy(&events.stdout).into_owned();
    assert!(events.contains("event: log") && events.contains("first"), "{events}");
    let last = events.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    let began = Instant::now();
    let cancel = curl(&[
        "-X",
        "POST",
        "-H",
        &format!("Authorization: Bearer {TOKEN}"),
        &format!("{}/v1/builds/{id}/cancel", site.url),
    ]);
    assert_eq!(cancel.status, 202, "{}", cancel.text);
    let build = site.finished(&id);
    assert_eq!(build["state"], "cancelled");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let resumed = curl(&[
        "-N",
        "-H",
        "Accept: text/event-stream",
        "-H",
        &format!("Last-Event-ID: {last}"),
        &format!("{}/v1/builds/{id}/logs", site.url),
    ]);
    assert!(!resumed.text.contains("\"text\":\"first") && resumed.text.contains("event: end"), "{}", resumed.text);
}
