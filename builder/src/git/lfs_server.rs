//! The Git LFS server of a repository: its batch API is asked where contents are, and they are downloaded from there.

use super::error::SourceError;
use super::fetch_request::FetchSettings;
use super::lfs::Pointer;
use super::lfs_store::LfsStore;
use super::side_by_side::side_by_side;
use super::without_credentials;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use registry_client::{Reach, WebAnswer, WebRequest, is_same_server, may_be_told};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use url::Url;

/// Contents that one request asks for: servers take no more than a hundred.
const BATCH: usize = 100;
/// Bytes of an answer to it.
const MAX_ANSWER: usize = 8 * 1024 * 1024;
/// Type of the requests and answers.
const JSON: &str = "application/vnd.git-lfs+json";
/// Characters of a server's words that are shown.
const SHOWN: usize = 200;
/// How often a lock is tried that another process has.
const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How contents are fetched, for all repositories of a build.
#[derive(Clone)]
pub struct LfsAccess {
    /// Where they are kept.
    pub store: LfsStore,
    /// Bytes that one of them may have.
    pub max_bytes: u64,
    /// Addresses that other servers may have than the repository's.
    pub elsewhere: Reach,
    /// Whether the login of a repository is for other paths of its server, too, that a file of the commit names.
    pub trusts_commit: bool,
}

/// The server of one repository.
pub(super) struct LfsServer {
    pub access: LfsAccess,
    /// Where the repository is.
    pub url: String,
    /// How it is fetched, with the login that is for it.
    pub settings: FetchSettings,
    /// The URL that `.lfsconfig` gives, if it does.
    pub configured: Option<String>,
}

#[derive(Serialize)]
struct Ask<'a> {
    operation: &'static str,
    transfers: [&'static str; 1],
    hash_algo: &'static str,
    objects: Vec<Object<'a>>,
}

#[derive(Serialize)]
struct Object<'a> {
    oid: &'a str,
    size: u64,
}

#[derive(Deserialize)]
struct Answer {
    objects: Vec<Place>,
    transfer: Option<String>,
}

#[derive(Deserialize)]
struct Place {
    oid: String,
    #[serde(default)]
    actions: BTreeMap<String, Link>,
    error: Option<Refusal>,
}

#[derive(Deserialize, Clone)]
struct Link {
    href: String,
    #[serde(default)]
    header: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    message: String,
}

impl LfsServer {
    /// Fetches the contents that are not here; `wanted` are the files that need them, each with its path.
    pub(super) fn fetch(&self, wanted: &[(String, Pointer)]) -> Result<(), SourceError> {
        let (mut missing, mut seen) = (Vec::new(), BTreeSet::new());
        for (path, pointer) in wanted {
            let failed = |problem: String| self.failed(path, problem);
            if pointer.object.is_empty() {
                return Err(failed("the pointer is malformed".to_owned()));
            }
            if pointer.size > self.access.max_bytes {
                let limit = self.access.max_bytes;
                return Err(failed(format!(
                    "it has {} bytes, and {limit} are fetched (`limits.lfs_mib`)",
                    pointer.size
                )));
            }
            if self.access.store.open(&pointer.object).is_err() && seen.insert(&pointer.object) {
                missing.push((path.clone(), pointer.clone()));
            }
        }
        for some in missing.chunks(BATCH) {
            let places = self.ask(some)?;
            let downloads: Vec<_> = some.iter().zip(places).collect();
            side_by_side(&downloads, |((path, pointer), link)| self.one(path, pointer, link))?;
        }
        Ok(())
    }

    /// Asks where contents are, in the order in which they are named.
    fn ask(&self, wanted: &[(String, Pointer)]) -> Result<Vec<Link>, SourceError> {
        let first = wanted.first().map_or("", |(path, _)| path);
        let endpoint = self.endpoint().map_err(|problem| self.failed(first, problem))?;
        let objects = wanted.iter().map(|(_, pointer)| Object { oid: &pointer.object, size: pointer.size }).collect();
        let ask = Ask { operation: "download", transfers: ["basic"], hash_algo: "sha256", objects };
        let body = serde_json::to_vec(&ask).map_err(|error| self.failed(first, error.to_string()))?;
        let request = WebRequest {
            url: format!("{endpoint}/objects/batch"),
            reach: self.settings.reach,
            elsewhere: self.settings.elsewhere,
            headers: vec![("accept", JSON.to_owned()), ("content-type", JSON.to_owned())],
            private_headers: Vec::new(),
            authorization: self.login(&endpoint),
            body: Some(body.into()),
        };
        let shown = request.authorization.is_some();
        let work = async {
            let mut answer = self.settings.client.ask(&request).await.map_err(|error| self.unreached(first, error))?;
            self.check(first, &answer, shown)?;
            let mut text = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreached(first, error))? {
                text.extend_from_slice(&chunk);
                if text.len() > MAX_ANSWER {
                    return Err(self.failed(first, "the server's answer is too long".to_owned()));
                }
            }
            Ok(text)
        };
        let text = self.bounded(work)?;
        let answer: Answer = serde_json::from_slice(&text)
            .map_err(|_| self.failed(first, format!("`{}` is not a Git LFS server", without_credentials(&endpoint))))?;
        if answer.transfer.is_some_and(|transfer| transfer != "basic") {
            return Err(self.failed(first, "the server offers no `basic` transfers".to_owned()));
        }
        wanted.iter().map(|(path, pointer)| self.place(path, pointer, &answer.objects)).collect()
    }

    fn place(&self, path: &str, pointer: &Pointer, places: &[Place]) -> Result<Link, SourceError> {
        let place = places.iter().find(|place| place.oid == pointer.object);
        match place {
            None => Err(self.failed(path, "the server does not say where it is".to_owned())),
            Some(Place { error: Some(Refusal { code, message }), .. }) => {
                let message: String = message.chars().take(SHOWN).collect();
                let text = format!("the server says {code}: {}", dockerfile::printable(&message));
                Err(self.failed(path, text))
            }
            Some(place) => {
                let link = place.actions.get("download").cloned();
                link.ok_or_else(|| self.failed(path, "the server has no download for it".to_owned()))
            }
        }
    }

    /// Fetches one content, unless another process did it in the meantime.
    fn one(&self, path: &str, pointer: &Pointer, link: &Link) -> Result<(), SourceError> {
        let (store, object) = (&self.access.store, &pointer.object);
        let local = |error: std::io::Error| SourceError::Mirror { url: self.shown(), cause: error.into() };
        let lock = store.lock(object).map_err(local)?;
        let until = Instant::now() + self.settings.timeout;
        while lock.try_lock().is_err() {
            if self.settings.cancel.is_cancelled() || Instant::now() > until {
                return Err(SourceError::Stopped {
                    url: self.shown(),
                    reason: "another fetch of the same file does not end",
                });
            }
            self.settings.cancel.wait_timeout(LOCK_POLL_INTERVAL);
        }
        if store.has_content(object) {
            // The server has just said that it would give it.
            return store.give(object).map_err(local);
        }
        let request = self.download(link).map_err(|problem| self.failed(path, problem))?;
        let mut incoming = store.begin().map_err(local)?;
        let work = async {
            let mut answer = self.settings.client.ask(&request).await.map_err(|error| self.unreached(path, error))?;
            self.check(path, &answer, true)?;
            while let Some(chunk) = answer.chunk().await.map_err(|error| self.unreached(path, error))? {
                if incoming.size + chunk.len() as u64 > pointer.size {
                    let problem =
                        format!("the server sends more than the {} bytes that the pointer says", pointer.size);
                    return Err(self.failed(path, problem));
                }
                incoming.write(&chunk).map_err(local)?;
            }
            Ok(())
        };
        self.bounded(work)?;
        store.take(incoming, object, pointer.size).map_err(local)?.map_err(|problem| self.failed(path, problem))
    }

    /// Returns the request for a content. The headers that the server wants with it are for this download alone.
    fn download(&self, link: &Link) -> Result<WebRequest, String> {
        let mut private_headers: Vec<(String, String)> = Vec::new();
        let mut authorization = None;
        for (name, value) in &link.header {
            match name.to_ascii_lowercase().as_str() {
                "authorization" => authorization = Some(value.clone()),
                // These are the connection's own.
                "host" | "content-length" | "transfer-encoding" | "connection" | "te" | "upgrade" => {}
                _ => private_headers.push((name.clone(), value.clone())),
            }
        }
        let is_own = is_same(&link.href, &self.url);
        if authorization.is_none() && is_own {
            authorization = self.login(&link.href);
        }
        Ok(WebRequest {
            url: link.href.clone(),
            reach: if is_own { self.settings.reach } else { self.access.elsewhere },
            elsewhere: self.settings.elsewhere,
            headers: Vec::new(),
            private_headers,
            authorization,
            body: None,
        })
    }

    /// Returns the URL below which the server is asked: the repository's own, or another one of its host.
    fn endpoint(&self) -> Result<String, String> {
        let url = self.url.trim_end_matches('/');
        let own = if url.ends_with(".git") { format!("{url}/info/lfs") } else { format!("{url}.git/info/lfs") };
        match &self.configured {
            None => Ok(own),
            Some(other) if is_same(other, &self.url) => Ok(other.trim_end_matches('/').to_owned()),
            Some(other) => Err(format!(
                "`.lfsconfig` names `{}`, which is not on the repository's own server",
                without_credentials(other)
            )),
        }
    }

    /// Returns the login for an address of the repository's own server.
    fn login(&self, url: &str) -> Option<String> {
        let (asked, own) = (Url::parse(url).ok()?, Url::parse(&self.url).ok()?);
        // A stranger's `.lfsconfig` may name another repository of the server.
        let told = may_be_told(&asked, &own) && (self.access.trusts_commit || self.configured.is_none());
        let (user, password) = self.settings.credentials.as_ref().filter(|_| told)?;
        Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
    }

    fn check(&self, path: &str, answer: &WebAnswer, shown: bool) -> Result<(), SourceError> {
        match answer.status() {
            200 => Ok(()),
            401 | 403 if shown => Err(self.failed(path, "the server refuses the login for it".to_owned())),
            401 | 403 => Err(self.failed(path, "the server wants a login for it, and none is used".to_owned())),
            404 => Err(self.failed(path, "the server does not have it, or has no Git LFS".to_owned())),
            status if status >= 500 || status == 429 => {
                let cause = super::remote::RemoteError::Status(status);
                Err(SourceError::Fetch { url: self.shown(), cause })
            }
            status => Err(self.failed(path, format!("the server answers with status {status}"))),
        }
    }

    fn bounded<T>(&self, work: impl Future<Output = Result<T, SourceError>>) -> Result<T, SourceError> {
        let (settings, url) = (&self.settings, self.shown());
        settings.tokio.block_on(async {
            tokio::select! {
                result = work => result,
                () = settings.cancel.cancelled() => Err(SourceError::Stopped { url, reason: "the build was cancelled" }),
                () = tokio::time::sleep(settings.timeout) => {
                    Err(SourceError::TooSlow { url, limit: crate::duration::shown(settings.timeout) })
                }
            }
        })
    }

    fn unreached(&self, path: &str, error: registry_client::Error) -> SourceError {
        match error {
            registry_client::Error::NotAllowed(problem) => self.failed(path, problem),
            error => SourceError::Fetch { url: self.shown(), cause: error.into() },
        }
    }

    fn failed(&self, path: &str, problem: String) -> SourceError {
        SourceError::Lfs { path: dockerfile::printable(path), url: self.shown(), problem }
    }

    fn shown(&self) -> String {
        without_credentials(&self.url)
    }
}

/// Returns whether two URLs are on one server, and encrypted alike.
fn is_same(one: &str, other: &str) -> bool {
    matches!((Url::parse(one), Url::parse(other)), (Ok(one), Ok(other)) if one.host().is_some()
        && one.scheme() == other.scheme() && is_same_server(&one, &other))
}

/// Returns the URL that an `.lfsconfig` gives for the server.
pub(super) fn configured_url(text: &str) -> Option<String> {
    super::modules::setting(text, "lfs", "url")
}
