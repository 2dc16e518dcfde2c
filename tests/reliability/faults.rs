//! Faults of what is around: the server killed while it accepts, a full disk, a frozen worker, a database of yesterday.

use crate::support::raw_http::{Connection, delivery, push};
use crate::support::worker_pool::Yard;
use crate::support::{Process, SECRET, Site, curl, push_base, run, wait_for};
use database::{BuildState, DeliveryFilter};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Sends deliveries until the server is gone; returns the ids of the builds by the delivery that was answered 202.
fn send_until_gone(url: &str, client: usize, answered: &Mutex<BTreeMap<String, String>>) {
    let Ok(stream) = std::net::TcpStream::connect(url.trim_start_matches("http://")) else { return };
    drop(stream);
    let mut connection = Connection::open(url);
    for number in 0.. {
        let (id, commit) = (format!("kill-{client}-{number}"), format!("{:020x}{number:020x}", client + 1));
        let body = push("refs/heads/main", &commit, "A commit");
        if connection.send(&delivery("push", &id, body.as_bytes(), SECRET)).is_err() {
            return;
        }
        let Some(reply) = connection.reply() else { return };
        assert_eq!(reply.status, 202, "{}", reply.body);
        let json: serde_json::Value = serde_json::from_str(&reply.body).unwrap();
        answered.lock().unwrap().insert(id, json["builds"][0]["id"].as_str().unwrap().to_owned());
    }
}

#[test]
fn every_delivery_that_was_answered_is_there_after_the_server_was_killed() {
    // RL1, ST-01, I1
    let mut site = Site::start("");
    let file = site.path("slipway.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("[server]", "[server]\nworkers = 0")).unwrap();
    site.server = None;
    site.serve();
    let answered = Mutex::new(BTreeMap::new());
    for round in 0..4usize {
        let mut server = site.server.take().unwrap();
        std::thread::scope(|scope| {
            for client in 0..8 {
                let (url, answered) = (&site.url, &answered);
                scope.spawn(move || send_until_gone(url, round * 8 + client, answered));
            }
            std::thread::sleep(Duration::from_millis(120 + 90 * round as u64));
            server.0.kill().unwrap();
            server.0.wait().unwrap();
        });
        site.serve();
    }
    let answered = answered.into_inner().unwrap();
    assert!(answered.len() > 100, "{} deliveries are too few to mean something", answered.len());
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("sqlite://{}", site.path("data/slipway.db").display());
    let database = tokio.block_on(database::Database::open(&url)).unwrap();
    let mut stored: BTreeMap<String, usize> = BTreeMap::new();
    let mut filter = DeliveryFilter { limit: 200, ..DeliveryFilter::default() };
    loop {
        let page = tokio.block_on(database.deliveries(&filter)).unwrap();
        let Some(last) = page.last() else { break };
        filter.before = Some(last.id);
        page.iter().for_each(|delivery| *stored.entry(delivery.delivery.clone()).or_default() += 1);
    }
    println!("{} deliveries answered, {} stored", answered.len(), stored.len());
    for (delivery, build) in &answered {
        assert_eq!(stored.get(delivery), Some(&1), "{delivery}");
        let build = database::BuildId::parse(build).unwrap();
        assert_eq!(tokio.block_on(database.build(&build)).unwrap().unwrap().state, BuildState::Queued);
    }
    assert!(stored.values().all(|count| *count == 1), "what was not answered is there once or not at all");
}

/// A small file system of its own over a directory, gone when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn over(directory: PathBuf, megabytes: u32) -> SmallDisk {
        std::fs::create_dir_all(&directory).unwrap();
        let size = format!("size={megabytes}m,mode=755");
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "slipway-test"]).arg(&directory));
        SmallDisk(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_fails_the_build_that_fills_it_and_no_other() {
    // RL5, ST-06
    let yard = Yard::start("");
    let images = yard.path("data/images");
    std::fs::remove_dir_all(&images).unwrap();
    let disk = SmallDisk::over(images.clone(), 24);
    image_store::Store::open(&images).unwrap();
    push_base(&yard.path("data"), &yard.registry);
    let _worker = yard.worker(&[]);
    let large = "ARG BASE\nFROM ${BASE}\nRUN dd if=/dev/urandom of=/large bs=1M count=40 2>/dev/null\n";
    let id = yard.push(&[("Dockerfile", large)]);
    let (state, code, message) = yard.failed(&id);
    assert_eq!((state.as_str(), code.as_str()), ("errored", "disk_full"), "{message}");
    assert!(message.contains("data directory needs more space"), "{message}");
    assert!(std::fs::read_dir(images.join("tmp")).unwrap().next().is_none(), "what was begun is gone");
    let listed = curl(&[&format!("http://{}/v2/team/app/tags/list", yard.registry)]);
    assert_eq!(listed.json()["tags"], serde_json::json!([]), "{}", listed.text);
    yard.succeeded(&yard.push(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo small > /small\n")]));
    drop(disk);
    yard.nothing_left();
}

fn signal(worker: &Process, name: &str) {
    run(Command::new("kill").args([name, &worker.0.id().to_string()]));
}

#[test]
fn a_worker_that_was_frozen_finds_its_build_done_and_changes_nothing() {
    // RL13, MW-03: two workers on one build
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let frozen = yard.worker(&[]);
    let id = yard.push(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo waiting; sleep 2; date +%N > /x\n")]);
    yard.wait_for_log(&id, "\nwaiting\n");
    let holder = yard.tokio.block_on(yard.database.lease_holders()).unwrap().remove(0);
    signal(&frozen, "-STOP");
    // Its lease is over: the other worker has a machine, and so a data directory, of its own.
    yard.tokio.block_on(yard.database.release(&holder)).unwrap();
    let second = yard.worker(&[]);
    let build = yard.succeeded(&id);
    assert_eq!(build.attempt, 2);
    let digest = build.image.unwrap().digest;
    let (log, version) = (yard.log(&id), build.version);
    signal(&frozen, "-CONT");
    // It has what it needs to be done: the step, the push, the end.
    std::thread::sleep(Duration::from_secs(4));
    let after = yard.build(&id);
    assert_eq!((after.attempt, after.version, after.state), (2, version, BuildState::Succeeded));
    assert_eq!(yard.log(&id), log, "not a line of the first attempt came later");
    let shown = curl(&["-I", &format!("http://{}/v2/team/app/manifests/latest", yard.registry)]).text;
    assert!(shown.contains(&digest), "{shown}");
    drop((frozen, second));
    yard.nothing_left();
}

#[test]
fn a_database_of_yesterday_is_worked_with() {
    // ST-13: blobs that it does not know, builds that it has forgotten
    let (mut yard, worker) = Yard::with_worker("");
    let dockerfile = |text: &str| format!("ARG BASE\nFROM ${{BASE}}\nRUN echo {text} > /x\n");
    let known = yard.succeeded(&yard.push(&[("Dockerfile", &dockerfile("one"))]));
    drop(worker);
    let files = ["slipway.db", "slipway.db-wal"];
    let (data, backup) = (yard.path("data"), yard.path("backup"));
    std::fs::create_dir(&backup).unwrap();
    for file in files {
        std::fs::copy(data.join(file), backup.join(file)).unwrap();
    }
    let worker = yard.worker(&[]);
    let forgotten = yard.succeeded(&yard.push(&[("Dockerfile", &dockerfile("two"))]));
    drop(worker);
    for file in ["slipway.db", "slipway.db-wal", "slipway.db-shm"] {
        let _ = std::fs::remove_file(data.join(file));
    }
    for file in files {
        std::fs::copy(backup.join(file), data.join(file)).unwrap();
    }
    let url = format!("sqlite://{}", data.join("slipway.db").display());
    yard.database = yard.tokio.block_on(database::Database::open(&url)).unwrap();
    assert!(yard.tokio.block_on(yard.database.build(&forgotten.id)).unwrap().is_none());
    assert_eq!(yard.build(&known.id).state, BuildState::Succeeded);
    let _worker = yard.worker(&[]);
    let again = yard.succeeded(&yard.push(&[("Dockerfile", &dockerfile("two"))]));
    let shown = curl(&["-I", &format!("http://{}/v2/team/app/manifests/latest", yard.registry)]).text;
    assert!(shown.contains(&again.image.unwrap().digest), "{shown}");
    yard.nothing_left();
}

#[test]
fn the_same_commit_makes_the_same_image_with_and_without_the_cache() {
    // SEC-20
    let (yard, _worker) = Yard::with_worker("");
    let dockerfile = "ARG BASE\nFROM ${BASE} AS made\nRUN echo made > /made\nFROM ${BASE}\nCOPY . /all\nCOPY --from=made /made /\nRUN ls /all > /list\n";
    let mut request = yard.request(&yard.commit(&[("Dockerfile", dockerfile), ("a/b", "1")]));
    let digest = |request: &database::BuildRequest| yard.succeeded(&yard.queue(request)).image.unwrap().digest;
    let first = digest(&request);
    assert_eq!(digest(&request), first, "cached");
    request.spec.use_cache = false;
    assert_eq!(digest(&request), first, "made again");
}

#[test]
fn a_registry_that_fails_for_a_while_gets_the_image_in_the_end() {
    // RL7: nothing is tagged before, and the end is the same image
    let (yard, _worker) = Yard::with_worker("");
    let store = image_store::Store::open(&yard.path("elsewhere")).unwrap();
    let router = registry::router(store, registry::Settings::new(registry::Access::Open));
    let failures = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(7));
    let left = failures.clone();
    let failing = move |request: axum::extract::Request, next: axum::middleware::Next| {
        let left = left.clone();
        async move {
            let writes = !request.method().is_safe();
            if writes && left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) > 0 {
                return axum::response::IntoResponse::into_response(axum::http::StatusCode::SERVICE_UNAVAILABLE);
            }
            next.run(request).await
        }
    };
    let address = crate::support::worker_pool::serve(&yard.tokio, router.layer(axum::middleware::from_fn(failing)));
    let mut request = yard.request(&yard.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo x > /x\n")]));
    request.spec.tags = vec![format!("{address}/team/app:latest")];
    let began = Instant::now();
    let id = yard.queue(&request);
    let image = wait_for("the image", || {
        let build = yard.build(&id);
        assert!(!build.state.has_ended() || build.state == BuildState::Succeeded, "{build:#?}\n{}", yard.log(&id));
        build.image
    });
    println!("after {:?} and {} attempts", began.elapsed(), yard.build(&id).attempt);
    assert!(failures.load(std::sync::atomic::Ordering::SeqCst) <= 0);
    let shown = curl(&["-I", &format!("http://{address}/v2/team/app/manifests/latest")]).text;
    assert!(shown.contains(&image.digest), "{shown}");
    yard.nothing_left();
}

#[test]
fn a_worker_that_may_open_no_more_files_claims_nothing_until_it_may() {
    // RL22
    let (yard, worker) = Yard::with_worker("");
    let dockerfile = "ARG BASE\nFROM ${BASE}\nRUN echo waiting; sleep 2; echo done > /done\n";
    let running = yard.push(&[("Dockerfile", dockerfile)]);
    yard.wait_for_log(&running, "\nwaiting\n");
    let process = worker.0.id().to_string();
    let open = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count();
    let limit = |files: usize| run(Command::new("prlimit").args(["--pid", &process, &format!("--nofile={files}:")]));
    limit(open + 60);
    let waiting = yard.queue(&yard.request(&yard.commit(&[("new", "1")])));
    yard.succeeded(&running);
    wait_for("the reason", || {
        std::fs::read_to_string(yard.path("worker.log")).unwrap().contains("no build is claimed").then_some(())
    });
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(yard.build(&waiting).state, BuildState::Queued);
    limit(1024);
    assert_eq!(yard.succeeded(&waiting).attempt, 1);
    yard.nothing_left();
}
