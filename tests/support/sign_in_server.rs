//! Local servers at which people sign in, as forges and providers of OpenID Connect have them. They refuse what those refuse: another
//! callback, a code that came before, another verifier, tokens that ended, were replaced or lack a scope.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

/// The secret of the service at the servers.
pub(crate) const CLIENT_SECRET: &str = "client-secret-canary";
const CLIENT: &str = "slipway-client";
/// The key that signs ID tokens; it is good for nothing else.
const KEY: &str = include_str!("sign_in_key.txt");

/// A server.
pub(crate) struct SignInServer {
    /// `github`, `gitlab`, `gitea`, `forgejo` or `oidc`.
    pub kind: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
    known: Arc<Known>,
    _tokio: tokio::runtime::Runtime,
}

/// The things that a server knows.
pub(crate) struct Known {
    kind: &'static str,
    address: SocketAddr,
    callback: Mutex<String>,
    people: Mutex<BTreeMap<String, Person>>,
    codes: Mutex<HashMap<String, Code>>,
    tokens: Mutex<HashMap<String, Access>>,
    refreshes: Mutex<HashMap<String, String>>,
    asked: Mutex<Vec<String>>,
    /// Faults that a test plans.
    pub faults: Mutex<Faults>,
}

/// Faults of a server.
#[derive(Debug, Default, Clone)]
pub(crate) struct Faults {
    /// It answers nothing but errors.
    pub is_down: bool,
    /// Claims that replace those of ID tokens.
    pub claims: BTreeMap<&'static str, Value>,
    /// ID tokens are signed by nobody.
    pub is_unsigned: bool,
}

#[derive(Clone, Default)]
struct Person {
    id: u64,
    /// By repository: `read`, `push` or `admin`.
    rights: BTreeMap<String, &'static str>,
}

#[derive(Clone)]
struct Code {
    who: String,
    callback: String,
    challenge: String,
    nonce: String,
    scopes: BTreeSet<String>,
    was_used: bool,
}

#[derive(Clone)]
struct Access {
    who: String,
    scopes: BTreeSet<String>,
    has_ended: bool,
}

impl SignInServer {
    /// Starts a server.
    pub(crate) fn start(kind: &'static str) -> SignInServer {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = tokio.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let known = Arc::new(Known {
            kind,
            address,
            callback: Mutex::default(),
            people: Mutex::default(),
            codes: Mutex::default(),
            tokens: Mutex::default(),
            refreshes: Mutex::default(),
            asked: Mutex::default(),
            faults: Mutex::default(),
        });
        let router = Router::new().fallback(answer).with_state(known.clone());
        tokio.spawn(async move { axum::serve(listener, router).await });
        SignInServer { kind, address, known, _tokio: tokio }
    }

    /// Returns the sections of a configuration that name it.
    pub(crate) fn section(&self) -> String {
        let (kind, address) = (self.kind, self.address);
        let client = format!("client_id = \"{CLIENT}\"");
        match kind {
            "oidc" => format!(
                "[sign_in.oidc.corp]\nissuer = \"http://{address}\"\n{client}\nclient_secret = \"{CLIENT_SECRET}\"\n\
                 rights = {{ \"team/*\" = \"read\" }}\n"
            ),
            _ => format!(
                "[forges.\"127.0.0.1\"]\nkind = \"{kind}\"\ntoken = \"status-token\"\nurl = \"http://{address}\"\n\
                 sign_in = {{ {client}, client_secret = \"{CLIENT_SECRET}\" }}\n"
            ),
        }
    }

    /// Returns the name that the service has for it.
    pub(crate) fn name(&self) -> &'static str {
        if self.kind == "oidc" { "corp" } else { "127.0.0.1" }
    }

    /// Registers where people are sent back to.
    pub(crate) fn register(&self, callback: &str) {
        *self.known.callback.lock().unwrap() = callback.to_owned();
    }

    /// Says what somebody may in a repository: `read`, `push`, `admin` or nothing.
    pub(crate) fn allow(&self, who: &str, repository: &str, right: &'static str) {
        let mut people = self.known.people.lock().unwrap();
        let id = people.len() as u64 + 100;
        let person = people.entry(who.to_owned()).or_insert_with(|| Person { id, ..Person::default() });
        person.rights.insert(repository.to_owned(), right);
    }

    /// Renames somebody.
    pub(crate) fn rename(&self, who: &str, name: &str) {
        let mut people = self.known.people.lock().unwrap();
        let person = people.remove(who).unwrap();
        people.insert(name.to_owned(), person);
    }

    /// Returns the faults of the server.
    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.known.faults.lock().unwrap()
    }

    /// Ends all tokens that it gave; those that replace them are good if `replaceable`.
    pub(crate) fn end_tokens(&self, replaceable: bool) {
        self.known.tokens.lock().unwrap().values_mut().for_each(|access| access.has_ended = true);
        if !replaceable {
            self.known.refreshes.lock().unwrap().clear();
        }
    }

    /// Returns every secret that it gave out: codes and tokens.
    pub(crate) fn secrets(&self) -> Vec<String> {
        let codes: Vec<String> = self.known.codes.lock().unwrap().keys().cloned().collect();
        let tokens = self.known.tokens.lock().unwrap();
        let refreshes = self.known.refreshes.lock().unwrap();
        codes.into_iter().chain(tokens.keys().cloned()).chain(refreshes.keys().cloned()).collect()
    }

    /// Returns what it was asked for: method and path, without queries.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.known.asked.lock().unwrap().clone()
    }
}

type Refusal = (u16, Value);

async fn answer(
    State(known): State<Arc<Known>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    known.asked.lock().unwrap().push(format!("{method} {}", uri.path()));
    if known.faults.lock().unwrap().is_down {
        return (StatusCode::BAD_GATEWAY, "<html>Bad gateway</html>").into_response();
    }
    let query: BTreeMap<String, String> = pairs(uri.query().unwrap_or_default());
    let base = if matches!(known.kind, "oidc") {
        ""
    } else if known.kind == "gitlab" {
        "/oauth"
    } else {
        "/login/oauth"
    };
    let token = if matches!(known.kind, "oidc" | "gitlab") { "token" } else { "access_token" };
    let path = uri.path();
    let answered = if method == Method::GET && path == format!("{base}/authorize") {
        return known.consent(&headers, &query);
    } else if method == Method::POST && path == format!("{base}/{token}") {
        known.token(&headers, &body)
    } else if known.kind == "oidc" && method == Method::GET {
        known.describe(path)
    } else if method == Method::GET {
        known.api(&headers, path)
    } else {
        Err((404, json!({ "message": "Not Found" })))
    };
    let (status, body) = answered.unwrap_or_else(|refusal| refusal);
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

impl Known {
    /// Answers somebody's browser, whose name is in the header `x-person`; it agrees unless that is `nobody`.
    fn consent(&self, headers: &HeaderMap, query: &BTreeMap<String, String>) -> Response {
        let get = |name: &str| query.get(name).cloned().unwrap_or_default();
        let who = headers.get("x-person").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let callback = self.callback.lock().unwrap().clone();
        let is_fine = get("client_id") == CLIENT && get("redirect_uri") == callback && get("response_type") == "code";
        if !is_fine || get("state").len() < 32 {
            let text = "the redirect uri included is not valid, or the client is unknown";
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
        if get("code_challenge_method") != "S256" || get("code_challenge").len() != 43 {
            return (StatusCode::BAD_REQUEST, "PKCE is needed").into_response();
        }
        if self.kind == "oidc" && get("nonce").is_empty() {
            return (StatusCode::BAD_REQUEST, "a nonce is needed").into_response();
        }
        let back = |extra: &str| {
            let location = format!("{callback}?{extra}&state={}", get("state"));
            (StatusCode::FOUND, [(header::LOCATION, location)]).into_response()
        };
        if who == "nobody" {
            return back("error=access_denied&error_description=The+user+said+no");
        }
        let code = random("code");
        let scopes = get("scope").split(' ').map(str::to_owned).collect();
        let (challenge, nonce) = (get("code_challenge"), get("nonce"));
        let new = Code { who, callback: callback.clone(), challenge, nonce, scopes, was_used: false };
        self.codes.lock().unwrap().insert(code.clone(), new);
        back(&format!("code={code}"))
    }

    fn token(&self, headers: &HeaderMap, body: &[u8]) -> Result<(u16, Value), Refusal> {
        // GitHub refuses with the status 200.
        let status = if self.kind == "github" { 200 } else { 400 };
        let refuse = |error: &str, text: &str| (status, json!({ "error": error, "error_description": text }));
        if headers.get("content-type").is_none_or(|kind| kind != "application/x-www-form-urlencoded") {
            return Err((415, json!({ "error": "invalid_request" })));
        }
        if headers.get("accept").is_none_or(|kind| kind != "application/json") {
            return Err((406, json!({ "error": "this would be a form" })));
        }
        let fields: BTreeMap<String, String> = pairs(&String::from_utf8_lossy(body));
        let get = |name: &str| fields.get(name).cloned().unwrap_or_default();
        if get("client_id") != CLIENT || get("client_secret") != CLIENT_SECRET {
            return Err(refuse(
                "invalid_client",
                &format!("Client authentication failed for {}", get("client_secret")),
            ));
        }
        if get("grant_type") == "refresh_token" {
            // Every refresh token is good once.
            let who = self.refreshes.lock().unwrap().remove(&get("refresh_token"));
            let who = who.ok_or_else(|| refuse("invalid_grant", "The refresh token is not known"))?;
            return Ok((
                200,
                self.give(&who, &["read_api", "read:user", "read:repository"].map(str::to_owned).into(), None),
            ));
        }
        let mut codes = self.codes.lock().unwrap();
        let code = codes.get_mut(&get("code")).filter(|code| !code.was_used);
        let code = code.ok_or_else(|| {
            refuse("bad_verification_code", &format!("The code {} passed is incorrect or expired.", get("code")))
        })?;
        code.was_used = true;
        if get("grant_type") != "authorization_code" || get("redirect_uri") != code.callback {
            return Err(refuse("redirect_uri_mismatch", "The redirect_uri does not match"));
        }
        if URL_SAFE_NO_PAD.encode(Sha256::digest(get("code_verifier"))) != code.challenge {
            return Err(refuse("invalid_grant", "The code verifier is wrong"));
        }
        Ok((200, self.give(&code.who, &code.scopes, Some(&code.nonce))))
    }

    fn give(&self, who: &str, scopes: &BTreeSet<String>, nonce: Option<&str>) -> Value {
        let (access, refresh) = (random("access"), random("refresh"));
        let given = Access { who: who.to_owned(), scopes: scopes.clone(), has_ended: false };
        self.tokens.lock().unwrap().insert(access.clone(), given);
        self.refreshes.lock().unwrap().insert(refresh.clone(), who.to_owned());
        let mut given =
            json!({ "access_token": access, "token_type": "bearer", "refresh_token": refresh, "expires_in": 7200 });
        if let ("oidc", Some(nonce)) = (self.kind, nonce) {
            given["id_token"] = self.id_token(who, nonce).into();
        }
        given
    }

    fn id_token(&self, who: &str, nonce: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let issuer = format!("http://{}", self.address);
        let mut claims = json!({
            "iss": issuer, "sub": who, "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": nonce,
            "email": format!("{who}@example.com"), "email_verified": true, "preferred_username": who,
        });
        let faults = self.faults.lock().unwrap().clone();
        faults.claims.into_iter().for_each(|(name, value)| claims[name] = value);
        let header = json!({ "alg": if faults.is_unsigned { "none" } else { "RS256" }, "kid": "one", "typ": "JWT" });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        if faults.is_unsigned {
            return format!("{signed}.");
        }
        let key = key();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn describe(&self, path: &str) -> Result<(u16, Value), Refusal> {
        let base = format!("http://{}", self.address);
        match path {
            "/.well-known/openid-configuration" => Ok((
                200,
                json!({
                    "issuer": base, "authorization_endpoint": format!("{base}/authorize"),
                    "token_endpoint": format!("{base}/token"), "jwks_uri": format!("{base}/keys"),
                }),
            )),
            "/keys" => {
                let key = key();
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
                let (n, e) = (URL_SAFE_NO_PAD.encode(public.n), URL_SAFE_NO_PAD.encode(public.e));
                Ok((
                    200,
                    json!({ "keys": [{ "kty": "RSA", "kid": "one", "use": "sig", "alg": "RS256", "n": n, "e": e }] }),
                ))
            }
            _ => Err((404, json!({ "error": "not_found" }))),
        }
    }

    fn api(&self, headers: &HeaderMap, path: &str) -> Result<(u16, Value), Refusal> {
        let bearer = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let tokens = self.tokens.lock().unwrap();
        let access = bearer.strip_prefix("Bearer ").and_then(|token| tokens.get(token));
        let access = access.filter(|access| !access.has_ended);
        let access = access.ok_or_else(|| (401, json!({ "message": "Bad credentials" })))?;
        let needed = match self.kind {
            "gitlab" => "read_api",
            "gitea" | "forgejo" => "read:repository",
            _ => "",
        };
        if !needed.is_empty() && !access.scopes.contains(needed) {
            return Err((403, json!({ "error": "insufficient_scope", "error_description": "a scope is missing" })));
        }
        let people = self.people.lock().unwrap();
        let person = people.iter().find(|known| *known.0 == access.who || known.1.id.to_string() == access.who);
        let (name, person) = person.ok_or_else(|| (401, json!({ "message": "Bad credentials" })))?;
        let rest = path.strip_prefix(match self.kind {
            "github" => "/api/v3",
            "gitlab" => "/api/v4",
            _ => "/api/v1",
        });
        let nothing = || (404, json!({ "message": "Not Found" }));
        let rest = rest.ok_or_else(nothing)?;
        if rest == "/user" {
            return Ok((200, json!({ "id": person.id, "login": name, "username": name })));
        }
        if self.kind == "gitlab" {
            let rest = rest.strip_prefix("/projects/").ok_or_else(nothing)?;
            let (project, member) =
                rest.split_once("/members/all/").map_or((rest, None), |(one, two)| (one, Some(two)));
            let right = person.rights.get(&project.replace("%2F", "/")).filter(|right| !right.is_empty());
            let right = right.ok_or_else(nothing)?;
            let level = match *right {
                "admin" => 40,
                "push" => 30,
                _ => 20,
            };
            return match member {
                Some(id) if id == person.id.to_string() => Ok((200, json!({ "id": person.id, "access_level": level }))),
                Some(_) => Err(nothing()),
                None => Ok((200, json!({ "id": 1, "visibility": "private", "repository_access_level": "enabled" }))),
            };
        }
        let repository = rest.strip_prefix("/repos/").ok_or_else(nothing)?;
        let right = person.rights.get(repository).filter(|right| !right.is_empty()).ok_or_else(nothing)?;
        let (push, admin) = (["push", "admin"].contains(right), *right == "admin");
        let permissions = json!({ "pull": true, "push": push, "admin": admin });
        Ok((200, json!({ "id": 1, "full_name": repository, "private": true, "permissions": permissions })))
    }
}

fn key() -> RsaKeyPair {
    let text: String = KEY.split_whitespace().collect();
    RsaKeyPair::from_pkcs8(&STANDARD.decode(text).unwrap()).unwrap()
}

fn random(kind: &str) -> String {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).unwrap();
    format!("{kind}-canary-{}", hex::encode(bytes))
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(text.as_bytes()).map(|(name, value)| (name.into(), value.into())).collect()
}
