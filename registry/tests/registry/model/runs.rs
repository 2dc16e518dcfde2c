//! Runs of many steps, after each of which everything is compared.

use super::expected::Model;
use super::player::Player;
use super::step::{Random, Step};
use super::universe;
use std::time::{Duration, Instant};

/// Steps of the long run; `SLIPWAY_MODEL_STEPS` asks for another number.
const STEPS: usize = 100_000;
/// Steps after which the store is a new one.
const ROUND: usize = 500;
/// Time of the run that every `cargo test` makes.
const BUDGET: Duration = Duration::from_secs(8);

#[tokio::test]
async fn nothing_is_lost_and_nothing_leaks() {
    let began = Instant::now();
    for seed in 1..=4 {
        if began.elapsed() < BUDGET {
            play(seed, ROUND).await;
        }
    }
}

#[tokio::test]
#[ignore = "takes many minutes: 100,000 steps"]
async fn nothing_is_lost_and_nothing_leaks_in_many_steps() {
    let steps = std::env::var("SLIPWAY_MODEL_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(STEPS);
    for round in 0..steps / ROUND {
        play(1_000 + round as u64, ROUND).await;
    }
}

async fn play(seed: u64, steps: usize) {
    let directory = tempfile::tempdir().unwrap();
    // Deleted tags are kept in half of the rounds.
    let has_grace = seed % 2 == 1;
    let (mut random, mut model) = (Random::new(seed), Model::new(has_grace));
    let mut player = Player::open(directory.path(), has_grace);
    for number in 0..steps {
        let step = Step::random(&mut random);
        let expected = model.apply(&step);
        assert_eq!(player.take(&step).await, expected, "seed {seed}, step {number}: the answer to {step:?}");
        assert_eq!(player.facts(), model.facts, "seed {seed}, step {number}: after {step:?}");
        player.check_answers(&model, number % universe::REPOSITORIES.len()).await;
    }
    let report = player.store().verify().unwrap();
    assert!(report.damaged.is_empty() && report.missing.is_empty(), "seed {seed}: {report:?}");
}
