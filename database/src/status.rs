//! What people and tools ask: builds, steps, logs.

use crate::rows::{BUILD, build, json};
use crate::sql::{Value, filtered, sql};
use crate::{Build, BuildFilter, BuildId, BuildPage, Database, Error, LogChunk, Step};

/// Most builds that a list holds.
const MAX_LIST: u32 = 200;
/// Pages of builds that are read for one list of a tag: it stops there, with fewer builds than were asked for.
const MAX_PAGES: usize = 20;

/// Bytes of the end of what a step printed.
const MAX_LAST_OUTPUT: usize = 4096;

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
            let builds = self.some_builds(filter, (filter.before.as_ref(), limit)).await?;
            return Ok(BuildPage { next: last_of_full(&builds, limit), builds });
        };
        self.page_of_tag(filter, tag, (MAX_PAGES, MAX_LIST as usize)).await
    }

    /// Returns builds for `tag`: the first of what is found in so many pages of that size.
    pub(crate) async fn page_of_tag(
        &self,
        filter: &BuildFilter,
        tag: &str,
        (pages, size): (usize, usize),
    ) -> Result<BuildPage, Error> {
        let limit = filter.limit.clamp(1, MAX_LIST) as usize;
        let (mut builds, mut next) = (Vec::new(), filter.before.clone());
        for _ in 0..pages {
            let some = self.some_builds(filter, (next.as_ref(), size)).await?;
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
        (before, limit): (Option<&BuildId>, usize),
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
        let order = format!(" ORDER BY id DESC LIMIT {limit}");
        let statement = filtered("listing builds", wanted, conditions).among("repository", filter.among.as_deref());
        statement.then(&order).all(self.read()).await?.iter().map(build).collect()
    }

    /// Returns the commit and the key of the inputs of the newest build of a rule and ref that succeeded.
    pub async fn last_published(
        &self,
        repository: &str,
        rule: &str,
        git_ref: &str,
    ) -> Result<Option<(String, Option<String>)>, Error> {
        let text = format!(
            "SELECT {BUILD} FROM builds WHERE repository = $1 AND rule = $2 AND git_ref = $3 AND state = 'succeeded' \
             ORDER BY sequence DESC, id DESC LIMIT 1"
        );
        let row = sql("reading the last image of a rule", text)
            .bind(repository)
            .bind(rule)
            .bind(git_ref)
            .optional(self.read())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let build = build(&row)?;
        Ok(build.commit.map(|commit| (commit, build.image.and_then(|image| image.inputs_key))))
    }

    /// Returns the steps of a build, in order.
    pub async fn steps(&self, id: &BuildId) -> Result<Vec<Step>, Error> {
        let text = "SELECT step_json FROM steps WHERE build_id = $1 ORDER BY number";
        let rows = sql("reading steps", text).bind(id.as_str()).all(self.read()).await?;
        rows.iter().map(|row| json(&row.get::<String>(0)?)).collect()
    }

    /// Returns how many bytes the log of a build has so far.
    pub async fn log_length(&self, id: &BuildId) -> Result<i64, Error> {
        let text = "SELECT COALESCE(MAX(start + length), 0) FROM logs WHERE build_id = $1";
        sql("reading a log", text).bind(id.as_str()).one(self.read()).await?.get(0)
    }

    /// Returns the log of a build from byte `from` on, about `max_bytes` of it.
    pub async fn logs(&self, id: &BuildId, from: i64, max_bytes: usize) -> Result<Vec<LogChunk>, Error> {
        let rows = sql(
            "reading a log",
            "SELECT start, step, content, at_ms FROM logs WHERE build_id = $1 AND start + length > $2 ORDER BY start LIMIT 256",
        )
        .bind(id.as_str())
        .bind(from)
        .all(self.read())
        .await?;
        let mut chunks = Vec::new();
        let mut bytes = 0;
        for row in rows {
            if bytes >= max_bytes {
                break;
            }
            let start: i64 = row.get(0)?;
            let content: Vec<u8> = row.get(2)?;
            let seen = usize::try_from(from - start).unwrap_or(0).min(content.len());
            let text = content[seen..].to_vec();
            bytes += text.len();
            chunks.push(LogChunk { offset: start + seen as i64, step: row.get(1)?, text, at_ms: row.get(3)? });
        }
        Ok(chunks)
    }
}

impl Database {
    /// Returns the end of what a step of a build printed, a few kilobytes at most.
    pub async fn last_output(&self, id: &BuildId, step: i64) -> Result<Vec<u8>, Error> {
        let text = "SELECT content FROM logs WHERE build_id = $1 AND step = $2 ORDER BY start DESC LIMIT 4";
        let rows = sql("reading a log", text).bind(id.as_str()).bind(step).all(self.read()).await?;
        let mut end: Vec<u8> = Vec::new();
        for row in &rows {
            let content: Vec<u8> = row.get(0)?;
            end.splice(0..0, content);
            if end.len() >= MAX_LAST_OUTPUT {
                break;
            }
        }
        Ok(end.split_off(end.len().saturating_sub(MAX_LAST_OUTPUT)))
    }
}

/// Returns after which build a list goes on; a page that is not full is the last one.
fn last_of_full(page: &[Build], size: usize) -> Option<BuildId> {
    page.last().filter(|_| page.len() == size).map(|build| build.id.clone())
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
