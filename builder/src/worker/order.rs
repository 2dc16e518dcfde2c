//! The order of publication, kept in the database: a tag never goes back to an older commit.

use crate::{Error, Services, TagOrder};
use database::{Claim, Publish};
use registry_client::{Digest, Reference};
use std::sync::Arc;

/// Asks the database before a tag moves.
pub struct InDatabase {
    services: Services,
    claim: Arc<Claim>,
}

impl InDatabase {
    /// Returns the order for the build that `claim` is for.
    pub fn new(services: &Services, claim: Arc<Claim>) -> Self {
        InDatabase { services: services.clone(), claim }
    }
}

impl TagOrder for InDatabase {
    fn begin(&self, tag: &Reference) -> Result<bool, Error> {
        let asked = self.services.tokio.block_on(self.services.database.begin_publish(&self.claim, &tag.to_string()));
        let publish =
            asked.map_err(|error| Error::service("database", format!("publishing `{tag}`")).with_cause(error))?;
        Ok(matches!(publish, Publish::Go))
    }

    fn end(&self, tag: &Reference, digest: &Digest) -> Result<(), Error> {
        let name = (tag.to_string(), digest.to_string());
        self.services
            .tokio
            .block_on(self.services.database.end_publish(&self.claim, &name.0, &name.1))
            .map_err(|error| Error::service("database", format!("publishing `{tag}`")).with_cause(error))
    }
}
