//! The page on which a login of the command line is confirmed.

use super::form::{Posted, hidden, see_other};
use super::page::{Live, Page};
use crate::api::query::query;
use crate::http::audit::Subject;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::rate_limit::Failure;
use crate::http::session;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::text::plain;
use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use database::DeviceLogin;
use maud::{Markup, html};
use serde::Deserialize;

/// The code that a link brings along.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CodeQuery {
    code: String,
}

/// Shows the login that a code is of, or asks for the code.
pub(crate) async fn show(
    State(service): State<Service>,
    caller: Caller,
    wanted: Result<Query<CodeQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let person = caller.require_person()?;
    let code = tidied(&query(wanted)?.code);
    let login = if code.is_empty() { None } else { found(&service, &caller, &code).await? };
    let proof = caller.session.as_deref().map(session::proof).unwrap_or_default();
    let content = html! {
        div.lone {
            h1 { "Confirm a command line" }
            @match &login {
                Some(login) => (question(login, &person.name, &proof)),
                None => {
                    @if !code.is_empty() {
                        p.notice.bad role="alert" { "No login waits with the code " (code) ": it has ended, or was confirmed before." }
                    }
                    form.stack action="/account/device" method="get" {
                        label for="code" { "The code that the program shows" }
                        input #code name="code" required autocomplete="off" spellcheck="false" autofocus;
                        button.first { "Continue" }
                    }
                }
            }
        }
    };
    Ok(Page { title: "Confirm a command line", part: "", viewer: Some(&caller), mark: None, live: Live::No }
        .around(&content))
}

fn question(login: &DeviceLogin, person: &str, proof: &str) -> Markup {
    html! {
        p { "A program on " b { (plain(login.name.as_bytes())) } ", at the address " b { (login.address) } ", wants to act as "
            b { (plain(person.as_bytes())) } ". Compare the code with the one that it shows:" }
        div.cmd { code { (login.user_code) } }
        p.notice.hold { "Confirm only what you have begun yourself: whoever asked gets a token with all your rights." }
        form action="/account/device" method="post" {
            (hidden(proof))
            input type="hidden" name="code" value=(login.user_code);
            button.first name="answer" value="confirm" { "Confirm" } " "
            button name="answer" value="refuse" { "Refuse" }
        }
    }
}

/// Confirms a login, or refuses it.
pub(crate) async fn answer(State(service): State<Service>, posted: Posted) -> Result<Response, Problem> {
    let person = posted.caller.require_person()?;
    let code = tidied(posted.fields.get("code"));
    let gone = || Problem::new(Code::DeviceGone, format!("no login waits with the code {code}: begin another one"));
    let login = found(&service, &posted.caller, &code).await?.ok_or_else(gone)?;
    let (is_done, word) = match posted.fields.get("answer") {
        "confirm" => (service.database.confirm_device_login(&code, person.id).await?, "confirmed"),
        _ => (service.database.refuse_device_login(&code).await?, "refused"),
    };
    if !is_done {
        return Err(gone());
    }
    Ok((Extension(Subject(format!("{word}: {}", login.name))), see_other("/account")).into_response())
}

/// Returns the login with a code; those who guess are stopped.
async fn found(service: &Service, caller: &Caller, code: &str) -> Result<Option<DeviceLogin>, Problem> {
    let login = service.database.device_login(code).await?;
    if login.is_none()
        && let Some(seconds) = service.limiter.failed(caller.address, Failure::Token)
    {
        return Err(Problem::too_many(seconds, "too many wrong codes came from this address"));
    }
    Ok(login)
}

/// Returns a code as it is stored, however somebody typed it.
fn tidied(text: &str) -> String {
    let letters: String = text.chars().filter(char::is_ascii_alphabetic).take(16).collect();
    let letters = letters.to_ascii_uppercase();
    match letters.split_at_checked(4) {
        Some((first, second)) if !second.is_empty() => format!("{first}-{second}"),
        _ => letters,
    }
}
