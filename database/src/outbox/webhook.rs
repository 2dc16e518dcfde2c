//! Webhooks of repositories: which there are, and the notifications for them, written with the change of state that they tell of.

use crate::database::Database;
use crate::error::Error;
use crate::model::build_id::{BuildId, new_id};
use crate::model::build_state::BuildState;
use crate::model::json::json;
use crate::model::pushed_image::PushedImage;
use crate::sql::columns::build_id;
use crate::sql::statement::{Row, sql};
use crate::sql::states::{NOTIFICATION_PENDING, QUEUED, States};
use crate::sql::transaction::Transaction;
use serde::{Deserialize, Serialize};

/// An event in the life of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It was accepted.
    Queued,
    /// A worker has begun.
    Started,
    /// It ended well.
    Succeeded,
    /// It failed, ended by a fault of the service or took too long.
    Failed,
    /// It ended well, and the one before it of its rule and ref had not.
    Fixed,
    /// Somebody ended it.
    Cancelled,
}

/// The states of a build that tell whether the rule works.
const JUDGED: States = States(|state| matches!(Event::of(state), Some(Event::Succeeded | Event::Failed)));

const EVENTS: [(Event, &str); 6] = [
    (Event::Queued, "queued"),
    (Event::Started, "started"),
    (Event::Succeeded, "succeeded"),
    (Event::Failed, "failed"),
    (Event::Fixed, "fixed"),
    (Event::Cancelled, "cancelled"),
];

impl Event {
    /// Returns the event's name, as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        EVENTS.iter().find(|(event, _)| *event == self).map_or("queued", |(_, name)| name)
    }

    /// Returns the event with this name.
    pub fn parse(name: &str) -> Option<Self> {
        EVENTS.iter().find(|(_, known)| *known == name).map(|(event, _)| *event)
    }

    /// Returns what a change to `state` is; most are nothing that anybody is told. That a build is queued is told once,
    /// and not when an attempt failed.
    fn of(state: BuildState) -> Option<Self> {
        match state {
            BuildState::Preparing | BuildState::Building | BuildState::Pushing => Some(Event::Started),
            BuildState::Succeeded => Some(Event::Succeeded),
            BuildState::Failed | BuildState::Errored | BuildState::TimedOut => Some(Event::Failed),
            BuildState::Cancelled => Some(Event::Cancelled),
            BuildState::Queued | BuildState::Superseded | BuildState::Skipped => None,
        }
    }
}

/// A webhook, as far as whoever changes a build must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRecord {
    /// Its name, unique in the repository.
    pub name: String,
    /// The events that it is told of.
    pub events: Vec<Event>,
    /// Whether it is told of each tag that was pushed, and of nothing else.
    pub is_per_tag: bool,
}

/// A webhook beside a build of its repository.
struct Listener {
    build: BuildId,
    repository: String,
    hook: WebhookRecord,
    attempt: i64,
    image: Option<PushedImage>,
}

impl Database {
    /// Says which webhooks a repository has.
    pub async fn put_webhooks(&self, repository: &str, webhooks: &[WebhookRecord]) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        replace(&mut transaction, repository, webhooks).await?;
        transaction.commit("storing webhooks").await
    }

    /// Says which webhooks there are, by repository; all others are forgotten.
    pub async fn register_webhooks(&self, all: &[(String, Vec<WebhookRecord>)]) -> Result<(), Error> {
        let doing = "storing webhooks";
        let mut transaction = self.begin().await?;
        sql(doing, "DELETE FROM webhooks").run(transaction.on()).await?;
        for (repository, webhooks) in all {
            replace(&mut transaction, repository, webhooks).await?;
        }
        transaction.commit(doing).await
    }
}

async fn replace(transaction: &mut Transaction, repository: &str, webhooks: &[WebhookRecord]) -> Result<(), Error> {
    let doing = "storing webhooks";
    sql(doing, "DELETE FROM webhooks WHERE repository = $1").bind(repository).run(transaction.on()).await?;
    for webhook in webhooks {
        let events: Vec<&str> = webhook.events.iter().map(|event| event.as_str()).collect();
        sql(doing, "INSERT INTO webhooks (repository, name, events, is_per_tag) VALUES ($1, $2, $3, $4)")
            .bind(repository)
            .bind(&webhook.name)
            .bind(events.join(" "))
            .bind(webhook.is_per_tag)
            .run(transaction.on())
            .await?;
    }
    Ok(())
}

/// Writes what webhooks are told of a build that is in `state` now.
pub(crate) async fn write(transaction: &mut Transaction, build: &BuildId, state: BuildState) -> Result<(), Error> {
    let Some(event) = Event::of(state) else { return Ok(()) };
    let listeners = listeners(transaction, std::slice::from_ref(build), "TRUE").await?;
    if listeners.is_empty() {
        return Ok(());
    }
    let is_fixed = event == Event::Succeeded && had_failed(transaction, build).await?;
    for listener in listeners {
        // An attempt that follows another is the same build.
        if event == Event::Started && listener.attempt > 1 {
            continue;
        }
        let wants = |event: Event| listener.hook.events.contains(&event);
        let event = if is_fixed && wants(Event::Fixed) { Event::Fixed } else { event };
        if !wants(event) {
            continue;
        }
        if listener.hook.is_per_tag {
            let tags = listener.image.as_ref().map(|image| image.tags.clone()).unwrap_or_default();
            for tag in tags {
                insert(transaction, &listener, event, &tag).await?;
            }
        } else {
            insert(transaction, &listener, event, "").await?;
        }
    }
    Ok(())
}

/// Writes for each new build that it waits, unless it was superseded at once.
pub(crate) async fn write_queued(transaction: &mut Transaction, builds: &[BuildId]) -> Result<(), Error> {
    for listener in listeners(transaction, builds, &format!("b.state = {QUEUED}")).await? {
        if listener.hook.events.contains(&Event::Queued) {
            insert(transaction, &listener, Event::Queued, "").await?;
        }
    }
    Ok(())
}

async fn listeners(transaction: &mut Transaction, builds: &[BuildId], condition: &str) -> Result<Vec<Listener>, Error> {
    let places: Vec<_> = (1..=builds.len()).map(|place| format!("${place}")).collect();
    let text = format!(
        "SELECT b.id, b.repository, w.name, w.events, w.is_per_tag, b.attempt, b.image_json FROM builds b \
         JOIN webhooks w ON w.repository = b.repository WHERE b.id IN ({}) AND {condition} ORDER BY b.id, w.name",
        places.join(", ")
    );
    let statement = sql("reading webhooks", text);
    let statement = builds.iter().fold(statement, |statement, build| statement.bind(build.as_str()));
    statement.all(transaction.on()).await?.iter().map(listener).collect()
}

fn listener(row: &Row) -> Result<Listener, Error> {
    let events: String = row.get("events")?;
    let events = events.split(' ').map(|name| Event::parse(name).ok_or(Error::Damaged("a webhook")));
    let image: Option<String> = row.get("image_json")?;
    Ok(Listener {
        build: build_id(row, "id")?,
        repository: row.get("repository")?,
        hook: WebhookRecord {
            name: row.get("name")?,
            events: events.collect::<Result<_, _>>()?,
            is_per_tag: row.get("is_per_tag")?,
        },
        attempt: row.get("attempt")?,
        image: image.map(|text| json(&text)).transpose()?,
    })
}

/// Tells whether of the builds of the same rule and ref the one that ended before this one had failed. Those that somebody
/// or something made superfluous say nothing of it.
async fn had_failed(transaction: &mut Transaction, build: &BuildId) -> Result<bool, Error> {
    let text = format!(
        "SELECT e.state FROM builds b JOIN builds e ON e.repository = b.repository AND e.rule = b.rule \
         AND e.git_ref = b.git_ref AND e.id <> b.id WHERE b.id = $1 \
         AND e.state IN ({JUDGED}) ORDER BY e.finished_ms DESC, e.id DESC LIMIT 1"
    );
    let row = sql("reading the build before", text).bind(build.as_str()).optional(transaction.on()).await?;
    let before: Option<String> = row.map(|row| row.get("state")).transpose()?;
    Ok(before.is_some_and(|state| state != BuildState::Succeeded.as_str()))
}

/// Writes a notification; what a webhook was told of a build it is not told again.
async fn insert(transaction: &mut Transaction, to: &Listener, event: Event, tag: &str) -> Result<(), Error> {
    let now = transaction.now_ms;
    sql(
        "writing a notification",
        format!("INSERT INTO notifications (id, repository, webhook, build_id, event, tag, state, created_ms, due_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, {NOTIFICATION_PENDING}, $7, $7) ON CONFLICT (build_id, webhook, event, tag) DO NOTHING"),
    )
    .bind(new_id("ntc", now))
    .bind(&to.repository)
    .bind(&to.hook.name)
    .bind(to.build.as_str())
    .bind(event.as_str())
    .bind(tag)
    .bind(now)
    .run(transaction.on())
    .await?;
    Ok(())
}
