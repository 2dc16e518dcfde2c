//! The database on real files and servers: every test runs on both.

mod accept;
mod approvals;
mod base_images;
mod claims;
mod clocks;
mod faults;
mod groups;
mod identities;
mod kept;
mod numbers;
mod order;
mod postgres;
mod progress;
mod pulls;
mod queue;
mod records;
mod ref_polls;
mod registry;
mod retention;
mod statement_faults;
mod tags;
mod trend;
mod watches;
mod webhooks;

use super::*;
use crate::sql::clock::Clock;
use crate::sql::connect::Store;
use crate::sql::schema;
use crate::sql::transaction::Transaction;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A database of its own for one test.
struct World {
    database: Database,
    url: String,
    _directory: tempfile::TempDir,
}

/// Which database a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

impl World {
    async fn open(kind: Kind) -> Self {
        World::open_with(kind, Settings::default()).await
    }

    async fn open_with(kind: Kind, settings: Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = match kind {
            Kind::Sqlite => format!("sqlite://{}/slipway.db", directory.path().display()),
            Kind::Postgres => postgres::new_database(),
        };
        World { database: Database::open_with(&url, settings).await.unwrap(), url, _directory: directory }
    }

    /// Opens the same database as another process does, with the same time.
    async fn other(&self) -> Database {
        let mut other = Database::open_with(&self.url, self.database.settings.clone()).await.unwrap();
        other.clock = self.database.clock.clone();
        other
    }

    async fn trigger(&self, requests: &[BuildRequest]) -> Vec<BuildId> {
        match self.database.trigger(None, requests).await.unwrap() {
            Accepted::New(builds) => builds,
            other => panic!("{other:?}"),
        }
    }

    async fn build(&self, id: &BuildId) -> Build {
        self.database.build(id).await.unwrap().unwrap()
    }

    async fn claim(&self, worker: &str) -> Claim {
        // The clocks of two connections may differ by a millisecond.
        for _ in 0..20 {
            if let Some(claim) = self.database.claim(worker).await.unwrap() {
                return claim;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("there is nothing to claim");
    }

    /// Moves the database's clock.
    fn pass(&self, seconds: u64) {
        self.database.clock.advance(Duration::from_secs(seconds));
    }
}

/// Defines a test that runs on both databases.
macro_rules! both {
    ($(#[$attribute:meta])* async fn $name:ident($world:ident) $body:block) => {
        mod $name {
            use super::*;

            async fn run($world: World) $body

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                run(World::open(Kind::Sqlite).await).await;
            }

            $(#[$attribute])*
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                run(World::open(Kind::Postgres).await).await;
            }
        }
    };
}
pub(crate) use both;

fn request(repository: &str, commit: &str) -> BuildRequest {
    BuildRequest {
        repository: repository.into(),
        rule: "main".into(),
        commit_message: "a change".into(),
        trigger: Trigger::Push { delivery: "d".into(), by: "somebody".into() },
        spec: BuildSpec {
            clone_url: "http://127.0.0.1/app.git".into(),
            git_ref: "refs/heads/main".into(),
            commit: Some(commit.into()),
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

/// A request for a rule with a policy.
fn with_policy(commit: &str, rule: &str, policy: Policy) -> BuildRequest {
    let mut request = request("acme/app", commit);
    request.rule = rule.into();
    request.spec.options.policy = policy;
    request
}

fn delivery(id: &str, body: &str) -> NewDelivery {
    NewDelivery {
        forge: "github".into(),
        delivery: id.into(),
        event: "push".into(),
        repository: "acme/app".into(),
        body: body.into(),
        ignored: None,
        explain: Vec::new(),
        push: None,
        closed: None,
        is_replay: false,
        has_own_id: true,
        moves: Vec::new(),
        default_branch: None,
    }
}

fn rules_fetch() -> NewRulesFetch {
    NewRulesFetch {
        repository: "acme/app".into(),
        clone_url: "http://127.0.0.1/app.git".into(),
        git_ref: "refs/heads/main".into(),
        commit: Some("b".into()),
        commit_message: "m".into(),
        trigger: Trigger::Push { delivery: "d".into(), by: "me".into() },
        path: "slipway.toml".into(),
        rule: None,
    }
}

/// A delivery of a push that moved `main`.
fn push(before: Option<&str>, after: &str) -> NewDelivery {
    let id = format!("{}-{after}", before.unwrap_or("new"));
    let pushed =
        PushedRef { git_ref: "refs/heads/main".into(), before: before.map(str::to_owned), after: after.into() };
    let moved = RefMove { git_ref: pushed.git_ref.clone(), before: pushed.before.clone(), after: Some(after.into()) };
    NewDelivery { push: Some(pushed), moves: vec![moved], ..delivery(&id, &id) }
}

fn new_builds(accepted: Accepted) -> Vec<BuildId> {
    match accepted {
        Accepted::New(builds) => builds,
        other => panic!("{other:?}"),
    }
}

fn image() -> PushedImage {
    PushedImage {
        tree: None,
        merged: None,
        digest: "sha256:00".into(),
        media_type: "m".into(),
        size: 1,
        tags: vec![],
        inputs_key: None,
        base_images: vec![],
    }
}

fn reason(code: &str) -> Reason {
    Reason { code: code.into(), message: "because\nof this".into() }
}
