//! Images that turn out to be one that was made before: that one takes their place.

use crate::event::{Event, Observer, Phase};
use crate::execute::BuildResources;
use crate::image::assemble::Image;
use crate::image::unchanged::Previous;
use crate::{Earlier, Error, Request};

/// Tells whether an image needs but another name; the parts of an index are looked for one by one.
pub(crate) fn is_whole(request: &Request, earlier: &Earlier) -> bool {
    earlier.is_pushed && request.platforms.len() <= 1
}

/// An image that was made before, in place of the new one that is the same.
pub(crate) struct Same<'r> {
    /// The earlier image, with the layers of the new one.
    pub image: Image,
    /// The earlier image as the request names it.
    pub earlier: &'r Earlier,
}

/// Returns the first of the earlier images that `image` is the same as.
pub(crate) fn same_as_before<'r>(
    request: &'r Request,
    resources: &BuildResources,
    image: &Image,
    observer: &dyn Observer,
) -> Result<Option<Same<'r>>, Error> {
    for earlier in &request.previous {
        let previous = Previous { reference: &earlier.image, default_labels: &request.default_labels };
        let Some(image) = previous.same_as(image, resources)? else { continue };
        let text = match &earlier.merged {
            Some(pull) => format!("the files are those of pull request {}: its image becomes this one", pull.number),
            None => "the image is the same as before and keeps its digest".to_owned(),
        };
        observer.observe(Event::Phase(Phase::Building, &text));
        return Ok(Some(Same { image, earlier }));
    }
    Ok(None)
}
