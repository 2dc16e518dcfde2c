//! Builds whose git server and registry are far away: the round trips that they make one after the other.

use crate::support::round_trips::RoundTrips;
use crate::support::worker_pool::{commit, serve};
use crate::support::{git_server, push_base, run, slipway};
use tempfile::TempDir;

/// Round trips of a push that changed one file, for everything from the ref to the tag.
const ROUND_TRIPS: usize = 9;

/// A git server and a registry, both far away.
struct Far {
    directory: TempDir,
    tokio: tokio::runtime::Runtime,
    network: RoundTrips,
    git: String,
    registry: String,
}

impl Far {
    fn start() -> Far {
        let directory = tempfile::tempdir().unwrap();
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let store = image_store::Store::open(&directory.path().join("registry")).unwrap();
        let router = registry::router(store, registry::Settings::new(registry::Access::Open));
        let near = serve(&tokio, router);
        push_base(&directory.path().join("base"), &near);
        let network = RoundTrips::start(tokio.handle());
        let registry = network.before(tokio.handle(), &near);
        std::fs::create_dir(directory.path().join("git")).unwrap();
        let git = serve(&tokio, git_server::router(directory.path().join("git")));
        let git = network.before(tokio.handle(), &git);
        Far { directory, tokio, network, git, registry }
    }

    /// Commits a file and builds the branch; returns the round trips of the build.
    fn build(&self, text: &str) -> usize {
        let dockerfile = format!(
            "FROM {}/base/busybox\nWORKDIR /app\nCOPY lib /app/lib\nCOPY main.txt /app/\nRUN cat main.txt > built\n",
            self.registry
        );
        let files = [("Dockerfile", dockerfile.as_str()), ("lib/a", "a"), ("lib/b", "b"), ("main.txt", text)];
        commit(self.directory.path(), &files);
        let before = self.network.rounds();
        run(slipway()
            .args(["build", "--push", "-t", &format!("{}/team/app:latest", self.registry), "--data-dir"])
            .arg(self.directory.path().join("data"))
            .arg(format!("http://{}/app.git#main", self.git)));
        self.network.rounds() - before
    }
}

#[test]
fn a_push_from_afar_takes_few_round_trips() {
    let far = Far::start();
    far.build("one");
    let taken = far.build("two");
    assert!(taken <= ROUND_TRIPS, "{taken} round trips");
    let unchanged = far.build("two");
    assert!((5..=ROUND_TRIPS).contains(&unchanged), "{unchanged} round trips");
    drop(far.tokio);
}
