//! How long things take. The bounds here are generous: the tests are not optimised and the machine is shared. Optimised
//! (`cargo test --release -p database numbers -- --nocapture`) they are those that slipway promises.

use super::*;
use std::time::Instant;

/// How much longer than promised something may take in a program that is not optimised.
const SLACK: u32 = if cfg!(debug_assertions) { 12 } else { 1 };

/// Returns the median and the 99th percentile, and prints them.
fn measured(what: &str, mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    let (median, p99) = (times[times.len() / 2], times[times.len() * 99 / 100]);
    println!("{what}: median {median:?}, p99 {p99:?}, of {}", times.len());
    (median, p99)
}

/// Queues 10,000 builds of `repositories` repositories, in lanes of their own where `policy` is serial.
async fn queue_ten_thousand(world: &World, repositories: usize, policy: Policy) {
    for chunk in 0..10 {
        let requests: Vec<_> = (0..1000)
            .map(|number| {
                let mut one = with_policy(&format!("c{number}"), "main", policy);
                one.repository = format!("acme/app{}", (chunk * 1000 + number) % repositories);
                one
            })
            .collect();
        world.trigger(&requests).await;
    }
}

async fn claims_and_lists(world: World, what: &str) {
    let database = &world.database;
    let (mut claims, mut lists, mut queues) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..30 {
        let began = Instant::now();
        database.claim("one").await.unwrap();
        claims.push(began.elapsed());
    }
    for _ in 0..5 {
        let began = Instant::now();
        let filter = BuildFilter { limit: 50, state: Some(BuildState::Queued), ..BuildFilter::default() };
        assert_eq!(database.builds(&filter).await.unwrap().len(), 50);
        lists.push(began.elapsed());
        let began = Instant::now();
        assert_eq!(database.queue(50).await.unwrap().len(), 50);
        queues.push(began.elapsed());
    }
    let (claim, _) = measured(&format!("{what}: claim among 10,000 queued"), claims);
    let (list, _) = measured(&format!("{what}: list of 50 among 10,000 queued"), lists);
    let (queue, _) = measured(&format!("{what}: queue with places of 10,000"), queues);
    assert!(claim < Duration::from_millis(5) * SLACK, "{claim:?}");
    assert!(list < Duration::from_millis(50) * SLACK, "{list:?}");
    assert!(queue < Duration::from_millis(50) * SLACK, "{queue:?}");
}

both! {
    async fn ten_thousand_queued_builds_slow_nothing_down(world) {
        queue_ten_thousand(&world, 100, Policy::Parallel).await;
        let what = world.url.split(':').next().unwrap().to_owned();
        claims_and_lists(world, &format!("{what}, 100 repositories")).await;
    }
}

both! {
    async fn ten_thousand_queued_builds_of_one_serial_rule_slow_nothing_down(world) {
        queue_ten_thousand(&world, 1, Policy::Serial).await;
        let what = world.url.split(':').next().unwrap().to_owned();
        claims_and_lists(world, &format!("{what}, one serial rule")).await;
    }
}

both! {
    // RL12, RL1: 1,000 deliveries in a burst, none lost.
    async fn a_thousand_deliveries_at_once_are_stored_and_answered(world) {
        let kind = world.url.split(':').next().unwrap();
        let sending: Vec<_> = (0..1000).map(|number| {
            let database = world.database.clone();
            tokio::spawn(async move {
                let id = format!("d{number}");
                let repository = format!("acme/app{}", number % 100);
                let mut delivery = NewDelivery { repository: repository.clone(), ..push(Some("before"), &id) };
                delivery.body = vec![b'x'; 8 * 1024];
                delivery.body.extend_from_slice(id.as_bytes());
                let began = Instant::now();
                let accepted = database.accept(&delivery, &[request(&repository, &id)], None).await.unwrap();
                (began.elapsed(), new_builds(accepted).remove(0))
            })
        }).collect();
        let (mut times, mut ids) = (Vec::new(), Vec::new());
        for sent in sending {
            let (time, id) = sent.await.unwrap();
            times.push(time);
            ids.push(id);
        }
        let (_, p99) = measured(&format!("{kind}: 1,000 deliveries at once"), times);
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), world.database.queue_length().await.unwrap()), (1000, 1000));
        assert!(p99 < Duration::from_millis(500) * SLACK, "{p99:?}");
    }
}

both! {
    async fn one_delivery_is_stored_and_answered_at_once(world) {
        let kind = world.url.split(':').next().unwrap();
        let mut times = Vec::new();
        for number in 0..200 {
            let id = format!("d{number}");
            let began = Instant::now();
            world.database.accept(&delivery(&id, &id), &[request("acme/app", &id)], None).await.unwrap();
            times.push(began.elapsed());
        }
        let (median, p99) = measured(&format!("{kind}: one delivery at a time"), times);
        assert!(median < Duration::from_millis(20) * SLACK && p99 < Duration::from_millis(20) * 4 * SLACK, "{p99:?}");
    }
}
