//! Where the time of a build went, as the API and the page show it; builds that are asked for once.

use crate::support::{Site, curl};
use serde_json::Value;

#[test]
fn a_build_names_its_critical_path_and_has_a_trace() {
    let site = Site::start("");
    site.push_base();
    let file = "ARG BASE\nFROM ${BASE}\nRUN sleep 0.5; echo x > /x\nCOPY Dockerfile /\n";
    let id = site.push(&site.commit(&[("Dockerfile", file)]));
    let trace_url = format!("{}/v1/builds/{id}/trace", site.url);
    let build = site.succeeded(&id);
    let path = build["critical_path"].as_array().unwrap();
    let (longest, took) = path
        .iter()
        .map(|piece| (format!("{} {}", piece["work"], piece["name"]), piece["duration_ms"].as_f64().unwrap()))
        .max_by(|one, other| one.1.total_cmp(&other.1))
        .unwrap();
    assert!(longest.contains("step") && longest.contains("sleep 0.5") && took >= 500.0, "{longest} {took}");
    let trace = site.get(&format!("/v1/builds/{id}/trace"));
    let events = trace["traceEvents"].as_array().unwrap();
    for work in ["fetch", "resolve", "step", "pack", "upload", "push"] {
        assert!(events.iter().any(|event| event["cat"] == work), "{work}: {trace:#}");
    }
    assert!(events.iter().all(|event| event["ph"] == "X" && event["dur"].is_number()), "{trace:#}");
    assert_eq!(build["links"]["trace"], Value::from(trace_url.as_str()));
    let page = curl(&[&format!("{}/builds/{id}", site.url)]).text;
    assert!(page.contains("Critical path") && page.contains(&format!("/v1/builds/{id}/trace")), "{page}");
    assert_eq!(curl(&[&trace_url.replace(&id, "bld_00000000000000000000000000000000")]).status, 404);
}

#[test]
fn a_build_that_waits_has_no_trace_yet() {
    let admin = "[[tokens]]\nname = \"admin\"\ntoken = \"fedcba9876543210fedcba9876543210\"\nscopes = [\"admin\"]\n";
    let site = Site::start(admin);
    let bearer = "Authorization: Bearer fedcba9876543210fedcba9876543210";
    assert_eq!(curl(&["-X", "POST", "-H", bearer, &format!("{}/v1/queue/pause", site.url)]).status, 200);
    let id = site.push(&site.commit(&[("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")]));
    let answer = curl(&[&format!("{}/v1/builds/{id}/trace", site.url)]);
    assert_eq!((answer.status, &answer.json()["code"]), (404, &"no_trace".into()), "{}", answer.text);
    assert_eq!(site.get(&format!("/v1/builds/{id}"))["critical_path"], serde_json::json!([]));
}

#[test]
fn a_trigger_may_take_what_waits_already() {
    let admin = "[[tokens]]\nname = \"admin\"\ntoken = \"fedcba9876543210fedcba9876543210\"\nscopes = [\"admin\"]\n";
    let site = Site::start(admin);
    let bearer = "Authorization: Bearer fedcba9876543210fedcba9876543210";
    let post =
        |path: &str| curl(&["-X", "POST", "-H", bearer, "-d", r#"{"ref":"main"}"#, &format!("{}{path}", site.url)]);
    assert_eq!(post("/v1/queue/pause").status, 200);
    let once = || post("/v1/repos/team/app/builds?dedupe=1");
    let (first, again) = (once(), once());
    assert_eq!((first.status, again.status), (202, 200), "{}", again.text);
    assert_eq!((&again.json()["deduplicated"], &first.json()["deduplicated"]), (&true.into(), &Value::Null));
    assert_eq!(again.json()["builds"][0]["id"], first.json()["builds"][0]["id"]);
    assert_eq!(post("/v1/repos/team/app/builds").status, 202);
    assert_eq!(post("/v1/repos/team/app/builds?dedupe=maybe").json()["code"], "invalid_query");
}
