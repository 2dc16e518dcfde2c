//! Seals parts of repositories and builds as secrets are: documents, in which values of `env` and URLs of webhooks stand,
//! and the values of build arguments, which those of `env` become.
//!
//! Equal values of one place are sealed alike, so that requests for builds can be compared. Rows of before, and those of a
//! database that was given no key, are read as they are.

use crate::rows::{json, to_json};
use crate::secret::{Place, SecretKey};
use crate::sql::sql;
use crate::{BuildSpec, Database, Error};
use std::sync::{Arc, Mutex, PoisonError};

/// Prefix of a sealed text.
const MARK: &str = "sealed:";
/// The name under which a document is sealed; no secret of a user is called so.
const DOCUMENT: &str = "@document";
/// The switch that says that nothing is left to seal.
const SEALED: &str = "sealed";
/// Rows that are sealed at once.
const BATCH: i64 = 200;

/// The keys that databases of this process were given: what one sealed, no other opens.
static KEYS: Mutex<Vec<Arc<SecretKey>>> = Mutex::new(Vec::new());

/// Takes note of a key, for rows that are read.
pub fn remember(key: &Arc<SecretKey>) {
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    if !keys.iter().any(|known| known.as_bytes() == key.as_bytes()) {
        keys.push(key.clone());
    }
}

fn seal(key: &SecretKey, place: &Place<'_>, text: &str) -> Result<String, Error> {
    let sealed = key.seal_alike(place, text.as_bytes()).ok_or(Error::NoKey)?;
    Ok(format!("{MARK}{}", hex::encode(sealed)))
}

/// Opens a sealed text; `None` if it is not one, or none of the keys opens it.
fn open(place: &Place<'_>, text: &str) -> Option<String> {
    let sealed = hex::decode(text.strip_prefix(MARK)?).ok()?;
    let keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let opened = keys.iter().find_map(|key| key.open(place, &sealed))?;
    String::from_utf8(opened).ok()
}

/// Returns a document as it is stored.
pub fn seal_document(key: Option<&Arc<SecretKey>>, repository: &str, document: &str) -> Result<String, Error> {
    match key {
        Some(key) => seal(key, &Place { repository, name: DOCUMENT }, document),
        None => Ok(document.to_owned()),
    }
}

/// Returns a document as it was written. One that no key opens stays as it is, which is not a document: one repository is
/// lost then, and not all.
pub fn open_document(repository: &str, stored: String) -> String {
    open(&Place { repository, name: DOCUMENT }, &stored).unwrap_or(stored)
}

/// Returns what is to be built as it is stored.
pub fn seal_spec(key: Option<&Arc<SecretKey>>, repository: &str, spec: &BuildSpec) -> Result<String, Error> {
    let Some(key) = key.filter(|_| !spec.build_args.is_empty()) else { return to_json(spec) };
    let mut sealed = spec.clone();
    for (name, value) in &mut sealed.build_args {
        *value = seal(key, &Place { repository, name: &argument(name) }, value)?;
    }
    to_json(&sealed)
}

/// Reads what is to be built. A value that no key opens stays as it is: [`BuildSpec::is_sealed`].
pub fn open_spec(repository: &str, stored: &str) -> Result<BuildSpec, Error> {
    let mut spec: BuildSpec = json(stored)?;
    for (name, value) in &mut spec.build_args {
        if value.starts_with(MARK)
            && let Some(opened) = open(&Place { repository, name: &argument(name) }, value)
        {
            *value = opened;
        }
    }
    Ok(spec)
}

fn argument(name: &str) -> String {
    format!("@argument/{name}")
}

impl BuildSpec {
    /// Tells whether it holds a value that could not be opened: the key is another one than it was sealed with.
    pub fn is_sealed(&self) -> bool {
        self.build_args.values().any(|value| {
            value.strip_prefix(MARK).is_some_and(|digits| digits.len() > 56 && hex::decode(digits).is_ok())
        })
    }
}

impl Database {
    /// Seals what was stored before it was sealed, and leaves nothing of it in the file.
    pub async fn seal_stored(&self) -> Result<(), Error> {
        let doing = "sealing what was stored before";
        let text = "SELECT is_on FROM switches WHERE name = $1";
        let row = sql(doing, text).bind(SEALED).optional(self.read()).await?;
        if row.map(|row| row.get(0)).transpose()? == Some(true) {
            return Ok(());
        }
        let mut sealed = self.seal_documents().await?;
        loop {
            let some = self.seal_some_specs().await?;
            sealed += some;
            if some == 0 {
                break;
            }
        }
        if sealed > 0 && self.store.has_one_writer() {
            sql(doing, "VACUUM").run(self.write()).await?;
            sql(doing, "PRAGMA wal_checkpoint(TRUNCATE)").all(self.write()).await?;
        }
        let text = "INSERT INTO switches (name, is_on) VALUES ($1, TRUE) ON CONFLICT (name) DO UPDATE SET is_on = TRUE";
        sql(doing, text).bind(SEALED).run(self.write()).await?;
        Ok(())
    }

    async fn seal_documents(&self) -> Result<u64, Error> {
        let doing = "sealing documents";
        let key = Some(self.key.as_ref().ok_or(Error::NoKey)?);
        let mut transaction = self.begin().await?;
        let text =
            "SELECT name, document_json FROM repositories WHERE document_json NOT LIKE 'sealed:%' /*+FOR UPDATE*/";
        let rows = sql(doing, text).all(transaction.on()).await?;
        for row in &rows {
            let (name, document): (String, String) = (row.get(0)?, row.get(1)?);
            sql(doing, "UPDATE repositories SET document_json = $2 WHERE name = $1")
                .bind(&name)
                .bind(seal_document(key, &name, &document)?)
                .run(transaction.on())
                .await?;
        }
        transaction.commit(doing).await?;
        Ok(rows.len() as u64)
    }

    async fn seal_some_specs(&self) -> Result<u64, Error> {
        let doing = "sealing build arguments";
        let key = Some(self.key.as_ref().ok_or(Error::NoKey)?);
        let text = "SELECT id, repository, spec_json FROM builds WHERE spec_json LIKE '%\"build_args\":{\"%' \
                    AND spec_json NOT LIKE '%\"sealed:%' ORDER BY id LIMIT $1";
        if sql(doing, text).bind(1).all(self.read()).await?.is_empty() {
            return Ok(0);
        }
        let mut transaction = self.begin().await?;
        let rows = sql(doing, format!("{text} /*+FOR UPDATE*/")).bind(BATCH).all(transaction.on()).await?;
        for row in &rows {
            let (id, repository, stored): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            sql(doing, "UPDATE builds SET spec_json = $2 WHERE id = $1")
                .bind(&id)
                .bind(seal_spec(key, &repository, &json(&stored)?)?)
                .run(transaction.on())
                .await?;
        }
        transaction.commit(doing).await?;
        Ok(rows.len() as u64)
    }
}
