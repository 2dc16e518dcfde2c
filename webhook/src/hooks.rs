//! `POST /hooks/github`: verified, matched, stored in one transaction, and only then accepted.

use crate::Service;
use crate::github::{AnyEvent, Delivery, Push};
use crate::problem::Problem;
use crate::requests::{Asked, listed, requests};
use crate::settings::Repository;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use database::{Accepted, BuildRequest, NewDelivery, PushedRef, Trigger};
use futures::StreamExt;
use serde_json::json;

/// Largest body that is taken: GitHub sends no larger ones.
const MAX_BODY: usize = 25 * 1024 * 1024;
/// Longest id of a delivery.
const MAX_ID: usize = 100;

/// Takes a delivery.
pub async fn github(State(service): State<Service>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let form = is_form(&headers)?;
    let body = whole_body(&headers, body).await?;
    let event =
        text(&headers, "x-github-event").ok_or_else(|| bad("missing_event", "the header X-GitHub-Event is missing"))?;
    let id = text(&headers, "x-github-delivery").filter(|id| !id.is_empty() && id.len() <= MAX_ID);
    let id = id.ok_or_else(|| bad("missing_delivery", "the header X-GitHub-Delivery is missing"))?;
    let repositories = &service.settings.repositories;
    let secrets = repositories.iter().flat_map(|repository| &repository.secrets).map(String::as_str);
    let delivery = Delivery::verify(&body, text(&headers, "x-hub-signature-256"), secrets).ok_or_else(refused)?;
    let json = delivery.json(form).ok_or_else(|| bad("bad_json", "the form has no field `payload`"))?;
    let parsed: AnyEvent = parse(&json)?;
    // A repository that is not built here and a signature by another one's secret get the answer of a wrong signature.
    let named = parsed.repository.and_then(|name| {
        repositories.iter().find(|repository| repository.forge_name.eq_ignore_ascii_case(&name.full_name))
    });
    let repository = named.filter(|repository| delivery.signed_with(&repository.secrets)).ok_or_else(refused)?;
    let accepting = Accepting { service: &service, repository, id, event, body: &body };
    match event {
        "ping" => accepting.ignored("ping", Vec::new()).await,
        "push" => accepting.push(&parse::<Push>(&json)?).await,
        _ => accepting.ignored("unknown_event", vec![format!("nothing is built for the event `{event}`")]).await,
    }
}

/// A verified delivery about to be stored.
struct Accepting<'a> {
    service: &'a Service,
    repository: &'a Repository,
    id: &'a str,
    event: &'a str,
    body: &'a Bytes,
}

impl Accepting<'_> {
    async fn push(&self, push: &Push) -> Result<Response, Problem> {
        let Some(commit) = push.commit().filter(|_| !push.deleted) else {
            return self.ignored("ref_deleted", vec![format!("`{}` was deleted", push.git_ref)]).await;
        };
        let by = push.pusher.as_ref().map(|pusher| pusher.name.clone()).unwrap_or_default();
        let asked = Asked {
            git_ref: &push.git_ref,
            commit: Some(commit),
            message: push.message(),
            trigger: Trigger::Push { delivery: self.id.to_owned(), by },
            by_hand: false,
        };
        let requested = requests(self.repository, &asked, None);
        if requested.builds.is_empty() {
            return self.ignored("no_rule_matched", requested.explain).await;
        }
        let pushed = PushedRef {
            git_ref: push.git_ref.clone(),
            before: push.before().map(str::to_owned),
            after: commit.to_owned(),
        };
        self.store((None, Vec::new()), Some(pushed), &requested.builds).await
    }

    async fn ignored(&self, reason: &str, explain: Vec<String>) -> Result<Response, Problem> {
        self.store((Some(reason), explain), None, &[]).await
    }

    async fn store(
        &self,
        (ignored, explain): (Option<&str>, Vec<String>),
        push: Option<PushedRef>,
        builds: &[BuildRequest],
    ) -> Result<Response, Problem> {
        let delivery = NewDelivery {
            forge: "github".to_owned(),
            delivery: self.id.to_owned(),
            event: self.event.to_owned(),
            repository: self.repository.name.clone(),
            body: self.body.to_vec(),
            ignored: ignored.map(str::to_owned),
            explain: explain.clone(),
            push,
            is_replay: false,
        };
        let accepted = self.service.database.accept(&delivery, builds, None).await?;
        let settings = &self.service.settings;
        let repo = &self.repository.name;
        Ok(match (accepted, ignored) {
            (Accepted::New(_), Some("ping")) => axum::Json(json!({ "pong": true, "repository": repo })).into_response(),
            (Accepted::New(_), Some(reason)) => {
                tracing::info!(repo, delivery = self.id, reason, "a delivery builds nothing");
                axum::Json(json!({ "delivery": self.id, "ignored": true, "reason": reason, "explain": explain }))
                    .into_response()
            }
            (Accepted::New(ids), None) => {
                tracing::info!(repo, delivery = self.id, builds = ids.len(), "a delivery was accepted");
                let answer = json!({ "delivery": self.id, "received": true, "builds": listed(&ids, builds, settings) });
                (StatusCode::ACCEPTED, axum::Json(answer)).into_response()
            }
            (Accepted::Duplicate(ids), _) => {
                axum::Json(json!({ "delivery": self.id, "duplicate": true, "builds": listed(&ids, &[], settings) }))
                    .into_response()
            }
            (Accepted::KeyReused, _) => {
                bad("delivery_reused", "this delivery id came before with another body").into_response()
            }
        })
    }
}

fn refused() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "bad_signature",
        "the signature in X-Hub-Signature-256 is missing or wrong, or the repository is not built here",
    )
}

fn bad(code: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, code, detail)
}

fn parse<T: for<'d> serde::Deserialize<'d>>(json: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(json)
        .map_err(|error| bad("bad_json", format!("the payload is not what this event carries: {error}")))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// Tells whether the body is a form; anything but a form and JSON is refused.
fn is_form(headers: &HeaderMap) -> Result<bool, Problem> {
    let unsupported =
        |detail: &str| Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    if headers.contains_key(header::CONTENT_ENCODING) {
        return unsupported("the body must not be compressed");
    }
    let kind = text(headers, "content-type").unwrap_or("").split(';').next().unwrap_or("").trim();
    match kind {
        "application/json" => Ok(false),
        "application/x-www-form-urlencoded" => Ok(true),
        _ => unsupported("set the webhook's content type to application/json"),
    }
}

/// Reads the body, and not more of it than is taken.
pub async fn whole_body(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let too_large =
        || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", format!("at most {MAX_BODY} bytes are taken"));
    let announced = text(headers, "content-length").and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    let mut stream = body.into_data_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| {
            Problem::new(StatusCode::REQUEST_TIMEOUT, "body_incomplete", "the body did not arrive in time")
        })?;
        if whole.len() + chunk.len() > MAX_BODY {
            return Err(too_large());
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}
