//! Why the steps of a build were executed or not: two prepared builds are compared, nothing is executed.

mod files;
mod own;
mod pair;
mod stage;

use crate::{PlannedBuild, Platforms};
use database::{BaseImage, ExplainedStep, Step, Why};
use stage::Comparison;

/// A build that was prepared once more after its end.
pub struct Side<'s, 'r> {
    /// What it would be now.
    pub platforms: &'s Platforms<'r>,
    /// What became of its steps.
    pub steps: &'s [Step],
    /// The images that it was made from, as far as that was written down.
    pub base_images: &'s [BaseImage],
}

/// One platform of a build.
#[derive(Clone, Copy)]
struct Half<'s, 'r> {
    prepared: &'s PlannedBuild<'r>,
    /// What became of the steps of all platforms.
    steps: &'s [Step],
    base_images: &'s [BaseImage],
    /// How many steps belong to the platforms before.
    before: usize,
}

impl Half<'_, '_> {
    /// Returns what became of a step of the plan, if that is the one that was executed.
    fn recorded(&self, step: &dockerfile::plan::Step) -> Option<&Step> {
        let (number, line) = ((step.number + self.before) as i64, step.lines.0 as i64);
        self.steps.iter().find(|recorded| recorded.number == number && recorded.line == line)
    }

    /// Returns an image's name and the digest that it had in the build.
    fn image(&self, key: &str) -> (String, Option<String>, String) {
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
    fn halves(&self) -> Vec<Half<'s, 'r>> {
        let mut before = 0;
        let half = |prepared: &'s PlannedBuild<'r>| {
            let half = Half { prepared, steps: self.steps, base_images: self.base_images, before };
            before += prepared.plan().stages.iter().map(|stage| stage.steps.len()).sum::<usize>();
            half
        };
        self.platforms.each().iter().map(half).collect()
    }
}

/// Says of each step of `new` what about it is not as in `old`, platform after platform.
pub fn compare(new: &Side<'_, '_>, old: &Side<'_, '_>) -> Vec<ExplainedStep> {
    let (new, old) = (new.halves(), old.halves());
    let several = new.len() > 1;
    let mut explained = Vec::new();
    for half in &new {
        let platform = &half.prepared.request().platform;
        let same = old.iter().find(|other| other.prepared.request().platform == *platform);
        let Some(other) = same.or(old.first()) else { continue };
        let other_platform = &other.prepared.request().platform;
        let changed = (platform != other_platform)
            .then(|| Why::PlatformChanged { old: other_platform.to_string(), new: platform.to_string() });
        let mut steps = Comparison::new(*half, *other, changed).steps();
        steps.sort_by_key(|step| step.number);
        for step in &mut steps {
            step.number += half.before as i64;
            if several {
                step.stage = format!("{platform} {}", step.stage);
            }
        }
        explained.extend(steps);
    }
    explained
}
