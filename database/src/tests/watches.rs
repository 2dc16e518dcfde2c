//! Watches on builds: woken by every change of theirs, whichever process made it, and free while nothing happens.

use super::*;
use tokio::time::{sleep, timeout};

/// Longer than any change takes to be noticed.
const SOON: Duration = Duration::from_secs(10);
/// Long enough for a poller or a listener to have started.
const SETTLED: Duration = Duration::from_millis(500);

async fn is_woken(watch: &mut BuildWatch) {
    timeout(SOON, watch.changed()).await.expect("the watch was not woken");
}

/// Waits until nothing wakes the watch any more.
async fn settle(watch: &mut BuildWatch) {
    while timeout(SETTLED, watch.changed()).await.is_ok() {}
}

both! {
    async fn five_hundred_idle_followers_execute_no_statement(world) {
        let database = &world.database;
        let builds = world.trigger(&[request("acme/app", "a"), request("acme/app", "b")]).await;
        let mut followers: Vec<_> = (0..500).map(|_| database.watch_build(&builds[0])).collect();
        let mut other_build = database.watch_build(&builds[1]);
        settle(&mut followers[499]).await;
        // Those that began before the first comparison were woken by it.
        for follower in &mut followers {
            let _ = timeout(Duration::ZERO, follower.changed()).await;
        }
        let before = database.faults().statements();
        sleep(SETTLED).await;
        assert_eq!(database.faults().statements(), before, "idle followers executed statements");
        settle(&mut other_build).await;
        let other = world.other().await;
        other.cancel(&builds[1]).await.unwrap();
        is_woken(&mut other_build).await;
        for follower in &mut followers[..5] {
            let woken = timeout(Duration::from_millis(50), follower.changed()).await;
            assert!(woken.is_err(), "a change of another build woke a follower");
        }
        other.cancel(&builds[0]).await.unwrap();
        for follower in &mut followers {
            is_woken(follower).await;
        }
        drop((followers, other_build));
        // Nobody watches any more: a change costs nothing but itself.
        sleep(SETTLED).await;
        let before = database.faults().statements();
        world.other().await.trigger(None, &[request("acme/app", "c")]).await.unwrap();
        sleep(SETTLED).await;
        assert_eq!(database.faults().statements(), before);
    }
}

both! {
    async fn every_change_of_a_build_wakes_its_followers(world) {
        let database = &world.database;
        let builds = world.trigger(&[request("acme/app", "a")]).await;
        let other = world.other().await;
        let mut watch = database.watch_build(&builds[0]);
        settle(&mut watch).await;
        let mut second = database.watch_build(&builds[0]);
        let claim = other.claim("worker").await.unwrap().unwrap();
        is_woken(&mut second).await;
        is_woken(&mut watch).await;
        settle(&mut watch).await;
        other.set_state(&claim, BuildState::Building).await.unwrap();
        is_woken(&mut watch).await;
        settle(&mut watch).await;
        other.put_steps(&claim, &[]).await.unwrap();
        is_woken(&mut watch).await;
        settle(&mut watch).await;
        other.append_log(&claim, None, b"hello").await.unwrap();
        is_woken(&mut watch).await;
        settle(&mut watch).await;
        other.set_warnings(&claim, &["odd".to_owned()]).await.unwrap();
        is_woken(&mut watch).await;
        settle(&mut watch).await;
        database.cancel(&builds[0]).await.unwrap();
        is_woken(&mut watch).await;
        settle(&mut watch).await;
        other.finish(claim, Outcome::Cancelled).await.unwrap();
        is_woken(&mut watch).await;
    }
}

both! {
    async fn a_change_of_any_build_wakes_those_who_watch_all(world) {
        let database = &world.database;
        let builds = world.trigger(&[request("acme/app", "a")]).await;
        let mut watch = database.watch_builds();
        while timeout(SETTLED, watch.changed()).await.is_ok() {}
        let other = world.other().await;
        other.cancel(&builds[0]).await.unwrap();
        timeout(SOON, watch.changed()).await.expect("an old build");
        while timeout(SETTLED, watch.changed()).await.is_ok() {}
        other.trigger(None, &[request("acme/app", "b")]).await.unwrap();
        timeout(SOON, watch.changed()).await.expect("a new build");
    }
}
