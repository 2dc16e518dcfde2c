//! Pushes that no delivery told of, found by comparing a snapshot of the refs with the known ones.

use crate::access::sealing::open_spec;
use crate::database::Database;
use crate::deliveries::accept::insert_deliveries;
use crate::deliveries::batches::{Delivered, Source};
use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::model::build_request::{BuildRequest, BuildSpec};
use crate::model::build_state::BuildState;
use crate::model::delivery::{Accepted, NewDelivery};
use crate::model::json::{json, to_json};
use crate::model::rules_fetch::NewRulesFetch;
use crate::outbox::commit_status;
use crate::queue::enqueue::NewBuilds;
use crate::reconcile::ref_poll::{Compared, LastKnown, MovedRef, Seen, Waiting};
use crate::sql::clock::millis;
use crate::sql::statement::{Row, sql};
use crate::sql::states::{PUSH, States};
use crate::sql::transaction::Transaction;
use std::time::Duration;

/// Most pushes that one look makes up for; the rest is left to the next.
/// The states of a build that ended without saying what its commit makes.
const WITHOUT_IMAGE: States =
    States(|state| matches!(state, BuildState::Cancelled | BuildState::Errored | BuildState::Skipped));
const MAX_MISSED: usize = 50;
/// How long a ref is looked at that names something new which is not a commit, or not one that can be fetched.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60 * 60);
/// How long a delivery may take: before, a push that a look saw is not taken for missed.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// A push that no delivery told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedPush {
    /// Full name of the ref.
    pub git_ref: String,
    /// The earlier target; `None` if the ref is new.
    pub before: Option<String>,
    /// The present target.
    pub after: String,
    /// The full hash of the commit.
    pub commit: String,
    /// The commit's message.
    pub message: String,
}

/// A look that was answered and not compared yet.
#[derive(Debug)]
pub struct AnsweredRefPoll {
    /// The repository.
    pub repository: String,
    /// Number of the look.
    pub attempt: i64,
    /// The missed pushes.
    pub missed: Vec<MissedPush>,
    /// The refs that are known from now on.
    known: Compared,
    /// When the refs were asked for, in milliseconds since 1970.
    pub asked_ms: i64,
    /// When they are to be asked for again.
    pause_ms: i64,
}

/// A missed push and what follows from it.
#[derive(Debug)]
pub struct FoundPush {
    /// The delivery that stands for the one that did not come.
    pub delivery: NewDelivery,
    /// The builds.
    pub requests: Vec<BuildRequest>,
    /// The repository's own rules, if they are to be read first.
    pub rules_fetch: Option<NewRulesFetch>,
}

impl Database {
    /// Returns looks that were answered and are not compared yet.
    pub async fn answered_ref_polls(&self, limit: u32) -> Result<Vec<AnsweredRefPoll>, Error> {
        let rows = sql(
            "reading ref polls",
            "SELECT repository, attempt, asked_ms, answer_json, pause_ms FROM ref_polls WHERE answer_json IS NOT NULL \
             ORDER BY asked_ms, repository LIMIT $1",
        )
        .bind(i64::from(limit))
        .all(self.read())
        .await?;
        let mut looks = Vec::with_capacity(rows.len());
        for row in &rows {
            looks.push(self.compare(row).await?);
        }
        Ok(looks)
    }

    /// Finds what was missed. The first look at a repository only takes note: what was pushed before is not built.
    async fn compare(&self, row: &Row) -> Result<AnsweredRefPoll, Error> {
        let seen: Seen = json(&row.get::<String>("answer_json")?)?;
        let mut look = AnsweredRefPoll {
            repository: row.get("repository")?,
            attempt: row.get("attempt")?,
            missed: Vec::new(),
            known: Compared { heads: seen.heads.clone(), ..Compared::default() },
            asked_ms: row.get("asked_ms")?,
            pause_ms: row.get("pause_ms")?,
        };
        let Some(known) = self.last_known(&look.repository).await? else { return Ok(look) };
        for (git_ref, after) in &seen.heads {
            let before = known.compared.heads.get(git_ref);
            if before == Some(after) {
                continue;
            }
            let moved = seen.moved.iter().find(|moved| moved.git_ref == *git_ref);
            match moved {
                Some(moved) if self.was_delivered(&look.repository, moved, known.since_ms).await? => {}
                _ => look.judge(git_ref, after, moved, &known),
            }
        }
        Ok(look)
    }

    /// Tells whether a push built a commit though no row of its own tells of it: one of several in a delivery.
    async fn was_delivered(&self, repository: &str, moved: &MovedRef, since_ms: i64) -> Result<bool, Error> {
        let row = sql(
            "looking for a build",
            format!(
                "SELECT id FROM builds WHERE commit_id = $1 AND repository = $2 AND git_ref = $3 AND created_ms >= $4 \
             AND trigger_kind = {PUSH} LIMIT 1"
            ),
        )
        .bind(&moved.commit)
        .bind(repository)
        .bind(&moved.git_ref)
        .bind(since_ms)
        .optional(self.read())
        .await?;
        Ok(row.is_some())
    }

    /// Stores what was missed, and what is known from now on; `None` if another server did it before.
    pub async fn settle_ref_poll(
        &self,
        look: &AnsweredRefPoll,
        found: Vec<FoundPush>,
    ) -> Result<Option<Vec<BuildId>>, Error> {
        let doing = "settling a look";
        let mut transaction = self.begin_accepting().await?;
        let settled = sql(
            doing,
            "UPDATE ref_polls SET answer_json = NULL, known_json = $3, compared_ms = $4, due_ms = $5 \
             WHERE repository = $1 AND attempt = $2 AND answer_json IS NOT NULL",
        )
        .bind(&look.repository)
        .bind(look.attempt)
        .bind(to_json(&look.known)?)
        .bind(look.asked_ms)
        .bind(transaction.now_ms + look.pause_ms)
        .run(transaction.on())
        .await?;
        if settled == 0 {
            return Ok(None);
        }
        let (mut stored, mut builds) = (Vec::new(), NewBuilds::new(self));
        for FoundPush { mut delivery, requests, rules_fetch } in found {
            let asked = requests.len();
            let requests = not_built_yet(&mut transaction, requests).await?;
            if requests.is_empty() && asked > 0 && rules_fetch.is_none() {
                delivery.ignored = Some(BUILT_BEFORE.to_owned());
                delivery.explain.push("the commit was built for this ref before, by hand".to_owned());
            }
            let one = Delivered { delivery, requests, rules_fetch, source: Source::Found };
            let accepted = self.store_found(&mut transaction, &mut builds, one, look.asked_ms).await?;
            if let Accepted::New(ids) = accepted {
                stored.extend(ids);
            }
        }
        builds.write(&mut transaction).await?;
        commit_status::write_queued(&mut transaction, &stored).await?;
        transaction.announce_work();
        transaction.commit(doing).await?;
        Ok(Some(stored))
    }

    /// Stores a push that was missed, unless a delivery told of a push to its ref meanwhile.
    async fn store_found(
        &self,
        transaction: &mut Transaction,
        builds: &mut NewBuilds,
        one: Delivered,
        asked_ms: i64,
    ) -> Result<Accepted, Error> {
        let git_ref = one.delivery.push.as_ref().map(|push| push.git_ref.clone());
        let text = "SELECT id FROM pushes WHERE repository = $1 AND git_ref = $2 AND created_ms >= $3 LIMIT 1";
        let told = sql("looking for a push", text)
            .bind(&one.delivery.repository)
            .bind(git_ref)
            .bind(asked_ms)
            .optional(transaction.on())
            .await?;
        if told.is_some() {
            return Ok(Accepted::Duplicate(Vec::new()));
        }
        let rows = insert_deliveries(transaction, std::slice::from_ref(&one)).await?;
        self.store_one(transaction, builds, &one, rows.into_iter().next().flatten()).await
    }
}

/// Why nothing is built for a push that was found: somebody was faster.
const BUILT_BEFORE: &str = "built_before";

/// Leaves out what the newest build of a rule and ref has built already: somebody asked for it by hand, because no delivery
/// came.
pub(crate) async fn not_built_yet(
    transaction: &mut Transaction,
    requests: Vec<BuildRequest>,
) -> Result<Vec<BuildRequest>, Error> {
    let mut wanted = Vec::new();
    for request in requests {
        let row = sql(
            "looking for a build",
            format!(
                "SELECT commit_id, spec_json FROM builds WHERE repository = $1 AND rule = $2 AND git_ref = $3 \
             AND state NOT IN ({WITHOUT_IMAGE}) ORDER BY id DESC LIMIT 1"
            ),
        )
        .bind(&request.repository)
        .bind(&request.rule)
        .bind(&request.spec.git_ref)
        .optional(transaction.on())
        .await?;
        let is_same = match (row, &request.spec.commit) {
            (Some(row), Some(commit)) if row.get::<Option<String>>("commit_id")?.as_ref() == Some(commit) => {
                let built = open_spec(&request.repository, &row.get::<String>("spec_json")?)?;
                makes_same(&built.with_commit(commit), &request.spec.with_commit(commit))
            }
            _ => false,
        };
        if !is_same {
            wanted.push(request);
        }
    }
    Ok(wanted)
}

/// Tells whether two builds of a commit make the same image under the same names.
fn makes_same(one: &BuildSpec, other: &BuildSpec) -> bool {
    let places = |spec: &BuildSpec| (spec.dockerfile.clone(), spec.context.clone(), spec.target.clone());
    let options = |spec: &BuildSpec| {
        let options = &spec.options;
        (options.platforms.clone(), options.labels.clone(), options.compression)
    };
    (one.push, &one.tags, &one.build_args) == (other.push, &other.tags, &other.build_args)
        && places(one) == places(other)
        && options(one) == options(other)
}

impl AnsweredRefPoll {
    /// Decides about a ref that names something else than is known.
    fn judge(&mut self, git_ref: &str, after: &str, moved: Option<&MovedRef>, known: &LastKnown) {
        let before = known.compared.heads.get(git_ref);
        let seen_before = known.compared.waiting.get(git_ref).filter(|waiting| waiting.id == after);
        let since_ms = seen_before.map_or(self.asked_ms, |waiting| waiting.since_ms);
        let patience_ms = millis(DELIVERY_TIMEOUT).min(self.pause_ms);
        let is_late = self.asked_ms - since_ms >= patience_ms && seen_before.is_some();
        let decided = is_late && known.is_older(git_ref, self.asked_ms) && self.missed.len() < MAX_MISSED;
        if let Some(moved) = moved.filter(|_| decided) {
            self.missed.push(MissedPush {
                git_ref: git_ref.to_owned(),
                before: before.cloned(),
                after: after.to_owned(),
                commit: moved.commit.clone(),
                message: moved.message.clone(),
            });
            return;
        }
        // The ref counts as known then: there is nothing in it to build.
        if moved.is_none() && seen_before.is_some() && self.asked_ms - since_ms >= millis(GIVE_UP_AFTER) {
            return;
        }
        match before {
            Some(before) => self.known.heads.insert(git_ref.to_owned(), before.clone()),
            None => self.known.heads.remove(git_ref),
        };
        self.known.waiting.insert(git_ref.to_owned(), Waiting { id: after.to_owned(), since_ms });
        self.pause_ms = patience_ms;
    }
}
