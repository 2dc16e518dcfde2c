//! Workers on PostgreSQL, which ends as in a power failure while they build.

use crate::support::cluster::Cluster;
use crate::support::worker_pool::Yard;
use crate::support::{curl, push_base, wait_for};
use database::{BuildId, BuildRequest, BuildState, Database, Looked, NewRulesFetch, WatchedImage, WorkerQuery};
use std::process::Command;
use std::time::{Duration, Instant};

/// Starts a yard whose queue is on a cluster.
fn yard_on(cluster: &Cluster) -> Yard {
    let url = cluster.create();
    let mut yard = Yard::start(&format!("[server]\ndatabase = \"{url}\"\n"));
    yard.database = yard.tokio.block_on(Database::open(&url)).unwrap();
    push_base(&yard.path("data"), &yard.registry);
    yard
}

/// Returns a build as soon as the database says how it is.
fn known(yard: &Yard, id: &BuildId) -> database::Build {
    wait_for("the database", || yard.tokio.block_on(yard.database.build(id)).ok().flatten())
}

#[test]
fn builds_survive_a_crash_of_postgresql_and_end_once() {
    // RL9
    let cluster = Cluster::start();
    let yard = yard_on(&cluster);
    let dockerfile = "ARG BASE\nFROM ${BASE}\nARG N\nRUN echo waiting; sleep 3; echo $N > /n\n";
    let commit = yard.commit(&[("Dockerfile", dockerfile)]);
    let ids: Vec<BuildId> = (0..6)
        .map(|number| {
            let mut request = yard.request(&commit);
            request.spec.build_args.insert("N".to_owned(), number.to_string());
            request.spec.tags = vec![format!("{}/team/app:n{number}", yard.registry)];
            yard.queue(&request)
        })
        .collect();
    let _workers = [yard.worker(&["--builds", "2"]), yard.worker(&["--builds", "2"])];
    wait_for("four builds at once", || {
        let waiting = ids.iter().filter(|id| yard.log(id).contains("\nwaiting\n")).count();
        (waiting >= 4).then_some(())
    });
    cluster.crash();
    assert!(yard.tokio.block_on(yard.database.trigger(None, &[yard.request(&commit)])).is_err(), "nothing is promised");
    std::thread::sleep(Duration::from_secs(2));
    cluster.up();
    let began = Instant::now();
    for (number, id) in ids.iter().enumerate() {
        let build = wait_for("the end of a build", || Some(known(&yard, id)).filter(|build| build.state.has_ended()));
        assert_eq!((build.state, build.attempt), (BuildState::Succeeded, 1), "{build:#?}\n{}", yard.log(id));
        let tag = curl(&["-I", &format!("http://{}/v2/team/app/manifests/n{number}", yard.registry)]).text;
        assert!(tag.contains(&build.image.unwrap().digest), "{tag}");
        assert_eq!(yard.log(id).matches("\nwaiting\n").count(), 1, "{}", yard.log(id));
    }
    println!("all ended {:?} after the return", began.elapsed());
    yard.nothing_left();
}

/// Executes SQL with PostgreSQL's own client; returns what it said if it refused.
fn psql(url: &str, sql: &str) -> Result<(), String> {
    let output = Command::new("psql").args(["-X", "-q", "-v", "ON_ERROR_STOP=1", url, "-c", sql]).output();
    let output = output.expect("psql is installed");
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

/// Asks a worker all that it answers besides building.
fn answers(yard: &Yard, request: &BuildRequest) {
    let (database, on) = (&yard.database, &yard.tokio);
    let query = on.block_on(database.ask(&WorkerQuery::Steps(Box::new(request.clone())))).unwrap();
    wait_for("the answer to a worker query", || on.block_on(database.answer_to(query)).unwrap());
    let rules_fetch = NewRulesFetch {
        repository: request.repository.clone(),
        clone_url: request.spec.clone_url.clone(),
        git_ref: request.spec.git_ref.clone(),
        commit: None,
        commit_message: String::new(),
        trigger: request.trigger.clone(),
        path: "slipway.toml".to_owned(),
        rule: None,
    };
    on.block_on(database.add_rules_fetch(&rules_fetch)).unwrap();
    wait_for("the answer of a rules fetch", || on.block_on(database.answered_rules_fetches(1)).unwrap().pop());
    let looked = Looked { repository: request.repository.clone(), clone_url: request.spec.clone_url.clone() };
    on.block_on(database.look_at(&[looked], Duration::from_secs(300), true)).unwrap();
    wait_for("a look", || on.block_on(database.answered_ref_polls(1)).unwrap().pop());
    let base = WatchedImage { reference: request.spec.build_args["BASE"].clone(), platform: "linux/amd64".to_owned() };
    on.block_on(database.watch_base_images(&[base], Duration::from_secs(900))).unwrap();
    wait_for("a look at a base image", || on.block_on(database.seen_base_images()).unwrap().pop()?.digest);
}

#[test]
fn a_worker_builds_with_a_role_that_can_do_little_else() {
    // MW-12
    let cluster = Cluster::start();
    let url = cluster.create();
    let worker_url = url.replace("slipway@", "slipway_worker@");
    let mut yard = Yard::start(&format!("[server]\ndatabase = \"{worker_url}\"\n"));
    let key = database::SecretKey::new([7; 32]);
    yard.database = yard.tokio.block_on(Database::open(&url)).unwrap().with_key(key);
    for _ in 0..2 {
        psql(&url, include_str!("../../packaging/worker-role.sql")).unwrap();
    }
    push_base(&yard.path("data"), &yard.registry);
    yard.tokio.block_on(yard.database.put_secret("team/app", "key", b"hush-hush")).unwrap();
    let dockerfile = "ARG BASE\nFROM ${BASE}\nRUN --mount=type=secret,id=key test -s /run/secrets/key\n";
    let commit = yard.commit(&[("Dockerfile", dockerfile)]);
    let _worker = yard.worker(&[]);
    let mut request = yard.request(&commit);
    request.spec.options.secrets = vec!["key".to_owned()];
    yard.succeeded(&yard.queue(&request));
    // One that asks what a ref names, one that fails, one that is cancelled while it runs.
    request.spec.commit = None;
    yard.succeeded(&yard.queue(&request));
    yard.failed(&yard.push(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN false\n")]));
    let cancelled = yard.push(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo waiting; sleep 100\n")]);
    yard.wait_for_log(&cancelled, "\nwaiting\n");
    yard.tokio.block_on(yard.database.cancel(&cancelled)).unwrap();
    assert_eq!(yard.finished(&cancelled).state, BuildState::Cancelled);
    assert!(yard.tokio.block_on(yard.database.trace(&cancelled)).unwrap().is_some());
    answers(&yard, &request);
    for sql in [
        "SELECT * FROM tokens",
        "SELECT * FROM deliveries",
        "SELECT * FROM repositories",
        "SELECT * FROM idempotency_keys",
        "UPDATE builds SET spec_json = spec_json",
        "UPDATE builds SET repository = 'team/other'",
        "UPDATE builds SET approved_by = 'me', awaits_approval = FALSE",
        "DELETE FROM builds",
        "INSERT INTO builds SELECT * FROM builds",
        "UPDATE secrets SET sealed = sealed",
        "DELETE FROM webhooks",
        "DELETE FROM logs",
        "DROP TABLE tags",
    ] {
        let refused = psql(&worker_url, sql).expect_err(sql);
        assert!(refused.contains("permission denied") || refused.contains("must be owner"), "{sql}: {refused}");
    }
    let log = std::fs::read_to_string(yard.path("worker.log")).unwrap();
    assert!(!log.contains("permission denied"), "{log}");
}
