//! The operations of the API for its OpenAPI document: method, path, query, body and answers of each route.

use super::accounts::{NewRights, NewServiceAccount};
use super::connect::Connecting;
use super::device::{DeviceQuestion, NewDevice};
use super::forge_deliveries::Redelivering;
use super::operation::{Content, DELETE, GET, Operation, PATCH, POST, PUT};
use super::own_tokens::NewOwnToken;
use super::page_operations::{forms, pages};
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
