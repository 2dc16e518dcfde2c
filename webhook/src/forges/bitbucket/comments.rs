//! Comments on Bitbucket's pull requests: the cloud's `/pullrequests/{id}/comments`, Data Center's `/pull-requests/{id}/comments`.

use crate::forges::comments::{Comment, CommentApi};
use crate::forges::status::repository_path;
use serde_json::json;

/// Returns how comments are written in the cloud.
pub(crate) fn cloud_comments(comment: &Comment<'_>) -> Result<CommentApi, String> {
    let (workspace, name) = repository_path(comment.repository)?;
    let path = format!("/repositories/{workspace}/{name}/pullrequests/{}/comments", comment.number);
    Ok(CommentApi {
        list: format!("{path}?sort=-created_on&pagelen=100"),
        one: path.clone(),
        path,
        listed: "/values",
        entry: "",
        text: "/content/raw",
        change: "PUT",
        document: json!({ "content": { "raw": comment.text } }),
        has_versions: false,
    })
}

/// Returns how comments are written on Data Center.
pub(crate) fn data_center_comments(comment: &Comment<'_>) -> Result<CommentApi, String> {
    let (project, name) = repository_path(comment.repository)?;
    let pull = format!("/projects/{project}/repos/{name}/pull-requests/{}", comment.number);
    let path = format!("{pull}/comments");
    Ok(CommentApi {
        // Comments are listed only for a file; those on the whole are among what happened.
        list: format!("{pull}/activities?limit=100"),
        one: path.clone(),
        path,
        listed: "/values",
        entry: "/comment",
        text: "/text",
        change: "PUT",
        document: json!({ "text": comment.text }),
        has_versions: true,
    })
}
