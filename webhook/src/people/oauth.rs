//! The authorization code flow (RFC 6749, RFC 7636): where a browser is sent, and what a code is exchanged for.

use super::flow::{Flow, Refused, now_ms};
use super::oidc::{ProviderKeys, metadata};
use super::request::{post_form, words};
use crate::configuration::Settings;
use crate::configuration::sign_in::{Provider, ProviderKind};
use crate::forges::Exchange;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use database::KnownLogin;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

/// The tokens that a provider gave.
pub(crate) struct Tokens {
    /// Those that the forge is asked with.
    pub login: KnownLogin,
    /// The ID token, where it is one of OpenID Connect.
    pub id_token: Option<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Option<String>,
    refresh_token: Option<String>,
    expires_in: Option<i64>,
    id_token: Option<String>,
}

/// Returns where a provider sends people back to.
fn redirect_uri(settings: &Settings, provider: &Provider) -> String {
    format!("{}/login/callback/{}", settings.public_url, provider.name)
}

/// Returns where a browser signs in.
pub(crate) async fn begin(
    settings: &Settings,
    exchange: &dyn Exchange,
    keys: &ProviderKeys,
    flow: &Flow<'_>,
) -> Result<String, Refused> {
    let provider = flow.provider;
    let base = match &provider.kind {
        ProviderKind::Forge { web, .. } => format!("{web}{}/authorize", forge_path(provider)),
        ProviderKind::Oidc { issuer, .. } => {
            metadata(exchange, keys, provider, issuer).await?.authorization_endpoint.clone()
        }
    };
    let mut url = Url::parse(&base).map_err(|_| Refused(format!("{} names no page to sign in on", provider.name)))?;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(flow.verifier()));
    let mut query = url.query_pairs_mut();
    query.append_pair("client_id", &provider.client_id);
    query.append_pair("redirect_uri", &redirect_uri(settings, provider));
    query.append_pair("response_type", "code").append_pair("state", &flow.state());
    query.append_pair("code_challenge", &challenge).append_pair("code_challenge_method", "S256");
    if !provider.scopes.is_empty() {
        query.append_pair("scope", &provider.scopes.join(" "));
    }
    if matches!(provider.kind, ProviderKind::Oidc { .. }) {
        query.append_pair("nonce", &flow.nonce());
    }
    drop(query);
    Ok(url.into())
}

/// Returns what a code, with which a browser came back, is good for.
pub(crate) async fn exchange_code(
    settings: &Settings,
    exchange: &dyn Exchange,
    keys: &ProviderKeys,
    flow: &Flow<'_>,
    code: &str,
) -> Result<Tokens, Refused> {
    let (redirect, verifier) = (redirect_uri(settings, flow.provider), flow.verifier());
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", redirect.as_str()),
        ("code_verifier", verifier.as_str()),
    ];
    let tokens = ask(exchange, keys, flow.provider, &fields).await;
    tokens.map_err(|failed| match failed {
        Failed::Refused(said) => Refused(format!(
            "{} did not take the sign-in: {said}. Start again; if it happens each time, compare `client_id`, `client_secret` and \
             the callback URL {redirect} with what is registered there",
            flow.provider.name
        )),
        Failed::Unavailable(said) => {
            Refused(format!("{} cannot be asked now: {said}. Try again in a moment", flow.provider.name))
        }
    })
}

/// A token that was not given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// The provider does not take what it was given.
    Refused(String),
    /// The provider cannot be asked now.
    Unavailable(String),
}

/// Returns other tokens for somebody whose first has ended.
pub(super) async fn renew(
    exchange: &dyn Exchange,
    keys: &ProviderKeys,
    provider: &Provider,
    refresh: &str,
) -> Result<KnownLogin, Failed> {
    let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let mut login = ask(exchange, keys, provider, &fields).await?.login;
    // Some give the same one only once.
    login.refresh.get_or_insert_with(|| refresh.to_owned());
    Ok(login)
}

async fn ask(
    exchange: &dyn Exchange,
    keys: &ProviderKeys,
    provider: &Provider,
    fields: &[(&str, &str)],
) -> Result<Tokens, Failed> {
    let url = match &provider.kind {
        ProviderKind::Forge { base, .. } => format!("{base}{}", token_path(provider)),
        ProviderKind::Oidc { issuer, .. } => {
            let found = metadata(exchange, keys, provider, issuer).await;
            found.map_err(|Refused(problem)| Failed::Unavailable(problem))?.token_endpoint.clone()
        }
    };
    let ours = [("client_id", provider.client_id.as_str()), ("client_secret", provider.client_secret.as_str())];
    let all: Vec<(&str, &str)> = fields.iter().copied().chain(ours).collect();
    let secrets: Vec<&str> = fields.iter().filter(|field| field.0 != "grant_type").map(|field| field.1).collect();
    let answer = post_form(exchange, url, &all).await.map_err(Failed::Unavailable)?;
    if answer.status >= 500 || answer.status == 429 {
        return Err(Failed::Unavailable(words(provider, &answer, &secrets)));
    }
    // GitHub's refusals have the status 200.
    let read: Option<TokenAnswer> = serde_json::from_slice(&answer.body).ok();
    let read = read.filter(|_| (200..300).contains(&answer.status));
    let Some((answered, access)) = read.and_then(|mut read| read.access_token.take().map(|access| (read, access)))
    else {
        return Err(Failed::Refused(words(provider, &answer, &secrets)));
    };
    if access.is_empty() || !access.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Failed::Refused("it gave something that no header can hold in place of a token".to_owned()));
    }
    let expires_ms = answered.expires_in.map(|seconds| now_ms().saturating_add(seconds.saturating_mul(1000)));
    let login = KnownLogin { access, refresh: answered.refresh_token, expires_ms };
    Ok(Tokens { login, id_token: answered.id_token })
}

fn forge_path(provider: &Provider) -> &'static str {
    use crate::configuration::forges::ForgeKind;
    match &provider.kind {
        ProviderKind::Forge { kind: ForgeKind::Gitlab, .. } => "/oauth",
        _ => "/login/oauth",
    }
}

fn token_path(provider: &Provider) -> &'static str {
    use crate::configuration::forges::ForgeKind;
    match &provider.kind {
        ProviderKind::Forge { kind: ForgeKind::Gitlab, .. } => "/oauth/token",
        _ => "/login/oauth/access_token",
    }
}
