//! Looks into the image of a build that ended, or compares two of them, while somebody waits.

use super::context::TaskContext;
use super::{rights, secrets};
use crate::error::Code;
use crate::execute::BuildResources;
use crate::image::contents::{Opened, difference, listing, shadow};
use crate::secrets::Masks;
use crate::{Error, Services};
use database::{Build, BuildId, ImageContents, ImageDifference, ImagePair, ImagePart, ImageSettings, ShadowPair};
use registry_client::{Platform, Reference};
use runtime::CancellationToken;
use std::collections::BTreeMap;

/// Returns what an image holds.
pub(crate) fn contents(
    context: TaskContext<'_>,
    part: &ImagePart,
    cancel: &CancellationToken,
) -> Result<ImageContents, Error> {
    let made = Made::read(context, &part.build)?;
    let resources = BuildResources::aside(&made.services, "image", cancel)?;
    let image = made.open(&resources, part.platform.as_deref())?;
    let path = part.path.trim_matches('/').as_bytes();
    let masks = made.masks()?;
    let mut contents = ImageContents {
        platform: image.platform(),
        layers: image.layers(),
        settings: image.settings(),
        listing: listing(&image.items(part.layer, path)?, path, part.skip),
        failure: None,
    };
    contents.layers.iter_mut().for_each(|layer| layer.instruction = masks.text(&layer.instruction));
    hide(&mut contents.settings, &masks);
    Ok(contents)
}

/// Returns in what two images differ.
pub(crate) fn compared(
    context: TaskContext<'_>,
    pair: &ImagePair,
    cancel: &CancellationToken,
) -> Result<ImageDifference, Error> {
    let (new, old) = (Made::read(context, &pair.build)?, Made::read(context, &pair.against)?);
    let (new_resources, old_resources) = (
        BuildResources::aside(&new.services, "image", cancel)?,
        BuildResources::aside(&old.services, "image", cancel)?,
    );
    let platform = pair.platform.as_deref();
    let (opened, other) = (new.open(&new_resources, platform)?, old.open(&old_resources, platform)?);
    let mut found = difference(&opened, &other)?;
    hide_in(&mut found, &[new.masks()?, old.masks()?]);
    Ok(found)
}

/// Returns in what the image of a build and one of another service differ, and why.
pub(crate) fn shadow(
    context: TaskContext<'_>,
    pair: &ShadowPair,
    cancel: &CancellationToken,
) -> Result<ImageDifference, Error> {
    let made = Made::read(context, &pair.build)?;
    let unread = |error| Error::new(Code::InvalidReference, "reading the other image's name").with_cause(error);
    let other = Reference::parse(&pair.image).map_err(unread)?;
    let resources = BuildResources::aside(&made.services, "shadow", cancel)?;
    let ours = made.open(&resources, pair.platform.as_deref())?;
    let platform = ours.platform().parse().unwrap_or_else(|_| Platform::host());
    let theirs = Opened::foreign(&made.services, &resources, &other, &platform)?;
    let mut found = difference(&ours, &theirs)?;
    shadow::explain(&ours, &theirs, made.build.commit.as_deref().unwrap_or_default(), &mut found);
    hide_in(&mut found, &[made.masks()?]);
    Ok(found)
}

/// Hides secrets that somebody wrote into the settings or the instructions of images.
fn hide_in(found: &mut ImageDifference, masks: &[Masks]) {
    for setting in &mut found.settings {
        for text in [&mut setting.new, &mut setting.old].into_iter().flatten() {
            masks.iter().for_each(|masks| *text = masks.text(text));
        }
    }
    for layer in &mut found.layers {
        masks.iter().for_each(|masks| layer.instruction = masks.text(&layer.instruction));
    }
}

/// Hides secrets that somebody wrote into the settings of an image.
fn hide(settings: &mut ImageSettings, masks: &Masks) {
    let hidden = |pairs: &mut BTreeMap<String, String>| pairs.values_mut().for_each(|value| *value = masks.text(value));
    hidden(&mut settings.environment);
    hidden(&mut settings.labels);
    let lists = [&mut settings.entrypoint, &mut settings.command].into_iter().flatten();
    lists.flatten().for_each(|word| *word = masks.text(word));
}

/// A build that made an image.
struct Made {
    build: Build,
    /// Services that read what the build may.
    services: Services,
}

impl Made {
    fn read(context: TaskContext<'_>, id: &BuildId) -> Result<Made, Error> {
        let TaskContext { services, settings } = context;
        let doing = || format!("reading the build {id}");
        let build = services.tokio.block_on(services.database.build(id));
        let build = build.map_err(|error| Error::new(Code::Database, doing()).with_cause(error))?;
        let build = build.ok_or_else(|| Error::new(Code::BuildNotFound, doing()))?;
        let services = rights::services(services, settings, &build.request);
        Ok(Made { build, services })
    }

    fn open<'r>(&self, resources: &'r BuildResources, platform: Option<&str>) -> Result<Opened<'r>, Error> {
        let missing = || Error::new(Code::Resolve, format!("build {} has no image", self.build.id));
        let image = self.build.image.as_ref().ok_or_else(missing)?;
        let spec = &self.build.request.spec;
        // The image of a pull request without a tag is known by its digest in the repository's own image, whose name comes first.
        let own = spec.options.images.as_ref().and_then(|images| images.first());
        let tag = image.tags.first().or(spec.tags.first()).or(own).ok_or_else(missing)?;
        let unread = |problem: String| Error::new(Code::Resolve, format!("reading the image `{tag}`: {problem}"));
        let reference = Reference::parse(tag).map_err(|error| unread(error.to_string()))?;
        let digest = image.digest.parse().map_err(|_| unread("its digest is none".to_owned()))?;
        let platform = platform.or(self.build.request.spec.options.platforms.first().map(String::as_str));
        let platform = platform.map(str::parse::<Platform>).transpose().map_err(|error| unread(error.to_string()))?;
        let platform = platform.unwrap_or_else(Platform::host);
        Opened::open(&self.services, resources, &reference.with_digest(digest), &platform)
    }

    fn masks(&self) -> Result<Masks, Error> {
        let hidden = secrets::open(&self.services, &self.build.request)?;
        Ok(Masks::new(hidden.values().map(Vec::as_slice)))
    }
}
