//! Comments on GitLab's merge requests, which are notes there: `/projects/{id}/merge_requests/{iid}/notes`.

use crate::forges::comments::{Comment, CommentApi};
use crate::forges::status::encoded;
use serde_json::json;

/// Returns how comments are written.
pub(crate) fn comments(comment: &Comment<'_>) -> CommentApi {
    let path = format!("/projects/{}/merge_requests/{}/notes", encoded(comment.repository), comment.number);
    CommentApi {
        list: format!("{path}?sort=desc&order_by=created_at&per_page=100"),
        one: path.clone(),
        path,
        listed: "",
        entry: "",
        text: "/body",
        change: "PUT",
        document: json!({ "body": comment.text }),
        has_versions: false,
    }
}
