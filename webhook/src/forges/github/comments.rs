//! Comments on GitHub's pull requests, which are issues there: `/repos/{owner}/{repo}/issues/{number}/comments`.

use crate::forges::comments::{Comment, CommentApi};
use crate::forges::status::repository_path;
use serde_json::json;

/// Returns how comments are written.
pub(crate) fn comments(comment: &Comment<'_>) -> Result<CommentApi, String> {
    let (owner, name) = repository_path(comment.repository)?;
    let issues = format!("/repos/{owner}/{name}/issues");
    let path = format!("{issues}/{}/comments", comment.number);
    Ok(CommentApi {
        list: format!("{path}?per_page=100"),
        path,
        listed: "",
        entry: "",
        text: "/body",
        one: format!("{issues}/comments"),
        change: "PATCH",
        document: json!({ "body": comment.text }),
        has_versions: false,
    })
}
