//! Builds start at once: from a delivery to the first byte that its first step prints.

use crate::support::{SECRET, Site, examples, run};
use database::{BuildId, Database};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Limit of the best of a few pushes.
const LIMIT: Duration = Duration::from_millis(300);
/// Time that git needs to list the refs of a repository on an idle machine.
const QUIET: Duration = Duration::from_millis(25);

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64
}

/// Returns how much slower the machine is than a quiet one, as git finds it.
fn slowness(site: &Site) -> f64 {
    let url = format!("http://{}/app.git", site.git);
    let asked = Instant::now();
    run(Command::new("git").args(["ls-remote", "-q", &url]));
    (asked.elapsed().as_secs_f64() / QUIET.as_secs_f64()).max(1.0)
}

#[test]
fn a_step_prints_within_300_ms_of_the_delivery() {
    let site = Site::start("");
    site.push_base();
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("sqlite://{}", site.path("data/slipway.db").display());
    let database = tokio.block_on(Database::open(&url)).unwrap();
    let mut body = examples("push").into_iter().find(|push| push["deleted"] == false).unwrap();
    body["ref"] = "refs/heads/main".into();
    let mut times = Vec::new();
    for number in 0..8 {
        let dockerfile = format!("ARG BASE\nFROM ${{BASE}}\nRUN echo first byte {number}\n");
        let commit = site.commit(&[("Dockerfile", &dockerfile)]);
        body["after"] = commit.as_str().into();
        body["head_commit"] = serde_json::json!({ "id": commit, "message": "A commit" });
        let slowness = slowness(&site);
        let began = now_ms();
        let answer = site.deliver("push", &commit, &body.to_string(), SECRET).json();
        let id = BuildId::parse(answer["builds"][0]["id"].as_str().unwrap()).unwrap();
        site.succeeded(id.as_str());
        let chunks = tokio.block_on(database.logs(&id, 0, 1 << 20)).unwrap();
        let first = chunks.iter().find(|chunk| chunk.step == Some(1)).unwrap();
        assert!(first.text.starts_with(format!("first byte {number}").as_bytes()));
        if number > 0 {
            // The first build makes the mirror and unpacks the base image.
            let took = Duration::from_millis((first.at_ms - began).unsigned_abs());
            times.push((took.div_f64(slowness), took, slowness));
        }
    }
    times.sort_by_key(|(scaled, ..)| *scaled);
    println!("from delivery to first byte (scaled, measured, slowness): {times:.2?}");
    assert!(times[0].0 <= LIMIT, "{times:.2?}");
}
