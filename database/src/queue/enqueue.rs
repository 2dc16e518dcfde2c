//! Enqueues builds: assigns number and order, and supersedes older queued builds.

use crate::access::secret_key::SecretKey;
use crate::database::Database;
use crate::deliveries::push_order::{GAP, Pushed, position_of};
use crate::deliveries::reported_refs;
use crate::deliveries::reported_refs::Heads;
use crate::error::Error;
use crate::model::build::{NewBuild, Reason, ids};
use crate::model::build_id::BuildId;
use crate::model::build_request::{BuildRequest, Policy};
use crate::model::build_state::BuildState;
use crate::model::json::to_json;
use crate::model::ref_name::RefName;
use crate::outbox::commit_status;
use crate::sql::columns::insert;
use crate::sql::statement::{Statement, sql};
use crate::sql::states::{QUEUED, SUPERSEDED, States};
use crate::sql::transaction::Transaction;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Where builds come from.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// The delivery.
    pub delivery: Option<i64>,
    /// The push in it.
    pub push: Option<Pushed>,
}

/// Builds and counters of refs that are stored together, so that many deliveries at once need few statements.
/// Code that reads builds or counters in the same transaction writes these first.
#[derive(Debug, Default)]
pub(crate) struct NewBuilds {
    builds: Vec<NewBuild>,
    /// By how much refs of repositories count up.
    counts: BTreeMap<(String, String), i64>,
    /// The commits that the repositories' refs point to.
    pub heads: Heads,
    /// The key with which values of build arguments are sealed.
    key: Option<Arc<SecretKey>>,
}

/// Builds that one statement stores, at most: SQLite takes 32,766 values.
/// The states of a build that makes an older one superfluous.
const OPEN_OR_PUBLISHED: States = States(|state| !state.has_ended() || state == BuildState::Succeeded);

const MAX_BATCH: usize = 500;

impl Database {
    /// Stores builds as queued, in a transaction of [`Database::begin_accepting`]. [`commit_status::write_queued`] tells of them.
    pub(crate) async fn insert_builds(
        &self,
        transaction: &mut Transaction,
        origin: &Origin,
        requests: &[BuildRequest],
    ) -> Result<Vec<BuildId>, Error> {
        let mut builds = NewBuilds::new(self);
        let ids = builds.add(transaction, origin, requests).await?;
        builds.write(transaction).await?;
        Ok(ids)
    }
}

impl NewBuilds {
    /// Returns none, to be stored in `database`.
    pub(crate) fn new(database: &Database) -> Self {
        NewBuilds { key: database.key.clone(), ..NewBuilds::default() }
    }

    /// Takes builds that [`NewBuilds::write`] stores, if nothing wants them to be stored at once.
    pub(crate) async fn add(
        &mut self,
        transaction: &mut Transaction,
        origin: &Origin,
        requests: &[BuildRequest],
    ) -> Result<Vec<BuildId>, Error> {
        let mut ids = Vec::with_capacity(requests.len());
        for request in requests {
            let (push, sequence) = match origin.push.as_ref().filter(|push| push.git_ref == request.spec.git_ref) {
                Some(push) => (push.id, push.sequence),
                None => {
                    self.write(transaction).await?;
                    position(transaction, request).await?
                }
            };
            let id = BuildId::at(transaction.now_ms);
            let is_latest_only = request.spec.options.policy == Policy::LatestOnly;
            self.builds.push(NewBuild {
                id: id.clone(),
                delivery: origin.delivery,
                push,
                sequence,
                request: request.clone(),
            });
            if is_latest_only {
                self.write(transaction).await?;
                supersede(transaction, &id, request, sequence).await?;
            }
            ids.push(id);
        }
        Ok(ids)
    }

    /// Counts up within a ref when this is written.
    pub(crate) fn count(&mut self, of: RefName<'_>, by: i64) {
        *self.counts.entry((of.repository.to_owned(), of.git_ref.to_owned())).or_default() += by;
    }

    /// Returns how far a ref has counted that is not written yet.
    pub(crate) fn counted(&self, of: RefName<'_>) -> i64 {
        self.counts.get(&(of.repository.to_owned(), of.git_ref.to_owned())).copied().unwrap_or(0)
    }

    /// Stores what was added and is not stored yet.
    pub(crate) async fn write(&mut self, transaction: &mut Transaction) -> Result<(), Error> {
        write_counts(transaction, &std::mem::take(&mut self.counts)).await?;
        reported_refs::write(transaction, std::mem::take(&mut self.heads)).await?;
        let builds = std::mem::take(&mut self.builds);
        for some in builds.chunks(MAX_BATCH) {
            write_some(transaction, some, self.key.as_ref()).await?;
        }
        Ok(())
    }
}

/// Counts up within a repository and returns the count: by 0 to only read it.
pub(crate) async fn count(transaction: &mut Transaction, repository: &str, name: &str, by: i64) -> Result<i64, Error> {
    let row = sql(
        "counting",
        "INSERT INTO sequences (repository, name, last) VALUES ($1, $2, $3) \
         ON CONFLICT (repository, name) DO UPDATE SET last = sequences.last + excluded.last RETURNING last",
    )
    .bind(repository)
    .bind(name)
    .bind(by)
    .one(transaction.on())
    .await?;
    row.get("last")
}

async fn write_counts(transaction: &mut Transaction, counts: &BTreeMap<(String, String), i64>) -> Result<(), Error> {
    if counts.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> =
        (0..counts.len()).map(|row| row * 3).map(|row| format!("(${}, ${}, ${})", row + 1, row + 2, row + 3)).collect();
    let text = format!(
        "INSERT INTO sequences (repository, name, last) VALUES {} \
         ON CONFLICT (repository, name) DO UPDATE SET last = sequences.last + excluded.last",
        rows.join(", ")
    );
    let bind = |statement: Statement, ((repository, git_ref), by): (&(String, String), &i64)| {
        statement.bind(repository).bind(git_ref).bind(*by)
    };
    counts.iter().fold(sql("counting", text), bind).run(transaction.on()).await?;
    Ok(())
}

/// Returns the push and the sequence of a build that no push asks for: those of its commit, or the newest of all.
async fn position(transaction: &mut Transaction, request: &BuildRequest) -> Result<(Option<i64>, i64), Error> {
    if let Some(commit) = &request.spec.commit
        && let Some(known) = position_of(transaction, request.ref_name(), commit).await?
    {
        return Ok((known.id, known.sequence));
    }
    Ok((None, count(transaction, &request.repository, &request.spec.git_ref, GAP).await?))
}

async fn write_some(
    transaction: &mut Transaction,
    builds: &[NewBuild],
    key: Option<&Arc<SecretKey>>,
) -> Result<(), Error> {
    let mut ranks: HashMap<&str, usize> = HashMap::new();
    let mut rows = Vec::with_capacity(builds.len());
    for build in builds {
        let rank = ranks.entry(&build.request.repository).or_default();
        *rank += 1;
        rows.push(build.row(*rank, key, transaction.now_ms)?);
    }
    insert("storing builds", "builds", rows).run(transaction.on()).await?;
    Ok(())
}

/// Ends the queued builds of older pushes, or the new one if its push turns out to be the older.
async fn supersede(
    transaction: &mut Transaction,
    id: &BuildId,
    request: &BuildRequest,
    sequence: i64,
) -> Result<(), Error> {
    let newer = sql(
        "reading newer builds",
        format!(
            "SELECT id FROM builds WHERE repository = $1 AND rule = $2 AND git_ref = $3 AND sequence > $4 \
         AND state IN ({OPEN_OR_PUBLISHED}) LIMIT 1"
        ),
    )
    .bind(&request.repository)
    .bind(&request.rule)
    .bind(&request.spec.git_ref)
    .bind(sequence)
    .optional(transaction.on())
    .await?;
    let is_late = newer.is_some() && request.trigger.is_delivered();
    let message = if is_late { "a newer commit was pushed before" } else { "a newer commit was pushed" };
    let reason = Reason { code: "superseded".to_owned(), message: message.to_owned() };
    let rows = sql(
        "superseding builds",
        format!("UPDATE builds SET state = {SUPERSEDED}, reason_json = $1, finished_ms = $2, version = version + 1 \
         WHERE repository = $3 AND rule = $4 AND git_ref = $5 AND state = {QUEUED} AND (sequence < $6 OR $7 AND id = $8) \
         RETURNING id"),
    )
    .bind(to_json(&reason)?)
    .bind(transaction.now_ms)
    .bind(&request.repository)
    .bind(&request.rule)
    .bind(&request.spec.git_ref)
    .bind(sequence)
    .bind(is_late)
    .bind(id.as_str())
    .all(transaction.on())
    .await?;
    for superseded in ids(&rows)? {
        commit_status::write(transaction, &superseded, BuildState::Superseded, message).await?;
    }
    Ok(())
}
