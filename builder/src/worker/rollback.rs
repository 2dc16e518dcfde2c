//! A build that makes nothing: its tags go back to the image of an earlier build.

use super::outcome::AttemptResult;
use super::recorder::Recorder;
use crate::error::Code;
use crate::event::{Event, Observer, Phase};
use crate::execute::ask;
use crate::{Error, Services, TagOrder};
use database::{BuildRequest, PushedImage};
use registry_client::{Digest, Reference};
use runtime::CancellationToken;

/// A rollback in progress.
pub(crate) struct Rollback<'a> {
    /// The services of the build.
    pub services: &'a Services,
    /// The build.
    pub request: &'a BuildRequest,
    /// Told of every event.
    pub recorder: &'a Recorder,
    /// Ends waiting.
    pub cancel: &'a CancellationToken,
}

impl Rollback<'_> {
    /// Gives the tags that may move the image, which their repository has.
    pub(crate) fn run(&self, image: &PushedImage, order: &dyn TagOrder) -> Result<AttemptResult, Error> {
        let Rollback { services, request, .. } = self;
        self.recorder.observe(Event::Phase(Phase::Pushing, "giving the tags an earlier image"));
        let reading = || Error::new(Code::InvalidReference, "reading the image of the earlier build");
        let digest: Digest = image.digest.parse().map_err(|error| reading().with_cause(error))?;
        let tags = request.spec.tags.iter().map(|tag| Reference::parse(tag)).collect::<Result<Vec<_>, _>>();
        let tags = tags.map_err(|error| reading().with_cause(error))?;
        let mut pushed = Vec::new();
        for tag in tags.iter().filter(|tag| tag.tag().is_some()) {
            if !order.begin(tag)? {
                continue;
            }
            let earlier = tag.with_digest(digest.clone());
            let doing = || format!("giving `{tag}` the image `{earlier}`");
            let cancel = if pushed.is_empty() { self.cancel.clone() } else { CancellationToken::new() };
            let (kind, manifest) =
                ask(&services.tokio, &cancel, services.pusher().get_manifest(&earlier)).map_err(|error| {
                    error
                        .at(doing())
                        .with_hint("; a registry may have removed what no tag named: then build the commit again")
                })?;
            ask(&services.tokio, &cancel, services.pusher().put_manifest(tag, &kind, manifest))
                .map_err(|error| error.at(doing()))?;
            order.end(tag, &digest)?;
            self.recorder.say(&format!("{tag} is {digest} again\n"));
            pushed.push(tag.to_string());
        }
        let superseded = pushed.len() < tags.len();
        Ok(AttemptResult::RolledBack { image: Box::new(PushedImage { tags: pushed, ..image.clone() }), superseded })
    }
}
