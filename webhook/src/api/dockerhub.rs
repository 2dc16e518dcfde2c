//! Docker Hub's trigger URLs: the token stands in the path, the body says which rules. Only the host changes for those who
//! come from there; other than there, the answer says what was queued and why nothing was.

use crate::api::triggers::{self, Once, TriggerRequest, ask, every_rule, store};
use crate::configuration::settings::{Repository, Scope};
use crate::http::auth::{Caller, find};
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::build_requests::Requested;
use crate::view::code::Code;
use crate::view::trigger::{HubBuildView, HubTriggerView};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use database::Trigger;
use serde::Deserialize;
use std::time::Instant;

/// The body, as JSON or as a form.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HubTrigger {
    build: Option<serde_json::Value>,
    docker_tag: Option<String>,
    source_type: Option<String>,
    source_name: Option<String>,
}

/// Queues builds.
pub(crate) async fn trigger(
    State(service): State<Service>,
    Path((namespace, name, token)): Path<(String, String, String)>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let name = format!("{namespace}/{name}");
    let known = find(&service, &token).await?.filter(|token| token.allows(Scope::Trigger, Some(&name)));
    let Some(token) = known else {
        // A wrong token is counted, and looks like a repository that is not there.
        let problem = service.refuse(caller.address);
        return Err(if problem.code() == Code::Unauthorized { Problem::no_such_repository(&name) } else { problem });
    };
    let entry =
        service.catalog.get(&service.database, &name).await?.ok_or_else(|| Problem::no_such_repository(&name))?;
    let asked = read(&headers, body).await?;
    let requested = requested(&service, &entry.repository, &asked, &token.name).await?;
    if requested.builds.is_empty() {
        let problem = Problem::new(Code::NoRuleMatched, "no rule of the repository builds this");
        return Err(problem.explained(requested.explain));
    }
    let stored = store(&service, Once::No, &requested.builds, Instant::now()).await?;
    service.record(&token.name, caller.address, "build_triggered", &name, "").await;
    let location = stored.headers().get(header::LOCATION).cloned();
    let builds = requested.builds.iter().map(|build| HubBuildView {
        rule: build.rule.clone(),
        git_ref: build.spec.git_ref.clone(),
        tags: build.spec.shown_tags(),
    });
    let queued =
        HubTriggerView { state: "Queued".to_owned(), builds: builds.collect(), explain: requested.explain.clone() };
    let mut response = (StatusCode::ACCEPTED, axum::Json(queued)).into_response();
    if let Some(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn requested(
    service: &Service,
    repository: &Repository,
    asked: &HubTrigger,
    by: &str,
) -> Result<Requested, Problem> {
    let trigger = Trigger::Manual { by: by.to_owned() };
    let request = TriggerRequest::for_ref(asked.git_ref()?);
    let read = match repository.own_rules {
        None => None,
        Some(_) => {
            let read = triggers::own::read(service, repository, &request).await?;
            Some(read.ok_or_else(|| triggers::own::no_worker(repository))?)
        }
    };
    let repository = read.as_ref().map_or(repository, |read| &read.repository);
    if request.names_no_ref() {
        let mut all = every_rule(repository, &request, &trigger)?;
        if let Some(tag) = &asked.docker_tag {
            // The rules whose tag it is.
            let is_wanted = |full: &String| full.rsplit_once(':').is_some_and(|(_, name)| name == tag);
            all.builds.retain(|build| build.spec.tags.iter().any(is_wanted));
        }
        return Ok(all);
    }
    match &read {
        Some(read) => ask(repository, &request.at(read), by),
        None => ask(repository, &request, by),
    }
}

impl HubTrigger {
    /// Returns the ref that is named; `None` for all rules, or those of a tag.
    fn git_ref(&self) -> Result<Option<String>, Problem> {
        match (&self.docker_tag, &self.source_type, &self.source_name) {
            _ if self.build.as_ref().is_some_and(|build| *build != true && *build != "true") => {
                let detail = "`build` is true, or is left out";
                Err(Problem::new(Code::BadTrigger, detail).hint("an empty body asks for all rules"))
            }
            (Some(_), None, None) | (None, None, None) => Ok(None),
            (None, Some(kind), Some(name)) if kind.eq_ignore_ascii_case("branch") => {
                Ok(Some(format!("refs/heads/{name}")))
            }
            (None, Some(kind), Some(name)) if kind.eq_ignore_ascii_case("tag") => Ok(Some(format!("refs/tags/{name}"))),
            _ => {
                let detail = "the body names neither a docker_tag nor a source_type and source_name";
                let hint = "source_type is Branch or Tag; an empty body asks for all rules";
                Err(Problem::new(Code::BadTrigger, detail).hint(hint))
            }
        }
    }
}

/// Reads JSON or a form; nothing asks for everything.
async fn read(headers: &HeaderMap, body: Body) -> Result<HubTrigger, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Ok(body::small_document(headers, body).await?.0);
    }
    let bytes = body::form(headers, body).await?;
    // curl declares a body to be a form by default.
    if bytes.first() == Some(&b'{') {
        return Ok(crate::configuration::document::from_json(&bytes)?);
    }
    let fields =
        url::form_urlencoded::parse(&bytes).map(|(name, value)| (name.into_owned(), value.into_owned().into()));
    let object = serde_json::Value::Object(fields.collect());
    Ok(crate::configuration::document::from_json(object.to_string().as_bytes())?)
}
