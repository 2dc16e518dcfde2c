//! Accounts of the embedded registry and their rights.

use crate::database::Database;
use crate::error::Error;
use crate::sql::statement::{On, Row, sql};
use crate::sql::states::Quoted;

const ACCOUNT: &str = "name, is_robot, password_hash, created_ms, expires_ms";

/// The provider of people who sign in on pages as an account.
const LOCAL: Quoted = Quoted("local");

/// Returns the statement that finds the person who is the account `$1`.
fn person() -> String {
    format!("SELECT id FROM identities WHERE provider = {LOCAL} AND subject = $1")
}

/// An account about to be stored.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The name, unique.
    pub name: String,
    /// Whether a program uses it, and no person.
    pub is_robot: bool,
    /// Hash of the password, from [`crate::hash_password`].
    pub password_hash: String,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
}

/// An account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// Whether a program uses it, and no person.
    pub is_robot: bool,
    /// Hash of the password.
    pub password_hash: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends.
    pub expires_ms: Option<i64>,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Account({})", self.name)
    }
}

/// A right: what an account may do in the repositories that a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// The account; empty for everybody, also without a login.
    pub account: String,
    /// Path of repositories, with `*` for a part of it and `**` for any number of parts.
    pub pattern: String,
    /// `pull`, `push` and `delete`, separated by commas.
    pub actions: String,
}

/// The words for what may be done in a repository.
const ACTIONS: [&str; 3] = ["pull", "push", "delete"];
/// Longest name of an account.
const MAX_NAME: usize = 64;
/// Longest pattern.
const MAX_PATTERN: usize = 255;

impl Right {
    /// Returns a right; an error says what is wrong with the pattern or the actions.
    pub fn new(account: &str, pattern: &str, actions: &str) -> Result<Right, String> {
        let is_path = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-/*".contains(&byte);
        let is_pattern = pattern.split('/').all(|part| !part.is_empty()) && pattern.bytes().all(is_path);
        if !is_pattern || pattern.len() > MAX_PATTERN || pattern.contains("***") {
            return Err(format!(
                "`{pattern}` is not a pattern of repositories: a path in lower case is, with `*` for a part of it and `**` for \
                 any number of parts, as in team/*"
            ));
        }
        let words: Vec<&str> = actions.split(',').map(str::trim).collect();
        if let Some(unknown) = words.iter().find(|word| **word != "*" && !ACTIONS.contains(word)) {
            return Err(format!(
                "`{unknown}` is not an action: pull, push and delete are, as in pull,push; `*` is all of them"
            ));
        }
        let is_meant = |action: &&str| words.iter().any(|word| *word == "*" || word == action);
        let actions: Vec<&str> = ACTIONS.into_iter().filter(is_meant).collect();
        Ok(Right { account: account.to_owned(), pattern: pattern.to_owned(), actions: actions.join(",") })
    }
}

/// Checks the name of an account; an error says what is wrong with it.
pub fn check_account_name(name: &str) -> Result<(), String> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-@+".contains(&byte);
    if !name.is_empty() && name.len() <= MAX_NAME && name.bytes().all(is_fine) {
        return Ok(());
    }
    Err(format!(
        "`{name}` is not a name of an account: up to {MAX_NAME} letters, digits, `.`, `_`, `-`, `@` and `+` are"
    ))
}

impl Database {
    /// Stores an account with its rights; tells whether the name was free.
    pub async fn add_account(&self, account: &NewAccount, rights: &[Right]) -> Result<bool, Error> {
        let now = self.now_ms().await?;
        let mut transaction = self.begin().await?;
        let text = "INSERT INTO registry_accounts (name, is_robot, password_hash, created_ms, expires_ms) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (name) DO NOTHING";
        let written = sql("storing an account", text)
            .bind(&account.name)
            .bind(account.is_robot)
            .bind(&account.password_hash)
            .bind(now)
            .bind(account.expires_ms)
            .run(transaction.on())
            .await?;
        if written == 0 {
            return Ok(false);
        }
        for right in rights {
            put(right, transaction.on()).await?;
        }
        transaction.commit("storing an account").await?;
        Ok(true)
    }

    /// Returns the accounts, by name, those that have ended too.
    pub async fn accounts(&self) -> Result<Vec<Account>, Error> {
        let text = format!("SELECT {ACCOUNT} FROM registry_accounts ORDER BY name");
        sql("reading the accounts", text).all(self.read()).await?.iter().map(account).collect()
    }

    /// Gives an account another password, and ends what it was logged in with; tells whether there is such an account.
    pub async fn change_password(&self, name: &str, password_hash: &str) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let text = "UPDATE registry_accounts SET password_hash = $2 WHERE name = $1";
        let changed = sql("changing a password", text).bind(name).bind(password_hash).run(transaction.on()).await? == 1;
        let text = "DELETE FROM registry_refresh_tokens WHERE account = $1";
        sql("ending tokens", text).bind(name).run(transaction.on()).await?;
        let text = format!("DELETE FROM sessions WHERE identity IN ({})", person());
        sql("ending sessions", text).bind(name).run(transaction.on()).await?;
        transaction.commit("changing a password").await?;
        Ok(changed)
    }

    /// Removes an account with its rights and tokens; tells whether there was one.
    pub async fn remove_account(&self, name: &str) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        for text in
            ["DELETE FROM registry_rights WHERE account = $1", "DELETE FROM registry_refresh_tokens WHERE account = $1"]
        {
            sql("removing an account", text).bind(name).run(transaction.on()).await?;
        }
        let now = transaction.now_ms;
        for text in [
            "DELETE FROM sessions WHERE identity IN (PERSON)",
            "DELETE FROM identity_rights WHERE identity IN (PERSON)",
            "UPDATE tokens SET revoked_ms = $2 WHERE identity IN (PERSON) AND revoked_ms IS NULL",
            "DELETE FROM identities WHERE id IN (PERSON)",
        ] {
            let statement = sql("removing a person", text.replace("PERSON", &person())).bind(name);
            let statement = if text.contains("$2") { statement.bind(now) } else { statement };
            statement.run(transaction.on()).await?;
        }
        let text = "DELETE FROM registry_accounts WHERE name = $1";
        let removed = sql("removing an account", text).bind(name).run(transaction.on()).await? == 1;
        transaction.commit("removing an account").await?;
        Ok(removed)
    }

    /// Returns all rights.
    pub async fn rights(&self) -> Result<Vec<Right>, Error> {
        let text = "SELECT account, pattern, actions FROM registry_rights ORDER BY account, pattern";
        let rows = sql("reading the rights", text).all(self.read()).await?;
        rows.iter()
            .map(|row| {
                Ok(Right { account: row.get("account")?, pattern: row.get("pattern")?, actions: row.get("actions")? })
            })
            .collect()
    }

    /// Stores a right; one for the same pattern is replaced. Tells whether there is such an account.
    pub async fn put_right(&self, right: &Right) -> Result<bool, Error> {
        put(right, self.write()).await
    }

    /// Removes a right; tells whether there was one.
    pub async fn remove_right(&self, account: &str, pattern: &str) -> Result<bool, Error> {
        let text = "DELETE FROM registry_rights WHERE account = $1 AND pattern = $2";
        Ok(sql("removing a right", text).bind(account).bind(pattern).run(self.write()).await? == 1)
    }
}

async fn put(right: &Right, on: On<'_>) -> Result<bool, Error> {
    // A right that outlived its account would be that of a later one with the name.
    let text = "INSERT INTO registry_rights (account, pattern, actions) SELECT $1, $2, $3 \
         WHERE $1 = '' OR EXISTS (SELECT 1 FROM registry_accounts WHERE name = $1) \
         ON CONFLICT (account, pattern) DO UPDATE SET actions = excluded.actions";
    let statement = sql("storing a right", text).bind(&right.account).bind(&right.pattern).bind(&right.actions);
    Ok(statement.run(on).await? == 1)
}

fn account(row: &Row) -> Result<Account, Error> {
    Ok(Account {
        name: row.get("name")?,
        is_robot: row.get("is_robot")?,
        password_hash: row.get("password_hash")?,
        created_ms: row.get("created_ms")?,
        expires_ms: row.get("expires_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_checked_and_its_actions_are_in_order() {
        let actions = |words: &str| Right::new("ada", "team/*", words).map(|right| right.actions);
        assert_eq!(actions("push, pull").unwrap(), "pull,push");
        assert_eq!(actions("*").unwrap(), "pull,push,delete");
        assert!(actions("read").unwrap_err().contains("`read` is not an action") && actions("").is_err());
        for bad in ["", "/a", "a/", "a//b", "A/b", "a/***", "a b", "a:1"] {
            assert!(Right::new("ada", bad, "pull").unwrap_err().contains("is not a pattern"), "{bad}");
        }
        check_account_name("ci+robot@example.com").unwrap();
        for bad in ["", "a:b", "a b", "ü", &"x".repeat(65)] {
            assert!(check_account_name(bad).is_err(), "{bad}");
        }
    }
}
