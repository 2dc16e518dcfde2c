//! The places that files are copied from: contexts, stages, images, repositories, downloads.

use super::stage::Progress;
use super::web::{self, WebFile};
use super::{Layer, StageLayers, unfetched};
use crate::Error;
use crate::context::NamedContext;
use crate::copy::{self, CopyError, CopySource, Searched};
use crate::key::KeyBuilder;
use crate::source::{Checkout, Fetching, GitContext};
use crate::walk::{Walk, Walked};
use dockerfile::plan::{Copy, From};
use files::ignore::Filtered;
use files::pattern;
use files::tree::Tree;
use files::view::View;
use std::io::{self, Read};
use std::sync::Arc;

/// A place with files.
pub enum Place<'e> {
    /// A context, seen through its ignore file.
    Context(&'e NamedContext, String),
    /// A stage or an image.
    Layers {
        /// The image's name in messages.
        name: String,
        /// Its layers.
        layers: Vec<Arc<Layer>>,
        /// Their files.
        tree: Tree,
    },
    /// A git repository.
    Git {
        /// Its files.
        checkout: Checkout,
        /// Whether `.git` is one of them.
        git_dir: bool,
    },
    /// A file from the web.
    Web(WebFile),
}

impl<'e> Place<'e> {
    /// Returns the place that `--from` names; waits for a stage.
    pub fn of(progress: &Progress<'e, '_>, from: &From) -> Result<Place<'e>, Error> {
        let execution = progress.execution;
        let of = |stage: &StageLayers, name: String| -> Result<Place<'e>, Error> {
            Ok(Place::Layers { name, layers: stage.layers.clone(), tree: execution.materials.tree(&stage.layers)? })
        };
        match from {
            From::Context => Ok(Place::Context(execution.sources.context, "the context".to_owned())),
            From::Named(name) => match execution.sources.named.get(name) {
                Some(context) => Ok(Place::Context(context, format!("the context `{name}`"))),
                None => Err(Error::service("plan", format!("context `{name}` was not given"))),
            },
            From::Stage(index) => {
                let name = format!("stage `{}`", execution.plan.stages[*index].name);
                of(&*execution.stage(*index)?, name)
            }
            From::Image(name) => {
                let image = execution.sources.image(name)?;
                let shown = format!("image `{}`", image.asked);
                of(&StageLayers { layers: image.layers.clone(), key: image.key.clone() }, shown)
            }
        }
    }

    /// Fetches the repository that an `ADD` names.
    pub fn git(progress: &Progress<'_, '_>, url: &str, copy: &Copy) -> Result<Place<'e>, Error> {
        let located = |error: crate::source::SourceError| crate::worker::source_error(error);
        let parsed = GitContext::parse(url).map_err(located)?;
        let mut git =
            parsed.ok_or_else(|| Error::user("invalid_clone_url", format!("`{url}` is no git repository")))?;
        if let Some(checksum) = &copy.flags.checksum {
            git.checksum = Some(checksum.clone());
        }
        let options = progress.execution.options;
        let git_dir = copy.flags.keep_git_dir || git.keep_git_dir == Some(true);
        let mut settings = options.fetching.settings.clone();
        settings.credentials = git.token(&options.secrets);
        let fetching = Fetching { settings, ..options.fetching.clone() };
        let checkout = Checkout::fetch(&git, &fetching, git_dir).map_err(located)?;
        Ok(Place::Git { checkout, git_dir })
    }

    /// Downloads the file that an `ADD` names.
    pub fn web(progress: &Progress<'_, '_>, url: &str, copy: &Copy) -> Result<Place<'e>, Error> {
        let execution = progress.execution;
        let reach = execution.options.fetching.settings.reach;
        web::fetch(execution.materials, url, (reach, copy.flags.checksum.as_deref())).map(Place::Web)
    }

    /// Looks at the files; a download is no tree, it is selected as it is.
    pub fn view<T>(&self, walk: &Walk, look: impl FnOnce(&dyn View) -> T) -> T {
        match self {
            Place::Context(named, _) => look(&Filtered::new(&Walked::new(&named.context, walk), &named.ignore)),
            Place::Layers { tree, .. } => look(&Walked::new(tree, walk)),
            Place::Git { checkout, .. } => look(&Walked::new(checkout, walk)),
            Place::Web(_) => look(&Tree::default()),
        }
    }

    /// Returns the error of `source`, which could not be selected: for a path that is missing with the reason.
    pub fn error(&self, source: &str, error: CopyError) -> Error {
        let path = error.missing_path().map(|path| if pattern::has_wildcard(source) { path } else { source });
        let searched = match self {
            Place::Context(named, name) => Searched { view: &named.context, ignore: Some(&named.ignore), name },
            Place::Layers { tree, name, .. } => Searched { view: tree, ignore: None, name },
            Place::Git { checkout, .. } => Searched { view: checkout, ignore: None, name: "the repository" },
            Place::Web(_) => return super::copy::copy_error(error),
        };
        if let (Place::Context(named, _), Some(path)) = (self, path)
            && let Some(error) = unfetched::missing(named, path)
        {
            return error;
        }
        match path {
            Some(path) => Error::user(error.code(), copy::not_found(&searched, path)),
            None => super::copy::copy_error(error),
        }
    }

    /// Returns what identifies the content of `selection`, or of the place where that says more.
    pub fn key(&self, selection: &CopySource, walk: &Walk) -> Result<String, crate::copy::CopyError> {
        let key = |view: &dyn View| crate::copy::selection_key(view, selection);
        match self {
            Place::Context(..) | Place::Layers { .. } => self.view(walk, key),
            Place::Git { checkout, git_dir: true } => {
                Ok(KeyBuilder::new("git.1").text(checkout.id()).field(&selection.path).finish())
            }
            Place::Git { .. } => self.view(walk, key),
            Place::Web(file) => {
                let mut key = KeyBuilder::new("web.1");
                key.text(file.digest.as_str()).field(&selection.name).text(&selection.node.mtime.to_string());
                Ok(key.finish())
            }
        }
    }

    /// Opens a file; those of layers come from a stream of their own.
    pub fn open(&self, store: &image_store::Store, path: &[u8]) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Place::Context(named, _) => named.context.open_whole(path).map_err(io::Error::other),
            Place::Git { checkout, .. } => checkout.open_file(path).map_err(io::Error::other),
            Place::Web(file) => Ok(Box::new(store.open_blob(&file.digest).map_err(io::Error::other)?)),
            Place::Layers { .. } => {
                Err(io::Error::other("files of layers are read in the order in which they are packed"))
            }
        }
    }
}
