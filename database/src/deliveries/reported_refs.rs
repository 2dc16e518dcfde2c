//! Remembers the state of each ref that deliveries reported last.
//!
//! Two deliveries can have the same bytes and still be two pushes: a branch that is forced from A to B, back to A and to B
//! once more. The second of them goes on from what was told last; the same push told twice, by two hooks or to whoever
//! plays it back, does not.

use crate::database::Database;
use crate::error::Error;
use crate::model::delivery::{NewDelivery, RefMove};
use crate::sql::statement::sql;
use crate::sql::transaction::Transaction;
use std::collections::BTreeMap;

/// The ref that names the default branch.
const HEAD: &str = "HEAD";

/// Commits of refs by repository and ref, to be written.
pub(crate) type Heads = BTreeMap<(String, String), Option<String>>;

/// Takes note of what a delivery tells of refs. Of a push that arrived late, `is_last` is not so: the ref has gone on.
pub(crate) fn note(heads: &mut Heads, delivery: &NewDelivery, is_last: bool) {
    for moved in delivery.moves.iter().filter(|_| is_last) {
        heads.insert((delivery.repository.clone(), moved.git_ref.clone()), moved.after.clone());
    }
    if let Some(branch) = &delivery.default_branch {
        heads.insert((delivery.repository.clone(), HEAD.to_owned()), Some(branch.clone()));
    }
}

/// Writes what was noted, in one statement.
pub(crate) async fn write(transaction: &mut Transaction, heads: Heads) -> Result<(), Error> {
    if heads.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = (0..heads.len())
        .map(|row| format!("(${}, ${}, CAST(${} AS TEXT))", row * 3 + 1, row * 3 + 2, row * 3 + 3))
        .collect();
    let text = format!(
        "INSERT INTO told_refs (repository, git_ref, head) VALUES {} \
         ON CONFLICT (repository, git_ref) DO UPDATE SET head = excluded.head",
        rows.join(", ")
    );
    let mut statement = sql("noting what refs name", text);
    for ((repository, git_ref), head) in heads {
        statement = statement.bind(repository).bind(git_ref).bind(head);
    }
    statement.run(transaction.on()).await?;
    Ok(())
}

/// Tells whether a delivery goes on from what was told last: then it is news, whatever its bytes.
pub(crate) async fn goes_on(transaction: &mut Transaction, delivery: &NewDelivery) -> Result<bool, Error> {
    for RefMove { git_ref, before, after } in delivery.moves.iter().filter(|moved| moved.before != moved.after) {
        let text = "SELECT head FROM told_refs WHERE repository = $1 AND git_ref = $2";
        let row = sql("reading what a ref names", text).bind(&delivery.repository).bind(git_ref);
        if let Some(row) = row.optional(transaction.on()).await? {
            let head: Option<String> = row.get("head")?;
            if head == *before && head != *after {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

impl Database {
    /// Returns the short name of a repository's default branch, as deliveries told it.
    pub async fn told_default_branch(&self, repository: &str) -> Result<Option<String>, Error> {
        self.told_head(repository, HEAD).await
    }

    /// Returns the object that a ref names, as deliveries told it last.
    pub async fn told_head(&self, repository: &str, git_ref: &str) -> Result<Option<String>, Error> {
        let text = "SELECT head FROM told_refs WHERE repository = $1 AND git_ref = $2";
        let row = sql("reading what a ref names", text).bind(repository).bind(git_ref).optional(self.read()).await?;
        Ok(row.map(|row| row.get::<Option<String>>("head")).transpose()?.flatten())
    }
}
