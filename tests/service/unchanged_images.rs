//! Images that a commit does not change keep their digest: only their tags move.

use crate::support::worker_pool::Yard;
use database::{BuildRequest, PathFilter, PushedImage};

const DOCKERFILE: &str = "ARG BASE\nFROM ${BASE}\nCOPY src /src\nRUN cat /src/a > /made\n";

fn start() -> (Yard, crate::support::Process, BuildRequest) {
    let (yard, worker) = Yard::with_worker("");
    let mut request = yard.request(&yard.commit(&[("Dockerfile", DOCKERFILE), ("src/a", "1"), ("README.md", "1")]));
    request.spec.options.path_filter = PathFilter::Off;
    (yard, worker, request)
}

fn image(yard: &Yard, request: &BuildRequest) -> PushedImage {
    yard.succeeded(&yard.queue(request)).image.unwrap()
}

/// Returns the request for the next commit, which changes `files`, with the image named after the commit, too.
fn next(yard: &Yard, request: &BuildRequest, files: &[(&str, &str)]) -> BuildRequest {
    let commit = yard.commit(files);
    let mut request = request.clone();
    request.spec.tags = vec![format!("{}/team/app:{}", yard.registry, &commit[..7]), request.spec.tags.pop().unwrap()];
    request.spec.commit = Some(commit);
    request
}

#[test]
fn a_commit_that_changes_nothing_in_an_image_moves_its_tags_only() {
    let (yard, _worker, request) = start();
    let request = next(&yard, &request, &[("README.md", "first")]);
    let first = image(&yard, &request);
    let unchanged = next(&yard, &request, &[("README.md", "2")]);
    let second = image(&yard, &unchanged);
    assert_eq!(first.digest, second.digest);
    assert_eq!(second.tags, unchanged.spec.tags);
    let id = yard.queue(&next(&yard, &unchanged, &[("README.md", "3")]));
    assert_eq!(yard.succeeded(&id).image.unwrap().digest, first.digest);
    assert!(yard.log(&id).contains("keeps its digest"), "{}", yard.log(&id));
    let changed = image(&yard, &next(&yard, &unchanged, &[("src/a", "2")]));
    assert_ne!(changed.digest, first.digest);
    // The image before is not always the one of now.
    let back = image(&yard, &next(&yard, &unchanged, &[("src/a", "1")]));
    assert_ne!(back.digest, changed.digest);
}

#[test]
fn an_image_that_was_asked_to_name_its_commit_or_time_is_a_new_one() {
    let (yard, _worker, request) = start();
    let by_label = |request: BuildRequest| {
        let (mut request, commit) = (request.clone(), request.spec.commit.unwrap());
        request.spec.options.labels.insert("org.opencontainers.image.revision".to_owned(), commit);
        request
    };
    let first = image(&yard, &by_label(request.clone()));
    assert_ne!(image(&yard, &by_label(next(&yard, &request, &[("README.md", "2")]))).digest, first.digest);
    let at = |request: BuildRequest, time: &str| {
        let mut request = request;
        request.spec.build_args.insert("SOURCE_DATE_EPOCH".to_owned(), time.to_owned());
        request
    };
    let first = image(&yard, &at(next(&yard, &request, &[("README.md", "3")]), "1000000000"));
    assert_ne!(image(&yard, &at(next(&yard, &request, &[("README.md", "4")]), "1100000000")).digest, first.digest);
}
