//! A dry run says what would be built and which steps come from the cache, and the build that follows agrees.

use crate::service::api::{ADMIN, ask};
use crate::support::{Site, curl};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE} AS tools\nCOPY tool /tool\nRUN cat /tool > /made; date > /when\n\
    FROM ${BASE}\nENV A=b\nCOPY app /app\nRUN cat /app\nCOPY --from=tools /made /made\nRUN cat /made\n";

fn dry(site: &Site, asked: &Value) -> Value {
    let mut asked = asked.clone();
    asked["dry_run"] = json!(true);
    let answer = ask(site, "POST", "/v1/repos/team/app/builds", &asked);
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// Returns what would become of the steps of the first build.
fn fates(plan: &Value) -> Vec<String> {
    let steps = plan["plan"][0]["steps"].as_array().unwrap_or_else(|| panic!("{plan:#}"));
    steps.iter().map(|step| step["would_be"].as_str().unwrap().to_owned()).collect()
}

fn build(site: &Site, asked: &Value) -> Value {
    let started = ask(site, "POST", "/v1/repos/team/app/builds", asked).json();
    site.succeeded(started["builds"][0]["id"].as_str().unwrap())
}

/// Builds what was foreseen and checks that it was foreseen right; `Open` may become either.
fn holds(site: &Site, asked: &Value, fates: &[String]) {
    let build = build(site, asked);
    let steps = build["steps"].as_array().unwrap();
    assert_eq!(steps.len(), fates.len(), "{build:#}");
    for (step, fate) in steps.iter().zip(fates) {
        let right = match fate.as_str() {
            "cached" => step["cached"] == true,
            "executed" => step["cached"] == false && !step["layer"].is_null(),
            "setting" => step["layer"].is_null(),
            fate => fate == "open",
        };
        assert!(right, "{fate}: {step:#}");
    }
}

#[test]
fn a_dry_run_says_which_steps_would_be_cached_and_leaves_nothing() {
    let site = Site::start(ADMIN);
    site.push_base();
    let commit = site.commit(&[("Dockerfile", DOCKERFILE), ("tool", "1"), ("app", "1")]);
    let asked = json!({ "ref": "main" });
    let plan = dry(&site, &asked);
    let first = &plan["plan"][0];
    let image = format!("{}/team/app", site.registry);
    assert_eq!(first["tags"], json!([format!("{image}:latest"), format!("{image}:{}", &commit[..7])]), "{plan:#}");
    assert_eq!(
        (&first["commit"], &first["would_fail"], &first["all_cached"]),
        (&json!(commit), &json!(null), &json!(false))
    );
    let executed = fates(&plan);
    assert_eq!(executed[..2], ["executed", "executed"], "{plan:#}");
    assert_eq!(executed[2..], ["setting", "executed", "executed", "open", "executed"], "{plan:#}");
    assert!(first["steps"][1]["instruction"].as_str().unwrap().starts_with("RUN cat /tool"), "{plan:#}");

    // Nothing is stored, tagged, pushed or left.
    assert_eq!(site.get("/v1/builds")["builds"], json!([]));
    assert_eq!(curl(&[&format!("http://{}/v2/team/app/tags/list", site.registry)]).status, 404);
    let attempts = std::fs::read_dir(site.path("data/sandbox/state/w")).into_iter().flatten().flatten();
    assert_eq!(attempts.filter(|entry| entry.path().is_dir()).count(), 0);

    holds(&site, &asked, &executed);
    let cached = fates(&dry(&site, &asked));
    assert_eq!(cached.iter().filter(|fate| *fate == "cached").count(), 6, "{cached:?}");
    holds(&site, &asked, &cached);

    // Steps after a changed file are executed; the unchanged ones before it are not.
    site.commit(&[("app", "2")]);
    let changed = fates(&dry(&site, &asked));
    // Copies to what is made may be found by what they pack.
    assert_eq!(changed, ["cached", "cached", "setting", "executed", "executed", "open", "executed"]);
    holds(&site, &asked, &changed);

    // A step that takes files from an executed step depends on its result.
    site.commit(&[("tool", "2")]);
    let taken = fates(&dry(&site, &asked));
    assert_eq!(taken, ["executed", "executed", "setting", "cached", "cached", "open", "open"]);
    holds(&site, &asked, &taken);
    assert!(fates(&dry(&site, &json!({ "ref": "main", "cache": "off" }))).iter().all(|fate| fate != "cached"));
}

#[test]
fn a_dry_run_says_why_the_build_would_fail() {
    let site = Site::start(ADMIN);
    site.push_base();
    site.commit(&[
        ("Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPPY a b\n"),
        ("Missing", "FROM scratch\nCOPY nosuch /x\n"),
    ]);
    for (asked, code, part) in [
        (json!({ "ref": "main" }), "dockerfile_invalid", "unknown instruction: COPPY"),
        (json!({ "ref": "main", "dockerfile": "Missing" }), "file_not_found", "nosuch"),
        (json!({ "ref": "main", "dockerfile": "None" }), "dockerfile_not_found", "None"),
        (json!({ "ref": "main", "commit": "1".repeat(40) }), "commit_not_found", "1111"),
    ] {
        let plan = dry(&site, &asked);
        let failure = &plan["plan"][0]["would_fail"];
        assert!(failure["message"].as_str().unwrap_or_default().contains(part), "{asked}: {plan:#}");
        assert!(failure["code"].as_str().unwrap().contains(code), "{asked}: {plan:#}");
        assert!(plan["plan"][0]["steps"].is_null());
    }
}

#[test]
fn a_dry_run_without_a_worker_says_what_is_not_known() {
    let mut site = Site::start(ADMIN);
    let file = site.path("slipway.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("[server]", "[server]\nworkers = 0")).unwrap();
    site.server = None;
    site.serve();
    let began = Instant::now();
    let plan = dry(&site, &json!({ "ref": "main", "commit": "1".repeat(40) }));
    assert!((Duration::from_secs(19)..Duration::from_secs(28)).contains(&began.elapsed()), "{:?}", began.elapsed());
    assert!(plan["note"].as_str().unwrap().contains("no worker answered"), "{plan:#}");
    let first = &plan["plan"][0];
    assert_eq!((&first["rule"], &first["steps"]), (&json!("main"), &json!(null)));
    assert!(first["tags"][1].as_str().unwrap().ends_with(":1111111"), "{plan:#}");
}
