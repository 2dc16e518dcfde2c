//! Lists of a registry, of its tags and of referrers: passed on as they are, and not kept.

use super::mirrored::{Mirror, Named};
use registry_client::{Client, Error, Listed, Reader};
use std::time::Instant;

impl Mirror {
    /// Returns a page of a list, as the registry shows it to the reader; `None` if there is none. `path` is what follows
    /// the repository's name.
    pub async fn list(&self, repository: &str, path: &str, reader: Reader) -> Result<Option<Listed>, Error> {
        let any = Named::Tag("latest".to_owned());
        let Some(reference) = self.reference(repository, &any) else { return Ok(None) };
        self.wait(Instant::now()).await;
        let listed = self.client_of(reader).list(&reference, path).await;
        self.noted(listed)
    }

    /// Returns the client that sees what a reader may see.
    fn client_of(&self, reader: Reader) -> &Client {
        match reader {
            Reader::Trusted => &self.upstream.own,
            Reader::Anonymous => &self.upstream.anonymous,
            Reader::Stranger => &self.upstream.stranger,
        }
    }
}
