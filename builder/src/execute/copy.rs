//! `COPY`, `ADD` and `WORKDIR`: entries are planned on indexes, contents stream from where they are into the layer.

use super::stage::Progress;
use super::{Layer, StageLayers, pack};
use crate::Error;
use crate::context::NamedContext;
use crate::copy::{self, CopyRequest, Planned};
use crate::ignore::Filtered;
use crate::key::KeyBuilder;
use crate::plan::{Copy, From, Step};
use crate::tree::Tree;
use crate::view::View;
use std::io::Read;
use std::sync::Arc;

/// A `COPY` or `ADD` with its source at hand.
pub struct Prepared<'e> {
    copy: &'e Copy,
    source: Source<'e>,
}

/// Where the files of a copy are.
enum Source<'e> {
    /// In a context, seen through its ignore file.
    Context(&'e NamedContext),
    /// In a stage or an image.
    Layers { layers: Vec<Arc<Layer>>, tree: Tree },
}

impl<'e> Prepared<'e> {
    /// Finds the files that `copy` copies; waits for the stage they are in.
    pub fn new(progress: &Progress<'e, '_>, copy: &'e Copy) -> Result<Self, Error> {
        let source = source(progress, &copy.from)?;
        Ok(Prepared { copy, source })
    }

    /// Returns the cache key of the layer: what is copied, where to, and how.
    pub fn key(&self, parent: &str) -> Result<String, Error> {
        let copy = self.copy;
        let mut key = KeyBuilder::new("copy.1");
        // Names of owners are looked up in the files below, which the parent's key stands for.
        key.text(parent).text(copy.chown.as_deref().unwrap_or("")).text(copy.chmod.as_deref().unwrap_or(""));
        key.text(if copy.add { "add" } else { "copy" });
        let request = self.request(None)?;
        key.field(&self.source.view(|view| copy::copy_key(view, &request)).map_err(copy_error)?);
        for file in &copy.files {
            key.text(&file.name).field(&file.content);
        }
        Ok(key.finish())
    }

    /// Plans the entries and packs them.
    pub fn execute(self, progress: &Progress<'e, '_>, made: (&Arc<Layer>, &Step)) -> Result<(), Error> {
        let execution = progress.execution;
        let tree = execution.materials.tree(&progress.layers)?;
        let chown = self.owner(progress, &tree)?;
        let mut request = self.request(chown)?;
        request.now = execution.options.now;
        let planned = self.source.view(|view| copy::plan_copy(view, &tree, &request)).map_err(copy_error)?;
        pack_planned(progress, made, (&self.source, &planned))
    }

    fn request(&self, chown: Option<(u32, u32)>) -> Result<CopyRequest, Error> {
        let copy = self.copy;
        let chmod = copy.chmod.as_deref().map(copy::Chmod::parse).transpose().map_err(copy_error)?;
        Ok(CopyRequest {
            sources: copy.sources.clone(),
            inline: copy.files.iter().map(|file| (file.name.clone(), file.content.clone())).collect(),
            destination: copy.destination.clone(),
            workdir: copy.workdir.clone(),
            chown,
            chmod,
            parents: copy.parents,
            excludes: copy.excludes.clone(),
            link: copy.link,
            now: 0,
        })
    }

    /// Returns the owner that `--chown` names, looked up in the accounts of the destination.
    fn owner(&self, progress: &Progress<'_, '_>, tree: &Tree) -> Result<Option<(u32, u32)>, Error> {
        self.copy.chown.as_deref().map(|spec| owner(progress, tree, spec)).transpose()
    }
}

/// Looks `spec` (`user[:group]`) up in the account files of `tree`.
fn owner(progress: &Progress<'_, '_>, tree: &Tree, spec: &str) -> Result<(u32, u32), Error> {
    if let Ok(owner) = copy::lookup_chown(spec, None, None)
        && copy::is_numeric(spec)
    {
        return Ok(owner);
    }
    let read = |path: &[u8]| progress.execution.materials.read_file(&progress.layers, tree, path);
    let (passwd, group) = (read(b"etc/passwd")?, read(b"etc/group")?);
    copy::lookup_chown(spec, passwd.as_deref(), group.as_deref()).map_err(copy_error)
}

impl Source<'_> {
    fn view<T>(&self, look: impl FnOnce(&dyn View) -> T) -> T {
        match self {
            Source::Context(named) => look(&Filtered::new(&named.context, &named.ignore)),
            Source::Layers { tree, .. } => look(tree),
        }
    }
}

fn source<'e>(progress: &Progress<'e, '_>, from: &From) -> Result<Source<'e>, Error> {
    let execution = progress.execution;
    let of = |stage: &StageLayers| -> Result<Source<'e>, Error> {
        Ok(Source::Layers { layers: stage.layers.clone(), tree: execution.materials.tree(&stage.layers)? })
    };
    match from {
        From::Context => Ok(Source::Context(execution.sources.context)),
        From::Named(name) => match execution.sources.named.get(name) {
            Some(context) => Ok(Source::Context(context)),
            None => Err(Error::service("plan", format!("context `{name}` was not given"))),
        },
        From::Stage(index) => of(&*execution.stage(*index)?),
        From::Image(name) => {
            let image = execution.sources.image(name)?;
            of(&StageLayers { layers: image.layers.clone(), key: image.key.clone() })
        }
    }
}

/// Writes the planned entries with their contents as the layer.
fn pack_planned(
    progress: &Progress<'_, '_>,
    made: (&Arc<Layer>, &Step),
    (source, planned): (&Source<'_>, &[Planned]),
) -> Result<(), Error> {
    let materials = progress.execution.materials;
    let mut writer = pack::begin(&materials.store)?;
    let packing = |error: std::io::Error| Error::service("store", "packing a layer").with_cause(error);
    match source {
        Source::Context(named) => crate::layer::pack(planned, &mut |path| Ok(named.context.open(path)?), &mut writer),
        Source::Layers { layers, tree } => {
            // One stream holds all files, in the order in which they are packed.
            let paths: Vec<_> = planned.iter().filter_map(Planned::source_path).map(<[u8]>::to_vec).collect();
            let mut contents = materials.read_files(layers, tree, &paths)?;
            crate::layer::pack_stream(planned, &mut contents, &mut writer)
        }
    }
    .map_err(packing)?;
    pack::commit(progress.execution, (made.0, made.1), writer)
}

/// Returns the entries that a `WORKDIR` adds.
pub fn workdir(progress: &Progress<'_, '_>, path: &str, user: &str) -> Result<Vec<runtime::tar::Entry>, Error> {
    let tree = progress.execution.materials.tree(&progress.layers)?;
    let exists = tree.resolve(path.as_bytes()).ok().is_some_and(|path| matches!(tree.lookup(&path), Ok(Some(_))));
    let owner = if user.is_empty() || exists { (0, 0) } else { owner(progress, &tree, user)? };
    copy::plan_workdir(&tree, path, owner, progress.execution.options.now).map_err(copy_error)
}

/// Turns an error of planning into the build's.
fn copy_error(error: copy::CopyError) -> Error {
    Error::user(error.code(), error.to_string()).with_cause(error)
}
