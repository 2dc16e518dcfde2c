//! The token endpoint, as docker and containerd ask it: a login or none, scopes, refresh tokens.

use crate::access::{Access, CATALOG, PasswordLogin, password_login};
use crate::accounts::Accounts;
use crate::bearer::{Access as Granted, Claims, LIFETIME, now};
use crate::error::Failure;
use crate::query::{form_values, parameter};
use crate::rights::{Action, Caller};
use crate::server::Registry;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

/// Largest form.
const MAX_FORM: usize = 64 * 1024;
/// Most repositories of one token.
const MAX_SCOPES: usize = 50;
/// How long a refresh token is good, in milliseconds.
const REFRESH_MS: i64 = 90 * 24 * 60 * 60 * 1000;

/// A request for a token.
#[derive(Default)]
struct Asked {
    scopes: Vec<String>,
    /// Whether a refresh token is wanted, too.
    is_offline: bool,
    /// The refresh token that was used.
    refresh_token: Option<String>,
}

/// Gives out a token.
pub(crate) async fn issue(registry: &Registry, address: &str, request: Request<Body>) -> Result<Response, Failure> {
    let Access::Accounts(accounts) = &registry.settings.access else {
        return Err(Failure::not_found("this registry is open: it needs no tokens"));
    };
    let (asked, caller) = match *request.method() {
        Method::GET => by_query(registry, accounts, address, request).await?,
        Method::POST => by_form(registry, accounts, address, request).await?,
        _ => return Err(Failure::unsupported()),
    };
    let access: Vec<Granted> = asked.scopes.iter().filter_map(|scope| granted(registry, &caller, scope)).collect();
    let mut scope: Vec<String> =
        access.iter().map(|access| format!("repository:{}:{}", access.name, access.actions.join(","))).collect();
    let catalog = caller.may_read_something() && asked.scopes.iter().any(|scope| scope == CATALOG);
    scope.extend(catalog.then(|| CATALOG.to_owned()));
    let claims = Claims {
        account: caller.name.clone(),
        login: caller.login.clone(),
        expires: now() + LIFETIME,
        access,
        catalog,
    };
    let token = claims.sign(&registry.store);
    let mut answer = Map::new();
    answer.insert("token".to_owned(), token.clone().into());
    answer.insert("access_token".to_owned(), token.into());
    answer.insert("expires_in".to_owned(), LIFETIME.into());
    answer.insert("scope".to_owned(), scope.join(" ").into());
    if asked.is_offline && !caller.name.is_empty() {
        let refresh = match asked.refresh_token {
            Some(refresh) => refresh,
            None => accounts.database().add_refresh_token(&caller.name, &caller.login, REFRESH_MS).await?,
        };
        answer.insert("refresh_token".to_owned(), refresh.into());
    }
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(Value::Object(answer))).into_response())
}

async fn by_query(
    registry: &Registry,
    accounts: &Accounts,
    address: &str,
    request: Request<Body>,
) -> Result<(Asked, Caller), Failure> {
    let query = request.uri().query().unwrap_or_default();
    let is_offline = parameter(request.uri(), "offline_token").as_deref() == Some("true");
    let asked = Asked { scopes: scopes(query)?, is_offline, refresh_token: None };
    let caller = match login(request.headers())? {
        Some(login) => accounts.log_in(&login, address, &registry.store).await?,
        None => accounts.nobody().await?,
    };
    Ok((asked, caller))
}

fn login(headers: &HeaderMap) -> Result<Option<PasswordLogin>, Failure> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let encoded = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|parts| parts.0.eq_ignore_ascii_case("basic"));
    encoded.and_then(|parts| password_login(parts.1)).map(Some).ok_or_else(Failure::wrong_password)
}

async fn by_form(
    registry: &Registry,
    accounts: &Accounts,
    address: &str,
    request: Request<Body>,
) -> Result<(Asked, Caller), Failure> {
    let bytes = axum::body::to_bytes(request.into_body(), MAX_FORM).await;
    let bytes = bytes.map_err(|_| Failure::form_invalid(&format!("a form has at most {MAX_FORM} bytes")))?;
    let form = String::from_utf8_lossy(&bytes).into_owned();
    let field = |key: &str| form_values(&form, key).next();
    let is_offline = field("access_type").as_deref() == Some("offline");
    let mut asked = Asked { scopes: scopes(&form)?, is_offline, refresh_token: None };
    let missing = |key: &str| Failure::form_invalid(&format!("the field `{key}` is missing"));
    match field("grant_type").as_deref() {
        Some("password") => {
            let name = field("username").ok_or_else(|| missing("username"))?;
            let password = field("password").ok_or_else(|| missing("password"))?;
            let login = PasswordLogin { name, password };
            Ok((asked, accounts.log_in(&login, address, &registry.store).await?))
        }
        Some("refresh_token") => {
            let token = field("refresh_token").ok_or_else(|| missing("refresh_token"))?;
            let found = accounts.database().refresh_token(&token).await?.ok_or_else(Failure::token_invalid)?;
            let caller = accounts.of_login(&found.account, &found.login, &registry.store).await?;
            // docker keeps the one that it has if none comes back; others want it again.
            (asked.is_offline, asked.refresh_token) = (true, Some(token));
            Ok((asked, caller))
        }
        other => {
            let found = other.map_or("missing".to_owned(), |other| format!("`{other}`"));
            Err(Failure::form_invalid(&format!("grant_type is {found}: password and refresh_token are expected")))
        }
    }
}

/// Returns the scopes that are asked for: several fields, or several words of one.
fn scopes(form: &str) -> Result<Vec<String>, Failure> {
    let scopes: Vec<String> =
        form_values(form, "scope").flat_map(|text| text.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    if scopes.len() > MAX_SCOPES {
        return Err(Failure::form_invalid(&format!("a token is for at most {MAX_SCOPES} scopes")));
    }
    Ok(scopes)
}

/// Returns the part of a scope, `repository:name:actions`, that the caller may have; what they may not is left out, as the
/// protocol has it.
fn granted(registry: &Registry, caller: &Caller, scope: &str) -> Option<Granted> {
    let rest = scope.strip_prefix("repository:").or_else(|| scope.strip_prefix("repository(plugin):"))?;
    let (name, words) = rest.rsplit_once(':')?;
    let name = crate::route::repository(name).ok()?;
    let words: Vec<&str> = words.split(',').collect();
    let is_asked = |action: &Action| words.iter().any(|word| *word == "*" || *word == action.as_str());
    // The use of a token is looked at with each request.
    let may = |action: &Action| {
        caller.is_granted(*action, &name) || (*action == Action::Pull && registry.is_mirrored_for(caller, &name))
    };
    let actions = Action::ALL.into_iter().filter(is_asked).filter(may);
    let granted = Granted::new(&name, actions);
    (!granted.actions.is_empty()).then_some(granted)
}
