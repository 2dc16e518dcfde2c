//! The operations of the API for its OpenAPI document: method, path, query, body and answers of each route.

use super::accounts::{NewRights, NewServiceAccount};
use super::connect::Connecting;
use super::device::{DeviceQuestion, NewDevice};
use super::forge_deliveries::Redelivering;
use super::openapi::{SchemaOf, schema_of};
use super::own_tokens::NewOwnToken;
use super::registry::{NewRegistryPassword, NewRegistryUser, NewRight};
use super::registry_images::DeletedReference;
use super::triggers::TriggerRequest;
use crate::configuration::document::RepositoryDocument;
use crate::view::build::{BuildDetails, BuildList, BuildView, CancelView};
use crate::view::comparison::ExplanationView;
use crate::view::delivery::{DeliveryAnswer, DeliveryList, DeliveryView};
use crate::view::difference::DifferenceView;
use crate::view::forge::ForgeList;
use crate::view::forge_delivery::{ForgeDeliveriesView, RedeliveredView};
use crate::view::person::{AccountList, AccountView, AuditLog, DeviceView, MadeTokenView, OwnTokenList, SessionList};
use crate::view::queue::{PausedView, QueueView, WorkerView};
use crate::view::registry::{RegistryUserList, RegistryUserPassword, RegistryUserView, RightList, RightView};
use crate::view::registry_images::{RegistryRepositoryList, RegistryRepositoryView, RestoredTags};
use crate::view::repository::{
    BaseImagesView, ConnectedView, DeployKeyView, ReconcileView, RepositoryList, RepositoryView, SecretList,
    SecretWritten, UsageView,
};
use crate::view::rules::{RulesTestView, RulesView};
use crate::view::service::{CallerView, VersionView};
use crate::view::trigger::{HubTriggerView, TriggerAnswer, TriggeredView};
use crate::view::webhook::{ReplayView, WebhookDeliveryList, WebhookList};
use schemars::JsonSchema;

const DELETE: &str = "delete";
const GET: &str = "get";
const PATCH: &str = "patch";
const POST: &str = "post";
const PUT: &str = "put";

/// The body of an answer.
pub(crate) enum Content {
    /// A view as JSON.
    View(SchemaOf),
    /// Text of a media type.
    Media(&'static str),
    /// Nothing.
    Empty,
}

/// An operation on a path.
pub(crate) struct Operation {
    /// The method in lower case, as OpenAPI has it.
    pub method: &'static str,
    /// The path as the router has it.
    pub path: &'static str,
    /// One line of text.
    pub summary: &'static str,
    /// Keys of the query.
    pub query: &'static [&'static str],
    /// Schema of the request's body.
    pub body: Option<SchemaOf>,
    /// Answers by status.
    pub answers: Vec<(u16, Content)>,
    /// Whether it never needs a token.
    pub is_open: bool,
}

impl Operation {
    fn new(method: &'static str, path: &'static str, summary: &'static str) -> Operation {
        Operation { method, path, summary, query: &[], body: None, answers: Vec::new(), is_open: false }
    }

    fn view<T: JsonSchema>(self, status: u16) -> Operation {
        self.answer(status, Content::View(schema_of::<T>))
    }

    fn media(self, kind: &'static str) -> Operation {
        self.answer(200, Content::Media(kind))
    }

    fn answer(mut self, status: u16, content: Content) -> Operation {
        self.answers.push((status, content));
        self
    }

    fn query(mut self, query: &'static [&'static str]) -> Operation {
        self.query = query;
        self
    }

    fn body<T: JsonSchema>(mut self) -> Operation {
        self.body = Some(schema_of::<T>);
        self
    }

    fn open(mut self) -> Operation {
        self.is_open = true;
        self
    }
}

/// Returns all operations.
pub(crate) fn operations() -> Vec<Operation> {
    let of_pages = [pages(), forms()];
    [repositories(), contents_of_repositories(), builds(), queue_and_deliveries(), registry(), people(), service()]
        .into_iter()
        .chain(of_pages)
        .flatten()
        .collect()
}

fn repositories() -> Vec<Operation> {
    let (all, one) = ("/v1/repos", "/v1/repos/{namespace}/{name}");
    let rules = "/v1/repos/{namespace}/{name}/rules";
    vec![
        Operation::new(GET, all, "Lists repositories by name").query(&["limit", "cursor"]).view::<RepositoryList>(200),
        Operation::new(POST, all, "Adds a repository").body::<RepositoryDocument>().view::<RepositoryView>(201),
        Operation::new(GET, one, "Shows a repository").view::<RepositoryView>(200),
        Operation::new(PUT, one, "Replaces a repository, or adds it")
            .body::<RepositoryDocument>()
            .view::<RepositoryView>(200)
            .view::<RepositoryView>(201),
        Operation::new(PATCH, one, "Changes keys of a repository (RFC 7396)").view::<RepositoryView>(200),
        Operation::new(DELETE, one, "Removes a repository").answer(204, Content::Empty),
        Operation::new(GET, rules, "Shows the rules as they are written").view::<RulesView>(200),
        Operation::new(PUT, rules, "Replaces the rules").body::<RulesView>().view::<RulesView>(200),
        Operation::new(POST, "/v1/repos/{namespace}/{name}/rules:test", "Tries rules on a ref, without building")
            .view::<RulesTestView>(200),
        Operation::new(POST, "/v1/repos/{namespace}/{name}/builds", "Queues builds, or plans them with `dry_run`")
            .query(&["wait", "dedupe"])
            .body::<TriggerRequest>()
            .view::<TriggeredView>(202)
            .view::<TriggerAnswer>(200),
    ]
}

fn contents_of_repositories() -> Vec<Operation> {
    let secret = "/v1/repos/{namespace}/{name}/secrets/{secret}";
    let replay = "/v1/repos/{namespace}/{name}/webhooks/deliveries/{id}/replay";
    vec![
        Operation::new(
            GET,
            "/v1/repos/{namespace}/{name}/builds/{number}",
            "Shows the build with a number, or `latest`",
        )
        .view::<BuildDetails>(200),
        Operation::new(GET, "/v1/repos/{namespace}/{name}/reconcile", "Shows polls for missed pushes")
            .view::<ReconcileView>(200),
        Operation::new(GET, "/v1/repos/{namespace}/{name}/base-images", "Shows the base images of the newest builds")
            .view::<BaseImagesView>(200),
        Operation::new(GET, "/v1/repos/{namespace}/{name}/usage", "Shows figures of the last day")
            .view::<UsageView>(200),
        Operation::new(GET, "/v1/repos/{namespace}/{name}/secrets", "Lists names of secrets").view::<SecretList>(200),
        Operation::new(PUT, secret, "Writes a secret").view::<SecretWritten>(200),
        Operation::new(DELETE, secret, "Removes a secret").answer(204, Content::Empty),
        Operation::new(GET, "/v1/repos/{namespace}/{name}/webhooks", "Lists webhooks").view::<WebhookList>(200),
        Operation::new(GET, "/v1/repos/{namespace}/{name}/webhooks/deliveries", "Lists deliveries to webhooks")
            .view::<WebhookDeliveryList>(200),
        Operation::new(POST, "/v1/repos/{namespace}/{name}/connect", "Registers or repairs the webhook on the forge")
            .body::<Connecting>()
            .view::<ConnectedView>(200),
        Operation::new(
            GET,
            "/v1/repos/{namespace}/{name}/forge-deliveries",
            "Shows the webhook's deliveries as the forge tells",
        )
        .view::<ForgeDeliveriesView>(200),
        Operation::new(POST, "/v1/repos/{namespace}/{name}/forge-deliveries/redeliver", "Has the forge deliver again")
            .body::<Redelivering>()
            .view::<RedeliveredView>(200),
        Operation::new(GET, "/v1/repos/{namespace}/{name}/key", "Shows the deploy key").view::<DeployKeyView>(200),
        Operation::new(POST, "/v1/repos/{namespace}/{name}/key", "Makes a deploy key")
            .view::<DeployKeyView>(200)
            .view::<DeployKeyView>(201),
        Operation::new(POST, replay, "Sends a delivery to a webhook again").view::<ReplayView>(202),
    ]
}

fn builds() -> Vec<Operation> {
    let filters = &["repo", "rule", "ref", "commit", "tag", "state", "trigger", "since", "limit", "cursor"];
    let log = &["step", "tail", "since_offset", "format"];
    vec![
        Operation::new(GET, "/v1/builds", "Lists builds, newest first").query(filters).view::<BuildList>(200),
        Operation::new(GET, "/v1/builds/{id}", "Shows a build with its steps")
            .query(&["wait"])
            .view::<BuildDetails>(200),
        Operation::new(GET, "/v1/builds/{id}/logs", "Sends the log: text, JSON lines or server-sent events")
            .query(log)
            .media("text/plain"),
        Operation::new(GET, "/v1/builds/{id}/trace", "Sends the trace for Chrome's viewer")
            .view::<serde_json::Map<String, serde_json::Value>>(200),
        Operation::new(GET, "/v1/builds/{id}/explain", "Tells why steps were executed")
            .query(&["against"])
            .view::<ExplanationView>(200),
        Operation::new(GET, "/v1/builds/{id}/diff", "Compares the image of a build with another one")
            .query(&["against", "platform"])
            .view::<DifferenceView>(200),
        Operation::new(POST, "/v1/builds/{id}/approve", "Approves a build of a fork")
            .view::<BuildView>(202)
            .view::<BuildView>(200),
        Operation::new(POST, "/v1/builds/{id}/cancel", "Cancels a build").view::<CancelView>(202),
        Operation::new(POST, "/v1/builds/{id}/retry", "Repeats a build that has ended").view::<BuildView>(202),
        Operation::new(POST, "/v1/builds/{id}/rollback", "Gives the tags of a build its image again")
            .view::<BuildView>(202),
    ]
}

fn queue_and_deliveries() -> Vec<Operation> {
    let hub = ["/u/{namespace}/{name}/trigger/{token}", "/u/{namespace}/{name}/trigger/{token}/"];
    let hub =
        hub.map(|path| Operation::new(POST, path, "Docker Hub's trigger URLs").open().view::<HubTriggerView>(202));
    let others = vec![
        Operation::new(POST, "/hooks/{forge}", "Accepts a delivery of a forge")
            .open()
            .view::<DeliveryAnswer>(202)
            .view::<DeliveryAnswer>(200),
        Operation::new(GET, "/v1/queue", "Shows the queue and the workers").view::<QueueView>(200),
        Operation::new(POST, "/v1/queue/pause", "Gives out no more builds").view::<PausedView>(200),
        Operation::new(POST, "/v1/queue/resume", "Gives out builds again").view::<PausedView>(200),
        Operation::new(POST, "/v1/workers/{name}/drain", "Gives a worker no more builds").view::<WorkerView>(200),
        Operation::new(POST, "/v1/workers/{name}/undrain", "Gives a worker builds again").view::<WorkerView>(200),
        Operation::new(GET, "/v1/deliveries", "Lists deliveries, newest first")
            .query(&["repo", "status", "limit", "cursor"])
            .view::<DeliveryList>(200),
        Operation::new(GET, "/v1/deliveries/{id}", "Shows a delivery").view::<DeliveryView>(200),
        Operation::new(POST, "/v1/deliveries/{id}/replay", "Applies the present rules to a delivery again")
            .view::<DeliveryAnswer>(202)
            .view::<DeliveryAnswer>(200),
    ];
    hub.into_iter().chain(others).collect()
}

fn registry() -> Vec<Operation> {
    let (users, user, rights) = ("/v1/registry/users", "/v1/registry/users/{user}", "/v1/registry/rights");
    vec![
        Operation::new(GET, users, "Lists accounts of the embedded registry").view::<RegistryUserList>(200),
        Operation::new(POST, users, "Makes an account").body::<NewRegistryUser>().view::<RegistryUserPassword>(201),
        Operation::new(GET, user, "Shows an account").view::<RegistryUserView>(200),
        Operation::new(DELETE, user, "Removes an account with its rights and tokens").answer(204, Content::Empty),
        Operation::new(PUT, "/v1/registry/users/{user}/password", "Gives an account another password")
            .body::<NewRegistryPassword>()
            .view::<RegistryUserPassword>(200),
        Operation::new(GET, rights, "Lists rights in the embedded registry").view::<RightList>(200),
        Operation::new(PUT, rights, "Gives a right").body::<NewRight>().view::<RightView>(200),
        Operation::new(DELETE, rights, "Takes a right away")
            .query(&["pattern", "user", "everybody"])
            .answer(204, Content::Empty),
        Operation::new(GET, "/v1/registry/repositories", "Lists repositories of the embedded registry")
            .view::<RegistryRepositoryList>(200),
        Operation::new(GET, "/v1/registry/repository", "Shows tags and deleted tags of a repository")
            .query(&["name"])
            .view::<RegistryRepositoryView>(200),
        Operation::new(GET, "/v1/forges", "Lists the forges and their Apps").view::<ForgeList>(200),
        Operation::new(DELETE, "/v1/forges/{host}/app", "Forgets an App that was made on a page")
            .answer(204, Content::Empty),
        Operation::new(POST, "/v1/registry/restore", "Puts a deleted tag back")
            .body::<DeletedReference>()
            .view::<RestoredTags>(200),
    ]
}

fn people() -> Vec<Operation> {
    let (account, device) = ("/v1/accounts/{id}", "/v1/device");
    vec![
        Operation::new(GET, "/v1/tokens", "Lists the caller's tokens").view::<OwnTokenList>(200),
        Operation::new(POST, "/v1/tokens", "Makes a token for the caller")
            .body::<NewOwnToken>()
            .view::<MadeTokenView>(201),
        Operation::new(DELETE, "/v1/tokens/{token}", "Revokes a token of the caller").answer(204, Content::Empty),
        Operation::new(GET, "/v1/sessions", "Lists the caller's sessions").view::<SessionList>(200),
        Operation::new(DELETE, "/v1/sessions", "Ends all sessions of the caller").answer(204, Content::Empty),
        Operation::new(DELETE, "/v1/sessions/{session}", "Ends a session of the caller").answer(204, Content::Empty),
        Operation::new(GET, "/v1/accounts", "Lists people who signed in, and service accounts")
            .view::<AccountList>(200),
        Operation::new(POST, "/v1/accounts", "Makes a service account")
            .body::<NewServiceAccount>()
            .view::<AccountView>(201),
        Operation::new(DELETE, account, "Removes an account with its rights, sessions and tokens")
            .answer(204, Content::Empty),
        Operation::new(PUT, "/v1/accounts/{id}/rights", "Replaces the rights of an account")
            .body::<NewRights>()
            .view::<AccountView>(200),
        Operation::new(POST, "/v1/accounts/{id}/tokens", "Makes a token for a service account")
            .body::<NewOwnToken>()
            .view::<MadeTokenView>(201),
        Operation::new(DELETE, "/v1/accounts/{id}/sessions", "Ends all sessions of an account")
            .answer(204, Content::Empty),
        Operation::new(GET, "/v1/audit", "Shows who did what, newest first")
            .query(&["actor", "action", "repo", "limit", "cursor"])
            .view::<AuditLog>(200),
        Operation::new(POST, device, "Begins a login of the command line")
            .open()
            .body::<NewDevice>()
            .view::<DeviceView>(200),
        Operation::new(POST, "/v1/device/token", "Gives the command line its token, once its code is confirmed")
            .open()
            .body::<DeviceQuestion>()
            .view::<MadeTokenView>(201),
    ]
}

fn pages() -> Vec<Operation> {
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
fn forms() -> Vec<Operation> {
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

fn service() -> Vec<Operation> {
    vec![
        Operation::new(GET, "/v1/openapi.json", "This document").open().media("application/json"),
        Operation::new(GET, "/v1/version", "The version of the server").open().view::<VersionView>(200),
        Operation::new(GET, "/v1/whoami", "The identity of the caller").view::<CallerView>(200),
        Operation::new(GET, "/healthz", "Tells whether the process answers").open().media("text/plain"),
        Operation::new(GET, "/readyz", "Tells whether deliveries would be accepted").open().media("text/plain"),
        Operation::new(GET, "/metrics", "Metrics for Prometheus").media("application/openmetrics-text"),
    ]
}
