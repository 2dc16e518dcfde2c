//! Cancelling ends a build within two seconds wherever it hangs: in a fetch, a pull, a push, or a long layer.

use crate::support::worker_pool::{Yard, serve};
use crate::support::{push_base, wait_for};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use database::{BuildRequest, BuildState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Decides by method, path and size of the answer whether a request is answered at all.
type Stall = fn(&str, &str, u64) -> bool;

/// A registry that has the base image, in a store of its own, and never answers some requests.
struct Stalling {
    address: String,
    /// Whether a request waits.
    waits: Arc<AtomicBool>,
}

impl Stalling {
    fn start(yard: &Yard, stall: Stall) -> Stalling {
        let directory = yard.path("elsewhere/images");
        std::fs::create_dir_all(&directory).unwrap();
        let store = image_store::Store::open(&directory).unwrap();
        let settings = || registry::Settings::new(registry::Access::Open);
        let honest = serve(&yard.tokio, registry::router(store.clone(), settings()));
        push_base(&yard.path("elsewhere"), &honest);
        let waits = Arc::new(AtomicBool::new(false));
        let seen = waits.clone();
        let stalled = move |request: Request, next: Next| {
            let (method, path, seen) = (request.method().to_string(), request.uri().path().to_owned(), seen.clone());
            async move {
                // A manifest that is put does not arrive: had it, the tag would have moved.
                if method == "PUT" && stall(&method, &path, 0) {
                    seen.store(true, Ordering::Relaxed);
                    std::future::pending::<()>().await;
                }
                let response = next.run(request).await;
                let length =
                    response.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
                if stall(&method, &path, length.unwrap_or(0)) {
                    seen.store(true, Ordering::Relaxed);
                    std::future::pending::<()>().await;
                }
                response
            }
        };
        let router = registry::router(store, settings()).layer(from_fn(stalled));
        Stalling { address: serve(&yard.tokio, router), waits }
    }
}

/// Cancels the build of `request` when `hangs` says so, and checks that it ends in time and leaves nothing.
fn ends_in_time(yard: &Yard, what: &str, request: &BuildRequest, hangs: &dyn Fn() -> bool) {
    let id = yard.queue(request);
    wait_for(what, || {
        let build = yard.build(&id);
        assert!(!build.state.has_ended(), "{what}: {build:#?}\n{}", yard.log(&id));
        hangs().then_some(())
    });
    let asked = Instant::now();
    yard.tokio.block_on(yard.database.cancel(&id)).unwrap();
    let build = yard.finished(&id);
    let took = asked.elapsed();
    println!("cancelled in {what}: {took:?}");
    assert_eq!(build.state, BuildState::Cancelled, "{what}: {build:#?}");
    assert!(took < Duration::from_secs(2), "{what}: {took:?}");
    assert_eq!(build.attempt, 1);
    yard.nothing_left();
}

#[test]
fn a_build_that_hangs_on_a_registry_is_cancelled_within_two_seconds() {
    let (yard, _worker) = Yard::with_worker("");
    let commit = yard.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo made > /made\n")]);
    let from: [(&str, Stall); 3] = [
        ("asking for the base image", |method, path, _| method != "PUT" && path.contains("/manifests/")),
        ("its configuration", |method, path, size| method == "GET" && path.contains("/blobs/") && size < 100_000),
        ("pulling a layer", |method, path, size| method == "GET" && path.contains("/blobs/") && size > 100_000),
    ];
    for (what, stall) in from {
        let registry = Stalling::start(&yard, stall);
        let mut request = yard.request(&commit);
        // No blob of the base image is here.
        std::fs::remove_dir_all(yard.path("data/images/blobs")).unwrap();
        std::fs::create_dir_all(yard.path("data/images/blobs/sha256")).unwrap();
        request.spec.build_args.insert("BASE".to_owned(), format!("{}/base/busybox", registry.address));
        request.spec.use_cache = false;
        ends_in_time(&yard, what, &request, &|| registry.waits.load(Ordering::Relaxed));
    }
    let to: [(&str, Stall); 4] = [
        ("asking whether a layer is there", |method, path, _| method == "HEAD" && path.contains("/blobs/")),
        ("uploading a layer", |method, path, _| matches!(method, "POST" | "PATCH") && path.contains("/blobs/uploads")),
        ("asking for the tag", |method, path, _| method == "HEAD" && path.contains("/manifests/")),
        ("pushing the manifest", |method, path, _| method == "PUT" && path.contains("/manifests/")),
    ];
    push_base(&yard.path("data"), &yard.registry);
    yard.succeeded(&yard.queue(&yard.request(&commit)));
    for (number, (what, stall)) in to.into_iter().enumerate() {
        let registry = Stalling::start(&yard, stall);
        let mut request = yard.request(&commit);
        request.spec.tags = vec![format!("{}/team/app:n{number}", registry.address)];
        // No tag can name an image whose layers are made.
        request.spec.use_cache = what == "asking for the tag";
        ends_in_time(&yard, what, &request, &|| registry.waits.load(Ordering::Relaxed));
    }
}

#[test]
fn a_build_that_hangs_on_a_git_server_is_cancelled_within_two_seconds() {
    let (yard, _worker) = Yard::with_worker("");
    let commit = yard.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\n")]);
    let waits = Arc::new(AtomicBool::new(false));
    for (what, part) in [("the first request", ""), ("fetching the pack", "git-upload-pack")] {
        waits.store(false, Ordering::Relaxed);
        let seen = waits.clone();
        let stalled = move |request: Request, next: Next| {
            let seen = seen.clone();
            async move {
                if request.uri().path().ends_with(part) {
                    seen.store(true, Ordering::Relaxed);
                    std::future::pending::<()>().await;
                }
                next.run(request).await
            }
        };
        let router = crate::support::git_server::router(yard.path("git")).layer(from_fn(stalled));
        let mut request = yard.request(&commit);
        request.spec.clone_url = format!("http://{}/app.git", serve(&yard.tokio, router));
        ends_in_time(&yard, what, &request, &|| waits.load(Ordering::Relaxed));
    }
}

#[test]
fn a_build_that_packs_much_is_cancelled_within_two_seconds() {
    let (yard, _worker) = Yard::with_worker("");
    let big = "ARG BASE\nFROM ${BASE}\nRUN truncate -s 12G /big; echo packing\n";
    let request = yard.request(&yard.commit(&[("Dockerfile", big)]));
    let seen = std::cell::RefCell::new(None::<Instant>);
    let newest =
        || yard.tokio.block_on(yard.database.builds(&database::BuildFilter { limit: 1, ..Default::default() }));
    ends_in_time(&yard, "packing 12 GB", &request, &|| {
        let build = newest().unwrap().remove(0);
        if seen.borrow().is_none() && yard.log(&build.id).contains("\npacking\n") {
            *seen.borrow_mut() = Some(Instant::now());
        }
        seen.borrow().is_some_and(|seen| seen.elapsed() > Duration::from_millis(700))
    });
}

#[test]
fn a_build_that_waits_for_a_tag_is_cancelled_within_two_seconds() {
    let yard = Yard::start("");
    push_base(&yard.path("data"), &yard.registry);
    let commit = yard.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\n")]);
    // Another build holds the tag: it is claimed here, and does not let go.
    yard.queue(&yard.request(&commit));
    let claim = yard.tokio.block_on(yard.database.claim("a test")).unwrap().unwrap();
    let _worker = yard.worker(&[]);
    let tag = format!("{}/team/app:latest", yard.registry);
    yard.tokio.block_on(yard.database.begin_publish(&claim, &tag)).unwrap();
    let request = yard.request(&yard.commit(&[("new", "1")]));
    let pushing = || {
        let filter = database::BuildFilter { limit: 1, ..Default::default() };
        yard.tokio.block_on(yard.database.builds(&filter)).unwrap()[0].state == BuildState::Pushing
    };
    ends_in_time(&yard, "waiting for a tag", &request, &|| pushing());
}

#[test]
fn a_build_whose_tag_moved_is_not_called_cancelled() {
    let (yard, _worker) = Yard::with_worker("");
    push_base(&yard.path("data"), &yard.registry);
    let commit = yard.commit(&[("Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN echo moved > /moved\n")]);
    for (number, answer_ms) in [300_u64, 600_000].into_iter().enumerate() {
        let store = yard.path(&format!("late-{number}/images"));
        std::fs::create_dir_all(&store).unwrap();
        let store = image_store::Store::open(&store).unwrap();
        let put = Arc::new(AtomicBool::new(false));
        let seen = put.clone();
        let late = move |request: Request, next: Next| {
            let is_manifest = request.method() == "PUT" && request.uri().path().contains("/manifests/first");
            let seen = seen.clone();
            async move {
                // The manifest arrives and the tag moves; the answer comes later, or never.
                let response = next.run(request).await;
                if is_manifest {
                    seen.store(true, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(answer_ms)).await;
                }
                response
            }
        };
        let settings = registry::Settings::new(registry::Access::Open);
        let address = serve(&yard.tokio, registry::router(store, settings).layer(from_fn(late)));
        let mut request = yard.request(&commit);
        request.spec.tags = vec![format!("{address}/team/app:first"), format!("{address}/team/app:second")];
        request.spec.use_cache = false;
        let id = yard.queue(&request);
        wait_for("the manifest", || put.load(Ordering::Relaxed).then_some(()));
        yard.tokio.block_on(yard.database.cancel(&id)).unwrap();
        let build = yard.finished(&id);
        assert_eq!(build.state, BuildState::Succeeded, "{build:#?}\n{}", yard.log(&id));
        assert_eq!(build.image.unwrap().tags, request.spec.tags, "the other tag follows");
    }
}
