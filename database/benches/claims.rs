//! The queue under load: `cargo bench -p database`.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{Criterion, criterion_group, criterion_main};
use database::{BuildOptions, BuildRequest, BuildSpec, Database, Outcome, Trigger};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Builds that wait in the queue.
const QUEUED: usize = 10_000;

fn request(number: usize) -> BuildRequest {
    BuildRequest {
        repository: format!("team/app{}", number % 50),
        rule: "main".into(),
        commit_message: "a change".into(),
        trigger: Trigger::Manual { by: "bench".into() },
        spec: BuildSpec {
            clone_url: "http://127.0.0.1/app.git".into(),
            git_ref: "refs/heads/main".into(),
            commit: Some(format!("{number:040x}")),
            dockerfile: "Dockerfile".into(),
            context: String::new(),
            target: None,
            build_args: BTreeMap::new(),
            tags: vec!["127.0.0.1:5000/app:latest".into()],
            use_cache: true,
            push: true,
            options: BuildOptions::default(),
        },
    }
}

fn claims(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/slipway.db", directory.path().display());
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let database = tokio.block_on(Database::open(&url)).unwrap();
    let requests: Vec<_> = (0..QUEUED).map(request).collect();
    for batch in requests.chunks(500) {
        tokio.block_on(database.trigger(None, batch)).unwrap();
    }
    // A claim takes a build away: another one takes its place, which is not measured.
    let mut next = QUEUED;
    criterion.bench_function("a claim with 10,000 builds queued", |bencher| {
        bencher.iter_custom(|times| {
            let mut taken = Duration::ZERO;
            for _ in 0..times {
                let began = Instant::now();
                let claim = tokio.block_on(database.claim("bench")).unwrap().unwrap();
                taken += began.elapsed();
                tokio.block_on(database.finish(claim, Outcome::Cancelled)).unwrap();
                tokio.block_on(database.trigger(None, &[request(next)])).unwrap();
                next += 1;
            }
            taken
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(1));
    targets = claims
}
criterion_main!(benches);
