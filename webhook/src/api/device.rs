//! `/v1/device`: the login of the command line (RFC 8628). A program shows a code, somebody confirms it on a page, and the
//! program gets a token of theirs.

use super::own_tokens::{NewOwnToken, make, now_ms};
use crate::configuration::document::check_part;
use crate::http::auth::Address;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::rate_limit::Failure;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::person::DeviceView;
use crate::view::time::moment;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use database::{DeviceLogin, DeviceState};
use schemars::JsonSchema;
use serde::Deserialize;

/// Letters of a code: none that spell words or look like others.
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// Letters of each half of a code.
const HALF: usize = 4;
/// Seconds that a login waits for its confirmation.
const WAIT_SECONDS: i64 = 600;
/// Seconds between two questions.
const INTERVAL_SECONDS: i64 = 2;
/// Days that the token is good.
const TOKEN_DAYS: i64 = 90;

/// A program that asks for a login.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewDevice {
    /// Name of the machine, which becomes a part of the token's.
    name: String,
}

/// A program that asks for its token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceQuestion {
    /// The secret that it was given.
    device_code: String,
}

/// Begins a login.
pub(crate) async fn begin(
    State(service): State<Service>,
    Address(address): Address,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    if let Some(seconds) = service.limiter.failed(address, Failure::Device) {
        return Err(Problem::too_many(seconds, "too many logins were begun from this address"));
    }
    let (asked, _) = body::small_document::<NewDevice>(&headers, body).await?;
    check_part("machine", &asked.name).map_err(|problem| Problem::new(Code::InvalidToken, problem))?;
    let (Some(device_code), Some(user_code)) = (crate::http::session::new_flow(), user_code()) else {
        return Err(Problem::database_unavailable());
    };
    let login = DeviceLogin { user_code: user_code.clone(), name: asked.name, address: address.to_string() };
    if !service.database.add_device_login(&device_code, &login, WAIT_SECONDS * 1000).await? {
        return Err(Problem::too_many(60, "too many logins wait for their confirmation"));
    }
    let page = format!("{}/account/device", service.settings.public_url);
    let view = DeviceView {
        device_code,
        verification_uri_complete: format!("{page}?code={user_code}"),
        verification_uri: page,
        user_code,
        expires_in: WAIT_SECONDS,
        interval: INTERVAL_SECONDS,
    };
    Ok((StatusCode::OK, [(header::CACHE_CONTROL, "no-store")], axum::Json(view)).into_response())
}

/// Gives a program its token, once somebody has confirmed the code.
pub(crate) async fn token(
    State(service): State<Service>,
    Address(address): Address,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (asked, _) = body::small_document::<DeviceQuestion>(&headers, body).await?;
    let gone =
        || Problem::new(Code::DeviceGone, "nobody confirmed the login in time, or it was refused: begin another one");
    match service.database.take_device_login(&asked.device_code).await? {
        DeviceState::Waiting => Err(Problem::new(Code::DeviceWaiting, "nobody has confirmed the login yet")),
        DeviceState::Gone => match service.limiter.failed(address, Failure::Token) {
            Some(seconds) => {
                Err(Problem::too_many(seconds, "too many unknown logins were asked for from this address"))
            }
            None => Err(gone()),
        },
        DeviceState::Confirmed(identity, name) => {
            let owner = service.database.identity(identity).await?.ok_or_else(gone)?;
            let expires = now_ms() + TOKEN_DAYS * 24 * 60 * 60 * 1000;
            let (scope, expires_at) = ("admin".to_owned(), moment(expires));
            let name = format!("{name}-{}", now_ms() / 1000);
            let asked = NewOwnToken { name, scope, repositories: Vec::new(), expires_at };
            let made = make(&service, &owner, &asked).await?;
            service.record(&owner.name, address, "token_made", "", &made.record.full_name).await;
            Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], axum::Json(made)).into_response())
        }
    }
}

/// Makes a code; `None` if the machine gives no randomness.
fn user_code() -> Option<String> {
    let digits = crate::http::session::new_flow()?;
    // Two bytes for each letter: what the division leaves over favours none noticeably.
    let letter = |at: usize| {
        let number = usize::from_str_radix(digits.get(at * 4..at * 4 + 4)?, 16).ok()?;
        Some(char::from(LETTERS[number % LETTERS.len()]))
    };
    let first: Option<String> = (0..HALF).map(letter).collect();
    let second: Option<String> = (HALF..2 * HALF).map(letter).collect();
    Some(format!("{}-{}", first?, second?))
}
