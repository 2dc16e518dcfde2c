//! `POST /v1/repos/{namespace}/{name}/builds`: a build without a push.

use crate::access::require;
use crate::hooks::whole_body;
use crate::problem::Problem;
use crate::requests::{Asked, Requested, requests};
use crate::settings::{Repository, Scope};
use crate::{Service, builds};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use database::{Accepted, IdempotencyKey, Trigger};
use serde::Deserialize;
use serde_json::json;

/// Longest key.
const MAX_KEY: usize = 255;

/// What may be asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asking {
    /// Branch or tag, short or full name.
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    /// Full hash; the newest of the ref if it is not given.
    commit: Option<String>,
    /// Only the rule of this name.
    rule: Option<String>,
}

/// Queues builds for a ref or commit.
pub async fn trigger(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let name = format!("{namespace}/{name}");
    let token = require(&service, &headers, (Scope::Trigger, &name))?;
    let repository = service.settings.repository(&name);
    let repository = repository.ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "repository_not_found", format!("`{name}` is not built here"))
    })?;
    let body = whole_body(&headers, body).await?;
    let invalid = |code, detail: String| Problem::new(StatusCode::BAD_REQUEST, code, detail);
    let asking: Asking = if body.is_empty() {
        Asking::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| invalid("bad_json", format!("the body: {error}")))?
    };
    if let Some(commit) = &asking.commit
        && !(commit.len() == 40 && commit.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
    {
        return Err(invalid("invalid_commit", format!("`{commit}` is no commit: 40 hexadecimal digits are expected")));
    }
    let trigger = Trigger::Manual { by: token.name.clone() };
    let requested = ask(repository, &asking, &trigger)?;
    if requested.builds.is_empty() {
        let problem =
            Problem::new(StatusCode::CONFLICT, "no_rule_matched", "no rule of the repository builds this ref");
        return Err(problem.explained(requested.explain));
    }
    let key = idempotency_key(&headers, &name, &body)?;
    match service.database.trigger(key.as_ref(), &requested.builds).await? {
        Accepted::New(ids) => answer(&service, &ids, StatusCode::ACCEPTED).await,
        Accepted::Duplicate(ids) => {
            let mut response = answer(&service, &ids, StatusCode::OK).await?;
            response
                .headers_mut()
                .insert(HeaderName::from_static("idempotent-replay"), HeaderValue::from_static("true"));
            Ok(response)
        }
        Accepted::KeyReused => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "this Idempotency-Key came before with another body",
        )),
    }
}

/// Applies the rules to what was asked for; a short name is a branch first and a tag second.
fn ask(repository: &Repository, asking: &Asking, trigger: &Trigger) -> Result<Requested, Problem> {
    let name = match (&asking.git_ref, &asking.commit) {
        (Some(name), _) => name.clone(),
        (None, None) => "main".to_owned(),
        (None, Some(_)) => {
            return Err(Problem::new(
                StatusCode::BAD_REQUEST,
                "missing_ref",
                "say with `ref` which branch or tag the commit is built for",
            ));
        }
    };
    let valid = !name.is_empty()
        && name.len() <= 255
        && !name.contains("..")
        && !name.starts_with('-')
        && !name.chars().any(|char| char.is_control() || " ~^:?*[\\".contains(char));
    if !valid {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_ref",
            format!("`{name}` is no name of a branch or tag"),
        ));
    }
    let candidates = if name.starts_with("refs/") {
        vec![name]
    } else {
        vec![format!("refs/heads/{name}"), format!("refs/tags/{name}")]
    };
    let mut explain = Vec::new();
    for git_ref in candidates {
        let (commit, message) = (asking.commit.as_deref(), String::new());
        let asked = Asked { git_ref: &git_ref, commit, message, trigger: trigger.clone(), by_hand: true };
        let requested = requests(repository, &asked, asking.rule.as_deref());
        if !requested.builds.is_empty() {
            return Ok(requested);
        }
        explain.extend(requested.explain);
    }
    if let Some(rule) = asking.rule.as_ref().filter(|rule| !repository.rules.iter().any(|known| known.name == **rule)) {
        explain.push(format!("there is no rule `{rule}`"));
    }
    Ok(Requested { builds: Vec::new(), explain })
}

fn idempotency_key(headers: &HeaderMap, repository: &str, body: &[u8]) -> Result<Option<IdempotencyKey>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= MAX_KEY);
    let key = key.ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", "a key has 1 to 255 visible characters")
    })?;
    Ok(Some(IdempotencyKey { repository: repository.to_owned(), key: key.to_owned(), body: body.to_vec() }))
}

async fn answer(service: &Service, ids: &[database::BuildId], status: StatusCode) -> Result<Response, Problem> {
    let mut shown = Vec::new();
    for id in ids {
        if let Some(build) = service.database.build(id).await? {
            shown.push(builds::summary(&build, &service.settings));
        }
    }
    let location = ids.first().map(|id| format!("/v1/builds/{}", id.as_str())).unwrap_or_default();
    Ok((status, [(header::LOCATION, location)], axum::Json(json!({ "builds": shown }))).into_response())
}
