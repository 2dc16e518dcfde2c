//! A request for a build, as its caller makes it.

use crate::context::{Context, NamedContext};
use crate::execute::Options;
use crate::image::assemble::Form;
use crate::image::push::TagOrder;
use crate::trace::Trace;
use database::MergedPull;
use dockerfile::DockerfileText;
use dockerfile::plan;
use registry_client::{Platform, Reference};
use std::collections::{BTreeMap, HashMap};

/// A request for a build: its inputs, its outputs, and how steps are executed.
pub struct Request {
    /// The context with its ignore file.
    pub context: NamedContext,
    /// Further contexts by name.
    pub named: HashMap<String, NamedContext>,
    /// The Dockerfile's text and the name it has in messages.
    pub dockerfile: DockerfileText,
    /// Build arguments.
    pub build_args: BTreeMap<String, String>,
    /// Labels for the result.
    pub labels: BTreeMap<String, String>,
    /// Labels that the image has unless its Dockerfile says otherwise.
    pub default_labels: BTreeMap<String, String>,
    /// The stage to build.
    pub target: Option<String>,
    /// The platforms of the result, at least one: several become one index.
    pub platforms: Vec<Platform>,
    /// Names of the image; the first is the primary one.
    pub tags: Vec<Reference>,
    /// Images that were made before: one that is the same keeps the digest of the first of them.
    pub previous: Vec<Earlier>,
    /// Whether the image is pushed to where its names say.
    pub push: bool,
    /// Which repository's cache is used.
    pub cache_namespace: String,
    /// Names the attempt's directories: letters, digits, `-` and `_`.
    pub attempt: String,
    /// How steps are executed.
    pub options: Options,
    /// Decides which names may move when the image is pushed.
    pub order: Box<dyn TagOrder + Send>,
    /// Takes note of where the time goes.
    pub trace: Trace,
    /// The properties of the image that the Dockerfile does not set.
    pub form: Form,
}

impl Request {
    /// Returns the platform that checks are made for: the first one.
    pub fn platform(&self) -> Platform {
        self.platforms.first().cloned().unwrap_or_else(Platform::host)
    }

    /// Returns the settings of the plan for one platform.
    pub fn settings(&self, platform: &Platform) -> plan::Settings {
        plan::Settings {
            build_args: self.build_args.clone(),
            target: self.target.clone(),
            labels: self.labels.clone(),
            default_labels: self.default_labels.clone(),
            platform: platform.clone(),
            named_contexts: names(self, |context| !matches!(context, Context::Image(_))),
            named_images: names(self, |context| matches!(context, Context::Image(_))),
            ignore: self.context.ignore.clone(),
        }
    }
}

/// Returns the names of the contexts that are of a kind.
fn names(request: &Request, is_kind: impl Fn(&Context) -> bool) -> Vec<String> {
    let chosen = request.named.iter().filter(|(_, named)| is_kind(&named.context));
    chosen.map(|(name, _)| name.clone()).collect()
}

/// An image that was made before.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// The image by its digest, in the repository of the new one.
    pub image: Reference,
    /// Whether that repository has it: then giving it another name needs one request.
    pub is_pushed: bool,
    /// The pull request that it was made for, if it was.
    pub merged: Option<MergedPull>,
}
