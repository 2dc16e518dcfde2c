//! Reading through a mirror: what is here and fresh is served, the rest is asked for once, and what is old serves while the
//! registry is away.

use super::coming::{Coming, Sink};
use super::eviction::evict;
use super::limits::now_ms;
use super::mirrored::{Mirror, MirrorBlob, Named, ShownNote};
use crate::{Part, Store};
use registry_client::{Descriptor, Digest, Error, Mirrored, Reader, Reference, report};
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a request waits for a registry that limits requests.
const MAX_WAIT: Duration = Duration::from_secs(30 * 60);

impl Mirror {
    /// Returns the manifest or index that a name means; `None` if the reader may not have it from here.
    pub async fn manifest(&self, repository: &str, named: &Named, reader: Reader) -> Result<Option<Mirrored>, Error> {
        let Some(reference) = self.reference(repository, named) else { return Ok(None) };
        if !self.may_read(&reference, reader, Asked::Manifest).await? {
            return Ok(None);
        }
        if let Some(found) = self.fresh(repository, named) {
            return Ok(Some(found));
        }
        let _flight = self.flights.begin(&format!("manifest {repository} {named:?}")).await.map_err(local)?;
        // The one before may have brought it.
        if let Some(found) = self.fresh(repository, named) {
            return Ok(Some(found));
        }
        let old = self.old(repository, named);
        let began = Instant::now();
        loop {
            if let Some(old) = self.while_away(&reference, old.as_ref()) {
                return Ok(Some(old));
            }
            self.wait(began).await;
            let asked = self.ask(repository, named, &reference, old.as_ref()).await;
            match self.judged(asked, began) {
                Verdict::Found(found) => return Ok(Some(found)),
                Verdict::Again => {}
                Verdict::Failed(error) => match &old {
                    Some(old) if is_away(&error) => return Ok(Some(stale(&reference, old, &report(&error)))),
                    _ => {
                        self.forget_gone(repository, named, &error);
                        return Err(error);
                    }
                },
            }
        }
    }

    /// Returns the file of a blob; `None` if the reader may not have it from here.
    pub async fn blob(&self, repository: &str, digest: &Digest, reader: Reader) -> Result<Option<File>, Error> {
        let Some(reference) = self.reference(repository, &Named::Digest(digest.clone())) else { return Ok(None) };
        if !self.may_read(&reference, reader, Asked::Blob).await? {
            return Ok(None);
        }
        let began = Instant::now();
        loop {
            if let Some(file) = self.blob_here(repository, digest) {
                return Ok(Some(file));
            }
            match self.coming(repository, &reference, digest).ended().await {
                // It is here now; or whoever downloaded it went away, and the next one does.
                Ok(_) => {}
                Err(error) if is_limit(&error) && began.elapsed() < MAX_WAIT => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns a blob that is here, or that is coming; `None` if the reader may not have it from here.
    pub async fn blob_as_it_comes(
        &self,
        repository: &str,
        digest: &Digest,
        reader: Reader,
    ) -> Result<Option<MirrorBlob>, Error> {
        let Some(reference) = self.reference(repository, &Named::Digest(digest.clone())) else { return Ok(None) };
        if !self.may_read(&reference, reader, Asked::Blob).await? {
            return Ok(None);
        }
        let began = Instant::now();
        loop {
            if let Some(file) = self.blob_here(repository, digest) {
                return Ok(Some(MirrorBlob::Here(file)));
            }
            let coming = self.coming(repository, &reference, digest);
            match coming.begun().await {
                Ok(Some(size)) => return Ok(Some(MirrorBlob::Coming { coming, size })),
                Ok(None) => {}
                Err(error) if is_limit(&error) && began.elapsed() < MAX_WAIT => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Returns the download of a blob: the one that is under way, or a new one. It goes on when all who read it are gone.
    fn coming(&self, repository: &str, reference: &Reference, digest: &Digest) -> Arc<Coming> {
        let (coming, ending) = self.downloads.join(repository, digest);
        if let Some(ending) = ending {
            let (mirror, repository) = (self.clone(), repository.to_owned());
            let (reference, digest) = (reference.clone(), digest.clone());
            tokio::spawn(async move {
                let result = mirror.fetch(&repository, &reference, &digest, ending.coming()).await;
                ending.tell(result);
            });
        }
        coming
    }

    async fn fetch(
        &self,
        repository: &str,
        reference: &Reference,
        digest: &Digest,
        coming: &Coming,
    ) -> Result<(), Error> {
        let _flight = self.flights.begin(&format!("blob {digest}")).await.map_err(local)?;
        // Another process may have brought it.
        if let Some(file) = self.blob_here(repository, digest) {
            let size = file.metadata()?.len();
            coming.begin(file, size);
            return Ok(());
        }
        self.wait(Instant::now()).await;
        let downloaded = self.download(repository, reference, digest, coming).await;
        self.noted(downloaded)
    }

    /// Returns the size of a blob, which need not be here; `None` if there is none, or the reader may not have it.
    pub async fn blob_size(&self, repository: &str, digest: &Digest, reader: Reader) -> Result<Option<u64>, Error> {
        let Some(reference) = self.reference(repository, &Named::Digest(digest.clone())) else { return Ok(None) };
        if !self.may_read(&reference, reader, Asked::Blob).await? {
            return Ok(None);
        }
        if let Some(file) = self.blob_here(repository, digest) {
            return Ok(Some(file.metadata()?.len()));
        }
        self.wait(Instant::now()).await;
        self.upstream.own.blob_size(&reference, digest).await
    }

    /// Returns a manifest that is here and need not be asked for.
    fn fresh(&self, repository: &str, named: &Named) -> Option<Mirrored> {
        match named {
            Named::Digest(digest) => self.manifest_here(repository, digest),
            Named::Tag(tag) => {
                let note = self.tag(repository, tag).filter(|note| self.is_fresh(note.checked_ms))?;
                self.manifest_here(repository, &note.digest)
            }
        }
    }

    /// Returns what a tag meant earlier.
    fn old(&self, repository: &str, named: &Named) -> Option<(Digest, Mirrored)> {
        let Named::Tag(tag) = named else { return None };
        let digest = self.tag(repository, tag)?.digest;
        Some((digest.clone(), self.manifest_here(repository, &digest)?))
    }

    /// Returns what a tag meant earlier, if the registry is known to be away or wants to be left alone.
    fn while_away(&self, reference: &Reference, old: Option<&(Digest, Mirrored)>) -> Option<Mirrored> {
        let old = old?;
        if self.limits.is_away() {
            return Some(stale(reference, old, "it does not answer"));
        }
        let pause = self.limits.paused()?;
        Some(stale(reference, old, &format!("it limits requests, for {} s more", pause.as_secs() + 1)))
    }

    pub(crate) async fn wait(&self, began: Instant) {
        if let Some(pause) = self.limits.paused() {
            let left = MAX_WAIT.saturating_sub(began.elapsed());
            tracing::warn!(
                registry = self.settings.upstream,
                wait_s = pause.as_secs(),
                "a mirror waits for its registry"
            );
            tokio::time::sleep(pause.min(left)).await;
        }
    }

    /// Asks the registry what a name means; what is here already is not sent again.
    async fn ask(
        &self,
        repository: &str,
        named: &Named,
        reference: &Reference,
        old: Option<&(Digest, Mirrored)>,
    ) -> Result<Mirrored, Error> {
        let client = &self.upstream.own;
        // To ask for the digest alone does not count where pulls are limited.
        if let (Some((digest, old)), Named::Tag(tag)) = (old, named)
            && let Ok(Some((now, _))) = client.head_manifest(reference).await
            && now == *digest
        {
            self.set_tag(repository, tag, digest).map_err(local)?;
            return Ok(old.clone());
        }
        let (media_type, bytes) = client.get_manifest(reference).await?;
        let digest = self.keep_manifest(repository, named, &media_type, &bytes).map_err(local)?;
        if let Named::Tag(tag) = named {
            self.set_tag(repository, tag, &digest).map_err(local)?;
        }
        Ok(Mirrored { media_type, bytes, stale: None })
    }

    /// Downloads a blob, verified, and makes room for it.
    async fn download(
        &self,
        repository: &str,
        reference: &Reference,
        digest: &Digest,
        coming: &Coming,
    ) -> Result<(), Error> {
        let client = &self.upstream.own;
        let gone = || Error::NotFound(format!("`{reference}` has no blob {digest}"));
        let size = client.blob_size(reference, digest).await?.ok_or_else(gone)?;
        let writer = self.store.writer_with(digest.algorithm()).map_err(local)?;
        coming.begin(writer.reader().map_err(local)?, size);
        let mut sink = Sink { writer, coming };
        client.pull_blob(reference, &Descriptor::new("", digest.clone(), size), &mut sink).await?;
        sink.writer.commit_expecting(digest).map_err(local)?;
        self.store.admit(repository, Part::Blob, digest).map_err(local)?;
        // A blob that came a moment ago stays.
        let (store, limit) = (self.store.clone(), self.settings.limit);
        make_room(store, limit, self.settings.host.clone()).await;
        Ok(())
    }

    /// Decides what becomes of an answer: one that limits requests is waited for, as long as that makes sense.
    fn judged<T>(&self, asked: Result<T, Error>, began: Instant) -> Verdict<T> {
        match self.noted(asked) {
            Ok(found) => Verdict::Found(found),
            Err(error) if is_limit(&error) && began.elapsed() < MAX_WAIT => Verdict::Again,
            Err(error) => Verdict::Failed(error),
        }
    }

    /// Takes note of what an answer says of the registry: that it limits requests, is away, or is there.
    pub(crate) fn noted<T>(&self, asked: Result<T, Error>) -> Result<T, Error> {
        match &asked {
            Ok(_) => self.limits.set_away(false),
            Err(Error::Status { status: 429, retry_after, .. }) => self.limits.pause(*retry_after).map_err(local)?,
            Err(error) if is_away(error) => self.limits.set_away(true),
            Err(_) => {}
        }
        asked
    }

    fn forget_gone(&self, repository: &str, named: &Named, error: &Error) {
        if let (Named::Tag(tag), Error::NotFound(_) | Error::Denied(_)) = (named, error) {
            let _ = self.forget_tag(repository, tag);
        }
    }

    /// Tells whether a reader may have what the mirror reads with its login: as the registry shows it to others.
    async fn may_read(&self, reference: &Reference, reader: Reader, asked: Asked) -> Result<bool, Error> {
        let is_all = reader == Reader::Trusted || (reader == Reader::Anonymous && !self.settings.has_login);
        if is_all {
            return Ok(true);
        }
        let repository = reference.repository();
        let of = |note: &ShownNote| if reader == Reader::Stranger { note.stranger } else { note.anonymous };
        let known = self.shown(repository);
        if let Some(note) = known.filter(|note| self.is_fresh(note.checked_ms)) {
            return Ok(of(&note));
        }
        let shows = async |client: &registry_client::Client| match asked {
            Asked::Manifest => client.head_manifest(reference).await.map(|found| found.is_some()),
            Asked::Blob => match reference.digest() {
                Some(digest) => client.has_blob(reference, digest).await,
                None => Ok(false),
            },
        };
        let anonymous = match shows(&self.upstream.anonymous).await {
            Ok(shown) => shown,
            // While the registry is away, what it showed last counts.
            Err(error) if is_away(&error) => return Ok(known.as_ref().is_some_and(of)),
            Err(_) => false,
        };
        let stranger = anonymous && shows(&self.upstream.stranger).await.unwrap_or(false);
        let note = ShownNote { anonymous, stranger, checked_ms: now_ms() };
        // That one image is not there says nothing of the others.
        if anonymous {
            self.set_shown(repository, note).map_err(local)?;
        }
        Ok(of(&note))
    }
}

/// The kind of thing that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Manifest,
    Blob,
}

enum Verdict<T> {
    Found(T),
    Again,
    Failed(Error),
}

async fn make_room(store: Store, limit: u64, host: String) {
    let evicted = tokio::task::spawn_blocking(move || evict(&store, limit)).await;
    match evicted {
        Ok(Ok(0)) | Err(_) => {}
        Ok(Ok(blobs)) => tracing::info!(mirror = host, blobs, "a mirror made room"),
        Ok(Err(error)) => tracing::warn!(mirror = host, error = report(&error), "a mirror cannot make room"),
    }
}

fn is_limit(error: &Error) -> bool {
    matches!(error, Error::Status { status: 429, .. })
}

/// Tells whether an error says nothing of the image: the registry is away, or busy.
fn is_away(error: &Error) -> bool {
    error.is_transient() || matches!(error, Error::TokenServer { .. })
}

fn stale(reference: &Reference, old: &(Digest, Mirrored), why: &str) -> Mirrored {
    tracing::warn!(image = %reference, digest = %old.0, why, "a mirror serves what a tag meant earlier");
    let text = format!("`{reference}` is {} as it was known earlier: its registry cannot be asked ({why})", old.0);
    Mirrored { stale: Some(text), ..old.1.clone() }
}

fn local(error: crate::Error) -> Error {
    Error::Local(std::io::Error::other(report(&error)))
}
