//! Mirrors: what stands between a client and a registry and keeps what was read through it.

use crate::{Client, Descriptor, Digest, Error, Hasher, Reach, Reference};
use std::fs::File;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Bytes that are copied at once.
const CHUNK: usize = 256 * 1024;

/// The reader of an image, as far as a mirror has to know: what it keeps was read with a login of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Reads all that the mirror's login does.
    Trusted,
    /// Reads what the registry shows without a login.
    Anonymous,
    /// Does the same, where the registry's address is public.
    Stranger,
}

/// A manifest or index from a mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrored {
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Says that the name meant this earlier, and why that is not known to be so now.
    pub stale: Option<String>,
}

/// The answer of a mirror; `None` if the registry itself is to be asked.
pub type MirrorAnswer<'a, T> = Pin<Box<dyn Future<Output = Result<Option<T>, Error>> + Send + 'a>>;

/// Mirrors of registries.
pub trait PullThrough: Send + Sync {
    /// Returns the manifest or index that `reference` names.
    fn manifest<'a>(&'a self, reference: &'a Reference, reader: Reader) -> MirrorAnswer<'a, Mirrored>;

    /// Returns the file of a blob.
    fn blob<'a>(&'a self, reference: &'a Reference, digest: &'a Digest, reader: Reader) -> MirrorAnswer<'a, File>;

    /// Forgets a blob whose bytes are not those of its digest.
    fn forget(&self, reference: &Reference, digest: &Digest);
}

impl Client {
    /// Returns a client that reads through mirrors where there is one.
    #[must_use]
    pub fn mirrored_by(self, mirrors: Arc<dyn PullThrough>) -> Self {
        Client { mirrors: Some(mirrors), ..self }
    }

    /// Returns what the reader of an image may get of a mirror.
    fn mirror_reader(&self, reference: &Reference) -> Reader {
        match self.transport.rights() {
            None => Reader::Trusted,
            Some(rights) if rights.reach == Reach::PublicOnly => Reader::Stranger,
            Some(rights) if rights.may_log_in(&self.transport.homes, reference) => Reader::Trusted,
            Some(_) => Reader::Anonymous,
        }
    }

    /// Returns the manifest that a mirror has for a name.
    pub(crate) async fn mirrored(&self, reference: &Reference) -> Result<Option<Mirrored>, Error> {
        let Some(mirrors) = &self.mirrors else { return Ok(None) };
        mirrors.manifest(reference, self.mirror_reader(reference)).await
    }

    /// Copies a blob from a mirror; tells whether there is one.
    pub(crate) async fn copy_mirrored(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        sink: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<bool, Error> {
        let Some(mirrors) = &self.mirrors else { return Ok(false) };
        let found = mirrors.blob(reference, &descriptor.digest, self.mirror_reader(reference)).await?;
        let Some(file) = found else { return Ok(false) };
        let mut file = tokio::fs::File::from_std(file);
        let mut hash = Hasher::new(descriptor.digest.algorithm());
        let (mut buffer, mut done) = (vec![0; CHUNK], 0);
        loop {
            let read = file.read(&mut buffer).await?;
            if read == 0 {
                break;
            }
            done += read as u64;
            hash.update(&buffer[..read]);
            sink.write_all(&buffer[..read]).await?;
        }
        sink.flush().await?;
        if hash.finish() != descriptor.digest {
            mirrors.forget(reference, &descriptor.digest);
            return Err(Error::DigestMismatch(descriptor.digest.to_string()));
        }
        if done != descriptor.size {
            return Err(Error::DigestMismatch(descriptor.digest.to_string()));
        }
        Ok(true)
    }
}
