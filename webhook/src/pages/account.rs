//! The page of somebody's own account: what they may, their sessions and their tokens.

use super::form::{Posted, hidden, see_other};
use super::moment::time;
use super::page::{Live, Page};
use crate::api::own_tokens::{self, NewOwnToken};
use crate::configuration::settings::Scope;
use crate::http::audit::Subject;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::session;
use crate::http::state::Service;
use crate::people::Rights;
use crate::view::person::MadeTokenView;
use crate::view::text::plain;
use crate::view::time::moment;
use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use database::{Identity, Session, TokenRecord, session_name};
use maud::{Markup, html};

/// Repositories that the page lists.
const MAX_LISTED: usize = 200;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Shows the page.
pub(crate) async fn show(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    page(&service, &caller, None).await
}

/// Makes a token, which the answer shows once.
pub(crate) async fn add_token(State(service): State<Service>, posted: Posted) -> Result<Response, Problem> {
    let person = posted.caller.require_person()?;
    let field = |name: &str| posted.fields.get(name).trim().to_owned();
    let days = field("days").parse::<i64>().ok().filter(|days| (1..=3650).contains(days));
    let expires_at = days.and_then(|days| moment(own_tokens::now_ms() + days * DAY_MS));
    let patterns = field("repositories");
    let patterns = patterns.split([',', ' ', '\n', '\r']).filter(|pattern| !pattern.is_empty());
    let repositories = patterns.map(str::to_owned).collect();
    let asked = NewOwnToken { name: field("name"), scope: field("scope"), repositories, expires_at };
    let made = own_tokens::make(&service, person, &asked).await?;
    let subject = Extension(Subject(made.record.full_name.clone()));
    Ok((subject, page(&service, &posted.caller, Some(&made)).await?).into_response())
}

/// Revokes a token.
pub(crate) async fn revoke_token(State(service): State<Service>, posted: Posted) -> Result<Response, Problem> {
    let person = posted.caller.require_person()?;
    let revoked = own_tokens::revoke(&service, person, posted.fields.get("token")).await?;
    Ok((Extension(Subject(revoked)), see_other("/account")).into_response())
}

/// Ends all sessions, this one too.
pub(crate) async fn end_sessions(State(service): State<Service>, posted: Posted) -> Result<Response, Problem> {
    let person = posted.caller.require_person()?;
    service.database.end_sessions_of(person.id, None).await?;
    Ok(see_other("/login"))
}

/// Ends a session.
pub(crate) async fn end_session(
    State(service): State<Service>,
    Path(name): Path<String>,
    posted: Posted,
) -> Result<Response, Problem> {
    own_tokens::end_one(&service, posted.caller.require_person()?, &name).await?;
    Ok(see_other("/account"))
}

async fn page(service: &Service, caller: &Caller, made: Option<&MadeTokenView>) -> Result<Response, Problem> {
    let person = caller.require_person()?;
    let database = &service.database;
    let (sessions, tokens) = (database.sessions_of(person.id).await?, database.tokens_of(person.id).await?);
    let rights = service.rights(person).await?;
    let proof = caller.session.as_deref().map(session::proof).unwrap_or_default();
    let current = caller.session.as_deref().map(session_name);
    let content = html! {
        div.head { h1 { (plain(person.name.as_bytes())) } }
        @if let Some(made) = made {
            div.notice.ok role="status" {
                p { "The token " b { (made.record.name) } ", shown now and never again:" }
                div.cmd { code { (made.token) } }
            }
        }
        (may(person, &rights))
        (sessions_of(&sessions, current.as_deref(), &proof))
        (tokens_of(&tokens, &proof))
    };
    Ok(Page { title: "Account", part: "", viewer: Some(caller), mark: None, live: Live::No }.around(&content))
}

fn may(person: &Identity, rights: &Rights) -> Markup {
    html! {
        h2 { "Rights" }
        @match rights {
            Rights::Everything => p { "You administer this server." },
            Rights::In(grants) if grants.is_empty() => {
                p.empty { "No repository here is one that " (plain(person.provider.as_bytes())) " lets you read." }
            }
            Rights::In(grants) => {
                table.cards {
                    thead { tr { th { "Repository" } th { "You may" } } }
                    tbody {
                        @for (name, scope) in grants.iter().take(MAX_LISTED) {
                            tr { td { a href=(format!("/repos/{name}")) { (plain(name.as_bytes())) } } td { (said(*scope)) } }
                        }
                    }
                }
                @if grants.len() > MAX_LISTED { p.hint { "and " (grants.len() - MAX_LISTED) " more" } }
            }
        }
    }
}

fn said(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "see builds",
        Scope::Trigger => "start, cancel, retry and approve builds",
        Scope::Admin => "change settings and secrets",
    }
}

fn sessions_of(sessions: &[Session], current: Option<&str>, proof: &str) -> Markup {
    html! {
        div.head {
            h2 { "Sessions" }
            form action="/account/sessions/end" method="post" { (hidden(proof)) button { "Sign out everywhere" } }
        }
        table.cards {
            thead { tr { th { "Browser" } th { "Address" } th.num { "Signed in" } th.num { "Ends" } th {} } }
            tbody {
                @for session in sessions {
                    tr {
                        td.wide { (plain(session.browser.as_bytes())) @if current == Some(session.name.as_str()) { " " b { "this one" } } }
                        td { (session.address) }
                        td.num { (time(session.created_ms)) }
                        td.num { (time(session.expires_ms)) }
                        td {
                            form action=(format!("/account/sessions/{}/end", session.name)) method="post" {
                                (hidden(proof)) button { "Sign out" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn tokens_of(tokens: &[TokenRecord], proof: &str) -> Markup {
    html! {
        h2 { "Tokens" }
        @if tokens.is_empty() { p.empty { "There are none. A token lets a program do what you may, or less." } }
        @else {
            table.cards {
                thead { tr { th { "Token" } th { "Scope" } th { "Repositories" } th.num { "Ends" } th.num { "Last used" } th {} } }
                tbody {
                    @for token in tokens {
                        tr {
                            td { (plain(token.name.rsplit('/').next().unwrap_or_default().as_bytes())) }
                            td { (token.scopes.join(" ")) }
                            td.wide { @if token.repositories.is_empty() { "all that you see" } @else { (token.repositories.join(" ")) } }
                            td.num { @if let Some(end) = token.expires_ms { (time(end)) } @else { "never" } }
                            td.num { @if let Some(used) = token.last_used_ms { (time(used)) } @else { "never" } }
                            td {
                                form action="/account/tokens/revoke" method="post" {
                                    (hidden(proof)) input type="hidden" name="token" value=(token.name); button { "Revoke" }
                                }
                            }
                        }
                    }
                }
            }
        }
        form.stack action="/account/tokens" method="post" {
            (hidden(proof))
            label for="token-name" { "Name of a new token" }
            input #token-name name="name" required maxlength="64" autocomplete="off" spellcheck="false";
            label for="token-scope" { "Scope" }
            select #token-scope name="scope" {
                option value="read" { "read: sees builds" }
                option value="trigger" { "trigger: starts them" }
                option value="admin" { "admin: changes settings" }
            }
            label for="token-repositories" { "Repositories, such as team/*; all that you see, if empty" }
            input #token-repositories name="repositories" autocomplete="off" spellcheck="false";
            label for="token-days" { "Days until it ends; it stays, if empty" }
            input #token-days name="days" inputmode="numeric" value="90" autocomplete="off";
            button { "Make a token" }
        }
    }
}
