//! Databases that are locked, gone, hanging, half migrated, or killed.

use super::postgres::Cluster;
use super::*;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use std::process::Command;
use std::time::Instant;

/// How long anything may take that the database does not answer: what people wait for before a 503.
const ANSWER: Duration = Duration::from_secs(14);

/// Accepts a few deliveries at once while nothing can be stored; each is refused, and soon.
async fn all_are_refused(database: &Database, name: &str) {
    let began = Instant::now();
    let mut answers = Vec::new();
    for number in 0..20 {
        let (database, id) = (database.clone(), format!("{name}-{number}"));
        answers.push(tokio::spawn(async move {
            database.accept(&delivery(&id, &id), &[request("acme/app", "c")], None).await
        }));
    }
    for answer in answers {
        let error = answer.await.unwrap().unwrap_err();
        assert!(matches!(&error, Error::Unavailable { .. } | Error::Together(_)), "{error}");
        assert!(error.to_string().ends_with("the database is unavailable"), "{error}");
        // US-23
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(!cause.contains("pool timed out"), "{cause}");
    }
    println!("{name}: refused after {:?}", began.elapsed());
    assert!(began.elapsed() < ANSWER, "{:?}", began.elapsed());
    assert!(database.trigger(None, &[request("acme/app", "c")]).await.is_err());
    assert!(database.try_to_store().await.is_err());
}

async fn works(database: &Database, id: &str) {
    // Right after a server's return the first connections of the pool may still turn out to be dead.
    for _ in 0..50 {
        if database.accept(&delivery(id, id), &[request("acme/app", "c")], None).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the database does not work again");
}

// RL9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_file_refuses_and_works_again() {
    let world = World::open(Kind::Sqlite).await;
    let claim = {
        world.trigger(&[request("acme/app", "c")]).await;
        world.claim("one").await
    };
    let mut other = SqliteConnection::connect(&world.url).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    all_are_refused(&world.database, "locked").await;
    assert!(Database::open(&world.url).await.is_ok(), "whoever only opens it waits for nobody");
    assert!(world.database.heartbeat(&claim).await.is_err());
    assert!(world.build(claim.id()).await.state == BuildState::Preparing, "what is there can still be read");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    works(&world.database, "after").await;
    assert!(matches!(world.database.heartbeat(&claim).await.unwrap(), Lease::Held { .. }), "the build goes on");
}

// RL9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_dies_refuses_keeps_what_it_took_and_works_again() {
    let cluster = Cluster::start();
    let database = Database::open(&cluster.create()).await.unwrap();
    let taken = new_builds(database.accept(&delivery("a", "a"), &[request("acme/app", "c")], None).await.unwrap());
    let claim = database.claim("one").await.unwrap().unwrap();
    let waiting = database.clone();
    let wait =
        tokio::spawn(async move { while !waiting.watch_work().wait(Duration::from_secs(1)).await.unwrap_or(false) {} });
    cluster.crash();
    all_are_refused(&database, "dead").await;
    cluster.up();
    works(&database, "after").await;
    assert_eq!(database.build(&taken[0]).await.unwrap().unwrap().state, BuildState::Preparing);
    assert!(matches!(database.heartbeat(&claim).await.unwrap(), Lease::Held { .. }), "the build goes on");
    tokio::time::timeout(ANSWER, wait).await.expect("a worker that waited goes on").unwrap();
}

// RL9
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_refuses_and_works_again() {
    let cluster = Cluster::start();
    let database = Database::open(&cluster.create()).await.unwrap();
    works(&database, "before").await;
    let text = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'";
    let rows = crate::sql::statement::sql("test", text).all(database.read()).await.unwrap();
    let mut processes: Vec<String> = rows.iter().map(|row| row.only::<i32>().to_string()).collect();
    processes.push(cluster.process());
    let all = |signal: &str| {
        let status = Command::new("kill").arg(signal).args(&processes).status().unwrap();
        assert!(status.success());
    };
    all("-STOP");
    all_are_refused(&database, "hanging").await;
    all("-CONT");
    works(&database, "after").await;
}

both! {
    async fn that_one_sender_hangs_up_harms_no_other(world) {
        let mut sending = Vec::new();
        for number in 0..40 {
            let (database, id) = (world.database.clone(), format!("d{number}"));
            let accept = async move { database.accept(&delivery(&id, &id), &[request("acme/app", &id)], None).await };
            sending.push(tokio::spawn(accept));
        }
        tokio::task::yield_now().await;
        for (number, sending) in sending.into_iter().enumerate() {
            if number % 2 == 0 {
                sending.abort();
            } else {
                assert!(matches!(sending.await.unwrap(), Ok(Accepted::New(_))));
            }
        }
    }
}

/// Copies a database as a killed process leaves it: the file and its log, no more.
fn killed(world: &World) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    for name in ["slipway.db", "slipway.db-wal"] {
        std::fs::copy(world._directory.path().join(name), directory.path().join(name)).unwrap();
    }
    let url = format!("sqlite://{}/slipway.db", directory.path().display());
    (directory, url)
}

// RL1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_is_there_after_a_kill() {
    let world = World::open(Kind::Sqlite).await;
    for number in 0..20 {
        let id = number.to_string();
        let builds = world.database.accept(&delivery(&id, &id), &[request("acme/app", &id)], None).await.unwrap();
        let (_directory, url) = killed(&world);
        let again = Database::open(&url).await.unwrap();
        assert!(again.build(&new_builds(builds)[0]).await.unwrap().is_some());
    }
}

/// Begins the first migration and leaves half of it undone.
async fn half_migrated(store: &Store) -> Transaction {
    let (clock, work) = (Clock::default(), Arc::default());
    let mut transaction = store.begin(&clock, &work).await.unwrap();
    let create = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)";
    crate::sql::statement::sql("test", create).run(transaction.on()).await.unwrap();
    let statements = schema::statements(store, schema::MIGRATIONS[0]);
    for statement in &statements[..statements.len() / 2] {
        crate::sql::statement::sql("test", statement.clone()).run(transaction.on()).await.unwrap();
    }
    transaction
}

// ST-15, RL19
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_is_killed_leaves_nothing_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/slipway.db", directory.path().display());
    let store = Store::connect(&url).await.unwrap();
    let half = half_migrated(&store).await;
    let world = World { database: World::open(Kind::Sqlite).await.database, url, _directory: directory };
    let (_copy, copied) = killed(&world);
    works(&Database::open(&copied).await.unwrap(), "after").await;
    drop(half);
    works(&Database::open(&world.url).await.unwrap(), "after").await;
}

// ST-15, RL19
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_is_killed_leaves_nothing_on_a_server() {
    let url = postgres::new_database();
    let store = Store::connect(&url).await.unwrap();
    let mut half = half_migrated(&store).await;
    let pid: i32 = crate::sql::statement::sql("test", "SELECT pg_backend_pid()").one(half.on()).await.unwrap().only();
    let kill = "SELECT pg_terminate_backend(CAST($1 AS INTEGER))";
    crate::sql::statement::sql("test", kill).bind(i64::from(pid)).all(store.read()).await.unwrap();
    works(&Database::open(&url).await.unwrap(), "after").await;
    assert!(half.commit("test").await.is_err());
}

// ST-15, RL19
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_that_migrate_at_once_find_one_schema() {
    let directory = tempfile::tempdir().unwrap();
    for url in [format!("sqlite://{}/slipway.db", directory.path().display()), postgres::new_database()] {
        let opened: Vec<_> = (0..8)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move { Database::open(&url).await.map(|_| ()) })
            })
            .collect();
        for opened in opened {
            opened.await.unwrap().unwrap();
        }
        let database = Database::open(&url).await.unwrap();
        let rows = crate::sql::statement::sql("test", "SELECT version FROM schema_version")
            .all(database.read())
            .await
            .unwrap();
        assert_eq!(rows.iter().map(|row| row.only::<i64>()).collect::<Vec<_>>(), [schema::KNOWN]);
        works(&database, "after").await;
    }
}

#[tokio::test]
async fn a_database_of_another_kind_is_refused_with_what_would_be_right() {
    let error = Database::open("mysql://localhost/slipway").await.unwrap_err().to_string();
    let expected = "`mysql:` is not a database that slipway knows: use sqlite:///path or postgres://user@host/name";
    assert_eq!(error, expected);
}
