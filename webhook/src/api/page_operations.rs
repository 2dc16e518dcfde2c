//! The pages of the OpenAPI document, and what their forms are sent to.

use super::operation::{Content, GET, Operation, POST};

/// Returns the pages for people.
pub(super) fn pages() -> Vec<Operation> {
    let page = |path, summary| Operation::new(GET, path, summary).media("text/html");
    vec![
        page("/", "Builds, searched and filtered")
            .query(&["q", "repo", "ref", "author", "commit", "tag", "state", "before"]),
        page("/builds/{id}", "A build"),
        page("/builds/{id}/explain", "The reasons why steps were executed"),
        page("/builds/{id}/image", "The image of a build").query(&["platform", "layer", "path", "skip"]),
        page("/builds/{id}/diff", "The differences of two images").query(&["against", "platform"]),
        page("/repos", "The repositories"),
        page("/repos/{namespace}/{name}", "A repository").query(&["try", "message"]),
        page("/repos/{namespace}/{name}/settings", "The settings of a repository"),
        page("/repos/{namespace}/{name}/connect", "The steps that connect a repository"),
        page("/repos/{namespace}/{name}/forge-deliveries", "What the forge says of a repository's webhook"),
        page("/connect", "A new repository"),
        page("/forges", "The forges and their Apps"),
        page("/forges/{host}/app", "The form from which GitHub makes an App").query(&["organization"]),
        page("/forges/{host}/app/back", "Takes a browser back from GitHub").query(&["code", "state"]),
        page("/disk", "The room on the disk"),
        page("/registry", "Repositories of the embedded registry").query(&["q"]),
        page("/registry/repository", "Tags of a repository of the embedded registry").query(&["name"]),
        page("/queue", "The queue"),
        page("/deliveries", "The newest deliveries").query(&["before"]),
        page("/account", "The caller's account: rights, sessions and tokens"),
        page("/account/device", "The page that confirms a login of the command line").query(&["code"]),
        page("/audit", "The audit log").query(&["actor", "action", "repo", "limit", "cursor"]),
        page("/deliveries/{id}", "A delivery and its payload"),
        Operation::new(GET, "/assets/{file}", "Styles, scripts and icons of the pages").open().media("text/css"),
        Operation::new(GET, "/favicon.ico", "The icon of the pages").open().media("image/svg+xml"),
        hub_badge("/docker/cloud/build/{namespace}/{file}"),
        hub_badge("/docker/build/{namespace}/{file}"),
        Operation::new(GET, "/badges/{namespace}/{file}", "A badge as SVG, or as JSON for shields.io")
            .query(&["branch", "tag", "rule", "label", "style", "token"])
            .media("image/svg+xml"),
    ]
}

fn hub_badge(path: &'static str) -> Operation {
    Operation::new(GET, path, "A badge under a path of Docker Hub's")
        .query(&["branch", "tag", "rule", "label", "style", "token"])
        .media("image/svg+xml")
}

/// Returns what forms of pages are sent to: each leads back to a page.
pub(super) fn forms() -> Vec<Operation> {
    let form = |path, summary| Operation::new(POST, path, summary).answer(303, Content::Empty);
    vec![
        Operation::new(GET, "/login", "The page to sign in").media("text/html").open().query(&["next"]),
        form("/login", "Begins a session with a token").open(),
        form("/logout", "Ends a session"),
        Operation::new(GET, "/login/with/{provider}", "Sends a browser to a provider to sign in")
            .open()
            .query(&["next"])
            .answer(303, Content::Empty),
        Operation::new(GET, "/login/callback/{provider}", "Takes a browser back from a provider")
            .open()
            .query(&["code", "state", "error", "error_description", "iss"])
            .media("text/html"),
        Operation::new(POST, "/account/tokens", "Makes a token, from a page").media("text/html"),
        form("/account/tokens/revoke", "Revokes a token, from a page"),
        form("/account/sessions/end", "Ends all sessions of the caller, from a page"),
        form("/account/sessions/{session}/end", "Ends a session, from a page"),
        form("/account/device", "Confirms a login of the command line, or refuses it"),
        form("/builds/{id}/retry", "Repeats a build, from a page"),
        form("/builds/{id}/rollback", "Gives the tags of a build its image again, from a page"),
        form("/builds/{id}/cancel", "Ends a build, from a page"),
        form("/builds/{id}/approve", "Approves a build, from a page"),
        form("/repos/{namespace}/{name}/builds", "Starts builds, from a page"),
        form("/repos/{namespace}/{name}/webhooks/deliveries/{id}/replay", "Sends to a webhook again, from a page"),
        form("/connect", "Adds a repository, from a page"),
        Operation::new(POST, "/repos/{namespace}/{name}/connect", "Registers a webhook, from a page")
            .media("text/html"),
        Operation::new(
            POST,
            "/repos/{namespace}/{name}/forge-deliveries/redeliver",
            "Has the forge deliver again, from a page",
        )
        .media("text/html"),
        form("/repos/{namespace}/{name}/settings", "Stores settings, from a page"),
        form("/repos/{namespace}/{name}/secrets", "Writes a secret, from a page"),
        form("/repos/{namespace}/{name}/secrets/remove", "Removes a secret, from a page"),
        Operation::new(GET, "/forges/{host}/app/made", "Gets the keys of an App")
            .query(&["code", "state"])
            .answer(303, Content::Empty),
        form("/forges/{host}/app/remove", "Forgets an App, from a page"),
        form("/repos/{namespace}/{name}/remove", "Removes a repository, from a page"),
        form("/workers/{name}/drain", "Drains a worker, from a page"),
        form("/workers/{name}/undrain", "Ends the draining of a worker, from a page"),
        form("/disk/clean", "Removes what nobody needs, from a page"),
        form("/registry-restore", "Puts a deleted tag back, from a page"),
        form("/queue/pause", "Pauses the queue, from a page"),
        form("/queue/resume", "Resumes the queue, from a page"),
        form("/deliveries/{id}/replay", "Replays a delivery, from a page"),
    ]
}
