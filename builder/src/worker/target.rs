//! The part of a build that only a bake file can say: contexts with names, a Dockerfile in the file, other targets.

use crate::context::{Context, NamedContext, NamedImage, find_dockerfile, find_ignore};
use crate::error::Code;
use crate::execute::Options;
use crate::image::annotation::Annotation;
use crate::{Error, Form};
use database::{BuildSpec, TargetContext, TargetSettings};
use dockerfile::DockerfileText;
use files::ignore::Ignore;
use registry_client::Descriptor;
use std::collections::{BTreeMap, HashMap};

/// Images of targets that another one has as contexts.
#[derive(Default)]
pub(crate) struct Linked {
    /// The images, by the names of the contexts.
    images: BTreeMap<String, Descriptor>,
    /// Keeps what they are made of.
    _store: Option<image_store::Store>,
}

impl Linked {
    /// Returns images that stay in `store`, which has a lease.
    pub(super) fn new(images: BTreeMap<String, Descriptor>, store: image_store::Store) -> Linked {
        Linked { images, _store: Some(store) }
    }
}

/// Returns the part of a target that no rule can say.
pub(super) fn settings(spec: &BuildSpec) -> Option<&TargetSettings> {
    spec.options.baked.as_deref()
}

/// Returns the Dockerfile: that of the commit, or the text that stands in the bake file.
pub(super) fn dockerfile(whole: &Context, spec: &BuildSpec) -> Result<DockerfileText, Error> {
    match settings(spec).and_then(|target| target.dockerfile.as_ref()) {
        Some(text) => Ok(DockerfileText { name: "dockerfile-inline".to_owned(), text: text.clone().into_bytes() }),
        None => find_dockerfile(whole, &spec.dockerfile),
    }
}

/// Returns the contexts with names.
pub(super) fn contexts(
    whole: &Context,
    spec: &BuildSpec,
    linked: &Linked,
) -> Result<HashMap<String, NamedContext>, Error> {
    let mut named = HashMap::new();
    for (name, context) in settings(spec).into_iter().flat_map(|target| &target.contexts) {
        let (context, ignore) = match context {
            TargetContext::Image(image) if image == "scratch" => (Context::Empty, Ignore::default()),
            TargetContext::Image(image) => (Context::Image(NamedImage::Reference(image.clone())), Ignore::default()),
            TargetContext::Directory(path) => (directory(whole, path)?, find_ignore(whole, "", path)?),
            TargetContext::Target(_) => match linked.images.get(name) {
                Some(image) => (Context::Image(NamedImage::Stored(image.clone())), Ignore::default()),
                None => {
                    let text =
                        format!("the context `{name}` is another target, which is not built to answer a question");
                    return Err(Error::new(Code::BakeInvalid, text));
                }
            },
        };
        named.insert(name.to_lowercase(), NamedContext { context, ignore });
    }
    Ok(named)
}

fn directory(whole: &Context, path: &str) -> Result<Context, Error> {
    Ok(match whole {
        Context::Checkout(checkout) => Context::Checkout(checkout.directory(path).map_err(Error::source)?),
        Context::Commit(tree) => Context::Commit(tree.subtree(path).map_err(Error::source)?),
        _ => {
            let text = format!("the context `{path}` is not a directory of the commit: hooks may have changed it");
            return Err(Error::new(Code::BakeInvalid, text));
        }
    })
}

/// Returns the properties of the image that its Dockerfile does not set.
pub(super) fn form(spec: &BuildSpec) -> Result<Form, Error> {
    let mut annotations = Vec::new();
    for text in settings(spec).into_iter().flat_map(|target| &target.annotations) {
        annotations.extend(Annotation::parse(text).map_err(|problem| Error::new(Code::BakeInvalid, problem))?);
    }
    Ok(Form { annotations })
}

/// Returns how steps are executed; limits that are not known were refused when the file was read.
pub(super) fn options(spec: &BuildSpec, usual: Options) -> Options {
    let Some(target) = settings(spec) else { return usual };
    Options {
        is_one_of_several: true,
        network: !target.is_offline,
        hosts: target.hosts.clone(),
        shm_bytes: target.shm_bytes,
        ulimits: target.ulimits.iter().filter_map(|text| text.parse().ok()).collect(),
        ..usual
    }
}
