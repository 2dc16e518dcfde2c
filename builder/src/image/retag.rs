//! Gives an image that a repository has already further names: one request for each.

use super::{push, uploads};
use crate::Error;
use crate::execute::{BuildResources, Unanswered};
use crate::image::assemble::Image;
use crate::image::push::TagOrder;
use registry_client::Reference;
use runtime::CancellationToken;

/// Names an image with each of `tags` that may move; returns those that name it now. A repository that turns out not to have
/// all of it any more is given the rest.
pub(crate) fn manifest(
    resources: &BuildResources,
    image: &Image,
    tags: &[Reference],
    order: &dyn TagOrder,
) -> Result<Vec<Reference>, Error> {
    let mut pushed = Vec::new();
    for (at, tag) in tags.iter().enumerate() {
        if !order.begin(tag)? {
            continue;
        }
        // A build that has moved one tag is not undone by a wish to end it: the other tags follow.
        let cancel = if pushed.is_empty() { resources.cancel.clone() } else { CancellationToken::new() };
        match push::put(resources, image, tag, &cancel) {
            Ok(()) => {
                order.end(tag, &image.digest)?;
                pushed.push(tag.clone());
            }
            Err(Unanswered::Failed(error)) if !error.is_transient() => {
                let error = &error as &dyn std::error::Error;
                tracing::debug!(%tag, error, "an image that was there is pushed once more");
                pushed.extend(uploads::whole(resources, image, &tags[at..], order)?);
                return Ok(pushed);
            }
            Err(error) => return Err(error.at(format!("pushing `{tag}`"))),
        }
    }
    Ok(pushed)
}
