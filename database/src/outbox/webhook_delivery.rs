//! Webhook deliveries: which are due, how each ended, and a bounded record of the ended ones.

use crate::database::Database;
use crate::error::Error;
use crate::model::build_id::BuildId;
use crate::outbox::webhook::Event;
use crate::sql::columns::{build_id, columns, get};
use crate::sql::statement::{Row, sql};
use crate::sql::states::NOTIFICATION_PENDING;
/// Pauses before a notification is offered again, in milliseconds; after the last it is given up.
const PAUSES: [i64; 8] = [2_000, 10_000, 30_000, 120_000, 300_000, 900_000, 1_800_000, 3_600_000];
/// How long a notification that is being sent is left alone by others; who sends it gives up earlier.
const LEASE_MS: i64 = 30_000;
/// Notifications of a repository that are kept when they are over.
const MAX_KEPT: i64 = 100;
/// How long they are kept.
const RETENTION_MS: i64 = 30 * 86_400_000;
/// Most notifications that a list holds.
const MAX_LIST: u32 = 200;

/// The select list of a record, for statements.
const NOTIFICATION: &str = Notification::COLUMNS;

/// Where a notification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotificationState {
    /// It is to be sent, perhaps again.
    Pending,
    /// It was taken.
    Delivered,
    /// It was refused, or given up.
    Failed,
}

const STATES: [NotificationState; 3] =
    [NotificationState::Pending, NotificationState::Delivered, NotificationState::Failed];

impl NotificationState {
    /// Returns the state's name, as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            NotificationState::Pending => "pending",
            NotificationState::Delivered => "delivered",
            NotificationState::Failed => "failed",
        }
    }
}

columns! {
    /// Something that a webhook is told of a build.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Notification {
        /// Its id, the same however often it is sent.
        pub id: String = get "id",
        /// The repository.
        pub repository: String = get "repository",
        /// Name of the webhook.
        pub webhook: String = get "webhook",
        /// The build.
        pub build: BuildId = build_id "build_id",
        /// The event.
        pub event: Event = event "event",
        /// The tag that was pushed, where each is told of.
        pub tag: Option<String> = tag "tag",
        /// Where it is.
        pub state: NotificationState = state "state",
        /// How often it was sent.
        pub tries: i64 = get "tries",
        /// The HTTP status of the last answer, if one came.
        pub status: Option<i64> = get "status",
        /// The problem with the last answer.
        pub problem: Option<String> = get "problem",
        /// When it happened, in milliseconds since 1970.
        pub created_ms: i64 = get "created_ms",
        /// When it is sent next, while it is pending.
        pub due_ms: i64 = get "due_ms",
        /// When it was sent last.
        pub tried_ms: Option<i64> = get "tried_ms",
    }
}

/// The result of sending a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It was taken.
    Delivered,
    /// Another try would end like this one.
    Refused,
    /// Another try may end better.
    Again,
}

impl Database {
    /// Returns notifications that are due: of each webhook the oldest.
    pub async fn due_notifications(&self, limit: u32) -> Result<Vec<Notification>, Error> {
        let text = format!(
            "SELECT {NOTIFICATION} FROM notifications n WHERE state = {NOTIFICATION_PENDING} AND due_ms <= $1 AND NOT EXISTS \
             (SELECT 1 FROM notifications o WHERE o.repository = n.repository AND o.webhook = n.webhook AND o.state = {NOTIFICATION_PENDING} \
              AND o.due_ms <= $1 AND o.id < n.id) ORDER BY due_ms, id LIMIT $2"
        );
        let statement = sql("reading notifications", text).bind(self.now_ms().await?).bind(i64::from(limit));
        statement.all(self.read()).await?.iter().map(Notification::read).collect()
    }

    /// Takes a notification that was due, so that nobody else sends it meanwhile; tells whether it still was there to be taken.
    pub async fn take_notification(&self, notification: &Notification) -> Result<bool, Error> {
        let now = self.now_ms().await?;
        let taken = sql(
            "taking a notification",
            format!(
                "UPDATE notifications SET due_ms = $3 WHERE id = $1 AND due_ms = $2 AND state = {NOTIFICATION_PENDING}"
            ),
        )
        .bind(&notification.id)
        .bind(notification.due_ms)
        .bind(now + LEASE_MS)
        .run(self.write())
        .await?;
        Ok(taken == 1)
    }

    /// Writes what became of a notification and removes records that are too many or too old. Returns its state.
    pub async fn acknowledge_notification(
        &self,
        notification: &Notification,
        sent: Sent,
        status: Option<i64>,
        problem: Option<&str>,
    ) -> Result<NotificationState, Error> {
        let doing = "acknowledging a notification";
        let pause = usize::try_from(notification.tries).ok().and_then(|tries| PAUSES.get(tries));
        let state = match (sent, pause) {
            (Sent::Delivered, _) => NotificationState::Delivered,
            (Sent::Again, Some(_)) => NotificationState::Pending,
            (Sent::Again, None) | (Sent::Refused, _) => NotificationState::Failed,
        };
        let mut transaction = self.begin().await?;
        let now = transaction.now_ms;
        sql(
            doing,
            "UPDATE notifications SET state = $2, tries = tries + 1, status = $3, problem = $4, tried_ms = $5, due_ms = $6 WHERE id = $1",
        )
        .bind(&notification.id)
        .bind(state.as_str())
        .bind(status)
        .bind(problem.map(str::to_owned))
        .bind(now)
        .bind(now + pause.copied().unwrap_or(0))
        .run(transaction.on())
        .await?;
        if state != NotificationState::Pending {
            sql(
                doing,
                format!("DELETE FROM notifications WHERE repository = $1 AND state <> {NOTIFICATION_PENDING} AND (created_ms < $2 OR id <= \
                 (SELECT id FROM notifications WHERE repository = $1 AND state <> {NOTIFICATION_PENDING} ORDER BY id DESC LIMIT 1 OFFSET $3))"),
            )
            .bind(&notification.repository)
            .bind(now - RETENTION_MS)
            .bind(MAX_KEPT)
            .run(transaction.on())
            .await?;
        }
        transaction.commit(doing).await?;
        Ok(state)
    }

    /// Returns what a repository's webhooks were and will be told, newest first.
    pub async fn notifications(&self, repository: &str, limit: u32) -> Result<Vec<Notification>, Error> {
        let text = format!("SELECT {NOTIFICATION} FROM notifications WHERE repository = $1 ORDER BY id DESC LIMIT $2");
        let statement = sql("listing notifications", text).bind(repository).bind(i64::from(limit.clamp(1, MAX_LIST)));
        statement.all(self.read()).await?.iter().map(Notification::read).collect()
    }

    /// Has a notification of a repository sent again, with as many tries as a new one; tells whether there is such a one.
    pub async fn replay_notification(&self, repository: &str, id: &str) -> Result<bool, Error> {
        let text = format!(
            "UPDATE notifications SET state = {NOTIFICATION_PENDING}, tries = 0, due_ms = $3 WHERE repository = $1 AND id = $2"
        );
        let now = self.now_ms().await?;
        let changed =
            sql("replaying a notification", text).bind(repository).bind(id).bind(now).run(self.write()).await?;
        Ok(changed == 1)
    }
}

fn event(row: &Row, column: &str) -> Result<Event, Error> {
    Event::parse(&get::<String>(row, column)?).ok_or(Error::Damaged("a webhook delivery"))
}

fn tag(row: &Row, column: &str) -> Result<Option<String>, Error> {
    Ok(Some(get::<String>(row, column)?).filter(|tag| !tag.is_empty()))
}

fn state(row: &Row, column: &str) -> Result<NotificationState, Error> {
    let stored: String = get(row, column)?;
    let known = STATES.into_iter().find(|state| state.as_str() == stored);
    known.ok_or(Error::Damaged("a webhook delivery"))
}
