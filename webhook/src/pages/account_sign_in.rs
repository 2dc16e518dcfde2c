//! The sign-in with an account of the embedded registry and its password.

use crate::configuration::sign_in::LOCAL;
use crate::http::problem::Problem;
use crate::http::rate_limit::Failure;
use crate::http::session;
use crate::http::state::Service;
use crate::view::code::Code;
use database::{Account, SessionOwner, hash_password, password_matches};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;

/// Passwords that are checked at once: each takes tens of milliseconds and 19 MiB.
static CHECKS: Semaphore = Semaphore::const_new(2);

/// Returns the owner of a session, how many milliseconds it may last, and their name, if the password is that of an account.
pub(super) async fn check(
    service: &Service,
    address: IpAddr,
    name: &str,
    password: &str,
) -> Result<Option<(SessionOwner, i64, String)>, Problem> {
    if let Some(seconds) = service.limiter.spent(address, Failure::Token) {
        return Err(Problem::too_many(seconds, "too many wrong passwords came from this address"));
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let accounts = service.database.accounts().await?;
    let is_meant = |account: &&Account| {
        account.name == name && !account.is_robot && account.expires_ms.is_none_or(|end| end > now)
    };
    let account = accounts.iter().find(is_meant);
    if !matches(password, account.map(|account| account.password_hash.clone())).await {
        let problem = service.refuse(address);
        return if problem.code() == Code::Unauthorized { Ok(None) } else { Err(problem) };
    }
    let Some(account) = account else { return Ok(None) };
    let shown = format!("{LOCAL}/{name}");
    let identity = service.database.put_identity(LOCAL, name, &shown, None).await?;
    let life = i64::try_from(session::LIFE.as_millis()).unwrap_or(i64::MAX);
    let span_ms = account.expires_ms.map_or(life, |end| life.min(end - now));
    Ok(Some((SessionOwner::Identity(identity.id), span_ms, shown)))
}

/// Tells whether a hash is that of the password. Where there is no account, it takes as long.
async fn matches(password: &str, hash: Option<String>) -> bool {
    let Ok(_turn) = CHECKS.acquire().await else { return false };
    let password = password.to_owned();
    let checked = tokio::task::spawn_blocking(move || match hash {
        Some(hash) => password_matches(&password, &hash),
        None => hash_password(&password).is_some_and(|_| false),
    });
    checked.await.unwrap_or(false)
}
