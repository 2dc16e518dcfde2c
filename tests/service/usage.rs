//! Resource usage of builds, as the API and the pages show it.

use crate::support::{Site, curl, slipway};

#[test]
fn what_a_build_burns_until_its_time_is_over_is_seen() {
    // RT-30
    let mut site = Site::start("");
    site.push_base();
    let file = site.path("slipway.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("name = \"main\"\n", "name = \"main\"\nstep_timeout = \"2s\"\n")).unwrap();
    site.server = None;
    site.serve();
    let miner = "ARG BASE\nFROM ${BASE}\nRUN (while :; do :; done) & while :; do :; done\n";
    let id = site.push(&site.commit(&[("Dockerfile", miner)]));
    let build = site.finished(&id);
    assert_eq!((&build["state"], &build["reason"]["code"]), (&"timed_out".into(), &"step_timeout".into()), "{build:#}");
    let burnt = build["cpu_ms"].as_i64().expect("this test needs a control group that counts processor time");
    assert!((500..20_000).contains(&burnt), "{burnt}");
    let used = site.get("/v1/repos/team/app/usage");
    assert_eq!((&used["builds"], used["cpu_ms"].as_i64()), (&1.into(), Some(burnt)), "{used:#}");
    assert!(used["duration_ms"].as_i64().unwrap() >= 2_000 && used["since"].is_string(), "{used:#}");
    let page = |path: &str| curl(&[&format!("{}{path}", site.url)]).text;
    assert!(page(&format!("/builds/{id}")).contains("Processor time"));
    let repository = page("/repos/team/app");
    assert!(repository.contains("1 build that took") && repository.contains("of processor time"), "{repository}");
    let shown = slipway().args(["status", &id, "--server", &site.url]).output().unwrap();
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains(&format!("used    {:.1} s of processor time", burnt as f64 / 1000.0)), "{shown}");
}
