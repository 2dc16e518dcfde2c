//! The sources that files are copied from: contexts, stages, images, repositories, downloads.

use super::download::{self, WebFile};
use super::layer::Layer;
use super::progress::Progress;
use super::state::StageLayers;
use super::unfetched;
use crate::Error;
use crate::context::NamedContext;
use crate::copy::{self, CopyError, CopySource, Searched};
use crate::error::Code;
use crate::git::{Checkout, Fetching, GitContext};
use crate::key::KeyBuilder;
use crate::walk::{Walk, Walked};
use dockerfile::plan::{Copy, From};
use files::ignore::Filtered;
use files::pattern;
use files::tree::Tree;
use files::view::View;
use std::io::{self, Read};
use std::sync::Arc;

/// A source with files.
pub(crate) enum FileSource<'e> {
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
    Web(Box<WebFile>),
}

impl<'e> FileSource<'e> {
    /// Returns the source that `--from` names; waits for a stage.
    pub(crate) fn of(progress: &Progress<'e, '_>, from: &From) -> Result<FileSource<'e>, Error> {
        let execution = progress.execution;
        let of = |stage: &StageLayers, name: String| -> Result<FileSource<'e>, Error> {
            Ok(FileSource::Layers {
                name,
                layers: stage.layers.clone(),
                tree: execution.resources.tree(&stage.layers)?,
            })
        };
        match from {
            From::Context => Ok(FileSource::Context(execution.sources.context, "the context".to_owned())),
            From::Named(name) => match execution.sources.named.get(name) {
                Some(context) => Ok(FileSource::Context(context, format!("the context `{name}`"))),
                None => Err(Error::new(Code::Plan, format!("context `{name}` was not given"))),
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
    pub(crate) fn git(progress: &Progress<'_, '_>, url: &str, copy: &Copy) -> Result<FileSource<'e>, Error> {
        let located = |error: crate::git::SourceError| Error::source(error);
        let parsed = GitContext::parse(url).map_err(located)?;
        let mut git =
            parsed.ok_or_else(|| Error::new(Code::InvalidCloneUrl, format!("`{url}` is not a git repository")))?;
        if let Some(checksum) = &copy.flags.checksum {
            git.checksum = Some(checksum.clone());
        }
        let options = progress.execution.options;
        let git_dir = copy.flags.keep_git_dir || git.keep_git_dir == Some(true);
        let mut settings = options.fetching.settings.clone();
        settings.credentials = git.token(&options.secrets);
        let fetching = Fetching { settings, ..options.fetching.clone() };
        let checkout = Checkout::fetch(&git, &fetching, git_dir).map_err(located)?;
        Ok(FileSource::Git { checkout, git_dir })
    }

    /// Downloads the file that an `ADD` names.
    pub(crate) fn web(progress: &Progress<'_, '_>, url: &str, copy: &Copy) -> Result<FileSource<'e>, Error> {
        let execution = progress.execution;
        let reach = execution.options.fetching.settings.reach;
        download::download(execution.resources, url, reach, copy.flags.checksum.as_deref())
            .map(|file| FileSource::Web(Box::new(file)))
    }

    /// Looks at the files; a download is not a tree, it is selected as it is.
    pub(crate) fn view<T>(&self, walk: &Walk, look: impl FnOnce(&dyn View) -> T) -> T {
        match self {
            FileSource::Context(named, _) => look(&Filtered::new(&Walked::new(&named.context, walk), &named.ignore)),
            FileSource::Layers { tree, .. } => look(&Walked::new(tree, walk)),
            FileSource::Git { checkout, .. } => look(&Walked::new(checkout, walk)),
            FileSource::Web(_) => look(&Tree::default()),
        }
    }

    /// Returns the error of `source`, which could not be selected: for a path that is missing with the reason.
    pub(crate) fn error(&self, source: &str, error: CopyError) -> Error {
        let path = error.missing_path().map(|path| if pattern::has_wildcard(source) { path } else { source });
        let searched = match self {
            FileSource::Context(named, name) => Searched { view: &named.context, ignore: Some(&named.ignore), name },
            FileSource::Layers { tree, name, .. } => Searched { view: tree, ignore: None, name },
            FileSource::Git { checkout, .. } => Searched { view: checkout, ignore: None, name: "the repository" },
            FileSource::Web(_) => return super::copy_request::copy_error(error),
        };
        if let (FileSource::Context(named, _), Some(path)) = (self, path)
            && let Some(error) = unfetched::missing(named, path)
        {
            return error;
        }
        match path {
            Some(path) => Error::new(error.code(), copy::not_found(&searched, path)),
            None => super::copy_request::copy_error(error),
        }
    }

    /// Returns what identifies the content of `selection`, or of the source where that says more.
    pub(crate) fn key(&self, selection: &CopySource, walk: &Walk) -> Result<String, crate::copy::CopyError> {
        let key = |view: &dyn View| crate::copy::selection_key(view, selection);
        match self {
            FileSource::Context(..) | FileSource::Layers { .. } => self.view(walk, key),
            FileSource::Git { checkout, git_dir: true } => {
                Ok(KeyBuilder::new("git.1").text(checkout.id()).field(&selection.path).finish())
            }
            FileSource::Git { .. } => self.view(walk, key),
            FileSource::Web(file) => {
                let mut key = KeyBuilder::new("web.1");
                key.text(file.digest.as_str()).field(&selection.name).text(&selection.node.mtime.to_string());
                Ok(key.finish())
            }
        }
    }

    /// Opens a file; those of layers come from a stream of their own.
    pub(crate) fn open(&self, store: &image_store::Store, path: &[u8]) -> io::Result<Box<dyn Read + Send>> {
        match self {
            FileSource::Context(named, _) => named.context.open_whole(path).map_err(io::Error::other),
            FileSource::Git { checkout, .. } => checkout.open_file(path).map_err(io::Error::other),
            FileSource::Web(file) => Ok(Box::new(store.open_blob(&file.digest).map_err(io::Error::other)?)),
            FileSource::Layers { .. } => {
                Err(io::Error::other("files of layers are read in the order in which they are packed"))
            }
        }
    }
}
