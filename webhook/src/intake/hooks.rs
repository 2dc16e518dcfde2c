//! `POST /hooks/{forge}`: verified, matched, stored in one transaction, and only then accepted.

use crate::background::missed_pushes;
use crate::forges::{Event, Forge, Headers, Identity, Message, Proof, Signed, json_of};
use crate::http::auth::Address;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::rate_limit::Failure;
use crate::http::state::Service;
use crate::intake::accept::Accepting;
use crate::intake::catalog::Entry;
use crate::intake::check_requests;
use crate::intake::inbox::{self, Reservation};
use crate::intake::keys::Keys;
use crate::intake::known_ids::{ById, is_id_of};
use crate::intake::names::{Names, same_url};
use crate::rules::is_ref;
use crate::view::code::Code;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::Response;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;

/// Longest id of a delivery.
const MAX_ID: usize = 100;
/// Longest payload that is read where it arrived; others are read on a thread of their own.
const MAX_INLINE: usize = 256 * 1024;

/// Takes a delivery.
pub(crate) async fn take(
    State(service): State<Service>,
    Path(forge): Path<String>,
    Address(from): Address,
    headers: HeaderMap,
    content: Body,
) -> Result<Response, Problem> {
    let forge = Forge::parse(&forge).ok_or_else(|| {
        Problem::new(Code::UnknownForge, format!("`{forge}` is not a forge that deliveries are taken from"))
            .hint("there are github, gitea, forgejo, gogs, gitlab, bitbucket and generic")
    })?;
    let forge = forge.of(&headers);
    let form = is_form(&headers)?;
    body::check_length(&headers, body::MAX_BODY)?;
    forge.check(&headers).map_err(|name| {
        Problem::new(Code::DuplicateHeader, format!("the header {name} came twice: it says who sent what, once"))
    })?;
    let said = forge
        .headers(&headers)
        .map_err(|name| Problem::new(Code::MissingHeader, format!("the header {name} is missing")))?;
    if said.id.len() > MAX_ID || said.event.len() > MAX_ID {
        return Err(Problem::new(
            Code::InvalidHeader,
            format!("a delivery's id and event have at most {MAX_ID} characters"),
        ));
    }
    let entries = service.catalog.all(&service.database).await?;
    let refused = || refused(&service, forge, from);
    let known = service.known_ids.all(&service.database).await?;
    let keys = Keys { settings: &service.settings, forge, event: said.event };
    let proving = Proving { service: &service, from, proof: said.proof, form, entries: &entries, keys, known: &known };
    let (bytes, signed, _reservation) = proving.prove(&headers, content).await?.ok_or_else(refused)?;
    let message = read(forge, said.event, form, &bytes).await?;
    let named = named(&entries, &message, &signed, keys, &known, said.id);
    if named.is_empty() {
        return Err(refused());
    }
    for entry in &named {
        service.known_ids.note(&service.database, entry, forge, &message).await?;
    }
    check_refs(&message.event)?;
    let id = identity(&said, &bytes);
    let accepting = Accepting {
        service: &service,
        forge,
        id: &id,
        has_own_id: said.identity == Identity::Own,
        event: said.event,
        body: &bytes,
        is_replay: false,
    };
    match &message.event {
        Event::Check(request) => check_requests::take(&accepting, &named, &message.event, request).await,
        event => accepting.accept(&named, event).await,
    }
}

/// Accepts the body of an earlier delivery once more, under a new id.
pub(crate) async fn replay(
    service: &Service,
    delivery: &database::Delivery,
    id: &str,
    body: &Bytes,
) -> Result<Response, Problem> {
    let gone = || Problem::no_such_repository(&delivery.repository);
    let entry = service.catalog.get(&service.database, &delivery.repository).await?.ok_or_else(gone)?;
    // A missed push is stored in the form of a delivery of GitHub.
    let forge = if delivery.forge == missed_pushes::NAME { "github" } else { &delivery.forge };
    let forge = Forge::parse(forge).ok_or_else(gone)?;
    // A stored delivery was verified when it came; its first letter tells a form from JSON.
    let message = read(forge, &delivery.event, body.first() != Some(&b'{'), body).await?;
    let accepting = Accepting { service, forge, id, has_own_id: true, event: &delivery.event, body, is_replay: true };
    accepting.accept(&[&entry], &message.event).await
}

/// A delivery whose sender is to be proven.
struct Proving<'a> {
    service: &'a Service,
    from: IpAddr,
    proof: Proof<'a>,
    form: bool,
    entries: &'a [Arc<Entry>],
    keys: Keys<'a>,
    /// The ids that forges have for the repositories.
    known: &'a ById,
}

impl Proving<'_> {
    /// Receives the body and checks the proof; `None` if it is wrong. A body that proves nothing by itself is not kept.
    async fn prove(&self, headers: &HeaderMap, body: Body) -> Result<Option<(Bytes, Signed, Reservation)>, Problem> {
        let keys = |entry: &'_ Arc<Entry>| self.keys.of(entry);
        let inbox = &self.service.inbox;
        if let Proof::Signature(_) = self.proof
            && self.proof.signature().is_some()
        {
            let mut arrived = inbox.receive(self.from, headers, body).await?;
            let of = |names: &Names| {
                let is_meant = |entry: &&Arc<Entry>| {
                    names.may_mean(&entry.repository.forge_name, &entry.repository.clone_url)
                        || is_id_of(self.known, self.keys.forge, entry, |id| names.has_id(id))
                };
                let meant = self.entries.iter().filter(is_meant);
                meant.flat_map(keys).collect()
            };
            let Some(signed) = inbox.verify(&mut arrived, self.proof, self.form, of).await? else { return Ok(None) };
            let (bytes, reservation) = arrived.bytes().await?;
            return Ok(Some((bytes, signed, reservation)));
        }
        let all: Vec<String> = self.entries.iter().flat_map(keys).collect();
        let Some(signed) = self.proof.presented(all.iter().map(String::as_str)) else {
            inbox::drain(headers, body).await?;
            return Ok(None);
        };
        let (bytes, reservation) = inbox.receive(self.from, headers, body).await?.bytes().await?;
        Ok(Some((bytes, signed, reservation)))
    }
}

/// Reads a payload, after its sender is proven.
async fn read(forge: Forge, event: &str, form: bool, body: &Bytes) -> Result<Message, Problem> {
    let (event, body) = (event.to_owned(), body.clone());
    let length = body.len();
    let reading = move || {
        let json = json_of(&body, form)
            .ok_or_else(|| Problem::new(Code::BadJson, "the form does not have a field `payload`"))?;
        forge.read(&event, &json).map_err(|error| {
            Problem::new(Code::BadJson, format!("the payload is not what the event `{event}` carries: {error}"))
        })
    };
    if length <= MAX_INLINE {
        return reading();
    }
    let read = tokio::task::spawn_blocking(reading).await;
    read.unwrap_or_else(|_| Err(Problem::new(Code::BadJson, "the payload cannot be read")))
}

/// Returns the repositories that a delivery is for: all that the forge calls so and whose key made the proof; or, where it
/// calls none so, those that have the id.
///
/// A repository that is not built here and a signature by another one's key get the answer of a wrong signature.
fn named<'e>(
    entries: &'e [Arc<Entry>],
    message: &Message,
    signed: &Signed,
    keys: Keys<'_>,
    known: &ById,
    id: &str,
) -> Vec<&'e Entry> {
    let is_named = |entry: &&'e Arc<Entry>| {
        let name = message.repository.as_ref();
        let url = message.clone_url.as_ref();
        name.is_none_or(|name| entry.repository.forge_name.eq_ignore_ascii_case(name))
            && url.is_none_or(|url| same_url(url) == same_url(&entry.repository.clone_url))
    };
    let is_signed = |entry: &&'e Arc<Entry>| signed.signed_with(&keys.of(entry)).is_some();
    let mut meant: Vec<&Arc<Entry>> = entries.iter().filter(is_named).filter(is_signed).collect();
    if let Some(told) = message.repository_id.as_ref().filter(|_| meant.is_empty()) {
        let has_id = |entry: &&'e Arc<Entry>| is_id_of(known, keys.forge, entry, |id| id == told);
        meant = entries.iter().filter(has_id).filter(is_signed).collect();
    }
    let mut named = Vec::new();
    for entry in meant {
        let Some(key) = signed.signed_with(&keys.of(entry)) else { continue };
        if key > 0 {
            let repo = &entry.document.name;
            tracing::info!(repo, delivery = id, "a delivery was signed with the previous secret");
        }
        named.push(entry.as_ref());
        if message.repository.is_none() && message.clone_url.is_none() {
            // A ping names no repository and is answered once.
            break;
        }
    }
    named
}

/// Refuses refs that git has not: what is stored and shown of them is not to hold more than a name.
fn check_refs(event: &Event) -> Result<(), Problem> {
    let refs: Vec<&str> = match event {
        Event::Pushes(pushes) => pushes.iter().map(|push| push.git_ref.as_str()).collect(),
        Event::Pull(pull) => vec![&pull.pull.git_ref],
        Event::Ping | Event::Check(_) | Event::Other => Vec::new(),
    };
    let target = match event {
        Event::Pull(pull) => Some(format!("refs/heads/{}", pull.pull.target)),
        _ => None,
    };
    match refs.into_iter().chain(target.as_deref()).find(|git_ref| !is_ref(git_ref)) {
        Some(git_ref) => Err(Problem::new(Code::InvalidRef, format!("{git_ref:?} is not the full name of a ref"))),
        None => Ok(()),
    }
}

/// Returns what a delivery is known by: the forge's id where it is of this delivery alone, else what the body says as well.
fn identity(said: &Headers<'_>, body: &Bytes) -> String {
    let hash = || hex::encode(&Sha256::digest(body)[..16]);
    match said.identity {
        Identity::Own => said.id.to_owned(),
        Identity::Shared => format!("{}-{}", said.id, hash()),
        Identity::None => format!("body-{}", hash()),
    }
}

/// Counts a wrong proof, and returns the answer to it.
fn refused(service: &Service, forge: Forge, from: IpAddr) -> Problem {
    match service.limiter.failed(from, Failure::Signature) {
        None => {
            let detail = format!("{} is missing or wrong, or the repository is not built here", forge.proof_header());
            Problem::new(Code::BadSignature, detail)
        }
        Some(seconds) => {
            Problem::too_many(seconds, "too many deliveries with a wrong signature came from this address")
        }
    }
}

/// Tells whether the body is a form; anything but a form and JSON is refused.
fn is_form(headers: &HeaderMap) -> Result<bool, Problem> {
    let unsupported = |detail: &str| Err(Problem::new(Code::UnsupportedMediaType, detail));
    if headers.contains_key(header::CONTENT_ENCODING) {
        return unsupported("the body must not be compressed");
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    match kind.split(';').next().unwrap_or("").trim().to_ascii_lowercase().as_str() {
        "application/json" => Ok(false),
        "application/x-www-form-urlencoded" => Ok(true),
        _ => unsupported("set the webhook's content type to application/json"),
    }
}
