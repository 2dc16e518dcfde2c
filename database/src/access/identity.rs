//! People who signed in, and service accounts: who they are, the login that a forge gave for them, sealed, and rights that an
//! administrator gave them.

use crate::access::secret_key::Place;
use crate::database::Database;
use crate::error::Error;
use crate::sql::statement::{Row, sql};
use serde::{Deserialize, Serialize};

/// The place that logins are sealed for; no repository is called so.
const PLACE: &str = "@identities";
/// How exact the time at which somebody was last seen is.
const SEEN_MS: i64 = 60_000;
const IDENTITY: &str = "id, provider, subject, name, login, created_ms, seen_ms";

/// Somebody who is known.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The number.
    pub id: i64,
    /// Where they sign in: a forge's host, `oidc:name`, `local` or `service`.
    pub provider: String,
    /// The provider's id of them, which it gives to nobody else: a number, mostly.
    pub subject: String,
    /// Their name, with that of the provider: `github.com/ada`.
    pub name: String,
    /// The tokens that the forge is asked with on their behalf; `None` if it gave nothing, or if no key opens it.
    pub login: Option<KnownLogin>,
    /// When they signed in for the first time, in milliseconds since 1970.
    pub created_ms: i64,
    /// When they were last seen, to the minute.
    pub seen_ms: i64,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Identity({})", self.name)
    }
}

/// The tokens that a forge gave for somebody.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownLogin {
    /// The token that the forge is asked with.
    pub access: String,
    /// The token that gets another one, once.
    pub refresh: Option<String>,
    /// When the first ends, in milliseconds since 1970.
    pub expires_ms: Option<i64>,
}

impl std::fmt::Debug for KnownLogin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("KnownLogin(…)")
    }
}

/// A right that an administrator gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRight {
    /// Names of repositories, with `*` for a part and `**` for any number of parts.
    pub pattern: String,
    /// `read`, `trigger` or `admin`.
    pub scope: String,
}

impl Database {
    /// Takes note of somebody who signed in, or of a service account, and returns them.
    pub async fn put_identity(
        &self,
        provider: &str,
        subject: &str,
        name: &str,
        login: Option<&KnownLogin>,
    ) -> Result<Identity, Error> {
        let now = self.now_ms().await?;
        let text = format!(
            "INSERT INTO identities (provider, subject, name, login, created_ms, seen_ms) VALUES ($1, $2, $3, $4, $5, $5) \
             ON CONFLICT (provider, subject) DO UPDATE SET name = excluded.name, login = excluded.login, \
             seen_ms = excluded.seen_ms RETURNING {IDENTITY}"
        );
        let statement = sql("storing an identity", text).bind(provider).bind(subject).bind(name);
        let statement = statement.bind(self.sealed(provider, subject, login)?).bind(now);
        self.identity_in(&statement.one(self.write()).await?)
    }

    /// Stores the tokens that a forge gave for somebody; none if it takes those that were there no more.
    pub async fn put_login(&self, identity: &Identity, login: Option<&KnownLogin>) -> Result<(), Error> {
        let sealed = self.sealed(&identity.provider, &identity.subject, login)?;
        let text = "UPDATE identities SET login = $2 WHERE id = $1";
        sql("storing a login", text).bind(identity.id).bind(sealed).run(self.write()).await.map(drop)
    }

    /// Returns the identity with this number, and takes note that it was seen.
    pub async fn identity(&self, id: i64) -> Result<Option<Identity>, Error> {
        let text = format!("SELECT {IDENTITY} FROM identities WHERE id = $1");
        let row = sql("reading an identity", text).bind(id).optional(self.read()).await?;
        let Some(identity) = row.map(|row| self.identity_in(&row)).transpose()? else { return Ok(None) };
        let now = self.now_ms().await?;
        if now - identity.seen_ms >= SEEN_MS {
            let text = "UPDATE identities SET seen_ms = $2 WHERE id = $1";
            sql("noting who was seen", text).bind(id).bind(now).run(self.write()).await?;
        }
        Ok(Some(identity))
    }

    /// Returns the identity that a provider calls so.
    pub async fn identity_of(&self, provider: &str, subject: &str) -> Result<Option<Identity>, Error> {
        let text = format!("SELECT {IDENTITY} FROM identities WHERE provider = $1 AND subject = $2");
        let row = sql("reading an identity", text).bind(provider).bind(subject).optional(self.read()).await?;
        row.map(|row| self.identity_in(&row)).transpose()
    }

    /// Returns all identities, by name.
    pub async fn identities(&self) -> Result<Vec<Identity>, Error> {
        let text = format!("SELECT {IDENTITY} FROM identities ORDER BY name, id");
        let rows = sql("reading the identities", text).all(self.read()).await?;
        rows.iter().map(|row| self.identity_in(row)).collect()
    }

    /// Removes an identity with its rights, sessions and tokens; tells whether there was one.
    pub async fn remove_identity(&self, id: i64) -> Result<bool, Error> {
        let mut transaction = self.begin().await?;
        let now = transaction.now_ms;
        for text in ["DELETE FROM identity_rights WHERE identity = $1", "DELETE FROM sessions WHERE identity = $1"] {
            sql("removing an identity", text).bind(id).run(transaction.on()).await?;
        }
        let text = "UPDATE tokens SET revoked_ms = $2 WHERE identity = $1 AND revoked_ms IS NULL";
        sql("revoking tokens", text).bind(id).bind(now).run(transaction.on()).await?;
        let text = "DELETE FROM identities WHERE id = $1";
        let removed = sql("removing an identity", text).bind(id).run(transaction.on()).await? == 1;
        transaction.commit("removing an identity").await?;
        Ok(removed)
    }

    /// Returns the rights that an administrator gave.
    pub async fn rights_of(&self, identity: i64) -> Result<Vec<IdentityRight>, Error> {
        let text = "SELECT pattern, scope FROM identity_rights WHERE identity = $1 ORDER BY pattern";
        let rows = sql("reading rights", text).bind(identity).all(self.read()).await?;
        rows.iter().map(|row| Ok(IdentityRight { pattern: row.get("pattern")?, scope: row.get("scope")? })).collect()
    }

    /// Puts rights in the place of those that an identity has.
    pub async fn put_rights(&self, identity: i64, rights: &[IdentityRight]) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        let text = "DELETE FROM identity_rights WHERE identity = $1";
        sql("removing rights", text).bind(identity).run(transaction.on()).await?;
        for right in rights {
            let text = "INSERT INTO identity_rights (identity, pattern, scope) VALUES ($1, $2, $3) \
                        ON CONFLICT (identity, pattern) DO UPDATE SET scope = excluded.scope";
            let statement = sql("storing a right", text).bind(identity).bind(&right.pattern).bind(&right.scope);
            statement.run(transaction.on()).await?;
        }
        transaction.commit("storing rights").await
    }

    fn sealed(&self, provider: &str, subject: &str, login: Option<&KnownLogin>) -> Result<String, Error> {
        let Some(login) = login else { return Ok(String::new()) };
        let place = Place { repository: PLACE, name: &format!("{provider}/{subject}") };
        let text = serde_json::to_vec(login).map_err(|_| Error::Damaged("a login"))?;
        Ok(hex::encode(self.key()?.seal(&place, &text).ok_or(Error::NoKey)?))
    }

    fn identity_in(&self, row: &Row) -> Result<Identity, Error> {
        let (provider, subject, sealed): (String, String, String) =
            (row.get("provider")?, row.get("subject")?, row.get("login")?);
        let place = Place { repository: PLACE, name: &format!("{provider}/{subject}") };
        let bytes = hex::decode(sealed).ok().filter(|bytes| !bytes.is_empty());
        let opened = bytes.and_then(|bytes| self.key.as_ref()?.open(&place, &bytes));
        Ok(Identity {
            id: row.get("id")?,
            name: row.get("name")?,
            login: opened.and_then(|text| serde_json::from_slice(&text).ok()),
            created_ms: row.get("created_ms")?,
            seen_ms: row.get("seen_ms")?,
            provider,
            subject,
        })
    }
}
