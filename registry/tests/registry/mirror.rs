//! Mirrors: what of another registry is read through this one, by whom, and what becomes of it while the other is away.

use crate::hub::{Answer, Hub, digest_of, manifest};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use database::{Database, NewAccount, Right, hash_password};
use image_store::{Mirror, MirrorSettings, Mirrors, Store, Upstream};
use registry::{Access, Accounts, Settings};
use registry_client::{Client, Credentials, Digest, Reach, RetryPolicy, Rights};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the other registry behaves.
#[derive(Default)]
pub(crate) struct Mood {
    asked: Vec<String>,
    pub is_away: bool,
    /// Answers 429 so often.
    limited: usize,
    /// The repository that it shows to its own user alone.
    pub private: String,
}

type Moods = Arc<Mutex<Mood>>;

/// Another registry, on a port of this machine.
pub(crate) struct Other {
    pub hub: Hub,
    mood: Moods,
    pub address: SocketAddr,
}

async fn moody(State(mood): State<Moods>, request: Request, next: Next) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let has_login = request.headers().contains_key("authorization");
    {
        let mut mood = mood.lock().unwrap();
        mood.asked.push(format!("{method} {path}"));
        if mood.is_away {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
        if mood.limited > 0 {
            mood.limited -= 1;
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")]).into_response();
        }
        if !mood.private.is_empty() && path.starts_with(&format!("/v2/{}/", mood.private)) && !has_login {
            return (StatusCode::UNAUTHORIZED, [("www-authenticate", "Basic")]).into_response();
        }
    }
    if path.contains("/blobs/") && method == Method::GET {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    next.run(request).await
}

impl Other {
    pub(crate) async fn start() -> Other {
        let (hub, mood) = (Hub::new(), Moods::default());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = hub.router.clone().layer(from_fn_with_state(mood.clone(), moody));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Other { hub, mood, address }
    }

    /// Puts an image with one layer there; returns the digests of its manifest and layer.
    pub(crate) async fn image(&self, repository: &str, layer: &[u8]) -> (Digest, Digest) {
        self.hub.upload(repository, b"{}").await;
        let layer_digest = self.hub.upload(repository, layer).await;
        let document = manifest(&[layer]);
        assert_eq!(self.hub.put(repository, "1", &document).await.status, 201);
        (digest_of(&document), layer_digest)
    }

    pub(crate) fn mood(&self, change: impl FnOnce(&mut Mood)) {
        change(&mut self.mood.lock().unwrap());
    }

    /// Returns how often it was asked for paths with this text since the last time.
    fn asked(&self, text: &str) -> usize {
        let asked = std::mem::take(&mut self.mood.lock().unwrap().asked);
        asked.iter().filter(|line| line.contains(text)).count()
    }

    fn mirrors(&self, directory: &std::path::Path, change: impl FnOnce(&mut MirrorSettings)) -> Mirrors {
        mirrors_of(self.address, directory, change)
    }
}

/// Returns a mirror of the registry at an address.
pub(crate) fn mirrors_of(
    address: SocketAddr,
    directory: &std::path::Path,
    change: impl FnOnce(&mut MirrorSettings),
) -> Mirrors {
    let mut settings = MirrorSettings {
        host: "docker.io".to_owned(),
        upstream: address.to_string(),
        has_login: false,
        fresh: Duration::from_secs(60),
        limit: 1 << 30,
        is_default: false,
    };
    change(&mut settings);
    let retry = RetryPolicy {
        initial_backoff: Duration::from_millis(1),
        max_attempts: 2,
        max_elapsed: Duration::ZERO,
        ..RetryPolicy::default()
    };
    let client = |credentials| {
        let retry = retry.clone();
        Client::new(registry_client::Settings { credentials, retry, ..registry_client::Settings::default() }).unwrap()
    };
    let login = HashMap::from([(address.to_string(), ("me".to_owned(), "secret".to_owned()))]);
    let own = if settings.has_login { Credentials::Fixed(login) } else { Credentials::None };
    let anonymous = client(Credentials::None);
    let stranger = anonymous.with_rights(Rights { reach: Reach::PublicOnly, ..Rights::default() });
    let upstream = Upstream { own: client(own), anonymous, stranger };
    Mirrors::new(vec![Mirror::open(directory, settings, upstream).unwrap()])
}

/// A registry with a mirror.
struct Here {
    hub: Hub,
    directory: tempfile::TempDir,
}

impl Here {
    fn new(other: &Other, change: impl FnOnce(&mut MirrorSettings)) -> Here {
        let directory = tempfile::tempdir().unwrap();
        let mirrors = other.mirrors(directory.path(), change);
        Here { hub: Hub::with(Settings { mirrors, ..Settings::new(Access::Open) }), directory }
    }

    async fn get(&self, path: &str) -> Answer {
        self.hub.get(path).await
    }

    fn store(&self) -> Store {
        Store::open(self.directory.path()).unwrap()
    }
}

#[tokio::test]
async fn an_image_of_another_registry_is_read_by_three_names_and_asked_for_once() {
    let other = Other::start().await;
    let (manifest, layer) = other.image("library/app", b"a layer").await;
    let here = Here::new(&other, |settings| settings.is_default = true);
    other.asked("");
    for (prefix, ns) in [("library/app", "?ns=docker.io"), ("docker.io/library/app", ""), ("library/app", "")] {
        let found = here.get(&format!("{prefix}/manifests/1{ns}")).await;
        assert_eq!((found.status, found.header("docker-content-digest")), (200, manifest.as_str()), "{prefix}{ns}");
        assert!(found.header("slipway-stale").is_empty());
        assert_eq!(here.get(&format!("{prefix}/manifests/{manifest}{ns}")).await.body, found.body);
        let blob = here.get(&format!("{prefix}/blobs/{layer}{ns}")).await;
        assert_eq!((blob.status, blob.body.as_slice()), (200, &b"a layer"[..]));
        let head = here.hub.ask(Method::HEAD, &format!("{prefix}/blobs/{layer}{ns}"), &[], b"").await;
        assert_eq!((head.status, head.header("content-length")), (200, "7"));
        let part = format!("{prefix}/blobs/{layer}{ns}");
        assert_eq!(here.hub.ask(Method::GET, &part, &[("range", "bytes=2-")], b"").await.body, b"layer");
    }
    assert_eq!(other.asked("GET /v2/library/app/"), 2, "the manifest and the blob, once each");
    // Repositories of this registry come first, and nothing else of the other registry is here.
    here.hub.upload("library/app", b"own").await;
    assert_eq!(here.hub.status(Method::GET, "library/app/manifests/1").await, 404);
    assert_eq!(here.hub.status(Method::GET, &format!("library/other/blobs/{layer}?ns=docker.io")).await, 404);
    assert_eq!(here.hub.status(Method::GET, "library/app/manifests/2?ns=docker.io").await, 404);
    for (method, path) in [(Method::PUT, "docker.io/a/manifests/1"), (Method::POST, "docker.io/a/blobs/uploads/")] {
        let refused = here.hub.ask(method, path, &[], b"{}").await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "DENIED"), "{path}");
    }
}

#[tokio::test]
async fn a_tag_is_looked_at_again_and_what_it_meant_serves_while_the_registry_is_away() {
    let other = Other::start().await;
    let (first, _) = other.image("library/app", b"one").await;
    let here = Here::new(&other, |settings| settings.fresh = Duration::ZERO);
    let path = "library/app/manifests/1?ns=docker.io";
    assert_eq!(here.get(path).await.header("docker-content-digest"), first.as_str());
    other.asked("");
    assert_eq!(here.get(path).await.header("docker-content-digest"), first.as_str());
    assert_eq!(other.asked("GET /v2/library/app/"), 0, "to look costs no pull");
    let (second, _) = other.image("library/app", b"two").await;
    assert_eq!(here.get(path).await.header("docker-content-digest"), second.as_str());
    other.mood(|mood| mood.is_away = true);
    let old = here.get(path).await;
    assert_eq!((old.status, old.header("docker-content-digest")), (200, second.as_str()));
    assert_eq!(old.header("slipway-stale"), "true");
    assert!(old.header("warning").starts_with("110 "));
    other.asked("");
    assert_eq!(here.get(path).await.status, 200);
    assert_eq!(other.asked(""), 0, "who is away is not asked by everybody");
    let never = here.get("library/other/manifests/1?ns=docker.io").await;
    assert_eq!(never.status, 502);
    assert!(String::from_utf8_lossy(&never.body).contains("docker.io"));
}

#[tokio::test]
async fn one_download_serves_all_who_wait_for_it() {
    let other = Other::start().await;
    let (_, layer) = other.image("library/app", &[7; 100_000]).await;
    let directory = tempfile::tempdir().unwrap();
    // Two processes: each has its own mirror over one directory.
    let hubs: Vec<Hub> = (0..2)
        .map(|_| {
            let mirrors = other.mirrors(directory.path(), |_| {});
            Hub::with(Settings { mirrors, ..Settings::new(Access::Open) })
        })
        .collect();
    other.asked("");
    let path = format!("library/app/blobs/{layer}?ns=docker.io");
    let all = futures::future::join_all((0..20).map(|number| hubs[number % 2].get(&path))).await;
    assert!(all.iter().all(|answer| answer.status == 200 && answer.body.len() == 100_000));
    assert_eq!(other.asked("GET /v2/library/app/blobs/"), 1);
}

#[tokio::test]
async fn a_limit_is_waited_for_by_all_and_old_content_serves_meanwhile() {
    let other = Other::start().await;
    let (_, layer) = other.image("library/app", b"layer").await;
    let here = Here::new(&other, |settings| settings.fresh = Duration::ZERO);
    let tag = "library/app/manifests/1?ns=docker.io";
    assert_eq!(here.get(tag).await.status, 200);
    other.mood(|mood| mood.limited = 1);
    other.asked("");
    let began = std::time::Instant::now();
    let blob = format!("library/app/blobs/{layer}?ns=docker.io");
    let (blob, old) = tokio::join!(here.get(&blob), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        (here.get(tag).await, began.elapsed())
    });
    assert_eq!(
        (blob.status, began.elapsed() >= Duration::from_millis(900)),
        (200, true),
        "it came back when it was told to"
    );
    assert!(old.0.status == 200 && old.0.header("slipway-stale") == "true" && old.1 < Duration::from_millis(800));
    assert_eq!(other.asked("HEAD /v2/library/app/manifests"), 0, "nobody else asked meanwhile");
}

#[tokio::test]
async fn a_mirror_makes_room_by_last_use_and_spares_what_is_leased() {
    let other = Other::start().await;
    let mut layers = Vec::new();
    for number in 0..4u8 {
        layers.push(other.image("library/app", &[number; 40_000]).await.1);
    }
    let here = Here::new(&other, |settings| settings.limit = 100_000);
    let path = |layer: &Digest| format!("library/app/blobs/{layer}?ns=docker.io");
    let store = here.store();
    let held = store.leased().unwrap();
    for (number, layer) in layers.iter().enumerate() {
        assert_eq!(here.get(&path(layer)).await.status, 200);
        // Nothing that was used a moment ago goes: make it older, the first the oldest.
        let used = std::time::SystemTime::now() - Duration::from_secs(100 - number as u64);
        let file = std::fs::File::open(store.path(layer));
        file.unwrap().set_modified(used).unwrap();
        if number == 0 {
            assert!(held.contains(layer));
        }
    }
    let left: Vec<bool> = layers.iter().map(|layer| store.contains(layer)).collect();
    assert_eq!(left, [true, false, false, true], "the lease's, and the newest");
    assert_eq!(here.get(&path(&layers[1])).await.body, vec![1; 40_000], "what went is read again");
}

async fn account(database: &Database, name: &str, pattern: Option<&str>) {
    let password_hash = hash_password("a good secret").unwrap();
    let account = NewAccount { name: name.to_owned(), is_robot: false, password_hash, expires_ms: None };
    let rights: Vec<Right> = pattern.iter().map(|pattern| Right::new(name, pattern, "pull").unwrap()).collect();
    assert!(database.add_account(&account, &rights).await.unwrap());
}

#[tokio::test]
async fn what_the_mirror_reads_with_its_login_is_for_those_with_a_right_of_their_own() {
    let other = Other::start().await;
    let (_, public) = other.image("library/app", b"public").await;
    let (private_manifest, private) = other.image("team/app", b"private").await;
    other.mood(|mood| mood.private = "team/app".to_owned());
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(&format!("sqlite://{}/d.db", directory.path().display())).await.unwrap();
    database.put_right(&Right::new("", "docker.io/**", "pull").unwrap()).await.unwrap();
    account(&database, "ada", Some("docker.io/team/*")).await;
    account(&database, "bob", None).await;
    let mirrors = other.mirrors(&directory.path().join("mirror"), |settings| {
        settings.has_login = true;
        settings.is_default = true;
    });
    let access = Access::Accounts(Accounts::new(Vec::new(), database));
    let hub = Hub::with(Settings { mirrors, ..Settings::new(access) });
    let ask = async |who: &str, path: String| {
        use base64::Engine as _;
        let login = base64::engine::general_purpose::STANDARD.encode(format!("{who}:a good secret"));
        let header = format!("Basic {login}");
        let headers: &[(&str, &str)] = if who.is_empty() { &[] } else { &[("authorization", header.as_str())] };
        hub.ask_at(Method::GET, &format!("/v2/{path}"), headers, Body::empty()).await.status
    };
    let blob = format!("team/app/blobs/{private}?ns=docker.io");
    let by_digest = format!("docker.io/team/app/manifests/{private_manifest}");
    // Before and after it is here, by tag and by digest, with `ns` and without.
    for round in 0..2 {
        for who in ["", "bob"] {
            for path in ["team/app/manifests/1?ns=docker.io", &by_digest, &blob, "team/app/manifests/1"] {
                assert_eq!(ask(who, path.to_owned()).await, 404, "round {round}, `{who}`, {path}");
            }
            assert_eq!(ask(who, "library/app/manifests/1?ns=docker.io".to_owned()).await, 200);
            assert_eq!(ask(who, format!("library/app/blobs/{public}?ns=docker.io")).await, 200);
            // A public repository does not serve what it does not have.
            assert_eq!(ask(who, format!("library/app/blobs/{private}?ns=docker.io")).await, 404);
            assert_eq!(ask(who, format!("library/app/manifests/{private_manifest}?ns=docker.io")).await, 404);
        }
        for path in ["team/app/manifests/1?ns=docker.io", &by_digest, &blob, "team/app/manifests/1"] {
            assert_eq!(ask("ada", path.to_owned()).await, 200, "round {round}, {path}");
        }
    }
    // docker asks for a token in the name that it knows, containerd in the one of the challenge.
    for scope in ["repository:library/app:pull", "repository:docker.io/library/app:pull"] {
        let token = hub.ask_at(Method::GET, &format!("/v2/token?scope={scope}"), &[], Body::empty()).await.json();
        let header = format!("Bearer {}", token["token"].as_str().unwrap());
        let asked = async |path: &str| {
            hub.ask_at(Method::GET, &format!("/v2/{path}"), &[("authorization", header.as_str())], Body::empty()).await
        };
        assert_eq!(asked("library/app/manifests/1?ns=docker.io").await.status, 200, "{scope}");
        assert_eq!(asked("team/app/manifests/1?ns=docker.io").await.status, 401, "{scope}");
    }
}
