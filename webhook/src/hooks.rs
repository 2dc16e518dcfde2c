//! `POST /hooks/{forge}`: verified, matched, stored in one transaction, and only then accepted.

use crate::catalog::Entry;
use crate::following::{self, Following, pushed_ref};
use crate::forges::{Event, Forge, Push, Signed};
use crate::problem::Problem;
use crate::pulls;
use crate::reconcile;
use crate::requests::{first_line, listed};
use crate::{Service, body};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use database::{Accepted, BuildId, NewDelivery, Trigger};
use serde_json::json;

/// Longest id of a delivery.
const MAX_ID: usize = 100;

/// Takes a delivery.
pub async fn take(
    State(service): State<Service>,
    Path(forge): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let forge = Forge::parse(&forge).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_forge",
            format!("`{forge}` is no forge that deliveries are taken from"),
        )
        .hint("there are github, gitea, forgejo, gogs, gitlab and bitbucket")
    })?;
    let forge = forge.of(&headers);
    let form = is_form(&headers)?;
    let body = body::delivery(&headers, body).await?;
    let said = forge
        .headers(&headers)
        .map_err(|name| Problem::bad("missing_header", format!("the header {name} is missing")))?;
    if said.id.len() > MAX_ID || said.event.len() > MAX_ID {
        return Err(Problem::bad(
            "invalid_header",
            format!("a delivery's id and event have at most {MAX_ID} characters"),
        ));
    }
    let entries = service.catalog.all(&service.database).await?;
    let keys = entries.iter().flat_map(|entry| &entry.repository.keys).map(String::as_str);
    let refused = || refused(forge);
    let signed = Signed::verify(&body, said.proof, keys).ok_or_else(refused)?;
    let json = signed.json(form).ok_or_else(|| Problem::bad("bad_json", "the form has no field `payload`"))?;
    let message = forge.read(said.event, &json).map_err(|error| {
        Problem::bad("bad_json", format!("the payload is not what the event `{}` carries: {error}", said.event))
    })?;
    // A repository that is not built here and a signature by another one's key get the answer of a wrong signature.
    let is_named = |entry: &&std::sync::Arc<Entry>| match &message.repository {
        Some(name) => entry.repository.forge_name.eq_ignore_ascii_case(name),
        None => signed.signed_with(&entry.repository.keys).is_some(),
    };
    let named =
        entries.iter().filter(is_named).find_map(|entry| Some((entry, signed.signed_with(&entry.repository.keys)?)));
    let (entry, key) = named.ok_or_else(refused)?;
    if key > 0 {
        tracing::info!(
            repo = entry.document.name,
            delivery = said.id,
            "a delivery was signed with the previous secret"
        );
    }
    let accepting =
        Accepting { service: &service, entry, forge, id: said.id, event: said.event, body: &body, is_replay: false };
    accepting.accept(&message.event).await
}

/// Accepts the body of an earlier delivery once more, under a new id.
pub async fn replay(
    service: &Service,
    delivery: &database::Delivery,
    id: &str,
    body: &Bytes,
) -> Result<Response, Problem> {
    let gone = || Problem::no_such_repository(&delivery.repository);
    let entry = service.catalog.get(&service.database, &delivery.repository).await?.ok_or_else(gone)?;
    // A push that was found is written as GitHub would have told of it.
    let forge = if delivery.forge == reconcile::NAME { "github" } else { &delivery.forge };
    let forge = Forge::parse(forge).ok_or_else(gone)?;
    // What was stored was verified then; a form is told from JSON by its first letter.
    let json = match body.first() {
        Some(b'{') => body.to_vec(),
        _ => url::form_urlencoded::parse(body)
            .find(|(name, _)| name == "payload")
            .map(|(_, value)| value.into_owned().into_bytes())
            .unwrap_or_default(),
    };
    let message = forge.read(&delivery.event, &json).map_err(|error| Problem::bad("bad_json", error.to_string()))?;
    let accepting = Accepting { service, entry: &entry, forge, id, event: &delivery.event, body, is_replay: true };
    accepting.accept(&message.event).await
}

/// A verified delivery about to be stored.
struct Accepting<'a> {
    service: &'a Service,
    entry: &'a Entry,
    forge: Forge,
    id: &'a str,
    event: &'a str,
    body: &'a Bytes,
    is_replay: bool,
}

impl Accepting<'_> {
    async fn accept(&self, event: &Event) -> Result<Response, Problem> {
        let following = match event {
            Event::Ping => Following { ignored: Some("ping"), ..Following::default() },
            Event::Other => Following {
                ignored: Some("unknown_event"),
                explain: vec![format!("nothing is built for the event `{}`", self.event)],
                ..Following::default()
            },
            Event::Pushes(pushes) => self.follow(pushes),
            Event::Pull(pull) => {
                let (delivery, by) = (self.id.to_owned(), first_line(&pull.by));
                let trigger = Trigger::PullRequest { delivery, by, pull: Box::new(pull.pull.clone()) };
                pulls::of(&self.entry.repository, pull, trigger)
            }
        };
        self.store(following).await
    }

    /// Applies the rules to each push; only if none of them builds anything the delivery counts as ignored.
    fn follow(&self, pushes: &[Push]) -> Following {
        let mut all = Following::default();
        for push in pushes {
            let mut one = self.follow_one(push);
            all.builds.append(&mut one.builds);
            all.explain.append(&mut one.explain);
            all.lookup = all.lookup.or(one.lookup);
            all.ignored = all.ignored.or(one.ignored);
        }
        if let [push] = pushes {
            all.push = pushed_ref(push);
        }
        if pushes.is_empty() {
            all.ignored = Some("no_change");
        } else if !all.builds.is_empty() || all.lookup.is_some() {
            all.ignored = None;
        }
        all
    }

    fn follow_one(&self, push: &Push) -> Following {
        if let Some(marked) = following::marked(push).filter(|_| !self.is_replay) {
            return marked;
        }
        let trigger = Trigger::Push { delivery: self.id.to_owned(), by: first_line(&push.by) };
        following::of(&self.entry.repository, push, trigger)
    }

    async fn store(&self, following: Following) -> Result<Response, Problem> {
        let repo = &self.entry.document.name;
        let Following { builds, lookup, push, closed, ignored, explain } = following;
        let delivery = NewDelivery {
            forge: self.forge.as_str().to_owned(),
            delivery: self.id.to_owned(),
            event: self.event.to_owned(),
            repository: repo.clone(),
            body: self.body.to_vec(),
            ignored: ignored.map(str::to_owned),
            explain: explain.clone(),
            push,
            closed,
            is_replay: self.is_replay,
        };
        let accepted = self.service.database.accept(&delivery, &builds, lookup.as_ref()).await?;
        let (id, settings) = (self.id, &self.service.settings);
        self.service.counters.deliveries.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(match (accepted, ignored) {
            (Accepted::New(_), Some("ping")) => axum::Json(json!({ "pong": true, "repository": repo })).into_response(),
            (Accepted::New(_), Some(reason)) => {
                tracing::info!(repo, delivery = id, reason, "a delivery builds nothing");
                axum::Json(json!({ "delivery": id, "ignored": true, "reason": reason, "explain": explain }))
                    .into_response()
            }
            (Accepted::New(ids), None) => {
                tracing::info!(repo, delivery = id, builds = ids.len(), "a delivery was accepted");
                let mut answer = json!({
                    "delivery": id, "received": true, "builds": listed(&ids, &builds, settings), "explain": explain,
                });
                if lookup.is_some() {
                    answer["pending"] = "rules".into();
                }
                (StatusCode::ACCEPTED, axum::Json(answer)).into_response()
            }
            (Accepted::Duplicate(ids), _) => {
                let replay = self.is_of_another_delivery(ids.first()).await?;
                let builds = listed(&ids, &[], settings);
                axum::Json(json!({ "delivery": id, "duplicate": true, "replay": replay, "builds": builds }))
                    .into_response()
            }
            (Accepted::KeyReused, _) => {
                Problem::bad("delivery_reused", "this delivery id came before with another body").into_response()
            }
        })
    }
}

impl Accepting<'_> {
    /// Tells whether a build came from a delivery with another id: then the same body was sent again under a new one.
    async fn is_of_another_delivery(&self, build: Option<&BuildId>) -> Result<bool, Problem> {
        let Some(id) = build else { return Ok(false) };
        let build = self.service.database.build(id).await?;
        let trigger = build.map(|build| build.request.trigger);
        Ok(
            matches!(trigger, Some(Trigger::Push { delivery, .. } | Trigger::PullRequest { delivery, .. }) if delivery != self.id),
        )
    }
}

fn refused(forge: Forge) -> Problem {
    let detail = format!("{} is missing or wrong, or the repository is not built here", forge.proof_header());
    Problem::new(StatusCode::UNAUTHORIZED, "bad_signature", detail)
}

/// Tells whether the body is a form; anything but a form and JSON is refused.
fn is_form(headers: &HeaderMap) -> Result<bool, Problem> {
    let unsupported =
        |detail: &str| Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    if headers.contains_key(header::CONTENT_ENCODING) {
        return unsupported("the body must not be compressed");
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    match kind.split(';').next().unwrap_or("").trim() {
        "application/json" => Ok(false),
        "application/x-www-form-urlencoded" => Ok(true),
        _ => unsupported("set the webhook's content type to application/json"),
    }
}
