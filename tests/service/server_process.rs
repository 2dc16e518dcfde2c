//! The server as a process: its disk, its lock, its workers, its signals, its database.

use crate::support::test_disk::Disk;
use crate::support::{Answer, Process, SECRET, Site, TOKEN, curl, examples, shown, slipway, wait_for};
use database::{BuildId, Database, Outcome, Reason};
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Deliveries that an audit sent while a step filled the disk.
const DELIVERIES: usize = 84;

/// Takes every block of a disk.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        let piece = vec![b'x'; size];
        while file.write_all(&piece).is_ok() {}
    }
    let _ = file.sync_all();
}

/// Delivers a push with a body of some size.
fn deliver(site: &Site, id: &str, padding: usize) -> Answer {
    let mut body = examples("push").into_iter().find(|push| push["deleted"] == false).unwrap();
    body["ref"] = "refs/heads/main".into();
    body["before"] = serde_json::Value::Null;
    body["after"] = format!("{:0>40}", hex::encode(id)).into();
    body["padding"] = "x".repeat(padding).into();
    site.deliver("push", id, &body.to_string(), SECRET)
}

fn log_of(site: &Site) -> String {
    std::fs::read_to_string(site.path("serve.log")).unwrap()
}

#[test]
fn a_full_disk_stores_deliveries_and_one_that_has_room_again_needs_no_restart() {
    // SEC-B2, SEC-B2b
    let mut site = Site::start_with("workers = 0\n", "");
    site.server = None;
    let disk = Disk::over(&site.path("data"), site.path("disk"), 300);
    site.serve();
    let wal = site.path("data/slipway.db-wal");
    wait_for("the room set aside", || (std::fs::metadata(&wal).ok()?.len() > 4 << 20).then_some(()));
    std::thread::sleep(Duration::from_millis(500));
    fill(&site.path("data/filler"));
    for number in 0..DELIVERIES {
        let answer = deliver(&site, &format!("full-{number}"), 0);
        assert_eq!(answer.status, 202, "{number}: {}", answer.text);
    }
    let told = wait_for("what readiness says", || {
        let ready = curl(&[&format!("{}/readyz", site.url)]);
        assert_eq!(ready.status, 200, "{}", ready.text);
        ready.text.contains("the disk of the database is full").then_some(ready.text)
    });
    assert!(told.contains("room set aside"), "{told}");
    assert!(log_of(&site).contains("the disk of the database is full"));
    // Until that room is used up, too.
    let refused = (0..20).find(|number| deliver(&site, &format!("large-{number}"), 1 << 20).status != 202);
    let refused = refused.expect("the room has an end");
    for _ in 0..3 {
        let answer = deliver(&site, &format!("large-{refused}"), 1 << 20);
        assert_eq!(answer.status, 503, "{}", answer.text);
    }
    std::fs::remove_file(site.path("data/filler")).unwrap();
    for number in refused..refused + 3 {
        let answer = deliver(&site, &format!("large-{number}"), 1 << 20);
        assert_eq!(answer.status, 202, "{}", answer.text);
    }
    let ready = curl(&[&format!("{}/readyz", site.url)]);
    assert_eq!(ready.status, 200, "{}", ready.text);
    let stored = site.get("/v1/deliveries?limit=200")["deliveries"].as_array().unwrap().len();
    assert_eq!(stored, DELIVERIES + refused + 3, "nothing is lost, nothing is double");
    site.server = None;
    disk.unmount();
}

#[test]
fn a_second_server_of_a_data_directory_is_refused() {
    // SEC-m3
    let site = Site::start_with("workers = 0\n", "");
    let first = site.server.as_ref().unwrap().0.id();
    let link = site.path("link");
    std::os::unix::fs::symlink(site.path("data"), &link).unwrap();
    for data in [site.path("data"), link] {
        let mut command = slipway();
        let output = command.arg("serve").arg("--data-dir").arg(&data).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
        let expected = format!("another `slipway serve`, process {first}, uses the data directory");
        assert!(shown(&output).contains(&expected), "{}", shown(&output));
    }
    assert_eq!(curl(&[&format!("{}/readyz", site.url)]).status, 200);
}

#[test]
fn workers_that_cannot_start_are_tried_less_often_and_readiness_says_so() {
    // US-28
    let mut site = Site::start_with("workers = 0\n", "");
    site.server = None;
    let file = site.path("slipway.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("workers = 0", "workers = 2");
    std::fs::write(&file, text).unwrap();
    std::fs::remove_dir_all(site.path("data/sandbox")).ok();
    std::fs::write(site.path("data/sandbox"), "in the way").unwrap();
    site.serve();
    let problem = wait_for("what readiness says", || {
        let ready = curl(&[&format!("{}/readyz", site.url)]);
        (ready.status == 503).then(|| ready.json())
    });
    assert_eq!(problem["code"], "workers_cannot_start", "{problem}");
    assert_eq!(deliver(&site, "stored", 0).status, 202, "deliveries are stored all the same");
    std::thread::sleep(Duration::from_secs(6));
    let tries = log_of(&site).matches("worker exited; restarting").count();
    assert!((6..=12).contains(&tries), "{tries} tries of two workers");
    std::fs::remove_file(site.path("data/sandbox")).unwrap();
    let asked = Instant::now();
    site.server = None;
    assert!(asked.elapsed() < Duration::from_secs(5), "a pause does not keep the server from ending");
}

/// Starts the server again in a process group of its own, as a shell does on a terminal, with a build that runs.
fn with_running_build(site: &mut Site) -> String {
    site.server = None;
    let log = File::options().create(true).append(true).open(site.path("serve.log")).unwrap();
    let mut command = slipway();
    command.arg("serve").arg("--data-dir").arg(site.path("data")).arg("--config").arg(site.path("slipway.toml"));
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0).spawn().unwrap();
    site.server = Some(Process(child));
    wait_for("the server", || {
        let health = format!("{}/healthz", site.url);
        Command::new("curl").args(["-sf", &health]).output().unwrap().status.success().then_some(())
    });
    site.push_base();
    let commit = site.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo waiting; sleep 3; echo x > /x\n")]);
    let id = site.push(&commit);
    wait_for("the step", || site.log(&id).contains("waiting\n").then_some(()));
    id
}

/// Sends a signal to the whole process group, as a terminal does.
fn signal_group(site: &Site, signal: &str) {
    let group = format!("-{}", site.server.as_ref().unwrap().0.id());
    assert!(Command::new("kill").args([signal, "--", &group]).status().unwrap().success());
}

#[test]
fn what_a_terminal_sends_lets_running_builds_end() {
    // US-29
    for signals in [vec!["-INT"], vec!["-HUP", "-HUP"]] {
        let mut site = Site::start_with("", "");
        let id = with_running_build(&mut site);
        for signal in &signals {
            signal_group(&site, signal);
            std::thread::sleep(Duration::from_millis(200));
        }
        let status = wait_for("the end of the server", || site.server.as_mut().unwrap().0.try_wait().unwrap());
        assert!(status.success(), "{signals:?}: {status}");
        site.server = None;
        site.serve();
        let build = site.succeeded(&id);
        assert_eq!(build["attempt"], 1, "{signals:?}: {build:#}");
    }
}

#[test]
fn a_server_without_its_postgresql_says_where_it_looked_and_what_came_back() {
    // US-23
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("slipway.toml");
    let port = crate::support::free_port();
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nregistry_listen = \"127.0.0.1:0\"\nworkers = 0\ndatabase = \"postgres://me@127.0.0.1:{port}/x\"\n"
    );
    std::fs::write(&file, text).unwrap();
    let mut command = slipway();
    let output =
        command.arg("serve").arg("--data-dir").arg(directory.path()).arg("--config").arg(&file).output().unwrap();
    let told = shown(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&format!("PostgreSQL server at 127.0.0.1:{port}")), "{told}");
    assert!(told.contains("Connection refused") && told.contains("`server.database`"), "{told}");
    assert!(!told.contains("pool timed out"), "{told}");
}

#[test]
fn what_retention_removed_is_told_of_and_counted() {
    let mut site = Site::start_with("workers = 0\n", "[retention]\nlog_mib = 1\nbuilds = 2\n");
    let token = format!("Authorization: Bearer {TOKEN}");
    let trigger = || {
        let url = format!("{}/v1/repos/team/app/builds", site.url);
        let json = "Content-Type: application/json";
        let answer = curl(&[
            "-H",
            &token,
            "-H",
            json,
            "-d",
            r#"{"ref":"main","commit":"0123456789012345678901234567890123456789"}"#,
            &url,
        ]);
        assert_eq!(answer.status, 202, "{}", answer.text);
        answer.json()["builds"][0]["id"].as_str().unwrap().to_owned()
    };
    let ids: Vec<String> = (0..3).map(|_| trigger()).collect();
    site.server = None;
    let tokio = tokio::runtime::Runtime::new().unwrap();
    tokio.block_on(async {
        let database = Database::open(&format!("sqlite://{}", site.path("data/slipway.db").display())).await.unwrap();
        for _ in &ids {
            let claim = database.claim("test").await.unwrap().unwrap();
            for _ in 0..3 {
                database.append_log(&claim, None, &vec![b'x'; 500_000]).await.unwrap();
            }
            let reason = Reason { code: "step_failed".to_owned(), message: "x".to_owned() };
            database.finish(claim, Outcome::Failed(reason)).await.unwrap();
        }
        while let Some(status) = database.pending_statuses(None, 1).await.unwrap().pop() {
            database.acknowledge_status(status.id, &database::StatusAnswer::Taken).await.unwrap();
        }
        assert!(database.build(&BuildId::parse(&ids[0]).unwrap()).await.unwrap().is_some());
    });
    site.serve();
    let get = |path: &str| curl(&[&format!("{}{path}", site.url)]);
    wait_for("the sweep", || (get(&format!("/v1/builds/{}", ids[0])).status == 404).then_some(()));
    let by_number = get("/v1/repos/team/app/builds/1");
    assert_eq!((by_number.status, &by_number.json()["code"]), (410, &"build_removed".into()), "{}", by_number.text);
    assert_eq!(get("/v1/repos/team/app/builds/9").status, 404);
    let log = wait_for("the end of the sweep", || {
        let log = get(&format!("/v1/builds/{}/logs", ids[1]));
        (log.status == 410).then_some(log)
    });
    assert_eq!(log.json()["code"], "log_removed", "{}", log.text);
    assert!(!site.get(&format!("/v1/builds/{}", ids[1]))["log_removed_at"].is_null());
    let page = get(&format!("/builds/{}", ids[1]));
    assert!(page.status == 200 && page.text.contains("The log was removed by retention"), "{}", page.text);
    let metrics = wait_for("the counts", || {
        let metrics = get("/metrics").text;
        metrics.contains("slipway_removed_total{what=\"logs\"} 3").then_some(metrics)
    });
    assert!(metrics.contains("slipway_removed_total{what=\"builds\"} 1"), "{metrics}");
    assert!(metrics.contains("slipway_removed_bytes_total{what=\"logs\"} 4500000"), "{metrics}");
    assert!(metrics.contains("slipway_builds_ended_total{state=\"failed\"} 3"), "{metrics}");
    let swept = log_of(&site).matches("retention removed what was beyond its limits").count();
    assert_eq!(swept, 1, "one line for each sweep");
}
