//! The settings of a repository: its document as it would stand in the server's file, and its secrets, which are written and
//! never shown.

use super::form::{Posted, button, see_other};
use super::page::{Live, Page, admit};
use super::repository_tabs::{Tab, tabs};
use crate::api::named::{Administered, Changeable, find};
use crate::api::{repositories, secrets};
use crate::configuration::document::{RepositoryDocument, from_toml};
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::catalog::Entry;
use crate::view::code::Code;
use crate::view::text::plain;
use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};

/// Shows the settings.
pub(crate) async fn show(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    caller: Caller,
) -> Result<Response, Problem> {
    admit(&caller)?;
    let entry = find(&service, &caller, &format!("{namespace}/{name}")).await?;
    caller.require(Scope::Admin, &entry.document.name)?;
    page(&service, &caller, &entry, None).await
}

/// Stores the document.
pub(crate) async fn save(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Problem> {
    let name = format!("{namespace}/{name}");
    let Changeable { present, .. } = Changeable::find(&service, &posted.caller, name.clone()).await?;
    let entry = present.ok_or_else(|| Problem::no_such_repository(&name))?;
    let text = posted.fields.get("document").replace("\r\n", "\n");
    let problem = match store(&service, &posted, &name, &text).await {
        Ok(()) => return Ok(see_other(&format!("/repos/{name}/settings"))),
        Err(problem) => problem,
    };
    let mut response = page(&service, &posted.caller, &entry, Some((&text, &problem))).await?;
    *response.status_mut() = problem.code().status();
    Ok(response)
}

async fn store(service: &Service, posted: &Posted, name: &str, text: &str) -> Result<(), Problem> {
    let document: RepositoryDocument =
        from_toml(text).map_err(|error| Problem::new(Code::InvalidRepository, error.to_string()))?;
    let version = posted.fields.get("version").parse().unwrap_or(0);
    repositories::replace(service, &posted.caller, document, name, version).await.map(drop)
}

/// Writes a secret.
pub(crate) async fn put_secret(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Problem> {
    let Administered { name } = Administered::find(&service, &posted.caller, format!("{namespace}/{name}")).await?;
    let value = posted.fields.get("value").replace("\r\n", "\n");
    secrets::write(&service, &name, posted.fields.get("name").trim(), value.as_bytes()).await?;
    Ok(see_other(&format!("/repos/{name}/settings#secrets")))
}

/// Removes a secret.
pub(crate) async fn remove_secret(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Problem> {
    let Administered { name } = Administered::find(&service, &posted.caller, format!("{namespace}/{name}")).await?;
    secrets::delete(&service, &name, posted.fields.get("name")).await?;
    Ok(see_other(&format!("/repos/{name}/settings#secrets")))
}

/// Removes the repository, if its name was written out.
pub(crate) async fn remove(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Problem> {
    let name = format!("{namespace}/{name}");
    let Changeable { present, .. } = Changeable::find(&service, &posted.caller, name.clone()).await?;
    present.ok_or_else(|| Problem::no_such_repository(&name))?;
    if posted.fields.get("name") != name {
        let detail = format!("the name that was written out is `{}`: `{name}` is expected", posted.fields.get("name"));
        return Err(Problem::new(Code::InvalidRepository, detail));
    }
    repositories::delete(&service, &name).await?;
    Ok(see_other("/repos"))
}

/// Returns the page; with a text that could not be stored and the reason.
async fn page(
    service: &Service,
    caller: &Caller,
    entry: &Entry,
    refused: Option<(&str, &Problem)>,
) -> Result<Response, Problem> {
    let name = &entry.document.name;
    let names = secrets::names(service, name).await?;
    let content = html! {
        div.head { h1 { (name) } }
        (tabs(caller, entry, Tab::Settings))
        @match entry.version {
            Some(version) => (document(caller, entry, version, refused)),
            None => {
                p.notice { "This repository is defined in the server's " code { "slipway.toml" } ": change it there." }
                pre.sunk tabindex="0" { (written(entry)) }
            }
        }
        h2 #secrets { "Secrets" }
        (secret_forms(caller, name, &names))
        @if entry.version.is_some() { (removal(caller, name)) }
    };
    let title = format!("Settings of {name}");
    Ok(Page { title: &title, part: "Repositories", viewer: Some(caller), mark: None, live: Live::No }.around(&content))
}

fn document(caller: &Caller, entry: &Entry, version: i64, refused: Option<(&str, &Problem)>) -> Markup {
    let text = refused.map_or_else(|| written(entry), |(text, _)| text.to_owned());
    let lines = text.lines().count().clamp(8, 40) + 2;
    let form = html! {
        label for="document" { "The same keys as under " code { "[[repositories]]" } " of the server's file; secrets stay as they are unless they are written." }
        textarea #document name="document" rows=(lines) spellcheck="false" autocomplete="off" aria-describedby=[refused.map(|_| "refused")] { "\n" (text) }
        input type="hidden" name="version" value=(version);
        button.first { "Save" }
    };
    html! {
        @if let Some((_, problem)) = refused { p.notice.bad #refused role="alert" { (plain(problem.detail().as_bytes())) "." } }
        div.stacked { (button(caller, &format!("/repos/{}/settings", entry.document.name), &form)) }
    }
}

fn written(entry: &Entry) -> String {
    toml::to_string(&entry.document).unwrap_or_default()
}

fn secret_forms(caller: &Caller, name: &str, names: &[String]) -> Markup {
    let fields = html! {
        label for="secret-name" { "Name" }
        input #secret-name name="name" required autocomplete="off" spellcheck="false";
        label for="secret-value" { "Value" }
        textarea #secret-value name="value" rows="2" required autocomplete="off" spellcheck="false" {}
        button { "Write" }
    };
    html! {
        p.hint { "Steps mount those that their rule names. Values are never shown; writing a name again replaces its value." }
        @if !names.is_empty() {
            table.cards {
                thead { tr { th { "Name" } th { span.vh { "Actions" } } } }
                tbody {
                    @for secret in names {
                        tr {
                            td { code { (plain(secret.as_bytes())) } }
                            td { (button(caller, &format!("/repos/{name}/secrets/remove"), &html! {
                                input type="hidden" name="name" value=(secret);
                                button aria-label=(format!("Remove the secret {secret}")) { "Remove" }
                            })) }
                        }
                    }
                }
            }
        }
        div.stacked { (button(caller, &format!("/repos/{name}/secrets"), &fields)) }
    }
}

fn removal(caller: &Caller, name: &str) -> Markup {
    let fields = html! {
        label for="remove-name" { "Its builds that wait are cancelled, and nothing is built any more. Write its name out to remove it." }
        input #remove-name name="name" placeholder=(name) required autocomplete="off" spellcheck="false";
        button { "Remove the repository" }
    };
    html! {
        details.facts { summary { "Remove" } div.stacked { (button(caller, &format!("/repos/{name}/remove"), &fields)) } }
    }
}
