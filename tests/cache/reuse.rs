//! Reuse by later builds: on the same machine, on another one, and after damage.

use crate::support::{run, shown, slipway};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A registry that keeps what it was asked.
struct Registry {
    address: String,
    store: PathBuf,
    asked: Arc<Mutex<Vec<String>>>,
    _tokio: tokio::runtime::Runtime,
}

async fn note(State(asked): State<Arc<Mutex<Vec<String>>>>, request: Request, next: Next) -> Response {
    asked.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
    next.run(request).await
}

impl Registry {
    fn start(directory: &Path) -> Registry {
        let store = directory.join("registry");
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = tokio.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let settings = registry::Settings::new(registry::Access::Open);
        let router = registry::router(image_store::Store::open(&store).unwrap(), settings)
            .layer(from_fn_with_state(asked.clone(), note));
        tokio.spawn(async move { axum::serve(listener, router).await });
        Registry { address, store, asked, _tokio: tokio }
    }

    /// Returns the requests since the last call that begin like this and contain that.
    fn asked(&self, method: &str, part: &str) -> usize {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.iter().filter(|request| request.starts_with(method) && request.contains(part)).count()
    }
}

/// A machine: a data directory, and contexts to build.
struct Site {
    directory: TempDir,
    registry: Registry,
}

const DOCKERFILE: &str = r#"FROM scratch AS tool
COPY busybox /bin/sh
COPY input /input
RUN echo made > /out
FROM scratch
COPY busybox /bin/sh
COPY --from=tool /out /out
RUN echo expensive > /expensive
"#;

impl Site {
    fn new() -> Site {
        let directory = tempfile::tempdir().unwrap();
        let context = directory.path().join("context");
        std::fs::create_dir(&context).unwrap();
        std::fs::copy("/bin/busybox", context.join("busybox")).expect("busybox-static is installed");
        let registry = Registry::start(directory.path());
        let site = Site { directory, registry };
        site.write("Dockerfile", DOCKERFILE);
        site.write("input", "one");
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.path("context").join(name), content).unwrap();
    }

    /// Builds on a machine and pushes; returns what was said.
    fn build(&self, machine: &str, extra: &[&str]) -> String {
        let output = slipway()
            .args(["build", "--progress", "plain", "--push", "--build-arg", "SOURCE_DATE_EPOCH=1700000000"])
            .args(["-t", &format!("{}/team/app:latest", self.registry.address), "--data-dir"])
            .arg(self.path(machine))
            .args(extra)
            .arg(self.path("context"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", shown(&output));
        shown(&output)
    }

    /// Gives another machine the same database, and nothing else.
    fn share_database(&self, from: &str, to: &str) {
        std::fs::create_dir(self.path(to)).unwrap();
        for entry in std::fs::read_dir(self.path(from)).unwrap().flatten() {
            if entry.file_name().to_string_lossy().starts_with("slipway.db") {
                std::fs::copy(entry.path(), self.path(to).join(entry.file_name())).unwrap();
            }
        }
    }

    /// Returns the hexadecimal digests of the layers that the registry's image has.
    fn layers(&self) -> Vec<String> {
        let image = format!("docker://{}/team/app:latest", self.registry.address);
        let text = run(std::process::Command::new("skopeo").args(["inspect", "--raw", "--tls-verify=false", &image]));
        let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        layers.iter().map(|layer| layer["digest"].as_str().unwrap()[7..].to_owned()).collect()
    }

    fn has_blob(&self, machine: &str, hex: &str) -> bool {
        self.path(machine).join("images/blobs/sha256").join(hex).exists()
    }
}

/// Tells whether the step whose instruction begins like this came from the cache.
fn cached(said: &str, instruction: &str) -> bool {
    let shown = said.lines().find(|line| line.contains(&format!("] {instruction}")));
    let number = shown.unwrap_or_else(|| panic!("no step `{instruction}`:\n{said}")).split(' ').next().unwrap();
    said.lines().any(|line| line == format!("{number} CACHED"))
}

// DF-258
#[test]
fn what_was_made_again_but_is_the_same_changes_nothing_after_it() {
    let site = Site::new();
    site.build("one", &[]);
    site.write("input", "two");
    let said = site.build("one", &[]);
    assert!(!cached(&said, "COPY input") && !cached(&said, "RUN echo made"), "{said}");
    assert!(cached(&said, "COPY --from=tool") && cached(&said, "RUN echo expensive"), "{said}");
    // And once it is known that the new definition makes the same, nothing of it is looked at any more.
    let said = site.build("one", &[]);
    assert!(cached(&said, "RUN echo made") && cached(&said, "RUN echo expensive"), "{said}");
    // The copied content counts, not the step that made it.
    site.write("Dockerfile", &DOCKERFILE.replace("echo made", "echo other"));
    let said = site.build("one", &[]);
    assert!(!cached(&said, "COPY --from=tool") && !cached(&said, "RUN echo expensive"), "{said}");
}

#[test]
fn a_build_without_news_asks_the_registry_for_its_tag_only() {
    // And whether it is there, while the build begins.
    let is_expected = |request: &String| request == "HEAD /v2/team/app/manifests/latest" || request == "GET /v2/";
    let site = Site::new();
    site.build("one", &[]);
    site.registry.asked("", "");
    site.build("one", &[]);
    let asked = std::mem::take(&mut *site.registry.asked.lock().unwrap());
    assert!(asked.iter().any(|request| request.starts_with("HEAD")), "{asked:?}");
    assert!(asked.iter().all(is_expected), "{asked:?}");
}

#[test]
fn another_machine_uses_what_this_one_pushed_and_downloads_nothing() {
    let site = Site::new();
    site.build("one", &[]);
    let layers = site.layers();
    site.share_database("one", "two");
    site.registry.asked("", "");
    let said = site.build("two", &[]);
    // The stage `tool` was never pushed, and is not missed.
    for step in ["COPY --from=tool", "RUN echo expensive"] {
        assert!(cached(&said, step), "{said}");
    }
    assert_eq!(site.registry.asked("GET", "/blobs/"), 0, "a layer was downloaded");
    assert!(layers.iter().all(|layer| !site.has_blob("two", layer)), "a layer was made again or downloaded");
    assert_eq!(site.layers(), layers);

    // A step more needs the files below it: these layers come from the registry, and only these.
    site.write("Dockerfile", &format!("{DOCKERFILE}RUN cat /expensive > /more\n"));
    let said = site.build("two", &[]);
    assert!(cached(&said, "RUN echo expensive") && !cached(&said, "RUN cat"), "{said}");
    assert_eq!(site.registry.asked("GET", "/blobs/"), layers.len());
}

#[test]
fn a_layer_that_nobody_has_any_more_is_made_again() {
    let site = Site::new();
    site.build("one", &[]);
    let layers = site.layers();
    site.share_database("one", "two");
    let last = layers.last().unwrap();
    std::fs::remove_file(site.registry.store.join("blobs/sha256").join(last)).unwrap();
    let said = site.build("two", &[]);
    assert!(cached(&said, "COPY --from=tool") && !cached(&said, "RUN echo expensive"), "{said}");
    assert!(site.has_blob("two", site.layers().last().unwrap()));
}

// ST-08
#[test]
fn a_blob_that_is_damaged_on_disk_is_put_aside_and_made_again() {
    let site = Site::new();
    site.build("one", &[]);
    let layers = site.layers();
    // Gone from the registry, so that it has to be sent again; and the bytes here are others, of the same number.
    let last = layers.last().unwrap();
    std::fs::remove_file(site.registry.store.join("blobs/sha256").join(last)).unwrap();
    std::fs::remove_dir_all(site.registry.store.join("tags")).unwrap();
    std::fs::create_dir(site.registry.store.join("tags")).unwrap();
    let blob = site.path("one").join("images/blobs/sha256").join(last);
    let size = std::fs::metadata(&blob).unwrap().len();
    std::fs::write(&blob, vec![b'x'; size as usize]).unwrap();
    let said = site.build("one", &[]);
    assert!(said.matches("] RUN echo expensive").count() == 2, "the build was not started again:\n{said}");
    assert!(site.path("one").join("images/quarantine").join(last).exists());
    assert_eq!(site.layers().len(), layers.len());
    // Cut short by a crash is damage, too, and is seen without reading it.
    std::fs::write(&blob, b"").unwrap();
    site.build("one", &[]);
    assert_eq!(site.layers().len(), layers.len());
}

#[test]
fn a_profile_names_the_critical_path_and_can_be_read_by_chrome() {
    let site = Site::new();
    let file = site.path("profile.json");
    let said = site.build("one", &["--profile", file.to_str().unwrap()]);
    assert!(said.contains("critical path: "), "{said}");
    let profile: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let events = profile["traceEvents"].as_array().unwrap();
    for work in ["key", "step", "pack", "upload", "settle", "push"] {
        assert!(events.iter().any(|event| event["cat"] == work && event["ph"] == "X"), "no `{work}` in {profile}");
    }
}

// REG-28
#[test]
fn a_name_is_asked_for_once_in_a_build_whatever_happens_to_its_tag() {
    let site = Site::new();
    site.build("one", &[]);
    let base = format!("{}/team/app:latest", site.registry.address);
    site.write(
        "Dockerfile",
        &format!(
            "FROM {base} AS a\nRUN echo a > /a\nFROM {base}\nCOPY --from={base} /out /more\nCOPY --from=a /a /a\n"
        ),
    );
    site.registry.asked("", "");
    site.build("one", &[]);
    assert_eq!(site.registry.asked("GET", "/manifests/latest"), 1);
}

// DF-269
#[test]
fn a_stage_that_is_to_be_made_anew_is_and_so_is_what_follows_from_it() {
    let site = Site::new();
    site.build("one", &[]);
    let said = site.build("one", &["--no-cache-filter", "tool"]);
    assert!(!cached(&said, "RUN echo made"), "{said}");
    // The same came out of it.
    assert!(cached(&said, "COPY --from=tool") && cached(&said, "RUN echo expensive"), "{said}");
}

/// Copies to a base image that is changed by writing `base` and the command that makes it.
const ON_A_BASE: &str = r#"FROM scratch AS base
COPY busybox /bin/sh
COPY base /etc/passwd
RUN true
FROM base
COPY input /app/input
COPY --chown=app input /owned/
RUN echo done
"#;

#[test]
fn a_copy_to_a_base_that_moved_is_found_if_it_packs_the_same_entries() {
    let site = Site::new();
    site.write("Dockerfile", ON_A_BASE);
    site.write("base", "app:x:7:7::/:/bin/sh\n");
    site.build("one", &[]);
    let first = site.layers();
    site.write("base", "app:x:7:7::/:/bin/sh\nother:x:8:8::/:/bin/sh\n");
    let said = site.build("one", &[]);
    let copies = ["COPY input /app/input", "COPY --chown=app input /owned/"];
    assert!(copies.iter().all(|copy| cached(&said, copy)), "{said}");
    assert!(!cached(&said, "COPY base") && !cached(&said, "RUN echo done"), "{said}");
    let second = site.layers();
    assert!(first[1] != second[1] && first[3..5] == second[3..5], "{first:?} {second:?}");
    // The owner's name stands for another number, and the destination is a link.
    site.write("base", "app:x:9:9::/:/bin/sh\n");
    site.write("Dockerfile", &ON_A_BASE.replace("RUN true", "RUN mkdir /real && ln -s real /app"));
    let said = site.build("one", &[]);
    assert!(copies.iter().all(|copy| !cached(&said, copy)), "{said}");
    let third = site.layers();
    assert!(second[3] != third[3] && second[4] != third[4], "{second:?} {third:?}");
    // And a build without the cache makes everything.
    let said = site.build("one", &["--no-cache"]);
    assert!(copies.iter().all(|copy| !cached(&said, copy)), "{said}");
    assert_eq!(third, site.layers());
}
