//! Does the steps to a real registry, and looks at what it has.

use super::expected::{Fact, Facts, Model};
use super::step::Step;
use super::universe::{BLOBS, DOCUMENTS, REPOSITORIES, TAGS};
use crate::hub::{Answer, Hub};
use axum::body::Body;
use axum::http::Method;
use image_store::{Part, Store};
use registry::{Access, RestoreError, Settings};
use registry_client::Digest;
use std::path::{Path, PathBuf};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Player {
    directory: PathBuf,
    settings: Settings,
    hub: Hub,
    /// Repository, blob, bytes that were sent and address of the uploads that were begun.
    begun: Vec<(usize, usize, usize, String)>,
}

impl Player {
    pub(super) fn open(directory: &Path, has_grace: bool) -> Player {
        let mut settings = Settings::new(Access::Open);
        settings.restore = if has_grace { DAY } else { Duration::ZERO };
        let hub = Hub::at(directory, settings.clone());
        Player { directory: directory.to_owned(), settings, hub, begun: Vec::new() }
    }

    pub(super) fn store(&self) -> &Store {
        &self.hub.store
    }

    /// Does a step; returns the status of the answer.
    pub(super) async fn take(&mut self, step: &Step) -> u16 {
        let hub = &self.hub;
        match step {
            Step::Upload { at, blob } => self.post(*at, *blob, Body::from(BLOBS[*blob])).await.status,
            Step::Begin { at, blob, cut } => self.begin(*at, *blob, *cut).await,
            Step::Finish { .. } if self.begun.is_empty() => 0,
            Step::Finish { which } => {
                let (_, blob, cut, place) = self.begun.remove(which % self.begun.len());
                let (path, rest) = (format!("{place}?digest={}", Digest::of(BLOBS[blob])), &BLOBS[blob][cut..]);
                hub.ask_at(Method::PUT, &path, &[], Body::from(rest)).await.status
            }
            Step::Break { at, blob } => {
                let parts = [Ok(BLOBS[*blob]), Err(std::io::Error::other("the line is cut"))];
                self.post(*at, *blob, Body::from_stream(futures::stream::iter(parts))).await.status
            }
            Step::Lie { at, blob } => self.post(*at, *blob, Body::from("something else")).await.status,
            Step::Mount { at, from, blob } => {
                let from = from.map(|from| format!("&from={}", REPOSITORIES[from])).unwrap_or_default();
                let path = format!("{}/blobs/uploads/?mount={}{from}", REPOSITORIES[*at], Digest::of(BLOBS[*blob]));
                hub.status(Method::POST, &path).await
            }
            Step::Put { at, tag, document } => {
                hub.put(REPOSITORIES[*at], tag.unwrap_or_default(), &DOCUMENTS[*document].value).await.status
            }
            Step::DeleteTag { at, tag } => self.delete(*at, "manifests", tag).await,
            Step::DeleteManifest { at, document } => {
                self.delete(*at, "manifests", DOCUMENTS[*document].digest.as_str()).await
            }
            Step::DeleteBlob { at, blob } => self.delete(*at, "blobs", Digest::of(BLOBS[*blob]).as_str()).await,
            Step::RestoreTag { at, tag } => self.restore(*at, tag),
            Step::RestoreManifest { at, document } => self.restore(*at, DOCUMENTS[*document].digest.as_str()),
            Step::Expire => self.expire(),
            Step::Collect => hub.store.collect(&Default::default(), Duration::ZERO).map(|_| 0).unwrap(),
            Step::Readmit => hub.store.readmit().map(|()| 0).unwrap(),
            Step::Reopen => self.reopen().await,
        }
    }

    async fn post(&self, at: usize, blob: usize, body: Body) -> Answer {
        let path = format!("/v2/{}/blobs/uploads/?digest={}", REPOSITORIES[at], Digest::of(BLOBS[blob]));
        self.hub.ask_at(Method::POST, &path, &[], body).await
    }

    async fn begin(&mut self, at: usize, blob: usize, cut: usize) -> u16 {
        let begun = self.hub.ask(Method::POST, &format!("{}/blobs/uploads/", REPOSITORIES[at]), &[], b"").await;
        assert_eq!(begun.status, 202);
        let place = begun.header("location").to_owned();
        self.begun.push((at, blob, cut, place.clone()));
        self.hub.ask_at(Method::PATCH, &place, &[], Body::from(&BLOBS[blob][..cut])).await.status
    }

    async fn delete(&self, at: usize, kind: &str, name: &str) -> u16 {
        self.hub.status(Method::DELETE, &format!("{}/{kind}/{name}", REPOSITORIES[at])).await
    }

    fn restore(&self, at: usize, name: &str) -> u16 {
        match registry::restore(&self.hub.store, REPOSITORIES[at], name) {
            Ok(_) => 0,
            Err(RestoreError::Unknown { .. }) => 404,
            Err(RestoreError::Taken { .. }) => 409,
            Err(error) => panic!("{name} of {}: {error}", REPOSITORIES[at]),
        }
    }

    /// Makes the time of all deleted tags over.
    fn expire(&self) -> u16 {
        for repository in self.hub.store.deleted_repositories().unwrap() {
            for tag in self.hub.store.deleted_tags(&repository).unwrap() {
                let path = self.directory.join("deleted").join(repository.replace('/', "%2F"));
                let path = path.join(tag.name);
                let mut note: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
                note["until_ms"] = 1.into();
                std::fs::write(&path, note.to_string()).unwrap();
            }
        }
        0
    }

    /// Opens the store again, as a server does that was started again: no upload goes on.
    async fn reopen(&mut self) -> u16 {
        self.hub = Hub::at(&self.directory, self.settings.clone());
        for (_, _, _, place) in std::mem::take(&mut self.begun) {
            assert_eq!(self.hub.ask_at(Method::PATCH, &place, &[], Body::empty()).await.status, 404);
        }
        0
    }

    /// Returns all that is so.
    pub(super) fn facts(&self) -> Facts {
        let (store, mut facts) = (&self.hub.store, Facts::new());
        for (at, repository) in REPOSITORIES.iter().enumerate() {
            let has = |part, digest: &Digest| store.has(repository, part, digest).unwrap();
            let blobs = BLOBS.iter().enumerate().filter(|known| has(Part::Blob, &Digest::of(known.1)));
            facts.extend(blobs.map(|known| (Fact::Blob(at, known.0), 0)));
            for (number, document) in DOCUMENTS.iter().enumerate() {
                let listed = |subject: usize| {
                    let (subject, digest) = (&DOCUMENTS[subject].digest, &document.digest);
                    store.referrers(repository, subject).unwrap().contains(digest)
                        && store.referrer(repository, subject, digest).unwrap().is_some()
                };
                let known = [
                    (has(Part::Blob, &document.digest), Fact::Content(at, number)),
                    (has(Part::Manifest, &document.digest), Fact::Manifest(at, number)),
                    (document.subject.is_some_and(listed), Fact::Referrer(at, number)),
                ];
                facts.extend(known.into_iter().filter(|known| known.0).map(|known| (known.1, 0)));
            }
            let number = |digest: &Digest| DOCUMENTS.iter().position(|document| document.digest == *digest).unwrap();
            for name in store.tags(repository).unwrap() {
                let manifest = store.resolve(repository, &name).unwrap().unwrap();
                facts.insert(Fact::Name(at, name), number(&manifest.digest));
            }
            for tag in store.deleted_tags(repository).unwrap() {
                facts.insert(Fact::Deleted(at, tag.name), number(&tag.manifest.digest));
            }
        }
        facts
    }

    /// Asks for all of a repository as a client does.
    pub(super) async fn check_answers(&self, model: &Model, at: usize) {
        let name = REPOSITORIES[at];
        for (blob, has) in model.blobs(at).into_iter().enumerate() {
            let got = self.hub.get(&format!("{name}/blobs/{}", Digest::of(BLOBS[blob]))).await;
            assert_eq!(got.status, if has { 200 } else { 404 }, "blob {blob} of {name}");
            assert!(!has || got.body == BLOBS[blob], "blob {blob} of {name}");
        }
        let mut listed = Vec::new();
        for tag in TAGS {
            let document = model.name(at, tag);
            let got = self.hub.get(&format!("{name}/manifests/{tag}")).await;
            let expected = document.map(|number| serde_json::to_vec(&DOCUMENTS[number].value).unwrap());
            assert_eq!((got.status == 200).then_some(got.body), expected, "{name}:{tag}");
            listed.extend(document.map(|_| tag));
        }
        let tags = self.hub.get(&format!("{name}/tags/list")).await;
        assert!(tags.status == 404 || tags.json()["tags"] == serde_json::json!(listed), "tags of {name}");
        for (number, document) in DOCUMENTS.iter().enumerate() {
            let got = self.hub.status(Method::GET, &format!("{name}/manifests/{}", document.digest)).await;
            let has = model.has(&Fact::Manifest(at, number));
            assert_eq!(got, if has { 200 } else { 404 }, "document {number} of {name}");
        }
    }
}
