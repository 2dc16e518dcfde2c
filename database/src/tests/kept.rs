//! Databases of earlier states: what an earlier program wrote is opened by this one and read.

use super::*;
use crate::sql::statement::sql;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

/// A file that the program with schema 11 wrote, with rows in every table.
const SQLITE_11: &str = include_str!("kept/sqlite_0011.sql");
/// A dump that the same program made of PostgreSQL.
const POSTGRES_11: &str = include_str!("kept/postgres_0011.sql");
/// The keys that their secrets were sealed with.
const SQLITE_KEY: &str = "554c090ec76b5a81dddafbe24841af77c473a07bc96dffbdc9b6cd3d6cad743b";
const POSTGRES_KEY: &str = "0938a98368cd54a26e4a279fd7642f4ebe33b5f45a4a35b3a403bdc11905b16e";

fn key(digits: &str) -> SecretKey {
    SecretKey::new(hex::decode(digits).unwrap().try_into().unwrap())
}

/// Returns the address of an empty database, and what must live as long as it.
fn empty(kind: Kind) -> (String, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let url = match kind {
        Kind::Sqlite => format!("sqlite://{}/slipway.db", directory.path().display()),
        Kind::Postgres => postgres::new_database(),
    };
    (url, directory)
}

async fn load(url: &str, text: &'static str) {
    if url.starts_with("sqlite") {
        let mut connection = SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap();
        sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(text).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

async fn is_read(database: &Database) {
    let filter = BuildFilter { repository: Some("demo/app".into()), limit: 100, ..BuildFilter::default() };
    let builds = database.builds(&filter).await.unwrap();
    let ended: Vec<_> = builds.iter().filter(|build| build.state == BuildState::Succeeded).collect();
    assert!(ended.len() >= 2, "{builds:?}");
    for build in &ended {
        assert!(build.image.is_some() && build.log_removed_ms.is_none());
        assert!(!database.steps(&build.id).await.unwrap().is_empty());
        let log = database.logs(&build.id, 0, 1 << 20).await.unwrap();
        let log: Vec<u8> = log.into_iter().flat_map(|chunk| chunk.text).collect();
        assert!(!log.is_empty());
        assert!(database.trace(&build.id).await.unwrap().is_some());
    }
    assert!(!database.notifications("demo/app", 100).await.unwrap().is_empty());
    let secrets = database.secrets("demo/app", &["npm".to_owned()]).await.unwrap();
    assert_eq!(secrets, [("npm".to_owned(), b"a secret value".to_vec())]);
    assert_eq!(database.key_fit().await.unwrap(), KeyFit::All);
    assert_eq!(database.repositories().await.unwrap().len(), 1);
    let deliveries = database.deliveries(&DeliveryFilter { limit: 10, ..DeliveryFilter::default() }).await.unwrap();
    assert_eq!(deliveries.len(), 2);
    // A delivery that the earlier program accepted is recognised.
    let body = database.delivery_body(deliveries[1].id).await.unwrap().unwrap();
    let again = NewDelivery { repository: "demo/app".into(), body, ..delivery("one", "") };
    let accepted = database.accept(&again, &[], None).await.unwrap();
    assert!(matches!(&accepted, Accepted::Duplicate(builds) if builds.len() == 1), "{accepted:?}");
    // Builds that waited are built, and what tags name stays.
    database.resume_queue().await.unwrap();
    assert!(database.claim("new").await.unwrap().is_some());
    let newest = ended.iter().map(|build| &build.id).max().unwrap();
    let mut few = Limits::default();
    few.builds.number = Some(1);
    database.sweep(&RetentionPolicy { usual: few, ..RetentionPolicy::default() }).await.unwrap();
    assert!(database.build(newest).await.unwrap().is_some());
    new_builds(database.accept(&delivery("next", "next"), &[request("demo/app", "next")], None).await.unwrap());
}

// RL19
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_the_state_before_retention_is_opened_and_read() {
    let (url, _directory) = empty(Kind::Sqlite);
    load(&url, SQLITE_11).await;
    let database = Database::open(&url).await.unwrap().with_key(key(SQLITE_KEY));
    assert_eq!(database.tokens().await.unwrap().len(), 1);
    assert_eq!(database.seen_base_images().await.unwrap().len(), 1);
    assert_eq!(database.own_schedules("demo/own").await.unwrap().len(), 1);
    assert!(database.claim_rules_fetch("new").await.unwrap().is_some());
    is_read(&database).await;
}

// RL19
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_the_state_before_retention_is_opened_and_read() {
    let (url, _directory) = empty(Kind::Postgres);
    load(&url, POSTGRES_11).await;
    is_read(&Database::open(&url).await.unwrap().with_key(key(POSTGRES_KEY))).await;
}

/// Rows in the words of the first schema.
const FIRST_ROWS: [&str; 7] = [
    "INSERT INTO deliveries (id, forge, delivery, event, repository, body_hash, body, explain_json, created_ms) \
     VALUES (7, 'github', 'd', 'push', 'acme/app', 'h', $1, '[]', 1000)",
    "INSERT INTO pushes (id, delivery_id, repository, git_ref, after_id, sequence, segment, is_head, is_tail, created_ms) \
     VALUES (8, 7, 'acme/app', 'refs/heads/main', 'c', 1048576, 7, TRUE, TRUE, 1000)",
    "INSERT INTO builds (id, number, delivery_id, push_id, repository, rule, commit_message, trigger_kind, trigger_json, spec_json, \
     git_ref, sequence, lane, is_serial, priority, state, commit_id, created_ms, finished_ms, log_bytes) VALUES \
     ('bld_00000000000000000000000000000001', 3, 7, 8, 'acme/app', 'main', 'm', 'push', '{\"kind\":\"push\",\"delivery\":\"d\",\"by\":\"me\"}', \
     '{\"clone_url\":\"http://x/y\",\"git_ref\":\"refs/heads/main\",\"commit\":\"c\",\"dockerfile\":\"Dockerfile\",\"context\":\"\",\"target\":null,\
\"build_args\":{},\"tags\":[],\"use_cache\":true,\"push\":true}', \
     'refs/heads/main', 1048576, 'l', FALSE, 0, 'failed', 'c', 1000, 2000, 5)",
    "INSERT INTO logs (build_id, start, length, content, at_ms) VALUES ('bld_00000000000000000000000000000001', 0, 5, $1, 1000)",
    "INSERT INTO turns (repository, served_ms) VALUES ('acme/app', 500)",
    "INSERT INTO tokens (name, hash, scopes_json, repositories_json, created_ms) VALUES ('t', 'h', '[]', '[]', 1000)",
    "INSERT INTO sequences (repository, name, last) VALUES ('acme/app', 'refs/heads/main', 1048576)",
];

async fn write_first_rows(store: &Store, version: usize) {
    let (clock, work) = (Clock::default(), Arc::default());
    let mut transaction = store.begin(&clock, &work).await.unwrap();
    let create = "CREATE TABLE schema_version (version BIGINT NOT NULL)".to_owned();
    sql("test", create).run(transaction.on()).await.unwrap();
    for (number, migration) in schema::MIGRATIONS[..version].iter().enumerate() {
        for statement in schema::statements(store, migration) {
            sql("test", statement).run(transaction.on()).await.unwrap();
        }
        // Later migrations find the rows of the first program.
        for row in FIRST_ROWS.iter().filter(|_| number == 0) {
            let statement = sql("test", *row);
            let statement = if row.contains("$1") { statement.bind(b"hello".to_vec()) } else { statement };
            statement.run(transaction.on()).await.unwrap();
        }
    }
    let noted = sql("test", "INSERT INTO schema_version (version) VALUES ($1)").bind(version as i64);
    noted.run(transaction.on()).await.unwrap();
    transaction.commit("test").await.unwrap();
}

// RL19
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_of_every_earlier_schema_are_opened_and_read() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        for version in 1..=schema::MIGRATIONS.len() {
            let (url, _directory) = empty(kind);
            write_first_rows(&Store::connect(&url).await.unwrap(), version).await;
            let database = Database::open(&url).await.unwrap();
            let build = database.build_number("acme/app", 3).await.unwrap().unwrap();
            assert_eq!((build.state, build.commit.as_deref()), (BuildState::Failed, Some("c")), "{kind:?} {version}");
            assert_eq!(database.logs(&build.id, 0, 100).await.unwrap()[0].text, b"hello");
            assert_eq!(database.delivery(7).await.unwrap().unwrap().builds, std::slice::from_ref(&build.id));
            let started = sql("test", "SELECT last_started_ms FROM fair_share WHERE repository = 'acme/app'");
            assert_eq!(started.one(database.read()).await.unwrap().only::<i64>(), 500, "{kind:?} {version}");
            let next =
                new_builds(database.accept(&push(Some("c"), "d"), &[request("acme/app", "d")], None).await.unwrap());
            assert_eq!(database.build(&next[0]).await.unwrap().unwrap().number, 4, "{kind:?} {version}");
        }
    }
}

#[test]
fn the_number_of_a_migration_s_file_is_its_version() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), schema::MIGRATIONS.len());
    for ((position, file), migration) in files.iter().enumerate().zip(schema::MIGRATIONS) {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(&format!("{:04}_", position + 1)), "{name}");
        assert_eq!(std::fs::read_to_string(file).unwrap(), migration, "{name}");
    }
}
