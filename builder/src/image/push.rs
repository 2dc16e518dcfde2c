//! Pushes the parts of an image, and its manifest under its tags, each if it may move.

use crate::Error;
use crate::execute::{BuildResources, Committed, Unanswered, ask, until_cancelled};
use crate::image::assemble::Image;
use crate::trace::Work;
use registry_client::{BlobSource, Client, Descriptor, Digest, Reference};
use runtime::CancellationToken;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long the answer to a manifest that is on its way is waited for when the build is cancelled, and then the answer to
/// whether it arrived.
const PUT_GRACE: Duration = Duration::from_secs(1);
const HEAD_GRACE: Duration = Duration::from_millis(400);
/// The part of an image that registries have before the manifest is pushed.
#[derive(Debug)]
pub(crate) struct Arrived {
    /// Whether the tags do not name the image yet, as far as is known: a layer of it was made, or they were asked for.
    pub is_unnamed: bool,
    /// Whether the repositories have all of it, under another name.
    pub is_whole: bool,
    /// Repositories that have the configuration, with their registry.
    pub configured: BTreeSet<String>,
}

/// Returns one reference for each repository that `tags` name.
pub(crate) fn repositories(tags: &[Reference]) -> impl Iterator<Item = &Reference> {
    let unique: BTreeMap<_, _> = tags.iter().map(|tag| ((tag.registry(), tag.repository()), tag)).collect();
    unique.into_values()
}

/// Returns the registry and the repository of a reference.
pub(super) fn without_tag(reference: &Reference) -> String {
    format!("{}/{}", reference.registry(), reference.repository())
}

pub(super) fn upload(resources: &BuildResources, to: &Reference, layer: &Committed) -> Result<(), Error> {
    let digest = &layer.descriptor.digest;
    let doing = || format!("pushing layer {digest} to `{}`", without_tag(to));
    let failed = |error: Unanswered| error.at(doing());
    let _span = resources.trace.span(Work::Upload, digest.as_str());
    let client = &resources.pusher;
    // A layer that this build made is looked for by the request that begins its upload.
    if layer.origin.is_some()
        && has_blob((&resources.tokio, &resources.cancel), &resources.pusher, to, digest).map_err(failed)?
    {
        return Ok(());
    }
    if let Some(origin) = &layer.origin
        && origin.registry() == to.registry()
        && origin.repository() != to.repository()
        && resources.ask(client.mount_blob(to, origin.repository(), digest)).map_err(failed)?
    {
        return Ok(());
    }
    resources.blob(layer)?;
    let source = BlobSource::File(resources.store.path(digest));
    resources.ask(client.push_blob(to, &layer.descriptor, source)).map(drop).map_err(failed)
}

/// Tells whether the repository has a blob. A login that may not look may be allowed to write, so that is tried (SV-15).
fn has_blob(
    waiting: (&Handle, &CancellationToken),
    client: &Client,
    to: &Reference,
    digest: &Digest,
) -> Result<bool, Unanswered> {
    match ask(waiting.0, waiting.1, client.has_blob(to, digest)) {
        Err(Unanswered::Failed(error)) if !error.is_transient() => Ok(false),
        answered => answered,
    }
}

/// Decides whether a name may move: a newer commit may have been published under it meanwhile.
pub trait TagOrder: Sync {
    /// Tells whether `tag` may be pushed now.
    fn begin(&self, tag: &Reference) -> Result<bool, Error>;

    /// Takes note that `tag` names the manifest `digest` now.
    fn end(&self, tag: &Reference, digest: &Digest) -> Result<(), Error>;
}

impl<T: TagOrder + Send + ?Sized> TagOrder for Arc<T> {
    fn begin(&self, tag: &Reference) -> Result<bool, Error> {
        self.as_ref().begin(tag)
    }

    fn end(&self, tag: &Reference, digest: &Digest) -> Result<(), Error> {
        self.as_ref().end(tag, digest)
    }
}

/// Every name may move: for builds that nobody orders.
pub struct Unordered;

impl TagOrder for Unordered {
    fn begin(&self, _: &Reference) -> Result<bool, Error> {
        Ok(true)
    }

    fn end(&self, _: &Reference, _: &Digest) -> Result<(), Error> {
        Ok(())
    }
}

/// Tells whether all of `tags` name `image` already: then its registry has every part of it.
pub(crate) fn is_current(resources: &BuildResources, image: &Image, tags: &[Reference]) -> bool {
    let _span = resources.trace.span(Work::Push, "asking for the tags");
    let asking: Vec<_> = tags
        .iter()
        .map(|tag| {
            let (client, tag) = (resources.pusher.clone(), tag.clone());
            resources.tokio.spawn(async move { client.head_manifest(&tag).await })
        })
        .collect();
    let waiting = (&resources.tokio, &resources.cancel);
    let mut answers = asking.into_iter().map(|answer| until_cancelled(waiting.0, waiting.1, answer));
    // Any other answer of the registry is dealt with when the image is pushed.
    answers.all(|answer| matches!(answer, Some(Ok(Ok(Some((digest, _))))) if digest == image.digest))
}

/// Pushes the configuration and the manifest, whose layers are there already, under each of `tags` that may move.
///
/// Returns the tags that name the image now.
pub(crate) fn manifest(
    resources: &BuildResources,
    image: &Image,
    tags: &[Reference],
    order: &dyn TagOrder,
    arrived: &Arrived,
) -> Result<Vec<Reference>, Error> {
    let mut pushed = Vec::new();
    for tag in tags {
        if order.begin(tag)? {
            // A build that has moved one tag is not undone by a wish to end it: the other tags follow.
            let cancel = if pushed.is_empty() { resources.cancel.clone() } else { CancellationToken::new() };
            if arrived.is_unnamed || !is_named(resources, image, tag, &cancel)? {
                if !arrived.configured.contains(&without_tag(tag)) {
                    push_config(resources, &image.config, tag, &cancel)?;
                }
                put(resources, image, tag, &cancel).map_err(|error| error.at(format!("pushing `{tag}`")))?;
            }
            order.end(tag, &image.digest)?;
            pushed.push(tag.clone());
        }
    }
    Ok(pushed)
}

/// Tells whether a tag names the image already.
fn is_named(
    resources: &BuildResources,
    image: &Image,
    tag: &Reference,
    cancel: &CancellationToken,
) -> Result<bool, Error> {
    let _span = resources.trace.span(Work::Push, tag.to_string());
    match ask(&resources.tokio, cancel, resources.pusher.head_manifest(tag)) {
        // A registry that does not say is given the manifest, whatever it has; if it may not be, that is said then.
        Err(Unanswered::Failed(error)) if !error.is_transient() => Ok(false),
        known => {
            let known = known.map_err(|error| error.at(format!("pushing `{tag}`")))?;
            Ok(known.is_some_and(|(digest, _)| digest == image.digest))
        }
    }
}

/// Makes sure that the repository of `to` has the configuration.
pub(super) fn push_config(
    resources: &BuildResources,
    config: &Descriptor,
    to: &Reference,
    cancel: &CancellationToken,
) -> Result<(), Error> {
    let (client, waiting) = (&resources.pusher, (&resources.tokio, cancel));
    let doing = || format!("pushing `{to}`");
    let failed = |error: Unanswered| error.at(doing());
    let _span = resources.trace.span(Work::Push, config.digest.as_str());
    let bytes = resources.store.read(&config.digest, config.size).map_err(|error| Error::store(doing(), error))?;
    ask(waiting.0, waiting.1, client.push_blob(to, config, BlobSource::Bytes(bytes.into()))).map(drop).map_err(failed)
}

/// Puts the manifest under a tag. A wish to end the build that comes meanwhile cannot call the request back: what became of
/// it is waited for a moment, and then asked for, so that no build is called cancelled whose tag moved.
pub(super) fn put(
    resources: &BuildResources,
    image: &Image,
    tag: &Reference,
    cancel: &CancellationToken,
) -> Result<(), Unanswered> {
    if cancel.is_cancelled() {
        return Err(Unanswered::Cancelled);
    }
    let _span = resources.trace.span(Work::Push, tag.to_string());
    let client = &resources.pusher;
    let mut putting = Box::pin(client.put_manifest(tag, image.media_type, image.manifest.clone()));
    if let Some(answer) = until_cancelled(&resources.tokio, cancel, &mut putting) {
        return answer.map(drop).map_err(Unanswered::Failed);
    }
    let late = resources.tokio.block_on(async { tokio::time::timeout(PUT_GRACE, putting).await });
    if let Ok(answer) = late {
        return answer.map(drop).map_err(Unanswered::Failed);
    }
    let asking = async { tokio::time::timeout(HEAD_GRACE, client.head_manifest(tag)).await };
    match resources.tokio.block_on(asking) {
        Ok(Ok(Some((digest, _)))) if digest == image.digest => Ok(()),
        _ => Err(Unanswered::Cancelled),
    }
}
