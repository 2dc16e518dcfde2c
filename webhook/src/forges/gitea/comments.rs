//! Comments on pull requests of Gitea, Forgejo and Gogs: `/repos/{owner}/{repo}/issues/{index}/comments`.

use crate::configuration::forges::ForgeKind;
use crate::forges::comments::{Comment, CommentApi};
use crate::forges::status::repository_path;
use serde_json::json;

/// Returns how comments are written.
pub(crate) fn comments(kind: ForgeKind, comment: &Comment<'_>) -> Result<CommentApi, String> {
    let (owner, name) = repository_path(comment.repository)?;
    let issues = format!("/repos/{owner}/{name}/issues");
    let path = format!("{issues}/{}/comments", comment.number);
    Ok(CommentApi {
        list: path.clone(),
        // Gogs knows a comment only below its pull request.
        one: if kind == ForgeKind::Gogs { path.clone() } else { format!("{issues}/comments") },
        path,
        listed: "",
        entry: "",
        text: "/body",
        change: "PATCH",
        document: json!({ "body": comment.text }),
        has_versions: false,
    })
}
