//! Retention removes by age, number and size, keeps what must stay, and leaves nothing half removed.

use super::*;
use crate::sql::faults::Fault;
use crate::sql::statement::sql;

const DAY: u64 = 24 * 60 * 60;

fn policy(usual: Limits) -> RetentionPolicy {
    RetentionPolicy { usual, ..RetentionPolicy::default() }
}

fn builds(limit: Limit) -> RetentionPolicy {
    policy(Limits { builds: limit, ..Limits::default() })
}

fn deliveries(limit: Limit) -> RetentionPolicy {
    policy(Limits { deliveries: limit, ..Limits::default() })
}

fn number(number: u32) -> Limit {
    Limit { number: Some(number), ..Limit::default() }
}

/// Runs a build to its end, with a log of `bytes`, a step and a trace.
async fn run_build(world: &World, request: &BuildRequest, outcome: Outcome, bytes: usize) -> BuildId {
    let id = world.trigger(std::slice::from_ref(request)).await.remove(0);
    end(world, outcome, bytes).await;
    world.pass(1);
    id
}

async fn end(world: &World, outcome: Outcome, bytes: usize) {
    let claim = world.claim("one").await;
    let step = Step {
        number: 1,
        instruction: "RUN x".into(),
        stage: "0".into(),
        line: 1,
        state: StepState::Succeeded,
        cached: false,
        exit_code: None,
        layer_digest: None,
        layer_size: None,
        started_ms: None,
        duration_ms: None,
    };
    world.database.put_steps(&claim, &[step]).await.unwrap();
    if bytes > 0 {
        world.database.append_log(&claim, None, &vec![b'x'; bytes]).await.unwrap();
    }
    world.database.put_trace(&claim, "{}", &[], None).await.unwrap();
    world.database.finish(claim, outcome).await.unwrap();
    tell_all_but(world, None).await;
}

/// Tells what is to be told of builds, but for one.
async fn tell_all_but(world: &World, build: Option<&BuildId>) {
    let is_other = |status: &PendingStatus| Some(&status.build) != build;
    while let Some(next) = world.database.pending_statuses(None, 100).await.unwrap().into_iter().find(is_other) {
        world.database.acknowledge_status(next.id, &StatusAnswer::Taken).await.unwrap();
    }
}

async fn count(world: &World, text: &str) -> i64 {
    let text = format!("SELECT COUNT(*) FROM {text}");
    sql("test", text).one(world.database.read()).await.unwrap().only()
}

async fn there(world: &World, ids: &[BuildId]) -> Vec<bool> {
    let mut there = Vec::new();
    for id in ids {
        there.push(world.database.build(id).await.unwrap().is_some());
    }
    there
}

/// Returns the tables of a file whose rows refer to `table`.
async fn referring_to(world: &World, table: &str) -> Vec<String> {
    let text = "SELECT DISTINCT m.name FROM sqlite_master m, pragma_foreign_key_list(m.name) f \
         WHERE m.type = 'table' AND f.\"table\" = $1 ORDER BY m.name";
    let rows = sql("test", text).bind(table).all(world.database.read()).await.unwrap();
    rows.iter().map(|row| row.only()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_knows_every_table_that_refers_to_what_it_removes() {
    let world = World::open(Kind::Sqlite).await;
    let mut parts = crate::retention::builds::PARTS.to_vec();
    parts.sort_unstable();
    assert_eq!(referring_to(&world, "builds").await, parts, "a build with a row there could not be removed");
    assert_eq!(referring_to(&world, "deliveries").await, ["builds", "pushes", "rules_fetches"]);
    assert_eq!(referring_to(&world, "pushes").await, ["builds"]);
}

both! {
    async fn a_build_whose_status_a_forge_refused_goes_with_what_it_said(world) {
        let id = run_build(&world, &request("acme/app", "a"), Outcome::Failed(reason("x")), 0).await;
        let text = "INSERT INTO status_refusals (build_id, repository, problem, at_ms, is_current) VALUES ($1, 'acme/app', 'no', 1, TRUE)";
        sql("test", text).bind(id.as_str()).run(world.database.write()).await.unwrap();
        run_build(&world, &request("acme/app", "b"), Outcome::Failed(reason("x")), 0).await;
        assert_eq!(world.database.sweep(&builds(number(1))).await.unwrap().builds(), 1);
        assert_eq!(count(&world, "status_refusals").await, 0);
    }
}

both! {
    async fn builds_beyond_the_number_go_with_all_that_belongs_to_them(world) {
        let database = &world.database;
        let mut ids = Vec::new();
        for commit in ["a", "b", "c", "d", "e"] {
            ids.push(run_build(&world, &request("acme/app", commit), Outcome::Failed(reason("x")), 10).await);
        }
        let before = database.counts().await.unwrap();
        let removed = database.sweep(&builds(number(2))).await.unwrap();
        assert_eq!((removed.builds(), removed.of("logs"), removed.of("log_bytes")), (3, 3, 30));
        assert_eq!(there(&world, &ids).await, [false, false, false, true, true]);
        for table in ["builds", "steps", "logs", "traces"] {
            assert_eq!(count(&world, table).await, 2, "{table}");
        }
        assert_eq!(database.counts().await.unwrap(), before, "a counter never goes back");
        assert_eq!(database.removals().await.unwrap(), removed);
        assert!(database.sweep(&builds(number(2))).await.unwrap().is_empty());
        assert!(database.was_build_removed("acme/app", 1).await.unwrap());
        assert!(!database.was_build_removed("acme/app", 6).await.unwrap());
    }
}

both! {
    async fn what_something_refers_to_stays_whatever_the_limits_say(world) {
        let database = &world.database;
        let on = |git_ref: &str, commit: &str| {
            let mut request = request("acme/app", commit);
            request.spec.git_ref = git_ref.into();
            request
        };
        let ok = || Outcome::Succeeded(image());
        let old = run_build(&world, &on("refs/heads/main", "a"), ok(), 10).await;
        let newest = run_build(&world, &on("refs/heads/main", "b"), ok(), 10).await;
        let pull = run_build(&world, &on("refs/pull/7/head", "c"), ok(), 0).await;
        let tagged = world.trigger(&[on("refs/heads/main", "d")]).await.remove(0);
        let claim = world.claim("one").await;
        database.begin_publish(&claim, "r/app:latest").await.unwrap();
        database.end_publish(&claim, "r/app:latest", "sha256:00").await.unwrap();
        database.finish(claim, Outcome::Failed(reason("afterwards"))).await.unwrap();
        let untold = world.trigger(&[on("refs/heads/main", "e")]).await.remove(0);
        let claim = world.claim("one").await;
        database.finish(claim, Outcome::Failed(reason("x"))).await.unwrap();
        tell_all_but(&world, Some(&untold)).await;
        let runs = world.trigger(&[on("refs/heads/x", "f")]).await.remove(0);
        let _running = world.claim("one").await;
        let waits = world.trigger(&[on("refs/heads/y", "g")]).await.remove(0);
        world.pass(1000 * DAY);
        let all = [old, newest.clone(), pull, tagged, untold, runs, waits];
        database.sweep(&builds(Limit { days: Some(1), number: Some(1), bytes: Some(1) })).await.unwrap();
        assert_eq!(there(&world, &all).await, [false, true, false, true, true, true, true]);
        let kept = world.build(&newest).await;
        assert!(kept.log_removed_ms.is_some() && kept.image.is_some(), "the record stays, its log does not");
        assert_eq!(count(&world, "traces").await, 0);
        let last = database.last_published("acme/app", "main", "refs/heads/main").await.unwrap();
        assert_eq!(last.unwrap().commit.as_deref(), Some("b"), "filters of paths compare with it");
    }
}

both! {
    async fn a_build_that_a_tag_of_an_older_schema_names_stays(world) {
        let database = &world.database;
        let named = run_build(&world, &request("acme/app", "a"), Outcome::Superseded(image()), 0).await;
        let other = run_build(&world, &request("acme/app", "b"), Outcome::Failed(reason("x")), 0).await;
        let last = run_build(&world, &request("acme/app", "c"), Outcome::Failed(reason("x")), 0).await;
        let text = "INSERT INTO tags (tag, repository, git_ref, digest) VALUES ('t', 'acme/app', 'refs/heads/main', 'sha256:00')";
        sql("test", text).run(database.write()).await.unwrap();
        database.sweep(&builds(number(1))).await.unwrap();
        assert_eq!(there(&world, &[named, other, last]).await, [true, false, true]);
    }
}

both! {
    async fn numbers_are_not_given_out_again(world) {
        let first = run_build(&world, &request("acme/app", "a"), Outcome::Failed(reason("x")), 0).await;
        let last = run_build(&world, &request("acme/app", "b"), Outcome::Failed(reason("x")), 0).await;
        world.pass(1000 * DAY);
        world.database.sweep(&builds(Limit { days: Some(1), ..Limit::default() })).await.unwrap();
        assert_eq!(there(&world, &[first, last]).await, [false, true]);
        let next = world.trigger(&[request("acme/app", "c")]).await.remove(0);
        assert_eq!(world.build(&next).await.number, 3);
    }
}

both! {
    async fn the_oldest_logs_go_first_by_size_and_by_age(world) {
        let database = &world.database;
        let mut ids = Vec::new();
        for repository in ["acme/app", "acme/other"] {
            for commit in ["a", "b", "c"] {
                ids.push(run_build(&world, &request(repository, commit), Outcome::Failed(reason("x")), 100).await);
            }
        }
        let usual = Limits { builds: Limit { bytes: Some(250), ..Limit::default() }, ..Limits::default() };
        let total = Limits { builds: Limit { bytes: Some(300), ..Limit::default() }, ..Limits::default() };
        let mut policy = RetentionPolicy { usual, total, ..RetentionPolicy::default() };
        policy.repositories.insert("acme/other".into(), Limits::default());
        let removed = database.sweep(&policy).await.unwrap();
        assert_eq!((removed.of("logs"), removed.of("log_bytes"), removed.builds()), (3, 300, 0));
        let gone = |build: &Build| build.log_removed_ms.is_some();
        for (place, id) in ids.iter().enumerate() {
            assert_eq!(gone(&world.build(id).await), place < 3, "{place}");
            assert_eq!(database.logs(id, 0, 1000).await.unwrap().is_empty(), place < 3, "{place}");
        }
        world.pass(11 * DAY);
        let aged = super::retention::policy(Limits { log_days: Some(10), ..Limits::default() });
        assert_eq!(database.sweep(&aged).await.unwrap().of("logs"), 3);
        assert_eq!((count(&world, "logs").await, count(&world, "builds").await), (0, 6));
    }
}

both! {
    async fn a_long_log_goes_in_pieces_between_which_others_write(world) {
        let database = &world.database;
        let id = world.trigger(&[request("acme/app", "a")]).await.remove(0);
        let claim = world.claim("one").await;
        for _ in 0..500 {
            database.append_log(&claim, None, &[b'x'; 1000]).await.unwrap();
        }
        database.finish(claim, Outcome::Failed(reason("x"))).await.unwrap();
        let policy = builds(Limit { bytes: Some(1), ..Limit::default() });
        let sweep = database.sweep(&policy);
        let writes = async {
            let began = std::time::Instant::now();
            for number in 0..20 {
                let id = number.to_string();
                new_builds(database.accept(&delivery(&id, &id), &[], None).await.unwrap());
            }
            began.elapsed()
        };
        let (removed, took) = tokio::join!(sweep, writes);
        assert_eq!(removed.unwrap().of("log_bytes"), 500_000);
        println!("20 deliveries during the sweep took {took:?}");
        assert!(world.build(&id).await.log_removed_ms.is_some());
    }
}

both! {
    async fn a_sweep_that_fails_or_is_dropped_at_any_statement_is_finished_by_the_next(world) {
        let database = &world.database;
        let policy = policy(Limits { builds: number(1), deliveries: Limit { days: Some(3), ..Limit::default() }, ..Limits::default() });
        let mut expected = 0;
        for fault in [Fault::Before, Fault::After, Fault::Broken, Fault::HangBefore, Fault::HangAfter] {
            for at in (0..).step_by(3) {
                assert!(at < 400);
                for number in 0..2 {
                    let id = format!("{fault:?}-{at}-{number}");
                    let told = NewDelivery { delivery: id.clone(), body: id.clone().into(), ..push(None, &id) };
                    database.accept(&told, &[request("acme/app", &id)], None).await.unwrap();
                    end(&world, Outcome::Failed(reason("x")), 10).await;
                    expected += 1;
                }
                world.pass(4 * DAY);
                database.faults().plan(at, fault);
                let swept = tokio::select! {
                    swept = database.sweep(&policy) => swept.is_ok(),
                    () = database.faults().hung() => false,
                };
                let happened = database.faults().clear();
                assert!(happened || swept);
                database.sweep(&policy).await.unwrap();
                let removed = database.removals().await.unwrap();
                assert_eq!(removed.builds(), expected - 1, "{fault:?} {at}");
                assert_eq!((removed.of("logs"), removed.of("log_bytes")), (expected - 1, (expected - 1) * 10));
                for table in ["builds", "logs", "steps", "traces"] {
                    assert_eq!(count(&world, table).await, 1, "{table}: {fault:?} {at}");
                }
                if !happened {
                    break;
                }
            }
        }
    }
}

both! {
    async fn deliveries_go_when_nothing_needs_them_and_pushes_keep_their_order(world) {
        let database = &world.database;
        for (before, after) in [(None, "a"), (Some("a"), "b"), (Some("b"), "c")] {
            database.accept(&push(before, after), &[request("acme/app", after)], None).await.unwrap();
            end(&world, Outcome::Failed(reason("x")), 0).await;
        }
        let ignored = NewDelivery { ignored: Some("no_rule".into()), ..delivery("ping", "ping") };
        database.accept(&ignored, &[], None).await.unwrap();
        let aged = deliveries(Limit { days: Some(30), ..Limit::default() });
        world.pass(31 * DAY);
        let removed = database.sweep(&aged).await.unwrap();
        assert_eq!(removed.of("deliveries"), 0, "builds need theirs, and the last one stays");
        assert_eq!(removed.of("delivery_bodies"), 4, "what stays beyond a limit loses its body");
        database.sweep(&builds(number(1))).await.unwrap();
        assert_eq!(database.sweep(&aged).await.unwrap().of("deliveries"), 2);
        assert_eq!((count(&world, "deliveries").await, count(&world, "pushes").await), (2, 1));
        let next = new_builds(database.accept(&push(Some("c"), "d"), &[request("acme/app", "d")], None).await.unwrap());
        let text = "SELECT after_id FROM pushes ORDER BY sequence";
        let rows = sql("test", text).all(database.read()).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.only::<String>()).collect::<Vec<_>>(), ["c", "d"]);
        assert!(world.build(&next[0]).await.sequence > 0);
    }
}

both! {
    async fn a_delivery_whose_body_was_removed_is_still_recognised(world) {
        let database = &world.database;
        for id in ["one", "two", "three"] {
            new_builds(database.accept(&delivery(id, id), &[], None).await.unwrap());
        }
        let removed = database.sweep(&deliveries(Limit { bytes: Some(5), ..Limit::default() })).await.unwrap();
        assert_eq!((removed.of("delivery_bodies"), removed.of("delivery_bytes")), (2, 6));
        let bodies: Vec<i64> = sql("test", "SELECT CAST(LENGTH(body) AS BIGINT) FROM deliveries ORDER BY id")
            .all(database.read()).await.unwrap().iter().map(|row| row.only()).collect();
        assert_eq!(bodies, [0, 0, 5]);
        for id in ["one", "two", "three"] {
            let again = database.accept(&delivery(id, id), &[], None).await.unwrap();
            assert!(matches!(again, Accepted::Duplicate(_)), "{id}");
        }
        // Too many are not removed while a forge may still deliver them again.
        assert!(database.sweep(&deliveries(number(1))).await.unwrap().is_empty());
    }
}

both! {
    async fn a_build_can_be_repeated_when_what_it_repeats_was_removed(world) {
        let database = &world.database;
        let first = run_build(&world, &request("acme/app", "a"), Outcome::Failed(reason("x")), 0).await;
        let Retried::Queued(second) = database.retry(&first, RetryFrom::FailedStep).await.unwrap() else { panic!() };
        end(&world, Outcome::Failed(reason("x")), 0).await;
        database.sweep(&builds(number(1))).await.unwrap();
        assert_eq!(there(&world, &[first, second.clone()]).await, [false, true]);
        assert!(matches!(database.retry(&second, RetryFrom::FailedStep).await.unwrap(), Retried::Queued(_)));
    }
}

both! {
    async fn a_repeated_build_belongs_to_the_same_push(world) {
        let database = &world.database;
        let first = new_builds(database.accept(&push(None, "a"), &[request("acme/app", "a")], None).await.unwrap()).remove(0);
        end(&world, Outcome::Failed(reason("x")), 0).await;
        database.retry(&first, RetryFrom::FailedStep).await.unwrap();
        assert_eq!(count(&world, "builds b JOIN pushes p ON p.id = b.push_id").await, 2);
    }
}
