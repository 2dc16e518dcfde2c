//! The order of publication, kept in the database: a tag never goes back to an older commit.

use super::lease::{LeaseClock, MARGIN};
use crate::error::Code;
use crate::execute::until_cancelled;
use crate::{Error, Services, TagOrder};
use database::{Claim, Lease, Publish};
use registry_client::{Digest, Reference};
use runtime::CancellationToken;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a registry may take to accept a manifest.
const PUT_TIMEOUT: Duration = Duration::from_secs(30);

/// Asks the database before a tag moves.
pub(crate) struct InDatabase {
    services: Services,
    claim: Arc<Claim>,
    lease: LeaseClock,
    cancel: CancellationToken,
    /// Whether a tag has moved: then the build has an image that people see, and a wish to end it comes too late.
    has_moved: AtomicBool,
}

impl InDatabase {
    /// Returns the order for the build that `claim` is for, whose lease was renewed as `lease` says, until `cancel`.
    pub(crate) fn new(services: &Services, claim: Arc<Claim>, lease: LeaseClock, cancel: CancellationToken) -> Self {
        InDatabase { services: services.clone(), claim, lease, cancel, has_moved: AtomicBool::new(false) }
    }

    /// Makes sure that the lease outlives the request that moves the tag: another attempt must not come between.
    fn renew(&self, tag: &Reference) -> Result<(), Error> {
        if self.lease.remaining() > PUT_TIMEOUT + MARGIN {
            return Ok(());
        }
        let asked = runtime::uptime();
        let lost = || Error::new(Code::LeaseLost, format!("publishing `{tag}`: another worker may have the build"));
        match self.services.tokio.block_on(self.services.database.heartbeat(&self.claim)) {
            Ok(Lease::Held { .. }) => {
                self.lease.renew(asked);
                Ok(())
            }
            Ok(Lease::Lost) => Err(lost()),
            Err(error) => Err(lost().with_cause(error)),
        }
    }
}

impl TagOrder for InDatabase {
    fn begin(&self, tag: &Reference) -> Result<bool, Error> {
        // Another attempt may have the tag, and take its time.
        let cancel =
            if self.has_moved.load(Ordering::Relaxed) { CancellationToken::new() } else { self.cancel.clone() };
        let name = tag.to_string();
        let asked =
            until_cancelled(&self.services.tokio, &cancel, self.services.database.begin_publish(&self.claim, &name));
        let publish = asked
            .ok_or_else(Error::cancelled)?
            .map_err(|error| Error::new(Code::Database, format!("publishing `{tag}`")).with_cause(error))?;
        // Only now: waiting for the tag may have taken long.
        self.renew(tag)?;
        Ok(matches!(publish, Publish::Go))
    }

    fn end(&self, tag: &Reference, digest: &Digest) -> Result<(), Error> {
        let name = (tag.to_string(), digest.to_string());
        self.has_moved.store(true, Ordering::Relaxed);
        self.services
            .tokio
            .block_on(self.services.database.end_publish(&self.claim, &name.0, &name.1))
            .map_err(|error| Error::new(Code::Database, format!("publishing `{tag}`")).with_cause(error))
    }
}
