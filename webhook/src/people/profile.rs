//! Profiles of people who signed in, by their forge or in an ID token.

use super::flow::{Flow, Profile, Refused};
use super::oauth::Tokens;
use super::oidc::{ProviderKeys, Said, person};
use super::request::{get, words};
use crate::configuration::forges::ForgeKind;
use crate::configuration::sign_in::ProviderKind;
use crate::forges::Exchange;
use serde_json::Value;

/// Returns whom tokens are of.
pub(crate) async fn profile(
    exchange: &dyn Exchange,
    keys: &ProviderKeys,
    flow: &Flow<'_>,
    tokens: &Tokens,
) -> Result<Profile, Refused> {
    let provider = flow.provider;
    match &provider.kind {
        ProviderKind::Oidc { issuer, name_claim, .. } => {
            let none = || Refused(format!("{} gave no ID token: does it allow the scope `openid`?", provider.name));
            let token = tokens.id_token.as_deref().ok_or_else(none)?;
            person(exchange, keys, flow, token, &Said { issuer, name_claim: *name_claim }).await
        }
        ProviderKind::Forge { kind, api, .. } => {
            let access = tokens.login.access.as_str();
            let answer = get(exchange, format!("{api}/user"), Some(access)).await;
            let answer = answer.map_err(|problem| {
                Refused(format!("{} cannot be asked now: {problem}. Try again in a moment", provider.name))
            })?;
            let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let found = value.get("id").and_then(Value::as_i64).filter(|id| *id > 0 && answer.status == 200);
            let login = value.get(login_key(*kind)).and_then(Value::as_str);
            let login = login.filter(|login| !login.is_empty() && !login.contains('/'));
            match (found, login) {
                (Some(id), Some(login)) => Ok(Profile { subject: id.to_string(), name: login.to_owned() }),
                _ => {
                    let said = words(provider, &answer, &[access]);
                    Err(Refused(format!(
                        "{} does not say who signed in: {said}. The application there must be allowed to read the user",
                        provider.name
                    )))
                }
            }
        }
    }
}

/// Returns the key that a user's name stands under.
fn login_key(kind: ForgeKind) -> &'static str {
    if kind == ForgeKind::Gitlab { "username" } else { "login" }
}
