//! A fault at every statement of accept, claim, publish and finish: the next operation works without a restart, and nothing
//! is lost, double or half.

use super::*;
use crate::deliveries::batches::Delivered;
use crate::deliveries::batches::Source;
use crate::sql::faults::Fault;
use crate::sql::statement::sql;

const FAULTS: [Fault; 5] = [Fault::Before, Fault::After, Fault::Broken, Fault::HangBefore, Fault::HangAfter];
/// No operation here has so many statements: one that never passes clean is a mistake of the test.
const MAX_STATEMENTS: usize = 60;

/// Runs `work` with a fault at its statement `number`; it is dropped when it hangs. Tells whether it came so far, and what
/// it returned.
async fn with_fault<T>(
    database: &Database,
    number: usize,
    fault: Fault,
    work: impl Future<Output = Result<T, Error>>,
) -> (bool, Option<Result<T, Error>>) {
    database.faults().plan(number, fault);
    let result = tokio::select! {
        result = work => Some(result),
        () = database.faults().hung() => None,
    };
    (database.faults().clear(), result)
}

/// Counts rows.
async fn count(database: &Database, what: &str, value: &str) -> i64 {
    let text = format!("SELECT COUNT(*) FROM {what}");
    sql("test", text).bind(value).one(database.read()).await.unwrap().only()
}

/// Both must work at once after a fault: the one is what the other tells of.
async fn is_ready(database: &Database) {
    database.try_to_store().await.expect("something can be stored");
}

fn delivered(id: &str) -> Delivered {
    let pushed = PushedRef { git_ref: "refs/heads/main".into(), before: None, after: id.into() };
    let delivery = NewDelivery { push: Some(pushed), ..delivery(id, id) };
    Delivered { delivery, requests: vec![request("acme/app", id)], rules_fetch: None, source: Source::Told }
}

// SEC-B2
both! {
    async fn accepting_survives_a_fault_at_every_statement(world) {
        let database = &world.database;
        for fault in FAULTS {
            for number in 0.. {
                assert!(number < MAX_STATEMENTS);
                let id = format!("{fault:?}-{number}");
                let one = [delivered(&id)];
                let (happened, result) = with_fault(database, number, fault, database.store_all(&one)).await;
                if !happened {
                    assert!(result.unwrap().is_ok());
                    break;
                }
                is_ready(database).await;
                // The forge sends it again.
                database.accept(&one[0].delivery, &one[0].requests, None).await.expect("the next delivery is stored");
                assert_eq!(count(database, "deliveries WHERE delivery = $1", &id).await, 1, "{id}");
                assert_eq!(count(database, "pushes WHERE after_id = $1", &id).await, 1, "{id}");
                assert_eq!(count(database, "builds WHERE commit_id = $1", &id).await, 1, "{id}");
                assert_eq!(count(database, "statuses WHERE commit_id = $1", &id).await, 1, "{id}");
            }
        }
    }
}

// SEC-B2
both! {
    async fn claiming_survives_a_fault_at_every_statement(world) {
        let database = &world.database;
        for fault in FAULTS {
            for number in 0.. {
                assert!(number < MAX_STATEMENTS);
                let worker = format!("{fault:?}-{number}");
                let build = world.trigger(&[request("acme/app", &worker)]).await.remove(0);
                let (happened, result) = with_fault(database, number, fault, database.claim(&worker)).await;
                if happened {
                    is_ready(database).await;
                    // A build that was claimed although the worker does not know of it comes back with the worker.
                    database.release(&worker).await.expect("builds are taken back");
                }
                let claim = match result {
                    Some(Ok(Some(claim))) if !happened => claim,
                    _ => world.claim(&worker).await,
                };
                assert_eq!(claim.id(), &build, "no build is lost, none is claimed twice");
                assert_eq!(count(database, "builds WHERE worker = $1", &worker).await, 1);
                database.finish(claim, Outcome::Skipped(reason("done"))).await.unwrap();
                if !happened {
                    break;
                }
            }
        }
    }
}

// SEC-B2
both! {
    async fn finishing_survives_a_fault_at_every_statement(world) {
        let database = &world.database;
        for fault in FAULTS {
            for number in 0.. {
                assert!(number < MAX_STATEMENTS);
                let commit = format!("{fault:?}-{number}");
                let build = world.trigger(&[request("acme/app", &commit)]).await.remove(0);
                let claim = world.claim("one").await;
                let again = Claim { build: claim.build.clone(), attempt: claim.attempt };
                let finish = database.finish(again, Outcome::Succeeded(image()));
                let (happened, result) = with_fault(database, number, fault, finish).await;
                if happened {
                    is_ready(database).await;
                    match database.finish(claim, Outcome::Succeeded(image())).await {
                        Ok(state) => assert_eq!(state, BuildState::Succeeded),
                        // Only its answer was lost.
                        Err(Error::LeaseLost) => {}
                        Err(error) => panic!("{commit}: {error:?}"),
                    }
                } else {
                    assert!(result.unwrap().is_ok());
                }
                assert_eq!(world.build(&build).await.state, BuildState::Succeeded);
                let ends = "statuses WHERE state = 'succeeded' AND commit_id = $1";
                assert_eq!(count(database, ends, &commit).await, 1, "{commit}");
                if !happened {
                    break;
                }
            }
        }
    }
}

// SEC-B2
both! {
    async fn publishing_survives_a_fault_at_every_statement(world) {
        let database = &world.database;
        let publish = async |claim: &Claim, tag: &str| {
            assert_eq!(database.begin_publish(claim, tag).await?, Publish::Go);
            database.end_publish(claim, tag, "sha256:00").await
        };
        for fault in FAULTS {
            for number in 0.. {
                assert!(number < MAX_STATEMENTS);
                let tag = format!("127.0.0.1:5000/app:{fault:?}-{number}").to_lowercase();
                let build = world.trigger(&[request("acme/app", &tag)]).await.remove(0);
                let claim = world.claim("one").await;
                let (happened, result) = with_fault(database, number, fault, publish(&claim, &tag)).await;
                if happened {
                    is_ready(database).await;
                    publish(&claim, &tag).await.expect("the tag can be moved");
                } else {
                    result.unwrap().unwrap();
                }
                let shown = "tags WHERE digest = 'sha256:00' AND holder IS NULL AND tag = $1";
                assert_eq!(count(database, shown, &tag).await, 1, "{tag}");
                assert_eq!(count(database, "tags WHERE moved_by = $1", build.as_str()).await, 1, "{tag}");
                database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
                if !happened {
                    break;
                }
            }
        }
    }
}

/// Lets the file grow by no page more, or by as many as it likes.
async fn set_full(database: &Database, is_full: bool) {
    let pages = if is_full { 1 } else { 1_000_000_000 };
    sql("test", format!("PRAGMA max_page_count = {pages}")).all(database.write()).await.unwrap();
}

// SEC-B2
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_file_refuses_and_works_again_without_a_restart() {
    let world = World::open(Kind::Sqlite).await;
    let database = &world.database;
    let large = "x".repeat(1 << 20);
    set_full(database, true).await;
    for id in ["one", "two", "three"] {
        let delivery = NewDelivery { body: format!("{id}{large}").into(), ..delivery(id, id) };
        assert!(database.accept(&delivery, &[request("acme/app", id)], None).await.is_err(), "the file is full");
    }
    // SQLite rolled back by itself: the connection must not be taken for one that is in a transaction.
    set_full(database, false).await;
    is_ready(database).await;
    for id in ["one", "two", "three", "four"] {
        let delivery = NewDelivery { body: format!("{id}{large}").into(), ..delivery(id, id) };
        new_builds(database.accept(&delivery, &[request("acme/app", id)], None).await.unwrap());
    }
}

// SEC-B2
both! {
    async fn requests_that_end_in_the_middle_of_a_transaction_leave_none_open(world) {
        let database = &world.database;
        for number in 0..200_u64 {
            let id = number.to_string();
            let requests = [request("acme/app", &id)];
            let aborted = database.trigger(None, &requests);
            let _ = tokio::time::timeout(Duration::from_micros(number * 20), aborted).await;
        }
        is_ready(database).await;
        new_builds(database.accept(&delivery("last", "last"), &[request("acme/app", "last")], None).await.unwrap());
        let double = "SELECT commit_id FROM builds GROUP BY commit_id HAVING COUNT(*) > 1";
        assert!(sql("test", double).all(database.read()).await.unwrap().is_empty());
    }
}
