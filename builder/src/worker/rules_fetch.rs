//! Reads the rules that a repository keeps itself, at the commit that was pushed.

use super::context::{Deadline, TaskContext};
use super::settings::Settings;
use super::source::{Place, fetch};
use super::stop::Stop;
use crate::error::Code;
use crate::git::{CommitTree, SourceError};
use crate::{Error, Services};
use database::{FoundRules, NewRulesFetch, Reason, RulesFetchClaim, RulesFetchResult};
use files::path::clean_path;
use files::view::{EntryKind, View};
use runtime::CancellationToken;
use std::io::Read;
use std::time::{Duration, Instant};

/// Largest file of rules that is read.
const MAX_SIZE: u64 = 256 * 1024;
/// How often a fetch that failed is tried.
const TRIES: u32 = 3;
/// How long a rules fetch may take: its lease is not renewed.
const LIMIT: Duration = Duration::from_secs(40);

/// Answers the rules fetch of `claim`.
pub(crate) fn answer(services: &Services, settings: &Settings, claim: RulesFetchClaim, stop: &Stop) {
    let (id, began) = (claim.id, Instant::now());
    let result = read_patiently(TaskContext { services, settings }, &claim.rules_fetch, stop);
    match services.tokio.block_on(services.database.finish_rules_fetch(claim, &result)) {
        Ok(()) => {
            tracing::info!(rules_fetch = id, duration_ms = began.elapsed().as_millis(), "rules of a repository read")
        }
        Err(error) => {
            tracing::warn!(rules_fetch = id, error = &error as &dyn std::error::Error, "the answer was not accepted")
        }
    }
}

/// Tries again while the server or the network is to blame.
fn read_patiently(context: TaskContext<'_>, rules_fetch: &NewRulesFetch, stop: &Stop) -> RulesFetchResult {
    let until = Instant::now() + LIMIT;
    for attempt in 1.. {
        let error = match read(context, rules_fetch, until.saturating_duration_since(Instant::now())) {
            Ok(result) => return result,
            Err(error) => error,
        };
        let pause = Duration::from_secs(u64::from(attempt * attempt));
        if attempt >= TRIES || !error.is_transient() || stop.is_asked() || Instant::now() + pause > until {
            let error = Error::source(error);
            return RulesFetchResult::Failed(Reason { code: error.code().to_string(), message: error.report() });
        }
        std::thread::sleep(pause);
    }
    unreachable!("the loop ends by returning")
}

fn read(
    context: TaskContext<'_>,
    rules_fetch: &NewRulesFetch,
    limit: Duration,
) -> Result<RulesFetchResult, SourceError> {
    find(context, rules_fetch, limit).map(|found| found.result)
}

/// Reads the rules, and tells at which commit they stand.
pub(crate) fn find(
    context: TaskContext<'_>,
    rules_fetch: &NewRulesFetch,
    limit: Duration,
) -> Result<FoundRules, SourceError> {
    let repository = rules_fetch.repository.as_str();
    let place = Place {
        repository,
        clone_url: &rules_fetch.clone_url,
        git_ref: &rules_fetch.git_ref,
        commit: rules_fetch.commit.as_deref(),
    };
    let (_, tree) = fetch(context, &place, Deadline { cancel: &CancellationToken::new(), limit })?;
    let result = file(&tree, &rules_fetch.path).unwrap_or_else(|error| {
        RulesFetchResult::Failed(Reason { code: error.code().to_string(), message: error.report() })
    });
    Ok(FoundRules { commit: Some(tree.id().to_owned()), result })
}

/// Returns the text of a regular file of the commit; links are not followed.
fn file(tree: &CommitTree, name: &str) -> Result<RulesFetchResult, Error> {
    let path = clean_path(name.as_bytes());
    let reading = || format!("reading `{name}` of commit {}", tree.id());
    let invalid = |problem: String| Error::new(Code::RulesInvalid, format!("{}: {problem}", reading()));
    let unreadable = |error: files::view::ViewError| Error::new(Code::Source, reading()).with_cause(error);
    match tree.lookup(&path).map_err(unreadable)?.map(|node| node.kind) {
        None => return Ok(RulesFetchResult::Missing),
        Some(EntryKind::File { size }) if size <= MAX_SIZE => {}
        Some(EntryKind::File { size }) => {
            return Err(invalid(format!("the file has {size} bytes, at most {MAX_SIZE} are read")));
        }
        Some(_) => return Err(invalid("it is not a regular file".to_owned())),
    }
    let mut text = String::new();
    let mut content = tree.open_file(&path).map_err(unreadable)?;
    content.read_to_string(&mut text).map_err(|_| invalid("it is not UTF-8 text".to_owned()))?;
    Ok(RulesFetchResult::Text(text))
}
