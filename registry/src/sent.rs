//! A blob on its way out: hashed as it is sent, so that a damaged one is found by the first who asks for it.

use crate::server::blocking;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use image_store::Store;
use registry_client::{Digest, Hasher};
use std::io;

/// Passes on the bytes of a whole blob. If they are not those of its digest, the last ones are kept back, so that nobody
/// takes what came for the blob, and the blob is put aside: who builds it next makes it again.
pub(crate) fn checked(
    store: Store,
    digest: Digest,
    size: u64,
    bytes: impl Stream<Item = io::Result<Bytes>>,
) -> impl Stream<Item = io::Result<Bytes>> {
    let (mut hash, mut left) = (Hasher::new(digest.algorithm()), size);
    bytes.then(move |chunk| {
        if let Ok(chunk) = &chunk {
            hash.update(chunk);
            left = left.saturating_sub(chunk.len() as u64);
        }
        let is_damaged = left == 0 && hash.clone().finish() != digest;
        let (store, digest) = (store.clone(), digest.clone());
        async move {
            if is_damaged {
                let _ = blocking(move || store.check_blob(&digest)).await;
                return Err(io::Error::other("the blob is damaged"));
            }
            chunk
        }
    })
}
