//! How long things take. Optimised and on a calm machine (`cargo test --release -p database numbers -- --nocapture`) the
//! bounds are those that slipway promises; otherwise they grow with what the simplest statement takes at the same time.

use super::*;
use std::time::Instant;
use tokio::sync::Mutex;

/// How much longer than promised something may take in a program that is not optimised.
const SLACK: u32 = if cfg!(debug_assertions) { 12 } else { 1 };
/// The longest time that the simplest statement takes on a calm machine.
const CALM: Duration = Duration::from_micros(if cfg!(debug_assertions) { 500 } else { 150 });

/// One measurement at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Measures the machine beside what is measured on it.
struct Pace {
    database: Database,
    before: Duration,
}

impl Pace {
    async fn take(database: &Database) -> Self {
        Pace { database: database.clone(), before: simplest(database).await }
    }

    /// Asserts that something took as long as promised, or longer as far as everything else does.
    async fn assert(&self, what: &str, took: Duration, promised: Duration) {
        let now = simplest(&self.database).await.max(self.before);
        let bound = promised.mul_f64(f64::from(SLACK) * (now.as_secs_f64() / CALM.as_secs_f64()).max(1.0));
        println!(
            "{what}: {took:?}; promised {promised:?}, allowed now {bound:?} (the simplest statement takes {now:?})"
        );
        assert!(took < bound, "{what}: {took:?} of {bound:?}");
    }
}

/// Returns how long the simplest statement takes, on average.
async fn simplest(database: &Database) -> Duration {
    let began = Instant::now();
    for _ in 0..100 {
        database.is_queue_paused().await.unwrap();
    }
    began.elapsed() / 100
}

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
    let pace = Pace::take(database).await;
    let (mut claims, mut lists, mut queues) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..30 {
        let began = Instant::now();
        database.claim("one").await.unwrap();
        claims.push(began.elapsed());
    }
    // So many that most are asked on connections that have been asked before.
    for _ in 0..40 {
        let began = Instant::now();
        let filter = BuildFilter { limit: 50, state: Some(BuildState::Queued), ..BuildFilter::default() };
        assert_eq!(database.builds(&filter).await.unwrap().len(), 50);
        lists.push(began.elapsed());
    }
    for _ in 0..5 {
        let began = Instant::now();
        assert_eq!(database.queue(50).await.unwrap().len(), 50);
        queues.push(began.elapsed());
    }
    let (claim, _) = measured(&format!("{what}: claim among 10,000 queued"), claims);
    let (list, _) = measured(&format!("{what}: list of 50 among 10,000 queued"), lists);
    let (queue, _) = measured(&format!("{what}: queue with places of 10,000"), queues);
    pace.assert(&format!("{what}: claim"), claim, Duration::from_millis(5)).await;
    pace.assert(&format!("{what}: list"), list, Duration::from_millis(50)).await;
    // All of the queue is played forward for it.
    pace.assert(&format!("{what}: queue"), queue, Duration::from_millis(150)).await;
}

both! {
    async fn ten_thousand_queued_builds_slow_nothing_down(world) {
        let _alone = ALONE.lock().await;
        queue_ten_thousand(&world, 100, Policy::Parallel).await;
        let what = world.url.split(':').next().unwrap().to_owned();
        claims_and_lists(world, &format!("{what}, 100 repositories")).await;
    }
}

both! {
    async fn ten_thousand_queued_builds_of_one_serial_rule_slow_nothing_down(world) {
        let _alone = ALONE.lock().await;
        queue_ten_thousand(&world, 1, Policy::Serial).await;
        let what = world.url.split(':').next().unwrap().to_owned();
        claims_and_lists(world, &format!("{what}, one serial rule")).await;
    }
}

both! {
    // RL12, RL1: 1,000 deliveries in a burst, none lost.
    async fn a_thousand_deliveries_at_once_are_stored_and_answered(world) {
        let _alone = ALONE.lock().await;
        let kind = world.url.split(':').next().unwrap();
        let pace = Pace::take(&world.database).await;
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
        pace.assert(&format!("{kind}: 1,000 deliveries at once"), p99, Duration::from_millis(500)).await;
    }
}

both! {
    async fn one_delivery_is_stored_and_answered_at_once(world) {
        let _alone = ALONE.lock().await;
        let kind = world.url.split(':').next().unwrap();
        let pace = Pace::take(&world.database).await;
        let mut times = Vec::new();
        for number in 0..200 {
            let id = format!("d{number}");
            let began = Instant::now();
            world.database.accept(&delivery(&id, &id), &[request("acme/app", &id)], None).await.unwrap();
            times.push(began.elapsed());
        }
        let (median, p99) = measured(&format!("{kind}: one delivery at a time"), times);
        println!("{kind}: one delivery at a time: p99 {p99:?}");
        // Waits for a shared disk have outliers of any length; the median has none.
        pace.assert(&format!("{kind}: one delivery at a time"), median, Duration::from_millis(20)).await;
    }
}
