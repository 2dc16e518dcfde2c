//! The two builds of a comparison, whole and by platform.

use crate::{PlannedBuild, Platforms};
use database::{BaseImage, Step};

/// A build that was prepared once more after its end.
pub(crate) struct Side<'s, 'r> {
    /// The build as it would be now.
    pub platforms: &'s Platforms<'r>,
    /// Its steps as they were recorded.
    pub steps: &'s [Step],
    /// The images that it was made from, as far as that was written down.
    pub base_images: &'s [BaseImage],
}

/// One platform of a build.
#[derive(Clone, Copy)]
pub(crate) struct Half<'s, 'r> {
    /// The build as it would be now.
    pub prepared: &'s PlannedBuild<'r>,
    /// The recorded steps of all platforms.
    pub steps: &'s [Step],
    /// The images that it was made from, as far as that was written down.
    pub base_images: &'s [BaseImage],
    /// How many steps belong to the platforms before.
    pub before: usize,
}

impl Half<'_, '_> {
    /// Returns the record of a step of the plan, if the same step was executed.
    pub(crate) fn recorded(&self, step: &dockerfile::plan::Step) -> Option<&Step> {
        let (number, line) = ((step.number + self.before) as i64, step.lines.0 as i64);
        self.steps.iter().find(|recorded| recorded.number == number && recorded.line == line)
    }

    /// Returns an image's name and the digest that it had in the build.
    pub(crate) fn image(&self, key: &str) -> (String, Option<String>, String) {
        let Ok(image) = self.prepared.sources().image(key) else { return (key.to_owned(), None, String::new()) };
        let (asked, platform) = (image.asked.to_string(), image.config.platform().to_string());
        let is_it = |known: &&BaseImage| known.reference == asked && known.platform == platform;
        let recorded = self.base_images.iter().find(is_it).map(|known| known.digest.clone());
        let digest = recorded.or_else(|| image.reference.digest().map(ToString::to_string));
        let resolved = image.reference.digest().map(ToString::to_string);
        // The layers of another digest are not known.
        let layers = if digest == resolved { image.key.clone() } else { String::new() };
        (key.to_owned(), digest, layers)
    }
}

impl<'s, 'r> Side<'s, 'r> {
    /// Returns one side for each platform.
    pub(super) fn halves(&self) -> Vec<Half<'s, 'r>> {
        let mut before = 0;
        let half = |prepared: &'s PlannedBuild<'r>| {
            let half = Half { prepared, steps: self.steps, base_images: self.base_images, before };
            before += prepared.plan().stages.iter().map(|stage| stage.steps.len()).sum::<usize>();
            half
        };
        self.platforms.each().iter().map(half).collect()
    }
}
