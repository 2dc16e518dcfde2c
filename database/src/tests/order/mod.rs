//! R5: a mutable tag never ends at an older commit, whatever is delivered when and whoever crashes where.
//!
//! One player makes pushes, delivers them in some order, lets workers build, publish, crash and send late requests, and
//! looks at the tag when all is quiet. It plays against the rules alone, 120,000 times, and against real databases, less often.

mod game;
mod rules;

use super::*;
use crate::tags::publish::Turn;
use game::play;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rules::{Pure, Rules};

const TAG: &str = "app:latest";
const GRACE_MS: i64 = 15_000;

fn run_schedules(cases: u32, goes_back: bool) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let schedules = prop::collection::vec(any::<u8>(), 1..100);
    let result = TestRunner::new(config).run(&schedules, |choices| {
        let (_, played) = runtime.block_on(play(Rules::Pure(Pure::default()), &choices, goes_back));
        played.map_err(TestCaseError::fail)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

// R5, RL14: new and forced commits, delivered in any order.
#[test]
fn a_tag_never_ends_at_an_older_commit_in_60_000_schedules_of_any_order() {
    run_schedules(60_000, false);
}

// R5, RL14: a ref that is set back to commits it had before. Their pushes are delivered in order: where a commit comes
// twice, the commits alone do not tell the order.
#[test]
fn a_tag_never_ends_at_an_older_commit_in_60_000_schedules_with_resets() {
    run_schedules(60_000, true);
}

both! {
    // R5, MW-05
    async fn a_tag_never_ends_at_an_older_commit_in_the_database(world) {
        let mut world = Some(world);
        let mut choices = 0x9e37_79b9_7f4a_7c15_u64;
        for schedule in 0..60 {
            let bytes: Vec<u8> = (0..90).map(|_| {
                choices ^= choices << 13;
                choices ^= choices >> 7;
                choices ^= choices << 17;
                (choices >> 32) as u8
            }).collect();
            let rules = Rules::Real(world.take().unwrap(), format!("acme/app{schedule}"));
            let (rules, result) = play(rules, &bytes, schedule % 2 == 1).await;
            result.unwrap_or_else(|error| panic!("{bytes:?}: {error}"));
            let Rules::Real(same, _) = rules else { unreachable!() };
            world = Some(same);
        }
    }
}

both! {
    // RL14, MW-05
    async fn an_older_build_that_is_slower_leaves_the_tag_alone(world) {
        let database = &world.database;
        world.trigger(&[request("acme/app", "old"), request("acme/app", "new")]).await;
        let (old, new) = (world.claim("one").await, world.claim("two").await);
        assert_eq!(database.begin_publish(&new, TAG).await.unwrap(), Publish::Go);
        database.end_publish(&new, TAG, "sha256:1").await.unwrap();
        assert_eq!(database.begin_publish(&old, TAG).await.unwrap(), Publish::Superseded);
        assert_eq!(database.begin_publish(&old, "app:old").await.unwrap(), Publish::Go);
        assert_eq!(database.begin_publish(&new, TAG).await.unwrap(), Publish::Go, "it may say so again");
        world.pass(6);
        let due = database.claim_tag_check().await.unwrap();
        assert_eq!(due, None, "held tags are not at rest");
        database.end_publish(&new, TAG, "sha256:1").await.unwrap();
        assert_eq!(database.finish(old, Outcome::Superseded(image())).await.unwrap(), BuildState::Superseded);
    }
}

both! {
    async fn one_attempt_at_a_time_moves_a_tag(world) {
        let database = &world.database;
        world.trigger(&[request("acme/app", "old"), request("acme/app", "new")]).await;
        let (old, new) = (world.claim("one").await, world.claim("two").await);
        assert_eq!(database.begin_publish(&old, TAG).await.unwrap(), Publish::Go);
        let waiting = world.other().await;
        let wait = tokio::spawn(async move { (waiting.begin_publish(&new, TAG).await.unwrap(), new) });
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!wait.is_finished());
        database.end_publish(&old, TAG, "sha256:1").await.unwrap();
        let (publish, new) = wait.await.unwrap();
        assert_eq!(publish, Publish::Go);
        // The newer one dies before it says that it is done: its request may arrive for another while.
        database.release("two").await.unwrap();
        let again = world.claim("three").await;
        assert_eq!(again.build.id, new.build.id);
        assert_eq!(database.take_tag(&again, TAG).await.unwrap(), Turn::Go, "a dead process sends nothing more");
        world.pass(61);
        database.expire_leases().await.unwrap();
        let third = world.claim("four").await;
        let fresh = world.claim("five").await;
        let (third, _) = if third.build.id == new.build.id { (third, fresh) } else { (fresh, third) };
        assert_eq!(database.take_tag(&third, TAG).await.unwrap(), Turn::Wait, "one that was cut off may");
        world.pass(16);
        assert_eq!(database.take_tag(&third, TAG).await.unwrap(), Turn::Go);
    }
}

both! {
    // R5.1
    async fn pushes_are_in_the_order_of_their_commits(world) {
        let database = &world.database;
        let accept = |before: &'static str, after: &'static str| {
            let database = database.clone();
            async move {
                let delivery = push(Some(before), after);
                new_builds(database.accept(&delivery, &[request("acme/app", after)], None).await.unwrap()).remove(0)
            }
        };
        // c→d arrives first, then a→b, which seems newer, and is built; then b→c joins them.
        let last = accept("c", "d").await;
        let claim = world.claim("one").await;
        database.finish(claim, Outcome::Succeeded(image())).await.unwrap();
        let first = accept("a", "b").await;
        assert!(world.build(&first).await.sequence > world.build(&last).await.sequence);
        let middle = accept("b", "c").await;
        let sequence = |id: &BuildId| {
            let (database, id) = (database.clone(), id.clone());
            async move { database.build(&id).await.unwrap().unwrap().sequence }
        };
        assert!(sequence(&first).await < sequence(&middle).await && sequence(&middle).await < sequence(&last).await);
        // A build that was published before its place was known is published again.
        let newest = database.builds(&BuildFilter { limit: 10, trigger: Some("retry".into()), ..BuildFilter::default() }).await.unwrap();
        assert_eq!((newest.len(), newest[0].sequence), (1, sequence(&last).await));
        // A trigger for a known commit is as old as its push, one for an unknown one is the newest.
        let known = world.trigger(&[request("acme/app", "c")]).await.remove(0);
        assert_eq!(sequence(&known).await, sequence(&middle).await);
        let unknown = world.trigger(&[request("acme/app", "elsewhere")]).await.remove(0);
        assert!(sequence(&unknown).await > sequence(&last).await);
    }
}

both! {
    async fn a_build_of_a_ref_is_as_new_as_the_commit_that_it_finds(world) {
        let database = &world.database;
        let mut of_ref = request("acme/app", "x");
        of_ref.spec.commit = None;
        let id = world.trigger(&[of_ref]).await.remove(0);
        let claim = world.claim("one").await;
        let pushed = new_builds(database.accept(&push(Some("a"), "b"), &[request("acme/app", "b")], None).await.unwrap());
        database.set_commit(&claim, "b", "message").await.unwrap();
        let (found, push) = (world.build(&id).await, world.build(&pushed[0]).await);
        assert_eq!((found.sequence, found.commit.as_deref()), (push.sequence, Some("b")));
    }
}
