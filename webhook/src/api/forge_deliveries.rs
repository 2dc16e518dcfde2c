//! `/v1/repos/{namespace}/{name}/forge-deliveries`: what the forge says of the webhook and its deliveries, and deliveries that it
//! is asked to send again.

use super::named::Administered;
use crate::configuration::forges::ForgeSettings;
use crate::forges::{
    APP_HOOK, CallError, ForgeClient, Hook, HookLog, Purpose, Sent, app_faults, deliver_again, look, read_log,
    repository_id,
};
use crate::http::answer;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::catalog::Entry;
use crate::view::code::Code;
use crate::view::forge_delivery::{ForgeDeliveriesView, ForgeDeliveryView, NotRedelivered, RedeliveredView};
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;

/// Deliveries that are asked for at once.
const MAX_AT_ONCE: usize = 100;

/// Which deliveries are sent again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Redelivering {
    /// The forge's ids of deliveries; all that failed, if there are none.
    pub deliveries: Vec<String>,
}

/// Shows what the forge says.
pub(crate) async fn show(
    State(service): State<Service>,
    Administered { name }: Administered,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Ok(answer::document(&headers, &of_repository(&service, &name).await?))
}

/// Has the forge send deliveries again.
pub(crate) async fn redeliver(
    State(service): State<Service>,
    Administered { name }: Administered,
    headers: HeaderMap,
    body: Body,
) -> Result<axum::Json<RedeliveredView>, Problem> {
    let has_body =
        headers.get("content-length").is_some_and(|length| length != "0") || headers.contains_key("transfer-encoding");
    let wanted = match has_body {
        true => body::document::<Option<Redelivering>>(&headers, body).await?.0.unwrap_or_default(),
        false => Redelivering::default(),
    };
    Ok(axum::Json(sent_again(&service, &name, &wanted).await?))
}

/// Returns what the forge of a repository says.
pub(crate) async fn of_repository(service: &Service, name: &str) -> Result<ForgeDeliveriesView, Problem> {
    let entry = entry(service, name).await?;
    let asked = Asked::of(service, &entry)?;
    let told = asked.told().await.map_err(|error| asked.problem(&error))?;
    let failed = told.log.failed();
    let view = |sent: &Sent| ForgeDeliveryView {
        id: sent.id.clone(),
        event: sent.event.clone(),
        at: sent.at.clone(),
        answer: sent.answer.clone(),
        failed: failed.contains(sent.id.as_str()),
    };
    let limits = told.log.limits.map(str::to_owned);
    let forge = asked.forge;
    Ok(ForgeDeliveriesView {
        forge: forge.host.clone(),
        hook: told.hook.as_ref().map(|hook| hook.0.clone()),
        url: asked.url.clone(),
        faults: told.faults,
        sends_again: forge.kind.sends_again(),
        limits,
        deliveries: told.log.sent.iter().map(view).collect(),
    })
}

/// Has the forge of a repository send deliveries again, the oldest first.
pub(crate) async fn sent_again(
    service: &Service,
    name: &str,
    wanted: &Redelivering,
) -> Result<RedeliveredView, Problem> {
    let entry = entry(service, name).await?;
    let asked = Asked::of(service, &entry)?;
    if !asked.forge.kind.sends_again() {
        let detail = format!("the API of {} sends no delivery again", asked.forge.host);
        return Err(Problem::new(Code::NoRedelivery, detail)
            .hint("its pages may; pushes that no delivery announced are found by polls of the refs"));
    }
    let told = asked.told().await.map_err(|error| asked.problem(&error))?;
    let Some((_, path)) = &told.hook else {
        let detail = format!("{} has no webhook that delivers to {}", asked.forge.host, asked.url);
        return Err(Problem::new(Code::HookNotFound, detail).hint("`slipway repo connect` registers it"));
    };
    let meant = meant(&told.log, wanted)?;
    let client = asked.log_client().map_err(|error| asked.problem(&error))?;
    let (mut redelivered, mut refused) = (Vec::new(), Vec::new());
    let mut stopped: Option<String> = None;
    for id in meant {
        let answered = match &stopped {
            // It answers nobody now: the others would fare alike.
            Some(problem) => Err(problem.clone()),
            None => deliver_again(&client, path, &id).await.map_err(|error| {
                let problem = asked.masked(error.problem());
                stopped = matches!(error, CallError::Unavailable(..)).then(|| problem.clone());
                problem
            }),
        };
        match answered {
            Ok(()) => redelivered.push(id),
            Err(problem) => refused.push(NotRedelivered { id, problem }),
        }
    }
    let (forge, done, not) = (&asked.forge.host, redelivered.len(), refused.len());
    tracing::info!(repo = name, forge, redelivered = done, refused = not, "a forge was asked to deliver again");
    Ok(RedeliveredView { forge: forge.clone(), redelivered, refused })
}

/// Returns the ids of the deliveries that are meant, the oldest first.
fn meant(log: &HookLog, wanted: &Redelivering) -> Result<Vec<String>, Problem> {
    let failed = log.failed();
    let known = |id: &String| log.sent.iter().any(|sent| sent.id == *id);
    if let Some(unknown) = wanted.deliveries.iter().find(|id| !known(id)) {
        let detail = format!("the forge tells of no delivery {unknown:?} for this repository");
        return Err(Problem::new(Code::DeliveryNotFound, detail));
    }
    let is_meant = |sent: &&Sent| match wanted.deliveries.is_empty() {
        true => failed.contains(sent.id.as_str()),
        false => wanted.deliveries.contains(&sent.id),
    };
    Ok(log.sent.iter().rev().filter(is_meant).map(|sent| sent.id.clone()).take(MAX_AT_ONCE).collect())
}

async fn entry(service: &Service, name: &str) -> Result<std::sync::Arc<Entry>, Problem> {
    let entry = service.catalog.get(&service.database, name).await?;
    entry.ok_or_else(|| Problem::no_such_repository(name))
}

/// A forge that is asked about the webhook of a repository.
struct Asked<'a> {
    service: &'a Service,
    entry: &'a Entry,
    forge: &'a ForgeSettings,
    /// Where the webhook delivers to.
    url: String,
}

/// The answer of a forge about a webhook.
struct Told {
    /// Its id and its path; `None` if it is not there.
    hook: Option<(String, String)>,
    faults: Vec<String>,
    log: HookLog,
}

impl<'a> Asked<'a> {
    fn of(service: &'a Service, entry: &'a Entry) -> Result<Asked<'a>, Problem> {
        let forge = service.settings.forge_of(&entry.repository, None);
        let forge = forge.ok_or_else(|| super::connect::no_forge(&entry.repository))?;
        let url = format!("{}/hooks/{}", service.settings.public_url, forge.kind.hook_name());
        Ok(Asked { service, entry, forge, url })
    }

    /// Returns the client that reads and repeats deliveries: the App's own, where the forge has one.
    fn log_client(&self) -> Result<ForgeClient<'a>, CallError> {
        let exchanges = &self.service.exchanges;
        Ok(exchanges.client_as_app(self.forge)?.unwrap_or_else(|| exchanges.client(self.forge)))
    }

    async fn told(&self) -> Result<Told, CallError> {
        let client = self.log_client()?;
        let repository = &self.entry.repository.forge_name;
        if self.forge.app.get().is_some() {
            let faults = app_faults(&client, &self.url).await?;
            let reader = self.service.exchanges.client_for(self.forge, repository, Purpose::Clone).await?;
            let id = repository_id(&reader, repository).await?;
            let log = read_log(&client, APP_HOOK, Some(&id)).await?;
            return Ok(Told { hook: Some(("app".to_owned(), APP_HOOK.to_owned())), faults, log });
        }
        let hook = Hook { repository, url: &self.url, key: "" };
        let Some(known) = look(&client, &hook).await? else {
            let faults = vec!["the forge has no webhook that delivers here".to_owned()];
            return Ok(Told { hook: None, faults, log: HookLog { sent: Vec::new(), limits: None } });
        };
        let log = read_log(&client, &known.path, None).await?;
        Ok(Told { hook: Some((known.id, known.path)), faults: known.faults, log })
    }

    fn problem(&self, error: &CallError) -> Problem {
        let code = if let CallError::Refused(_) = error { Code::ForgeRefused } else { Code::ForgeUnavailable };
        Problem::new(code, format!("{}: {}", self.forge.host, self.masked(error.problem())))
    }

    /// Returns words of the forge without the keys of the repository.
    fn masked(&self, text: &str) -> String {
        self.entry.repository.keys.iter().fold(text.to_owned(), |text, key| text.replace(key.as_str(), "***"))
    }
}
