//! Groups: the build of a rule whose file names several targets. A worker finds the targets, the service makes each a build of
//! its own, and the group ends with the last of them.

use crate::access::sealing::{open_spec, seal_spec};
use crate::access::secret_key::SecretKey;
use crate::database::Database;
use crate::deliveries::push_order::Pushed;
use crate::error::Error;
use crate::model::bake::BakedTarget;
use crate::model::build::{BUILD, Build, Reason, build_state, ids};
use crate::model::build_id::BuildId;
use crate::model::build_request::{BuildRequest, BuildSpec};
use crate::model::build_state::BuildState;
use crate::model::json::{json, to_json};
use crate::outbox::commit_status;
use crate::queue::enqueue::Origin;
use crate::queue::finish::cancelled;
use crate::sql::columns::get;
use crate::sql::statement::{Row, sql};
use crate::sql::states::{BUILDING, UNENDED};
use crate::sql::transaction::Transaction;
use std::sync::Arc;

/// Targets that the reason of a group names.
const MAX_NAMED: usize = 5;

/// A target of a group, with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupTarget {
    /// Its build.
    pub id: BuildId,
    /// The name of the rule and that of the target.
    pub rule: String,
    /// Where it is in its life.
    pub state: BuildState,
}

impl GroupTarget {
    /// Returns its name in the file.
    pub fn name(&self) -> &str {
        self.rule.rsplit_once('/').map_or(self.rule.as_str(), |(_, name)| name)
    }
}

impl Database {
    /// Returns groups whose targets are known and no builds yet, oldest first.
    pub async fn expandable_groups(&self, limit: u32) -> Result<Vec<BuildId>, Error> {
        let text = "SELECT id FROM builds WHERE targets_json IS NOT NULL ORDER BY id LIMIT $1";
        ids(&sql("reading groups", text).bind(i64::from(limit)).all(self.read()).await?)
    }

    /// Makes each target of a group a build, at the place of the group's push; `None` if another did it before. A group
    /// that somebody cancelled meanwhile ends.
    pub async fn expand_group(&self, id: &BuildId) -> Result<Option<Vec<BuildId>>, Error> {
        let doing = "expanding a group";
        let mut transaction = self.begin_accepting().await?;
        let text = format!(
            "SELECT {BUILD}, push_id, delivery_id, targets_json FROM builds WHERE id = $1 AND targets_json IS NOT NULL /*+FOR UPDATE*/"
        );
        let Some(row) = sql(doing, text).bind(id.as_str()).optional(transaction.on()).await? else { return Ok(None) };
        let group = Build::read(&row)?;
        let targets: Vec<(String, String)> = json(&row.get::<String>("targets_json")?)?;
        let text = "UPDATE builds SET targets_json = NULL, version = version + 1 WHERE id = $1";
        sql(doing, text).bind(id.as_str()).run(transaction.on()).await?;
        if group.cancel_requested {
            end(&mut transaction, id, BuildState::Cancelled, Some(cancelled())).await?;
            transaction.commit(doing).await?;
            return Ok(Some(Vec::new()));
        }
        let mut requests = Vec::with_capacity(targets.len());
        for (name, sealed) in &targets {
            let spec = open_spec(&group.request.repository, sealed)?;
            requests.push(target_of(&group, name, spec));
        }
        let git_ref = group.request.spec.git_ref.clone();
        let push = Pushed { id: get(&row, "push_id")?, git_ref, sequence: group.sequence };
        let origin = Origin { delivery: get(&row, "delivery_id")?, push: Some(push) };
        let builds = self.insert_builds(&mut transaction, &origin, &requests).await?;
        commit_status::write_queued(&mut transaction, &builds).await?;
        let what = format!("building {} targets", builds.len());
        commit_status::write(&mut transaction, id, BuildState::Building, &what).await?;
        transaction.commit(doing).await?;
        Ok(Some(builds))
    }

    /// Ends the groups whose targets have all ended; returns them with how they ended.
    pub async fn settle_groups(&self) -> Result<Vec<(BuildId, BuildState)>, Error> {
        let doing = "ending a group";
        let text = format!(
            "SELECT id FROM builds g WHERE state = {BUILDING} AND worker IS NULL AND targets_json IS NULL \
             AND NOT EXISTS (SELECT 1 FROM builds t WHERE t.group_id = g.id AND t.state IN ({UNENDED})) ORDER BY id"
        );
        let mut settled = Vec::new();
        for id in ids(&sql(doing, text).all(self.read()).await?)? {
            let mut transaction = self.begin().await?;
            let text = format!(
                "SELECT cancel_requested FROM builds WHERE id = $1 AND state = {BUILDING} AND worker IS NULL /*+FOR UPDATE*/"
            );
            let row = sql(doing, text).bind(id.as_str()).optional(transaction.on()).await?;
            let Some(row) = row else { continue };
            let targets = targets(&mut transaction, &id).await?;
            let (state, reason) = match row.get("cancel_requested")? {
                true => (BuildState::Cancelled, Some(cancelled())),
                false => verdict(&targets),
            };
            end(&mut transaction, &id, state, reason).await?;
            transaction.commit(doing).await?;
            settled.push((id, state));
        }
        Ok(settled)
    }

    /// Returns the targets of a group, in the order of their builds.
    pub async fn group_targets(&self, id: &BuildId) -> Result<Vec<GroupTarget>, Error> {
        let text = "SELECT id, rule, state FROM builds WHERE group_id = $1 ORDER BY id";
        let rows = sql("reading targets", text).bind(id.as_str()).all(self.read()).await?;
        newest(&rows)
    }
}

/// Returns targets as they are stored: the values of their build arguments are sealed.
pub(crate) fn sealed(key: Option<&Arc<SecretKey>>, repository: &str, targets: &[BakedTarget]) -> Result<String, Error> {
    let seal = |target: &BakedTarget| Ok((target.name.clone(), seal_spec(key, repository, &target.spec)?));
    to_json(&targets.iter().map(seal).collect::<Result<Vec<_>, Error>>()?)
}

/// Returns the targets of a group that have not ended.
pub(crate) async fn open_targets(transaction: &mut Transaction, id: &BuildId) -> Result<Vec<BuildId>, Error> {
    let text = format!("SELECT id FROM builds WHERE group_id = $1 AND state IN ({UNENDED}) ORDER BY id");
    ids(&sql("reading targets", text).bind(id.as_str()).all(transaction.on()).await?)
}

async fn targets(transaction: &mut Transaction, id: &BuildId) -> Result<Vec<GroupTarget>, Error> {
    let text = "SELECT id, rule, state FROM builds WHERE group_id = $1 ORDER BY id";
    let rows = sql("reading targets", text).bind(id.as_str()).all(transaction.on()).await?;
    newest(&rows)
}

/// Returns the newest build of each target: one that was repeated has several.
fn newest(rows: &[Row]) -> Result<Vec<GroupTarget>, Error> {
    let mut targets: Vec<GroupTarget> = Vec::with_capacity(rows.len());
    for target in rows.iter().map(read) {
        let target = target?;
        match targets.iter_mut().find(|known| known.rule == target.rule) {
            Some(known) => *known = target,
            None => targets.push(target),
        }
    }
    Ok(targets)
}

fn read(row: &Row) -> Result<GroupTarget, Error> {
    let id: String = row.get("id")?;
    let id = BuildId::parse(&id).ok_or(Error::Damaged("a target"))?;
    Ok(GroupTarget { id, rule: row.get("rule")?, state: build_state(row, "state")? })
}

/// Returns the build of a target: the file says what is built, the group whose right it is.
fn target_of(group: &Build, name: &str, mut spec: BuildSpec) -> BuildRequest {
    let (request, own) = (&group.request, &group.request.spec);
    let secrets = spec.options.secrets.into_iter().filter(|secret| own.options.secrets.contains(secret)).collect();
    let baked = spec.options.baked.map(|mut baked| {
        (baked.group, baked.target) = (Some(group.id.clone()), name.to_owned());
        baked
    });
    let pull = spec.options.pull.filter(|_| own.options.pull.is_some());
    spec.options = crate::BuildOptions {
        platforms: spec.options.platforms,
        compression: spec.options.compression,
        labels: spec.options.labels,
        no_cache_stages: spec.options.no_cache_stages,
        warnings: spec.options.warnings,
        path_filter: spec.options.path_filter,
        secrets,
        baked,
        pull,
        bake: None,
        ..own.options.clone()
    };
    spec.clone_url.clone_from(&own.clone_url);
    spec.git_ref.clone_from(&own.git_ref);
    spec.commit.clone_from(&group.commit);
    spec.push &= own.push;
    BuildRequest { rule: format!("{}/{name}", request.rule), spec, ..request.clone() }
}

/// Tells how a group ends whose targets have ended.
fn verdict(targets: &[GroupTarget]) -> (BuildState, Option<Reason>) {
    let all = targets.len();
    let of = |states: &[BuildState]| -> Vec<&str> {
        let chosen = targets.iter().filter(|target| states.contains(&target.state));
        chosen.map(GroupTarget::name).collect()
    };
    let told = |what: &str, names: &[&str]| {
        let mut shown = names.iter().take(MAX_NAMED).copied().collect::<Vec<_>>().join(", ");
        if names.len() > MAX_NAMED {
            shown.push_str(", …");
        }
        Some(Reason {
            code: "target_failed".to_owned(),
            message: format!("{} of {all} targets {what}: {shown}", names.len()),
        })
    };
    for (states, what, end) in [
        (&[BuildState::Failed, BuildState::TimedOut][..], "failed", BuildState::Failed),
        (&[BuildState::Errored], "could not be built", BuildState::Errored),
        (&[BuildState::Cancelled], "were cancelled", BuildState::Cancelled),
        (&[BuildState::Superseded], "were superseded by a newer commit", BuildState::Superseded),
    ] {
        let names = of(states);
        if !names.is_empty() {
            let code = match end {
                BuildState::Cancelled => Some("cancelled"),
                BuildState::Superseded => Some("superseded"),
                _ => None,
            };
            let reason = told(what, &names);
            return (end, reason.map(|reason| Reason { code: code.map_or(reason.code, str::to_owned), ..reason }));
        }
    }
    if targets.iter().all(|target| target.state == BuildState::Skipped) {
        let message = format!("nothing that the {all} targets are made from changed");
        return (BuildState::Skipped, Some(Reason { code: "path_unchanged".to_owned(), message }));
    }
    (BuildState::Succeeded, None)
}

async fn end(
    transaction: &mut Transaction,
    id: &BuildId,
    state: BuildState,
    reason: Option<Reason>,
) -> Result<(), Error> {
    let text = "UPDATE builds SET state = $2, reason_json = $3, finished_ms = $4, version = version + 1 WHERE id = $1";
    sql("ending a group", text)
        .bind(id.as_str())
        .bind(state.as_str())
        .bind(reason.as_ref().map(to_json).transpose()?)
        .bind(transaction.now_ms)
        .run(transaction.on())
        .await?;
    let description = reason.map_or_else(|| "all targets are built".to_owned(), |reason| reason.message);
    commit_status::write(transaction, id, state, &description).await?;
    // A waiting build of a serial rule may be next.
    transaction.announce_work();
    Ok(())
}
