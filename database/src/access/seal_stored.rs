//! Seals rows that were written before rows of their kind were sealed.

use crate::access::sealing::{seal_document, seal_spec};
use crate::database::Database;
use crate::error::Error;
use crate::model::json::json;
use crate::sql::statement::sql;
/// The switch that says that nothing is left to seal.
const SEALED: &str = "sealed";
/// Rows that are sealed at once.
const BATCH: i64 = 200;

impl Database {
    /// Seals what was stored before it was sealed, and leaves nothing of it in the file.
    pub async fn seal_stored(&self) -> Result<(), Error> {
        let doing = "sealing what was stored before";
        let text = "SELECT is_on FROM switches WHERE name = $1";
        let row = sql(doing, text).bind(SEALED).optional(self.read()).await?;
        if row.map(|row| row.get("is_on")).transpose()? == Some(true) {
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
        if sealed > 0 && self.store.is_sqlite() {
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
            let (name, document): (String, String) = (row.get("name")?, row.get("document_json")?);
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
            let (id, repository, stored): (String, String, String) =
                (row.get("id")?, row.get("repository")?, row.get("spec_json")?);
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
