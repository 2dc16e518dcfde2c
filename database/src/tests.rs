//! The database on real files.

use super::*;
use std::collections::BTreeMap;

async fn open() -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/slipway.db", directory.path().display());
    (directory, Database::open(&url).await.unwrap())
}

fn request(repository: &str, commit: &str) -> BuildRequest {
    BuildRequest {
        repository: repository.into(),
        rule: "main".into(),
        commit_message: "a change".into(),
        trigger: Trigger::Push { delivery: "d".into(), by: "somebody".into() },
        spec: BuildSpec {
            clone_url: "http://127.0.0.1/app.git".into(),
            git_ref: "refs/heads/main".into(),
            commit: Some(commit.into()),
            dockerfile: "Dockerfile".into(),
            context: String::new(),
            target: None,
            build_args: BTreeMap::new(),
            tags: vec!["127.0.0.1:5000/app:latest".into()],
            use_cache: true,
            push: true,
        },
    }
}

fn delivery(id: &str, body: &str) -> NewDelivery {
    NewDelivery {
        forge: "github".into(),
        delivery: id.into(),
        event: "push".into(),
        repository: "acme/app".into(),
        body: body.into(),
        ignored: None,
    }
}

fn image() -> PushedImage {
    PushedImage { digest: "sha256:00".into(), media_type: "m".into(), size: 1, tags: vec![] }
}

fn reason(code: &str) -> Reason {
    Reason { code: code.into(), message: "because\nof this".into() }
}

// WH-13, WH-14, RL11
#[tokio::test]
async fn a_redelivery_finds_the_same_builds_however_many_come_at_once() {
    let (_directory, database) = open().await;
    let mut answers = Vec::new();
    for number in 0..50 {
        let database = database.clone();
        let id = if number % 2 == 0 { "same".to_owned() } else { format!("new-{number}") };
        answers.push(tokio::spawn(async move {
            database.accept(&delivery(&id, "body"), &[request("acme/app", "c1")]).await.unwrap()
        }));
    }
    let (mut new, mut ids) = (0, Vec::new());
    for answer in answers {
        let builds = match answer.await.unwrap() {
            Accepted::New(builds) => {
                new += 1;
                builds
            }
            Accepted::Duplicate(builds) => builds,
            Accepted::KeyReused => unreachable!(),
        };
        ids.push(builds);
    }
    ids.dedup();
    assert_eq!((new, ids.len()), (1, 1));
}

#[tokio::test]
async fn a_key_makes_a_trigger_repeatable_and_refuses_another_body() {
    let (_directory, database) = open().await;
    let key = |body: &str| IdempotencyKey { repository: "acme/app".into(), key: "k".into(), body: body.into() };
    let requests = [request("acme/app", "c1")];
    let Accepted::New(first) = database.trigger(Some(&key("a")), &requests).await.unwrap() else { panic!() };
    assert_eq!(database.trigger(Some(&key("a")), &requests).await.unwrap(), Accepted::Duplicate(first));
    assert_eq!(database.trigger(Some(&key("b")), &requests).await.unwrap(), Accepted::KeyReused);
    database.clock.advance(Duration::from_secs(25 * 3600));
    assert!(matches!(database.trigger(Some(&key("b")), &requests).await.unwrap(), Accepted::New(_)));
}

// MW-01
#[tokio::test]
async fn every_build_is_claimed_once() {
    let (directory, database) = open().await;
    let requests: Vec<_> = (0..100).map(|number| request("acme/app", &format!("c{number}"))).collect();
    database.trigger(None, &requests).await.unwrap();
    let other = Database::open(&format!("sqlite://{}/slipway.db", directory.path().display())).await.unwrap();
    let claim_all = |database: Database, worker: &'static str| async move {
        let mut claimed = Vec::new();
        while let Some(claim) = database.claim(worker).await.unwrap() {
            claimed.push(claim.build.id);
        }
        claimed
    };
    let (one, two) = tokio::join!(tokio::spawn(claim_all(database, "one")), tokio::spawn(claim_all(other, "two")));
    let mut all = [one.unwrap(), two.unwrap()].concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 100);
}

// MW-16
#[tokio::test]
async fn a_busy_repository_does_not_starve_another() {
    let (_directory, database) = open().await;
    let busy: Vec<_> = (0..10).map(|number| request("acme/busy", &format!("c{number}"))).collect();
    database.trigger(None, &busy).await.unwrap();
    database.trigger(None, &[request("acme/calm", "c")]).await.unwrap();
    database.claim("one").await.unwrap().unwrap();
    assert_eq!(database.claim("two").await.unwrap().unwrap().build.request.repository, "acme/calm");
}

// MW-02, MW-03, R3
#[tokio::test]
async fn a_lost_lease_gives_the_build_to_another_and_refuses_late_writes() {
    let (_directory, database) = open().await;
    database.trigger(None, &[request("acme/app", "c1")]).await.unwrap();
    let first = database.claim("one").await.unwrap().unwrap();
    assert_eq!(database.heartbeat(&first).await.unwrap(), Lease::Held { cancel_requested: false });
    assert!(database.expire_leases().await.unwrap().is_empty());
    database.clock.advance(Duration::from_secs(61));
    assert_eq!(database.heartbeat(&first).await.unwrap(), Lease::Lost);
    assert_eq!(database.expire_leases().await.unwrap().len(), 1);
    let second = database.claim("two").await.unwrap().unwrap();
    assert_eq!(second.attempt, 2);
    assert!(matches!(database.append_log(&first, None, b"late").await, Err(Error::LeaseLost)));
    assert!(matches!(database.put_steps(&first, &[]).await, Err(Error::LeaseLost)));
    assert!(matches!(database.finish(first, Outcome::Succeeded(image())).await, Err(Error::LeaseLost)));
    assert_eq!(database.finish(second, Outcome::Succeeded(image())).await.unwrap(), BuildState::Succeeded);
}

// RL21
#[tokio::test]
async fn the_service_is_tried_three_times_and_the_user_once() {
    let (_directory, database) = open().await;
    let Accepted::New(builds) = database.trigger(None, &[request("acme/app", "c1")]).await.unwrap() else { panic!() };
    for attempt in 1..=3 {
        database.clock.advance(Duration::from_secs(60));
        let claim = database.claim("one").await.unwrap().unwrap();
        assert_eq!(claim.attempt, attempt);
        let expected = if attempt < 3 { BuildState::Queued } else { BuildState::Errored };
        assert_eq!(database.finish(claim, Outcome::Retry(reason("registry"))).await.unwrap(), expected);
    }
    assert_eq!(database.build(&builds[0]).await.unwrap().unwrap().reason.unwrap().code, "registry");
    database.trigger(None, &[request("acme/app", "c2")]).await.unwrap();
    let claim = database.claim("one").await.unwrap().unwrap();
    assert_eq!(database.finish(claim, Outcome::Failed(reason("step_failed"))).await.unwrap(), BuildState::Failed);
    assert!(database.claim("one").await.unwrap().is_none());
}

// API-17
#[tokio::test]
async fn a_build_is_cancelled_in_the_queue_or_by_its_worker_and_once() {
    let (_directory, database) = open().await;
    let requests = [request("acme/app", "c1"), request("acme/app", "c2")];
    let Accepted::New(builds) = database.trigger(None, &requests).await.unwrap() else { panic!() };
    let claim = database.claim("one").await.unwrap().unwrap();
    assert_eq!(database.cancel(&builds[1]).await.unwrap(), Cancel::Cancelled);
    assert_eq!(database.cancel(&builds[1]).await.unwrap(), Cancel::AlreadyFinished(BuildState::Cancelled));
    assert_eq!(database.cancel(&builds[0]).await.unwrap(), Cancel::Requested);
    assert_eq!(database.heartbeat(&claim).await.unwrap(), Lease::Held { cancel_requested: true });
    assert_eq!(database.finish(claim, Outcome::Cancelled).await.unwrap(), BuildState::Cancelled);
    assert_eq!(database.cancel(&BuildId::new()).await.unwrap(), Cancel::NotFound);
}

// RL14, MW-05
#[tokio::test]
async fn a_tag_never_goes_back_to_an_older_commit() {
    let (_directory, database) = open().await;
    database.trigger(None, &[request("acme/app", "old"), request("acme/app", "new")]).await.unwrap();
    let old = database.claim("one").await.unwrap().unwrap();
    let new = database.claim("two").await.unwrap().unwrap();
    assert_eq!(database.begin_publish(&new, "app:latest").await.unwrap(), Publish::Go);
    assert_eq!(database.begin_publish(&old, "app:latest").await.unwrap(), Publish::Superseded);
    assert_eq!(database.begin_publish(&old, "app:old").await.unwrap(), Publish::Go);
    database.end_publish(&new, "app:latest", "sha256:1").await.unwrap();
    assert_eq!(database.begin_publish(&new, "app:latest").await.unwrap(), Publish::Go);
}

#[tokio::test]
async fn a_log_is_read_from_any_byte_and_cut_at_its_limit() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/slipway.db", directory.path().display());
    let database = Database::open_with(&url, Settings { log_limit: 10, ..Settings::default() }).await.unwrap();
    let Accepted::New(builds) = database.trigger(None, &[request("acme/app", "c1")]).await.unwrap() else { panic!() };
    let claim = database.claim("one").await.unwrap().unwrap();
    database.append_log(&claim, Some(1), b"hello ").await.unwrap();
    database.append_log(&claim, None, b"world and more").await.unwrap();
    database.append_log(&claim, None, b"never seen").await.unwrap();
    let read = |from: i64| {
        let (database, id) = (database.clone(), builds[0].clone());
        async move {
            let chunks = database.logs(&id, from, 1000).await.unwrap();
            (chunks[0].offset, chunks.iter().flat_map(|chunk| chunk.text.clone()).collect::<Vec<_>>())
        }
    };
    assert_eq!(read(0).await, (0, b"hello worl\n[log truncated]\n".to_vec()));
    assert_eq!(read(3).await, (3, b"lo worl\n[log truncated]\n".to_vec()));
    assert_eq!(read(7).await, (7, b"orl\n[log truncated]\n".to_vec()));
}

#[tokio::test]
async fn statuses_wait_in_order_and_come_again_when_they_were_not_told() {
    let (_directory, database) = open().await;
    database.trigger(None, &[request("acme/app", "c1")]).await.unwrap();
    let claim = database.claim("one").await.unwrap().unwrap();
    database.finish(claim, Outcome::Failed(reason("step_failed"))).await.unwrap();
    let mut seen = Vec::new();
    while let Some(status) = database.pending_statuses(10).await.unwrap().pop() {
        database.acknowledge_status(status.id, false).await.unwrap();
        assert!(database.pending_statuses(10).await.unwrap().is_empty());
        database.clock.advance(Duration::from_secs(2));
        database.acknowledge_status(database.pending_statuses(10).await.unwrap()[0].id, true).await.unwrap();
        seen.push((status.state, status.description));
    }
    let expected = [
        (BuildState::Queued, "waiting for a worker"),
        (BuildState::Preparing, "building"),
        (BuildState::Failed, "because"),
    ];
    assert_eq!(seen, expected.map(|(state, text)| (state, text.to_owned())));
}

// RL19, MW-11
#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (directory, database) = open().await;
    sqlx::query("PRAGMA user_version = 99").execute(&database.writer).await.unwrap();
    let again = Database::open(&format!("sqlite://{}/slipway.db", directory.path().display())).await;
    assert!(matches!(again, Err(Error::NewerSchema { found: 99, .. })));
}

#[tokio::test]
async fn the_cache_keeps_namespaces_apart() {
    let (_directory, database) = open().await;
    let layer = CachedLayer {
        diff_id: "sha256:1".into(),
        digest: "sha256:2".into(),
        size: 3,
        media_type: "m".into(),
        empty: false,
        created_ms: 4,
    };
    database.put_cached_layers("one", &[("key".to_owned(), layer.clone())]).await.unwrap();
    let keys = ["key".to_owned(), "other".to_owned()];
    assert_eq!(database.cached_layers("one", &keys).await.unwrap(), [("key".to_owned(), layer)].into());
    assert!(database.cached_layers("two", &keys).await.unwrap().is_empty());
}

// Numbers: a claim among 10,000 queued builds takes at most 5 ms, a list 50 ms (generous here: the test is not optimised).
#[tokio::test]
async fn ten_thousand_queued_builds_do_not_slow_claims_down() {
    let (_directory, database) = open().await;
    for repository in 0..20 {
        let requests: Vec<_> =
            (0..500).map(|number| request(&format!("acme/app{repository}"), &format!("c{number}"))).collect();
        database.trigger(None, &requests).await.unwrap();
    }
    let began = std::time::Instant::now();
    for _ in 0..20 {
        database.claim("one").await.unwrap().unwrap();
    }
    let claim = began.elapsed() / 20;
    let began = std::time::Instant::now();
    database.builds(&BuildFilter { limit: 50, ..BuildFilter::default() }).await.unwrap();
    let list = began.elapsed();
    assert!(claim < Duration::from_millis(100) && list < Duration::from_millis(200), "claim {claim:?}, list {list:?}");
}
