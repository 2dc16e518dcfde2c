//! The queue under load: `cargo bench -p database`.
#![allow(missing_docs, clippy::unwrap_used)]

use database::{BuildOptions, BuildRequest, BuildSpec, Database, Outcome, Trigger};
use std::collections::BTreeMap;
use std::time::Instant;

/// Builds that wait in the queue.
const QUEUED: usize = 10_000;
/// Claims that are measured.
const CLAIMS: usize = 200;

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

#[tokio::main]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/slipway.db", directory.path().display());
    let database = Database::open(&url).await.unwrap();
    let requests: Vec<_> = (0..QUEUED).map(request).collect();
    for batch in requests.chunks(500) {
        database.trigger(None, batch).await.unwrap();
    }
    let mut times = Vec::with_capacity(CLAIMS);
    for _ in 0..CLAIMS {
        let began = Instant::now();
        let claim = database.claim("bench").await.unwrap().unwrap();
        times.push(began.elapsed());
        database.finish(claim, Outcome::Cancelled).await.unwrap();
    }
    times.sort();
    let ms = |share: usize| times[(CLAIMS - 1) * share / 100].as_secs_f64() * 1000.0;
    println!("a claim with {QUEUED} builds queued: median {:.2} ms, of a hundred one over {:.2} ms", ms(50), ms(99));
}
