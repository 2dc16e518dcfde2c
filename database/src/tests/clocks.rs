//! Clocks that are set back.

use super::*;

const DAY: u64 = 24 * 60 * 60;

both! {
    // ST-16, RL10: what waits and what is held has times that lie a day ahead, as after a start with the clock a day back.
    async fn a_clock_that_is_a_day_back_makes_nobody_wait_and_removes_nothing(world) {
        world.pass(DAY);
        let ids = world.trigger(&[request("acme/app", "c1"), request("acme/app", "c2")]).await;
        let tried = world.claim("one").await;
        world.database.finish(tried, Outcome::Retry(reason("registry"))).await.unwrap();
        let lost = world.claim("two").await;
        assert_eq!(lost.id(), &ids[1]);
        for status in world.database.pending_statuses(None, 100).await.unwrap() {
            world.database.acknowledge_status(status.id, &StatusAnswer::Again("no".into())).await.unwrap();
        }
        assert!(world.database.pending_statuses(None, 100).await.unwrap().is_empty());

        let back = World { database: Database::open(&world.url).await.unwrap(), url: world.url.clone(), _directory: tempfile::tempdir().unwrap() };
        assert_eq!(back.claim("three").await.id(), &ids[0], "a build that is tried again does not wait for a day");
        assert!(!back.database.pending_statuses(None, 100).await.unwrap().is_empty(), "nor do statuses");
        assert!(matches!(back.database.heartbeat(&lost).await.unwrap(), Lease::Held { .. }), "who is alive keeps its build");
        assert!(back.database.expire_leases().await.unwrap().is_empty());
        back.pass(61);
        assert_eq!(back.database.expire_leases().await.unwrap().len(), 2, "who is not loses it when a lease has passed");
        let all = BuildFilter { limit: 100, ..BuildFilter::default() };
        assert_eq!(back.database.builds(&all).await.unwrap().len(), 2);
    }
}
