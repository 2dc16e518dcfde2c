//! A local GitHub that knows one App: it refuses what GitHub would refuse, proofs that are too long, tokens that have expired or may
//! not do it, unknown fields, texts and lists that are too long. It guards a git server, too.

use super::check_run::check_document;
use super::forge_hook_log::ForgeHookLog;
use super::git_server;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Number of the App.
pub(crate) const APP: u64 = 4711;
/// Secret of its webhook.
pub(crate) const APP_SECRET: &str = "the secret of the App";
/// Beginning of its tokens, which must appear nowhere.
pub(crate) const TOKEN_START: &str = "ghs_canary";
const INSTALLATION: u64 = 99;
const REPOSITORY: &str = "/api/v3/repos/Codertocat/Hello-World";

/// A token that was given.
struct Given {
    text: String,
    permissions: Value,
    expires: SystemTime,
}

struct Known {
    keys: TempDir,
    given: Mutex<Vec<Given>>,
    checks: Mutex<Vec<Value>>,
    writes: Mutex<Vec<Value>>,
    lifetime: Mutex<Duration>,
    granted: Mutex<Vec<&'static str>>,
    busy: Mutex<u32>,
    log: ForgeHookLog,
    hook_url: Mutex<String>,
    codes: Mutex<Vec<String>>,
}

/// The server.
pub(crate) struct GithubApp {
    /// Where the API listens.
    pub address: SocketAddr,
    /// Where the guarded git server listens.
    pub git: SocketAddr,
    known: Arc<Known>,
    tokio: tokio::runtime::Runtime,
    listener: Option<tokio::net::TcpListener>,
}

impl GithubApp {
    /// Starts it with a new key.
    pub(crate) fn start() -> GithubApp {
        let keys = tempfile::tempdir().unwrap();
        let (private, public) = (keys.path().join("app.pem"), keys.path().join("app.pub"));
        super::run(Command::new("openssl").args(["genrsa", "-traditional", "-out"]).arg(&private).arg("2048"));
        super::run(Command::new("openssl").args(["rsa", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public));
        let known = Arc::new(Known {
            keys,
            given: Mutex::default(),
            checks: Mutex::default(),
            writes: Mutex::default(),
            lifetime: Mutex::new(Duration::from_secs(3600)),
            granted: Mutex::new(vec!["checks", "contents", "metadata"]),
            busy: Mutex::default(),
            log: ForgeHookLog::new("github"),
            codes: Mutex::default(),
            hook_url: Mutex::new("https://elsewhere.example.com/".to_owned()),
        });
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let bind = || tokio.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let (api, listener) = (bind(), bind());
        let (address, git) = (api.local_addr().unwrap(), listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(known.clone());
        tokio.spawn(async move { axum::serve(api, router).await });
        GithubApp { address, git, known, tokio, listener: Some(listener) }
    }

    /// Serves the repositories of a directory to those who have a token.
    pub(crate) fn guard(&mut self, directory: PathBuf) {
        let (listener, known) = (self.listener.take().unwrap(), self.known.clone());
        let router = git_server::router(directory).layer(from_fn_with_state(known, admit));
        self.tokio.spawn(async move { axum::serve(listener, router).await });
    }

    /// Returns the file of the private key.
    pub(crate) fn key(&self) -> PathBuf {
        self.known.keys.path().join("app.pem")
    }

    /// Returns the check runs that are there.
    pub(crate) fn checks(&self) -> Vec<Value> {
        self.known.checks.lock().unwrap().clone()
    }

    /// Returns what was written of check runs, in order.
    pub(crate) fn writes(&self) -> Vec<Value> {
        self.known.writes.lock().unwrap().clone()
    }

    /// Returns how many tokens were given.
    pub(crate) fn tokens(&self) -> usize {
        self.known.given.lock().unwrap().len()
    }

    /// Says how long new tokens are good.
    pub(crate) fn set_lifetime(&self, lifetime: Duration) {
        *self.known.lifetime.lock().unwrap() = lifetime;
    }

    /// Ends all tokens.
    pub(crate) fn revoke(&self) {
        self.known.given.lock().unwrap().iter_mut().for_each(|given| given.expires = UNIX_EPOCH);
    }

    /// Says what the installation is allowed.
    pub(crate) fn grant(&self, permissions: &[&'static str]) {
        *self.known.granted.lock().unwrap() = permissions.to_vec();
    }

    /// Returns the deliveries that it tells of.
    pub(crate) fn log(&self) -> &ForgeHookLog {
        &self.known.log
    }

    /// Gives out a code, which is good once, as when somebody has let an App be made.
    pub(crate) fn give_code(&self, code: &str) {
        self.known.codes.lock().unwrap().push(code.to_owned());
    }

    /// Says where the App's webhook delivers to.
    pub(crate) fn set_hook_url(&self, url: &str) {
        *self.known.hook_url.lock().unwrap() = url.to_owned();
    }

    /// Refuses so many of the next requests as too many.
    pub(crate) fn be_busy(&self, times: u32) {
        *self.known.busy.lock().unwrap() = times;
    }
}

/// An HTTP status and a body.
type Answer = (u16, Value);

fn refuse(status: u16, message: &str) -> Answer {
    (status, json!({ "message": message, "documentation_url": "https://docs.github.com/rest" }))
}

async fn admit(State(known): State<Arc<Known>>, request: Request, next: Next) -> Response {
    let login = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let login = login.and_then(|text| STANDARD.decode(text.strip_prefix("Basic ")?).ok());
    let login = login.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
    let token = login.strip_prefix("x-access-token:").unwrap_or_default();
    if known.check(token, "contents").is_ok() {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic realm=\"GitHub\"")], "no").into_response()
}

async fn answer(
    State(known): State<Arc<Known>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    {
        let mut busy = known.busy.lock().unwrap();
        if *busy > 0 {
            *busy -= 1;
            let body = axum::Json(json!({ "message": "slow down" }));
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], body).into_response();
        }
    }
    let (status, body) = known.take(&method, &uri, &headers, &body).unwrap_or_else(|refusal| refusal);
    let mut answer = (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response();
    if let Some(link) = known.log.link() {
        answer.headers_mut().insert("link", link.parse().unwrap());
    }
    answer
}

impl Known {
    fn take(&self, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Result<Answer, Answer> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if header("user-agent").is_empty() {
            return Err(refuse(403, "Request forbidden by administrative rules: make sure it has a User-Agent header"));
        }
        if let Some(code) =
            uri.path().strip_prefix("/api/v3/app-manifests/").and_then(|rest| rest.strip_suffix("/conversions"))
        {
            return self.convert(method, code);
        }
        let bearer = header("authorization").strip_prefix("Bearer ").unwrap_or_default();
        let value = match *method == Method::GET {
            true => Value::Null,
            false if header("content-type") != "application/json" => return Err(refuse(415, "send JSON")),
            false => serde_json::from_slice(body).map_err(|_| refuse(400, "Problems parsing JSON"))?,
        };
        self.serve(method, uri, bearer, value)
    }

    /// Gives the keys of the App that a code stands for, once.
    fn convert(&self, method: &Method, code: &str) -> Result<Answer, Answer> {
        let mut codes = self.codes.lock().unwrap();
        let known = codes.iter().position(|known| known == code).filter(|_| *method == Method::POST);
        codes.remove(known.ok_or_else(|| refuse(404, "Not Found"))?);
        let pem = std::fs::read_to_string(self.keys.path().join("app.pem")).unwrap();
        let page = "https://github.com/apps/slipway-test";
        let app = json!({
            "id": APP, "slug": "slipway-test", "name": "slipway test", "html_url": page, "pem": pem,
            "client_id": "Iv1.x", "client_secret": "canary-client-secret", "webhook_secret": APP_SECRET,
        });
        Ok((201, app))
    }

    /// Answers the requests of an App, and of its tokens.
    fn serve(&self, method: &Method, uri: &Uri, bearer: &str, value: Value) -> Result<Answer, Answer> {
        let path = uri.path();
        if *method == Method::GET && path == format!("{REPOSITORY}/installation") {
            self.prove(bearer)?;
            return Ok((200, json!({ "id": INSTALLATION, "app_id": APP })));
        }
        if *method == Method::POST && path == format!("/api/v3/app/installations/{INSTALLATION}/access_tokens") {
            self.prove(bearer)?;
            return self.give(&value);
        }
        let not_found = || refuse(404, "Not Found");
        if let Some(rest) = path.strip_prefix("/api/v3/app/hook/") {
            self.prove(bearer)?;
            let url = self.hook_url.lock().unwrap().clone();
            let config = json!({ "content_type": "json", "insecure_ssl": "0", "secret": "********", "url": url });
            let answered =
                if rest == "config" { Some((200, config)) } else { self.log.take(method, uri.query(), rest) };
            return answered.ok_or_else(not_found);
        }
        if *method == Method::GET && path == REPOSITORY {
            self.check(bearer, "metadata")?;
            return Ok((200, json!({ "id": 1_296_269 })));
        }
        let rest = path.strip_prefix(REPOSITORY).ok_or_else(not_found)?;
        if let Some(user) = rest.strip_prefix("/collaborators/").and_then(|rest| rest.strip_suffix("/permission")) {
            self.check(bearer, "metadata")?;
            return match user {
                "writer" => Ok((200, json!({ "permission": "write", "role_name": "maintain" }))),
                "reader" => Ok((200, json!({ "permission": "read", "role_name": "triage" }))),
                _ => Err(not_found()),
            };
        }
        self.check(bearer, "checks")?;
        if let Some(commit) = rest.strip_prefix("/commits/").and_then(|rest| rest.strip_suffix("/check-runs")) {
            let name = uri.query().and_then(|query| query.strip_suffix("&filter=all&per_page=100"));
            let name = name.and_then(|query| query.strip_prefix("check_name=")).ok_or_else(not_found)?;
            let name = name.replace("%2F", "/");
            let mut found = self.checks.lock().unwrap().clone();
            found.retain(|check| check["head_sha"] == commit && check["name"] == name);
            return Ok((200, json!({ "total_count": found.len(), "check_runs": found })));
        }
        match (method.as_str(), rest.strip_prefix("/check-runs")) {
            ("POST", Some("")) => self.write(None, value),
            ("PATCH", Some(id)) => self.write(id.strip_prefix('/').and_then(|id| id.parse().ok()), value),
            _ => Err(not_found()),
        }
    }

    /// Refuses a proof that is not the App's, has ended, or is good for more than ten minutes.
    fn prove(&self, proof: &str) -> Result<(), Answer> {
        let wrong = |why: &str| refuse(401, why);
        let undecodable = || wrong("A JSON web token could not be decoded");
        let (signed, signature) = proof.rsplit_once('.').ok_or_else(undecodable)?;
        let (_, claims) = signed.split_once('.').ok_or_else(undecodable)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| undecodable())?;
        let claims = URL_SAFE_NO_PAD.decode(claims).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let claims = claims.ok_or_else(undecodable)?;
        if !verifies(self.keys.path(), signed, &signature) {
            return Err(undecodable());
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let number = |key: &str| claims[key].as_u64().unwrap_or(0);
        if number("exp") > now + 600 {
            return Err(wrong("'Expiration time' claim ('exp') is too far in the future"));
        }
        if number("exp") <= now || number("iat") > now {
            return Err(wrong("'Expiration time' claim ('exp') must be a numeric value in the future"));
        }
        if number("iss") != APP && claims["iss"].as_str() != Some(APP.to_string().as_str()) {
            return Err(refuse(404, "Integration not found"));
        }
        Ok(())
    }

    fn give(&self, wanted: &Value) -> Result<Answer, Answer> {
        let object = wanted.as_object().ok_or_else(|| refuse(400, "Body should be a JSON object"))?;
        if object.keys().any(|key| !["repositories", "permissions"].contains(&key.as_str())) {
            return Err(refuse(422, "Invalid request"));
        }
        if wanted["repositories"] != json!(["Hello-World"]) {
            return Err(refuse(422, "There is at least one repository that does not exist or is not accessible"));
        }
        let granted = self.granted.lock().unwrap().clone();
        let asked = wanted["permissions"].as_object().cloned().unwrap_or_default();
        if asked.keys().any(|key| !granted.contains(&key.as_str())) {
            return Err(refuse(422, "The permissions requested are not granted to this installation."));
        }
        let mut given = self.given.lock().unwrap();
        let lifetime = *self.lifetime.lock().unwrap();
        let text = format!("{TOKEN_START}{:032}", given.len());
        given.push(Given {
            text: text.clone(),
            permissions: Value::Object(asked),
            expires: SystemTime::now() + lifetime,
        });
        let at = (OffsetDateTime::now_utc() + lifetime).replace_nanosecond(0).unwrap().format(&Rfc3339).unwrap();
        Ok((201, json!({ "token": text, "expires_at": at, "permissions": wanted["permissions"] })))
    }

    /// Refuses a token that is unknown, has expired or may not do this.
    fn check(&self, token: &str, permission: &str) -> Result<(), Answer> {
        let given = self.given.lock().unwrap();
        let known = given.iter().find(|given| given.text == token && given.expires > SystemTime::now());
        let known = known.ok_or_else(|| refuse(401, "Bad credentials"))?;
        match permission == "metadata" || known.permissions[permission].is_string() {
            true => Ok(()),
            false => Err(refuse(403, "Resource not accessible by integration")),
        }
    }

    fn write(&self, id: Option<u64>, value: Value) -> Result<Answer, Answer> {
        check_document(&value, id.is_none()).map_err(|why| refuse(422, &why))?;
        let mut checks = self.checks.lock().unwrap();
        let stored = match id {
            None => {
                let mut check = value.clone();
                check["id"] = (checks.len() + 1).into();
                check["app"] = json!({ "id": APP });
                checks.push(check.clone());
                check
            }
            Some(id) => {
                let known = checks.iter_mut().find(|check| check["id"] == id);
                let known = known.ok_or_else(|| refuse(404, "Not Found"))?;
                value.as_object().unwrap().iter().for_each(|(key, value)| known[key] = value.clone());
                known.clone()
            }
        };
        self.writes.lock().unwrap().push(stored.clone());
        Ok((if id.is_none() { 201 } else { 200 }, stored))
    }
}

fn verifies(keys: &Path, signed: &str, signature: &[u8]) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let (text, proof) = (directory.path().join("text"), directory.path().join("proof"));
    std::fs::write(&text, signed).unwrap();
    std::fs::write(&proof, signature).unwrap();
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha256", "-verify"]).arg(keys.join("app.pub")).arg("-signature").arg(&proof).arg(&text);
    command.output().unwrap().status.success()
}
