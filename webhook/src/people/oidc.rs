//! OpenID Connect: the description of a provider, and the check of an ID token: signature, issuer, audience, time, nonce.

use super::flow::{Flow, Profile, Refused};
use super::request::get;
use crate::configuration::sign_in::{NameClaim, Provider};
use crate::forges::Exchange;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what a provider says of itself is believed.
const METADATA_TTL: Duration = Duration::from_secs(3600);
/// How often the keys of a provider are read again for a token that names an unknown one.
const KEYS_INTERVAL: Duration = Duration::from_secs(10);
/// Seconds that clocks may differ by.
const LEEWAY: u64 = 60;
/// Longest subject: the specification has 255.
const MAX_SUBJECT: usize = 255;

/// The descriptions and keys of providers, as they were last read.
#[derive(Default)]
pub(crate) struct ProviderKeys(Mutex<HashMap<String, Known>>);

#[derive(Clone)]
struct Known {
    metadata: Arc<Metadata>,
    keys: Arc<JwkSet>,
    read_at: Instant,
}

/// The description of a provider, by itself.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    /// Where people sign in.
    pub authorization_endpoint: String,
    /// Where codes are exchanged.
    pub token_endpoint: String,
    jwks_uri: String,
}

/// The claims of an ID token.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    nonce: Option<String>,
    azp: Option<String>,
    aud: Audience,
    email: Option<String>,
    // Some providers write it as a text.
    #[serde(default)]
    email_verified: Value,
    preferred_username: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Returns what a provider says of itself.
pub(super) async fn metadata(
    exchange: &dyn Exchange,
    keys: &ProviderKeys,
    provider: &Provider,
    issuer: &str,
) -> Result<Arc<Metadata>, Refused> {
    Ok(keys.known(exchange, provider, issuer, METADATA_TTL).await?.metadata)
}

impl ProviderKeys {
    async fn known(
        &self,
        exchange: &dyn Exchange,
        provider: &Provider,
        issuer: &str,
        ttl: Duration,
    ) -> Result<Known, Refused> {
        let kept = self.kept().get(&provider.name).cloned();
        if let Some(known) = kept.filter(|known| known.read_at.elapsed() < ttl) {
            return Ok(known);
        }
        let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let metadata: Metadata = read(exchange, provider, url).await?;
        if metadata.issuer != issuer {
            return Err(Refused(format!(
                "{} calls itself another issuer than the configuration does: set `issuer` to what its own document says",
                provider.name
            )));
        }
        let keys: JwkSet = read(exchange, provider, metadata.jwks_uri.clone()).await?;
        let known = Known { metadata: Arc::new(metadata), keys: Arc::new(keys), read_at: Instant::now() };
        self.kept().insert(provider.name.clone(), known.clone());
        Ok(known)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read<T: DeserializeOwned>(exchange: &dyn Exchange, provider: &Provider, url: String) -> Result<T, Refused> {
    let unusable =
        |problem: String| Refused(format!("{} cannot be asked now: {problem}. Try again in a moment", provider.name));
    let answer = get(exchange, url, None).await.map_err(unusable)?;
    if answer.status != 200 {
        return Err(unusable(format!("its description has the HTTP status {}", answer.status)));
    }
    serde_json::from_slice(&answer.body).map_err(|error| unusable(format!("its description cannot be read: {error}")))
}

/// Returns who an ID token is about.
pub(super) async fn person(
    exchange: &dyn Exchange,
    keys: &ProviderKeys,
    flow: &Flow<'_>,
    token: &str,
    said: &Said<'_>,
) -> Result<Profile, Refused> {
    let refused = |problem: &str| {
        Refused(format!(
            "the ID token of {} is not good: {problem}. Tell the administrator of this server",
            flow.provider.name
        ))
    };
    let header = jsonwebtoken::decode_header(token).map_err(|error| refused(&error.to_string()))?;
    let mut known = keys.known(exchange, flow.provider, said.issuer, METADATA_TTL).await?;
    let mut found = key(&known.keys, header.kid.as_deref()).cloned();
    if found.is_none() {
        // Providers change their keys.
        known = keys.known(exchange, flow.provider, said.issuer, KEYS_INTERVAL).await?;
        found = key(&known.keys, header.kid.as_deref()).cloned();
    }
    let found = found.ok_or_else(|| refused("none of the provider's keys signed it"))?;
    let algorithm = allowed(&found, header.alg).ok_or_else(|| refused("its algorithm is not one of the key's"))?;
    let mut validation = Validation::new(algorithm);
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_audience(&[&flow.provider.client_id]);
    validation.set_issuer(&[said.issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let key = DecodingKey::from_jwk(&found).map_err(|error| refused(&error.to_string()))?;
    let claims =
        jsonwebtoken::decode::<Claims>(token, &key, &validation).map_err(|error| refused(&error.to_string()))?;
    let claims = claims.claims;
    if claims.nonce.as_deref() != Some(flow.nonce().as_str()) {
        return Err(refused("it was not made for this sign-in"));
    }
    let is_shared = matches!(&claims.aud, Audience::Many(all) if all.len() > 1);
    let is_ours = claims.azp.as_ref().is_none_or(|party| *party == flow.provider.client_id);
    let one = matches!(&claims.aud, Audience::One(one) if one.is_empty());
    if !is_ours || one || is_shared && claims.azp.is_none() {
        return Err(refused("it was made for another service too"));
    }
    if claims.sub.is_empty() || claims.sub.len() > MAX_SUBJECT {
        return Err(refused("it does not say who it is about"));
    }
    let name = match said.name_claim {
        NameClaim::Sub => Some(claims.sub.clone()),
        NameClaim::Email => claims.email.filter(|_| claims.email_verified == true || claims.email_verified == "true"),
        NameClaim::PreferredUsername => claims.preferred_username,
    };
    let name = name
        .filter(|name| !name.is_empty())
        .ok_or_else(|| refused("it lacks the claim of `name_claim`, or the address in it is not verified"))?;
    Ok(Profile { subject: claims.sub, name })
}

/// The description of a provider, by the configuration.
pub(super) struct Said<'s> {
    /// The issuer of its tokens.
    pub issuer: &'s str,
    /// The claim that people are called by.
    pub name_claim: NameClaim,
}

/// Returns the key of this id; without one, the only key.
fn key<'k>(keys: &'k JwkSet, id: Option<&str>) -> Option<&'k Jwk> {
    match (id, keys.keys.as_slice()) {
        (Some(id), _) => keys.find(id),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
}

/// Returns the algorithm if it is one with which the key is used: never one that takes a public key for a secret.
fn allowed(key: &Jwk, algorithm: Algorithm) -> Option<Algorithm> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let is_of_kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => [RS256, RS384, RS512, PS256, PS384, PS512].contains(&algorithm),
        AlgorithmParameters::EllipticCurve(_) => [ES256, ES384].contains(&algorithm),
        AlgorithmParameters::OctetKeyPair(_) => algorithm == EdDSA,
        AlgorithmParameters::OctetKey(_) => false,
    };
    let named = key.common.key_algorithm.map(|named| named.to_string());
    let is_named = named.is_none_or(|named| named == format!("{algorithm:?}"));
    (is_of_kind && is_named).then_some(algorithm)
}
