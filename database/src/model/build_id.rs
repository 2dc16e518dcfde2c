//! Ids of builds: how they are made, told from other text, and shown.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use uuid::{ContextV7, Timestamp, Uuid};

/// Identifies one build: `bld_` and a UUIDv7 without hyphens, so ids sort by time and cannot be guessed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BuildId(pub(crate) String);

/// Counts the ids of one millisecond.
static IDS: Mutex<ContextV7> = Mutex::new(ContextV7::new());

/// Returns a new id of a kind, later than those that this process made before for the same or an earlier moment.
pub(crate) fn new_id(kind: &str, now_ms: i64) -> String {
    let (seconds, rest) = (now_ms.div_euclid(1000), now_ms.rem_euclid(1000));
    let context = IDS.lock().unwrap_or_else(PoisonError::into_inner);
    let time = Timestamp::from_unix(&*context, seconds as u64, rest as u32 * 1_000_000);
    format!("{kind}_{}", Uuid::new_v7(time).simple())
}

impl BuildId {
    /// Returns a new id, later than those that this process made before for the same or an earlier moment.
    pub(crate) fn at(now_ms: i64) -> Self {
        BuildId(new_id("bld", now_ms))
    }

    /// Returns what comes before the ids of all builds that were asked for at a moment or later.
    pub(crate) fn first_since(moment_ms: i64) -> String {
        format!("bld_{:012x}", moment_ms.max(0))
    }

    /// Parses an id; `None` for anything that cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("bld_")?;
        let fine = digits.len() == 32 && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        fine.then(|| BuildId(text.to_owned()))
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
