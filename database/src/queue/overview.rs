//! The queue as people see it: who is next, what each waits for, and how long that is likely to take.

use crate::database::Database;
use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::model::build_state::BuildState;
use crate::queue::forecast::{Forecast, QueuePlace, QueuedBuild, Running, Waiting};
use crate::sql::columns::{build_id, columns, get};
use crate::sql::statement::{Row, sql};
use crate::sql::states::{QUEUED, SUCCEEDED};

/// Builds whose durations tell how long the next will take.
const RECENT: i64 = 500;

/// Running builds that are shown.
const MAX_RUNNING: i64 = 200;

columns! {
    /// A build that a worker has.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct RunningBuild {
        /// Its id.
        pub id: BuildId = build_id "id",
        /// Counts the builds of its repository from 1.
        pub number: i64 = get "number",
        /// Its repository.
        pub repository: String = get "repository",
        /// Its rule.
        pub rule: String = get "rule",
        /// Its ref.
        pub git_ref: String = get "git_ref",
        /// Its commit's message.
        pub commit_message: String = get "commit_message",
        /// Name of the worker.
        pub worker: String = get "worker",
        /// Where it is in its life.
        pub state: BuildState = state_of "state",
        /// When the first attempt was claimed, in milliseconds since 1970.
        pub started_ms: i64 = get "started_ms" as "COALESCE(started_ms, 0)",
    }
}

impl Database {
    /// Returns the builds that workers have, those that began first before the others, each with how long it is likely to take
    /// from now on, as far as builds before it tell.
    pub async fn running_builds(&self) -> Result<Vec<(RunningBuild, Option<i64>)>, Error> {
        let columns = RunningBuild::COLUMNS;
        let text =
            format!("SELECT {columns} FROM builds WHERE worker IS NOT NULL ORDER BY started_ms LIMIT {MAX_RUNNING}");
        let rows = sql("reading the queue", text).all(self.read()).await?;
        let builds = rows.iter().map(RunningBuild::read).collect::<Result<Vec<_>, _>>()?;
        let forecast = self.forecast().await?;
        let left = |build: &RunningBuild| forecast.left(&build.repository, &build.rule, build.started_ms);
        Ok(builds.into_iter().map(|build| (left(&build), build)).map(|(left, build)| (build, left)).collect())
    }

    /// Returns the place of a queued build in the queue; `None` if it is not queued.
    pub async fn queue_place(&self, id: &BuildId) -> Result<Option<QueuePlace>, Error> {
        let row = sql("reading the queue", format!("SELECT state FROM builds WHERE id = $1 AND state = {QUEUED}"))
            .bind(id.as_str())
            .optional(self.read())
            .await?;
        if row.is_none() {
            return Ok(None);
        }
        let queued = self.forecast().await?.queue(usize::MAX);
        Ok(queued.into_iter().find(|build| build.id == *id).map(|build| build.place))
    }

    /// Returns the first `limit` queued builds, in the order in which they are likely to be claimed, and after them those
    /// that nobody has approved.
    pub async fn queue(&self, limit: u32) -> Result<Vec<QueuedBuild>, Error> {
        Ok(self.forecast().await?.queue(limit as usize))
    }

    /// Returns how many builds wait for a worker; those that nobody has approved do not.
    pub async fn queue_length(&self) -> Result<i64, Error> {
        let text = format!("SELECT COUNT(*) AS amount FROM builds WHERE state = {QUEUED} AND NOT awaits_approval");
        sql("reading the queue", text).one(self.read()).await?.get("amount")
    }

    async fn forecast(&self) -> Result<Forecast, Error> {
        let doing = "reading the queue";
        let now_ms = self.now_ms().await?;
        let waiting =
            format!("SELECT {}, awaits_approval FROM builds WHERE state = {QUEUED} ORDER BY id", Waiting::COLUMNS);
        let waiting = sql(doing, waiting);
        let running = sql(doing, format!("SELECT {} FROM builds WHERE worker IS NOT NULL", Running::COLUMNS));
        let fair_share = sql(doing, "SELECT repository, last_started_ms FROM fair_share");
        let recent = sql(
            doing,
            format!(
                "SELECT repository, rule, finished_ms - started_ms AS duration_ms FROM builds WHERE state = {SUCCEEDED} AND started_ms IS NOT NULL \
             ORDER BY finished_ms DESC LIMIT $1"
            ),
        );
        let waiting = waiting.all(self.read()).await?;
        let read = |row: &Row| Ok((Waiting::read(row)?, get(row, "awaits_approval")?));
        let waiting = waiting.iter().map(read).collect::<Result<Vec<(Waiting, bool)>, Error>>()?;
        let (held, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|(_, awaits_approval)| *awaits_approval);
        Ok(Forecast {
            now_ms,
            is_paused: self.is_queue_paused().await?,
            slots: self.workers().await?.iter().filter(|worker| !worker.is_drained).map(|worker| worker.slots).sum(),
            waiting: waiting.into_iter().map(|(build, _)| build).collect(),
            held: held.into_iter().map(|(build, _)| build).collect(),
            running: running.all(self.read()).await?.iter().map(Running::read).collect::<Result<_, _>>()?,
            last_started: fair_share
                .all(self.read())
                .await?
                .iter()
                .map(|row| Ok((row.get("repository")?, row.get("last_started_ms")?)))
                .collect::<Result<_, Error>>()?,
            durations: recent
                .bind(RECENT)
                .all(self.read())
                .await?
                .iter()
                .map(|row| Ok(((row.get("repository")?, row.get("rule")?), row.get("duration_ms")?)))
                .collect::<Result<_, Error>>()?,
        })
    }
}

fn state_of(row: &Row, column: &str) -> Result<BuildState, Error> {
    BuildState::parse(&get::<String>(row, column)?).ok_or(Error::Damaged("the state of a build"))
}
