//! Logins of the command line: a short code is confirmed on a page by somebody who signed in, and the program that waits
//! gets a token of theirs, once. Only the hash of what the program asks with is stored.

use crate::database::Database;
use crate::error::Error;
use crate::sql::statement::sql;
use sha2::{Digest, Sha256};

/// Logins that may wait at once.
const MAX_WAITING: i64 = 1000;

/// A login that waits for its confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceLogin {
    /// The code that is confirmed.
    pub user_code: String,
    /// The machine that the token is for, as it says.
    pub name: String,
    /// The address that asked.
    pub address: String,
}

/// How far a login is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceState {
    /// Nobody has confirmed it yet.
    Waiting,
    /// Somebody has: the number of their identity, and the name of the machine.
    Confirmed(i64, String),
    /// It was refused, it has expired, or it was taken before.
    Gone,
}

impl Database {
    /// Stores a login that waits for so many milliseconds; tells whether there was room and the code was free.
    pub async fn add_device_login(&self, secret: &str, login: &DeviceLogin, span_ms: i64) -> Result<bool, Error> {
        let doing = "storing a login of the command line";
        let mut transaction = self.begin().await?;
        let now = transaction.now_ms;
        let text = "DELETE FROM device_logins WHERE expires_ms <= $1";
        sql(doing, text).bind(now).run(transaction.on()).await?;
        let text = format!(
            "INSERT INTO device_logins (hash, user_code, name, address, expires_ms) SELECT $1, $2, $3, $4, $5 \
             WHERE (SELECT COUNT(*) FROM device_logins) < {MAX_WAITING} ON CONFLICT DO NOTHING"
        );
        let statement = sql(doing, text).bind(hash(secret)).bind(&login.user_code).bind(&login.name);
        let written = statement.bind(&login.address).bind(now + span_ms).run(transaction.on()).await?;
        transaction.commit(doing).await?;
        Ok(written == 1)
    }

    /// Returns the login with this code that waits.
    pub async fn device_login(&self, user_code: &str) -> Result<Option<DeviceLogin>, Error> {
        let now = self.now_ms().await?;
        let text = "SELECT user_code, name, address FROM device_logins WHERE user_code = $1 AND identity IS NULL AND expires_ms > $2";
        let row = sql("reading a login", text).bind(user_code).bind(now).optional(self.read()).await?;
        row.map(|row| {
            Ok(DeviceLogin { user_code: row.get("user_code")?, name: row.get("name")?, address: row.get("address")? })
        })
        .transpose()
    }

    /// Confirms a login; tells whether it still waited.
    pub async fn confirm_device_login(&self, user_code: &str, identity: i64) -> Result<bool, Error> {
        let now = self.now_ms().await?;
        let text =
            "UPDATE device_logins SET identity = $2 WHERE user_code = $1 AND identity IS NULL AND expires_ms > $3";
        let statement = sql("confirming a login", text).bind(user_code).bind(identity).bind(now);
        Ok(statement.run(self.write()).await? == 1)
    }

    /// Refuses a login; tells whether it still waited.
    pub async fn refuse_device_login(&self, user_code: &str) -> Result<bool, Error> {
        let text = "DELETE FROM device_logins WHERE user_code = $1 AND identity IS NULL";
        Ok(sql("refusing a login", text).bind(user_code).run(self.write()).await? == 1)
    }

    /// Tells how far the login is that a program asks for with its secret; one that is confirmed is taken by that.
    pub async fn take_device_login(&self, secret: &str) -> Result<DeviceState, Error> {
        let doing = "taking a login of the command line";
        let mut transaction = self.begin().await?;
        let now = transaction.now_ms;
        let text = "SELECT identity, name FROM device_logins WHERE hash = $1 AND expires_ms > $2 /*+FOR UPDATE*/";
        let row = sql(doing, text).bind(hash(secret)).bind(now).optional(transaction.on()).await?;
        let state = match row {
            None => DeviceState::Gone,
            Some(row) => match row.get::<Option<i64>>("identity")? {
                None => DeviceState::Waiting,
                Some(identity) => DeviceState::Confirmed(identity, row.get("name")?),
            },
        };
        if matches!(state, DeviceState::Confirmed(..)) {
            let text = "DELETE FROM device_logins WHERE hash = $1";
            sql(doing, text).bind(hash(secret)).run(transaction.on()).await?;
        }
        transaction.commit(doing).await?;
        Ok(state)
    }
}

fn hash(secret: &str) -> String {
    hex::encode(Sha256::digest(secret))
}
