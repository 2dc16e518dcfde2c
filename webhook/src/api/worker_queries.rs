//! Queries of workers, which alone read git and Dockerfiles: rules, forecasts of steps, comparisons.

use crate::http::problem::Problem;
use crate::http::state::Service;
use database::{
    Answer, BuildId, BuildRequest, Database, DryRun, Explained, FoundRules, ImageDifference, ImagePair, NewRulesFetch,
    WORKER_QUERY_TIMEOUT, WorkerQuery,
};
use std::time::Duration;
use tokio::time::Instant;

/// How often an answer is read from the database.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Returns the rules that a repository keeps itself, if a worker says so in time.
pub(crate) async fn rules(service: &Service, rules_fetch: &NewRulesFetch) -> Result<Option<FoundRules>, Problem> {
    let pending = PendingQueries::new(&service.database, vec![WorkerQuery::Rules(rules_fetch.clone())]).await?;
    let answers = pending.answers(WORKER_QUERY_TIMEOUT).await?;
    Ok(answers.into_iter().flatten().find_map(|answer| match answer {
        Answer::Rules(found) => Some(found),
        _ => None,
    }))
}

/// Returns for each build what it would do, where a worker says so in time.
pub(crate) async fn steps(service: &Service, builds: &[BuildRequest]) -> Result<Vec<Option<DryRun>>, Problem> {
    let worker_queries = builds.iter().map(|build| WorkerQuery::Steps(Box::new(build.clone()))).collect();
    let pending = PendingQueries::new(&service.database, worker_queries).await?;
    let answers = pending.answers(WORKER_QUERY_TIMEOUT).await?;
    let steps = answers.into_iter().map(|answer| match answer {
        Some(Answer::Steps(foreseen)) => Some(foreseen),
        _ => None,
    });
    Ok(steps.collect())
}

/// Compares a build with another one, if a worker answers in time.
pub(crate) async fn explanation(
    service: &Service,
    build: &BuildId,
    against: &BuildId,
) -> Result<Option<Explained>, Problem> {
    let query = WorkerQuery::Explain { build: build.clone(), against: against.clone() };
    Ok(match turn(service, query).await? {
        Some(Answer::Explained(explained)) => Some(explained),
        _ => None,
    })
}

/// Sends a worker query whose answer takes a while: such queries wait for one another.
pub(crate) async fn turn(service: &Service, query: WorkerQuery) -> Result<Option<Answer>, Problem> {
    let until = Instant::now() + WORKER_QUERY_TIMEOUT;
    let turn = tokio::time::timeout_at(until, service.comparisons.acquire()).await;
    let Ok(Ok(_turn)) = turn else { return Ok(None) };
    let pending = PendingQueries::new(&service.database, vec![query]).await?;
    let answers = pending.answers(until.saturating_duration_since(Instant::now())).await?;
    Ok(answers.into_iter().flatten().next())
}

/// Compares two images for nobody who waits at a page, if a worker answers in time.
pub(crate) async fn difference(
    database: &Database,
    pair: ImagePair,
) -> Result<Option<ImageDifference>, database::Error> {
    let pending = PendingQueries::new(database, vec![WorkerQuery::Compare(pair)]).await?;
    let answers = pending.answers(WORKER_QUERY_TIMEOUT).await?;
    Ok(answers.into_iter().flatten().find_map(|answer| match answer {
        Answer::Compared(difference) => Some(*difference),
        _ => None,
    }))
}

/// Worker queries that were asked together.
struct PendingQueries<'s> {
    database: &'s Database,
    ids: Vec<i64>,
}

impl<'s> PendingQueries<'s> {
    async fn new(
        database: &'s Database,
        worker_queries: Vec<WorkerQuery>,
    ) -> Result<PendingQueries<'s>, database::Error> {
        let mut ids = Vec::with_capacity(worker_queries.len());
        for query in &worker_queries {
            ids.push(database.ask(query).await?);
        }
        Ok(PendingQueries { database, ids })
    }

    /// Returns the answers that come within `patience`, in the order of the queries, which are forgotten then.
    async fn answers(self, patience: Duration) -> Result<Vec<Option<Answer>>, database::Error> {
        let database = self.database;
        let until = Instant::now() + patience;
        let mut answers = Vec::with_capacity(self.ids.len());
        for id in &self.ids {
            let mut answer = database.answer_to(*id).await?;
            while answer.is_none() && Instant::now() < until {
                tokio::time::sleep(POLL_INTERVAL).await;
                answer = database.answer_to(*id).await?;
            }
            answers.push(answer);
            database.forget_worker_query(*id).await?;
        }
        Ok(answers)
    }
}
