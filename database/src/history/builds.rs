//! Lists of builds and single builds, for people and tools.

use crate::database::Database;
use crate::error::Error;
use crate::model::build::BUILD;
use crate::model::build::{Build, build};
use crate::model::build_id::BuildId;
use crate::model::build_state::BuildState;
use crate::sql::statement::{Value, filtered, sql};
use crate::sql::states::{PULL_REQUEST, RETRY, SUCCEEDED};
/// Most builds that a list holds.
const MAX_LIST: u32 = 200;
/// Pages of builds that are read for one list of a tag: it stops there, with fewer builds than were asked for.
const MAX_PAGES: usize = 20;
/// Builds of pull requests that are looked through for one that was merged.
const MAX_PULL_IMAGES: u32 = 50;

/// Conditions on the builds of a list; newest first.
#[derive(Debug, Clone, Default)]
pub struct BuildFilter {
    /// Only this repository.
    pub repository: Option<String>,
    /// Only these repositories: those that the caller may see.
    pub among: Option<Vec<String>>,
    /// Only this rule.
    pub rule: Option<String>,
    /// Only this ref, full name.
    pub git_ref: Option<String>,
    /// Only branches and tags: no pull requests.
    pub is_of_repository: bool,
    /// Only commits that begin with these hexadecimal digits.
    pub commit: Option<String>,
    /// Only builds for this tag: a full reference, or its last part alone.
    pub tag: Option<String>,
    /// Only this state.
    pub state: Option<BuildState>,
    /// Only builds that this kind of trigger started: `push`, `pull_request`, `reconcile`, `manual`, `retry`,
    /// `base_image`, `schedule`.
    pub trigger: Option<String>,
    /// Only builds accepted at this moment or later, in milliseconds since 1970.
    pub since_ms: Option<i64>,
    /// Only builds older than this id.
    pub before: Option<BuildId>,
    /// Further conditions, of somebody who looks for builds.
    pub search: BuildSearch,
    /// At most so many (1 to 200).
    pub limit: u32,
}

/// Further conditions on the builds of a list.
#[derive(Debug, Clone, Default)]
pub struct BuildSearch {
    /// Only these states; all, if there are none.
    pub states: Vec<BuildState>,
    /// Only these refs, full names; all, if there are none.
    pub refs: Vec<String>,
    /// Only builds that wait for approval, or only the others.
    pub awaits_approval: Option<bool>,
    /// Only builds that this user or token asked for.
    pub author: Option<String>,
    /// Only builds whose message, ref, author, commit or number has this text.
    pub text: Option<String>,
}

/// A page of a list of builds.
#[derive(Debug, Clone, Default)]
pub struct BuildPage {
    /// Newest first.
    pub builds: Vec<Build>,
    /// The value of [`BuildFilter::before`] for the next page; `None` on the last one.
    pub next: Option<BuildId>,
}

impl Database {
    /// Returns a build.
    pub async fn build(&self, id: &BuildId) -> Result<Option<Build>, Error> {
        let row = sql("reading a build", format!("SELECT {BUILD} FROM builds WHERE id = $1"))
            .bind(id.as_str())
            .optional(self.read())
            .await?;
        row.as_ref().map(build).transpose()
    }

    /// Returns the build of a repository with this number.
    pub async fn build_number(&self, repository: &str, number: i64) -> Result<Option<Build>, Error> {
        let text = format!("SELECT {BUILD} FROM builds WHERE repository = $1 AND number = $2");
        let row = sql("reading a build", text).bind(repository).bind(number).optional(self.read()).await?;
        row.as_ref().map(build).transpose()
    }

    /// Tells whether a repository had a build with this number that is not there any more.
    pub async fn was_build_removed(&self, repository: &str, number: i64) -> Result<bool, Error> {
        let text = "SELECT 1 FROM builds WHERE repository = $1 AND number > $2 LIMIT 1";
        let later = sql("reading a build", text).bind(repository).bind(number).optional(self.read()).await?;
        Ok(number > 0 && later.is_some() && self.build_number(repository, number).await?.is_none())
    }

    /// Returns the builds that `filter` describes, newest first.
    pub async fn builds(&self, filter: &BuildFilter) -> Result<Vec<Build>, Error> {
        Ok(self.page_of_builds(filter).await?.builds)
    }

    /// Returns the builds that `filter` describes, newest first, and where the list goes on.
    pub async fn page_of_builds(&self, filter: &BuildFilter) -> Result<BuildPage, Error> {
        let limit = filter.limit.clamp(1, MAX_LIST) as usize;
        let Some(tag) = filter.tag.as_deref() else {
            let builds = self.some_builds(filter, filter.before.as_ref(), limit).await?;
            return Ok(BuildPage { next: last_of_full(&builds, limit), builds });
        };
        self.page_of_tag(filter, tag, MAX_PAGES, MAX_LIST as usize).await
    }

    /// Returns builds for `tag`: the first of what is found in so many pages of that size.
    pub(crate) async fn page_of_tag(
        &self,
        filter: &BuildFilter,
        tag: &str,
        pages: usize,
        size: usize,
    ) -> Result<BuildPage, Error> {
        let limit = filter.limit.clamp(1, MAX_LIST) as usize;
        let (mut builds, mut next) = (Vec::new(), filter.before.clone());
        for _ in 0..pages {
            let some = self.some_builds(filter, next.as_ref(), size).await?;
            next = last_of_full(&some, size);
            builds.extend(some.into_iter().filter(|build| is_tagged(build, tag)));
            if builds.len() >= limit {
                builds.truncate(limit);
                next = last_of_full(&builds, limit);
            }
            if builds.len() == limit || next.is_none() {
                break;
            }
        }
        Ok(BuildPage { builds, next })
    }

    /// Returns builds older than `before`; of those with a tag some that only may have it.
    async fn some_builds(
        &self,
        filter: &BuildFilter,
        before: Option<&BuildId>,
        limit: usize,
    ) -> Result<Vec<Build>, Error> {
        let text = |value: &Option<String>| value.clone().map(Value::from);
        let conditions = [
            ("repository = ?", text(&filter.repository)),
            ("rule = ?", text(&filter.rule)),
            ("git_ref = ?", text(&filter.git_ref)),
            ("commit_id >= ?", text(&filter.commit)),
            // The letter behind the last hexadecimal digit.
            ("commit_id < ?", filter.commit.as_ref().map(|digits| Value::from(format!("{digits}g")))),
            ("trigger_kind = ?", text(&filter.trigger)),
            // A tag with a mark is not known before it is read.
            (
                "(spec_json LIKE ? OR spec_json LIKE '%\u{e000}%' OR spec_json LIKE '%\u{e001}%' OR spec_json LIKE '%\u{e002}%')",
                filter.tag.as_ref().map(|tag| Value::from(format!("%{tag}\"%"))),
            ),
            ("created_ms >= ?", filter.since_ms.map(Value::from)),
            ("awaits_approval = ?", filter.search.awaits_approval.map(Value::from)),
            ("trigger_json LIKE ? ESCAPE '\\'", filter.search.author.as_deref().map(by)),
            ("id < ?", before.map(|id| Value::from(id.as_str()))),
        ];
        let mut wanted = format!("SELECT {BUILD} FROM builds WHERE TRUE");
        if let Some(state) = filter.state {
            // Said in words: an index of the queued builds alone serves only who says that it is those.
            wanted.push_str(&format!(" AND state = '{}'", state.as_str()));
        }
        if filter.is_of_repository {
            wanted.push_str(" AND (git_ref LIKE 'refs/heads/%' OR git_ref LIKE 'refs/tags/%')");
        }
        match filter.search.states.as_slice() {
            [] => {}
            [state] => wanted.push_str(&format!(" AND state = '{}'", state.as_str())),
            states => {
                let names: Vec<_> = states.iter().map(|state| format!("'{}'", state.as_str())).collect();
                wanted.push_str(&format!(" AND state IN ({})", names.join(", ")));
                // An index has those that run.
                if states.iter().all(|state| !state.has_ended() && *state != BuildState::Queued) {
                    wanted.push_str(" AND id IN (SELECT id FROM builds WHERE worker IS NOT NULL)");
                }
            }
        }
        let order = format!(" ORDER BY id DESC LIMIT {limit}");
        let statement = filtered("listing builds", wanted, conditions).among("repository", filter.among.as_deref());
        let refs = Some(filter.search.refs.as_slice()).filter(|refs| !refs.is_empty());
        let statement =
            statement.among("git_ref", refs).either(filter.search.text.as_deref().map(having).unwrap_or_default());
        statement.then(&order).all(self.read()).await?.iter().map(build).collect()
    }

    /// Returns the newest build of a rule and ref that succeeded.
    pub async fn last_published(&self, repository: &str, rule: &str, git_ref: &str) -> Result<Option<Build>, Error> {
        let text = format!(
            "SELECT {BUILD} FROM builds WHERE repository = $1 AND rule = $2 AND git_ref = $3 AND state = {SUCCEEDED} \
             ORDER BY sequence DESC, id DESC LIMIT 1"
        );
        let row = sql("reading the last image of a rule", text)
            .bind(repository)
            .bind(rule)
            .bind(git_ref)
            .optional(self.read())
            .await?;
        row.as_ref().map(build).transpose()
    }

    /// Returns the newest builds of a rule whose images may be those of pull requests, newest first.
    pub async fn pull_images(&self, repository: &str, rule: &str) -> Result<Vec<Build>, Error> {
        // As the index has it.
        let text = format!(
            "SELECT {BUILD} FROM builds WHERE repository = $1 AND rule = $2 AND state = {SUCCEEDED} \
             AND trigger_kind IN ({PULL_REQUEST}, {RETRY}) ORDER BY id DESC LIMIT {MAX_PULL_IMAGES}"
        );
        let rows = sql("reading images of pull requests", text).bind(repository).bind(rule).all(self.read()).await?;
        rows.iter().map(build).collect()
    }
}

/// Returns after which build a list goes on; a page that is not full is the last one.
fn last_of_full(page: &[Build], size: usize) -> Option<BuildId> {
    page.last().filter(|_| page.len() == size).map(|build| build.id.clone())
}

/// Returns the pattern of a trigger that a user or token caused.
fn by(name: &str) -> Value {
    let quoted = serde_json::Value::from(name).to_string();
    Value::from(format!("%\"by\":{}%", literal(&quoted)))
}

/// Returns the conditions of which one holds where a build has a text.
fn having(text: &str) -> Vec<(&'static str, Value)> {
    let text = text.trim();
    let part = || Value::from(format!("%{}%", literal(&text.to_lowercase())));
    let mut conditions = vec![
        ("LOWER(commit_message) LIKE ? ESCAPE '\\'", part()),
        ("LOWER(git_ref) LIKE ? ESCAPE '\\'", part()),
        ("trigger_json LIKE ? ESCAPE '\\'", by(text)),
    ];
    if text.len() >= 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        conditions.push(("commit_id LIKE ?", Value::from(format!("{}%", text.to_lowercase()))));
    }
    if let Ok(number) = text.trim_start_matches('#').parse::<i64>() {
        conditions.push(("number = ?", Value::from(number)));
    }
    conditions
}

/// Returns a text as a pattern in which no character stands for others.
fn literal(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

/// Tells whether a build is for a tag: a full reference, or what stands behind its colon.
fn is_tagged(build: &Build, tag: &str) -> bool {
    let is_it =
        |reference: &String| reference == tag || reference.rsplit_once(':').is_some_and(|(_, name)| name == tag);
    match &build.commit {
        Some(commit) => build.request.spec.with_commit(commit).tags.iter().any(is_it),
        None => build.request.spec.tags.iter().any(is_it),
    }
}
