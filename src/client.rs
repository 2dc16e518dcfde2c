//! The API client of the commands: address of the server, token, requests and refusals.

use clap::Args;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use webhook::sanitize;
use webhook::view::build::BuildView;
use webhook::view::service::ProblemView;

/// How long an answer may take; the server answers waiting requests within a minute.
const TIMEOUT: Duration = Duration::from_secs(90);

/// Address of the server, and the token.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// URL of the server
    #[arg(long, env = "SLIPWAY_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    server: String,
    /// Token of the API; better kept in a file or in SLIPWAY_TOKEN
    #[arg(long, env = "SLIPWAY_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// File that holds the token
    #[arg(long, env = "SLIPWAY_TOKEN_FILE", value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Print what the server answers, as JSON
    #[arg(long)]
    pub json: bool,
}

/// The build that something is to be done to.
#[derive(Debug, Args)]
pub(crate) struct OneBuild {
    /// The build: its id, namespace/name#number, or namespace/name for the newest
    build: String,
    #[command(flatten)]
    connection: Connection,
}

impl OneBuild {
    /// Asks for `what` to be done to the build and prints the answer: as it is, or as `told` puts it.
    pub(crate) fn ask(
        &self,
        what: &str,
        told: impl FnOnce(&str, &Value) -> Result<String, String>,
    ) -> Result<ExitCode, String> {
        let api = self.connection.open()?;
        let id = build_id(&api, &self.build)?;
        let answer = api.send(Method::POST, &format!("/v1/builds/{id}/{what}"), None, &[])?.body;
        if self.connection.json {
            print_json(&answer);
        } else {
            println!("{}", told(&id, &answer)?);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// An answer that was no refusal.
pub(crate) struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Body; null if there is none.
    pub body: Value,
}

/// The API of a server.
pub(crate) struct Api {
    http: reqwest::Client,
    tokio: tokio::runtime::Runtime,
    base: String,
    token: Option<String>,
}

impl Connection {
    /// Returns the connection to a server with the token that is kept for it, if there is one.
    pub(crate) fn without_token(server: &str) -> Connection {
        Connection { server: server.to_owned(), token: None, token_file: None, json: false }
    }

    /// Returns the connection that the environment names, where `typed` does not say.
    pub(crate) fn of_environment(typed: impl Fn(&str) -> Option<String>) -> Connection {
        let of = |flag: &str, variable: &str| typed(flag).or_else(|| std::env::var(variable).ok());
        Connection {
            server: of("--server", "SLIPWAY_URL").unwrap_or_else(|| "http://127.0.0.1:8080".to_owned()),
            token: of("--token", "SLIPWAY_TOKEN"),
            token_file: of("--token-file", "SLIPWAY_TOKEN_FILE").map(PathBuf::from),
            json: true,
        }
    }

    /// Prepares to ask; nothing is asked yet.
    pub(crate) fn open(&self) -> Result<Api, String> {
        let token = match (&self.token, &self.token_file) {
            // Scripts set the variable to nothing when there is no token.
            (Some(token), _) => Some(token.trim().to_owned()).filter(|token| !token.is_empty()),
            (None, Some(file)) => {
                let text = std::fs::read_to_string(file);
                Some(
                    text.map_err(|error| format!("reading the token `{}`: {error}", file.display()))?.trim().to_owned(),
                )
            }
            (None, None) => crate::stored_logins::token(&self.server)?,
        };
        if !self.server.starts_with("http://") && !self.server.starts_with("https://") {
            return Err(format!("`{}` is not a URL of a server: it starts with http:// or https://", self.server));
        }
        // Another part of the program may have chosen the same provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let agent = concat!("slipway/", env!("CARGO_PKG_VERSION"));
        let http = reqwest::Client::builder().user_agent(agent).connect_timeout(Duration::from_secs(10));
        // Redirects are not followed: a token is for one server.
        let http = http.redirect(reqwest::redirect::Policy::none()).build();
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Api {
            http: http.map_err(|error| format!("setting up the HTTP client: {error}"))?,
            tokio: tokio.map_err(|error| format!("starting the asynchronous runtime: {error}"))?,
            base: self.server.trim_end_matches('/').to_owned(),
            token,
        })
    }
}

impl Api {
    /// Asks for a document.
    pub(crate) fn get(&self, path: &str) -> Result<Value, String> {
        self.send(Method::GET, path, None, &[]).map(|answer| answer.body)
    }

    /// Asks for a document; `None` if it does not come within `limit`.
    pub(crate) fn get_within(&self, path: &str, limit: Duration) -> Option<Value> {
        let asked = async {
            let response = self.request(Method::GET, path, None, &[]).await.ok()?;
            let text = response.error_for_status().ok()?.text().await.ok()?;
            serde_json::from_str(&text).ok()
        };
        self.tokio.block_on(async { tokio::time::timeout(limit, asked).await.ok().flatten() })
    }

    /// Asks for something to be done; headers come as names and values.
    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, &str)],
    ) -> Result<Answer, String> {
        self.tokio.block_on(async {
            let response = self.request(method, path, body, headers).await?;
            let status = response.status();
            let text = response.text().await.map_err(|error| self.unreachable(&error))?;
            let body: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
            if status.is_success() { Ok(Answer { status, body }) } else { Err(self.refusal(status, &body)) }
        })
    }

    /// Asks for a stream and hands each part of it to `take` until that says to stop.
    pub(crate) fn stream(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        mut take: impl FnMut(&[u8]) -> Result<bool, String>,
    ) -> Result<(), String> {
        self.tokio.block_on(async {
            let mut response = self.request(Method::GET, path, None, headers).await?;
            if !response.status().is_success() {
                let status = response.status();
                let text = response.text().await.unwrap_or_default();
                return Err(self.refusal(status, &serde_json::from_str(&text).unwrap_or(Value::Null)));
            }
            while let Some(part) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
                if !take(&part)? {
                    break;
                }
            }
            Ok(())
        })
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&'static str, &str)],
    ) -> Result<Response, String> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        let is_stream = headers.iter().any(|(name, value)| *name == "accept" && *value == "text/event-stream");
        if !is_stream {
            request = request.timeout(TIMEOUT);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map_err(|_| format!("`{value}` cannot stand in a header"))?;
            request = request.header(HeaderName::from_static(name), value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        request.send().await.map_err(|error| self.unreachable(&error))
    }

    fn unreachable(&self, error: &reqwest::Error) -> String {
        // The outer errors of the chain only say that a request was sent.
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let hint = "`slipway serve` starts one; --server or SLIPWAY_URL names another";
        format!("the server {} does not answer: {cause}\n  hint: {hint}", self.base)
    }

    /// Returns what a problem says, and what to do about it where a token is at fault.
    fn refusal(&self, status: StatusCode, body: &Value) -> String {
        let message = refusal(status, body);
        let hint = match (status, &self.token) {
            (StatusCode::UNAUTHORIZED, None) => {
                "`slipway sign-in URL` gets one; --token, --token-file or SLIPWAY_TOKEN hold it; `slipway token create` makes one"
            }
            (StatusCode::UNAUTHORIZED, Some(_)) => {
                "the one that was sent is not known there, revoked or too old: `slipway token list` shows them"
            }
            _ => return message,
        };
        format!("{message}\n  hint: {hint}")
    }
}

/// Returns the text of a problem, with its hint and its line for each rule.
fn refusal(status: StatusCode, body: &Value) -> String {
    let Ok(problem) = serde_json::from_value::<ProblemView>(body.clone()) else {
        return format!("the server answered HTTP {status}");
    };
    let mut message = format!("{} ({}, HTTP {})", problem.detail, problem.code, status.as_u16());
    for line in &problem.explain {
        message.push_str(&format!("\n  {line}"));
    }
    if let Some(hint) = &problem.hint {
        message.push_str(&format!("\n  hint: {hint}"));
    }
    message
}

/// Reads an answer as one of the API's views.
pub(crate) fn read<T: DeserializeOwned>(answer: &Value) -> Result<T, String> {
    T::deserialize(answer).map_err(|error| {
        format!("the server's answer does not have the expected form ({error}): is it a slipway of another version?")
    })
}

/// Returns a text for a query.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Prints a document for tools.
pub(crate) fn print_json(value: &Value) {
    println!("{}", serde_json::to_string_pretty(value).unwrap_or_default());
}

/// Prints the parts that were changed or left out.
pub(crate) fn warnings(warnings: &[String]) {
    warnings.iter().for_each(|warning| eprintln!("warning: {}", sanitize(warning)));
}

/// Reads the name of a repository from the command line.
pub(crate) fn repository_name(text: &str) -> Result<String, String> {
    let is_whole = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    match text.split_once('/') {
        Some((namespace, name)) if is_whole(namespace) && is_whole(name) => Ok(text.to_owned()),
        _ => Err("a repository is named namespace/name; `slipway repo list` shows those that the server builds".into()),
    }
}

/// Returns the id of a build: it is named by id, as `team/app#12`, or as `team/app` for the newest.
pub(crate) fn build_id(api: &Api, name: &str) -> Result<String, String> {
    let (repository, number) = match name.split_once('#') {
        Some((repository, number)) => (repository, number),
        None if name.contains('/') => (name, "latest"),
        None if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => return Ok(name.to_owned()),
        None => {
            return Err(format!("`{name}` names no build: write its id, `team/app#12`, or `team/app` for the newest"));
        }
    };
    let build = api.get(&format!("/v1/repos/{}/builds/{}", encoded(repository), encoded(number)))?;
    read::<BuildView>(&build).map(|build| build.id)
}
