//! `COPY`, `ADD` and `WORKDIR`: entries are planned on indexes, contents stream from where they are into the layer.

use super::stage::Progress;
use super::{Claimed, Layer, StageLayers, pack};
use crate::Error;
use crate::context::NamedContext;
use crate::copy::{self, Archive, Chmod, Content, CopyError, CopyRequest, Planned, Selection};
use crate::ignore::Filtered;
use crate::key::KeyBuilder;
use crate::plan::{Copy, From, Step};
use crate::tree::{Tree, WalkPath};
use crate::view::{Kind, View};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

/// A `COPY` or `ADD` with its source at hand.
pub struct Prepared<'e> {
    copy: &'e Copy,
    source: Source<'e>,
    selections: Vec<Selection>,
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
        if let Some(url) = copy.urls.first() {
            return Err(Error::user(
                "add_url_unsupported",
                format!("ADD of `{url}`: URLs are not fetched; RUN a download instead"),
            ));
        }
        let source = source(progress, &copy.from)?;
        let request = request(copy, None)?;
        let selections = source.view(|view| copy::select(view, &request)).map_err(copy_error)?;
        Ok(Prepared { copy, source, selections })
    }

    /// Returns the cache key of the layer: what is copied, where to, and how.
    pub fn key(&self, parent: &str) -> Result<String, Error> {
        let copy = self.copy;
        let mut key = KeyBuilder::new("copy.2");
        // Names of owners are looked up in the files below, which the parent's key stands for.
        key.text(parent).text(copy.chown.as_deref().unwrap_or("")).text(copy.chmod.as_deref().unwrap_or(""));
        key.text(&format!("{} {} {} {:?}", copy.add, copy.link, copy.parents, copy.unpack));
        key.text(&copy.destination).text(&copy.workdir);
        key.text(&self.source.view(|view| copy::selection_key(view, &self.selections)).map_err(copy_error)?);
        for file in &copy.files {
            key.text(&file.name).field(&file.content);
        }
        Ok(key.finish())
    }

    /// Plans the entries and packs them.
    pub fn execute(self, progress: &Progress<'e, '_>, made: (&Arc<Layer>, &Step)) -> Result<(), Error> {
        let execution = progress.execution;
        // A linked copy stands on its own: nothing of what is below is looked at.
        let linked = self.copy.link && self.copy.chmod.is_none();
        let tree = if linked { Tree::default() } else { execution.materials.tree(&progress.layers)? };
        let chown = self.copy.chown.as_deref().map(|spec| owner(progress, &tree, spec)).transpose()?;
        let request = CopyRequest { now: execution.options.now, ..request(self.copy, chown)? };
        let archives = self.archives()?;
        let mut planned = copy::plan_copy(&tree, &self.plain(&archives), &request).map_err(copy_error)?;
        for archive in &archives {
            planned = merged(planned, archive.read.plan(&tree, &request).map_err(copy_error)?, archive.number);
        }
        let mut writer = pack::begin(&execution.materials.store)?;
        self.write(progress, (&planned, &archives), &mut writer)?;
        pack::commit(execution, (made.0, made.1), writer)
    }

    fn plain(&self, archives: &[OpenArchive]) -> Vec<Selection> {
        let is_archive = |number| archives.iter().any(|archive| archive.number == number);
        let plain = self.selections.iter().enumerate().filter(|(number, _)| !is_archive(*number));
        plain.map(|(_, selection)| selection.clone()).collect()
    }

    /// Finds the archives among the files of an `ADD`.
    fn archives(&self) -> Result<Vec<OpenArchive>, Error> {
        let mut archives = Vec::new();
        let Source::Context(named) = &self.source else { return Ok(archives) };
        if !self.copy.add || self.copy.unpack == Some(false) {
            return Ok(archives);
        }
        for (number, selection) in self.selections.iter().enumerate() {
            if matches!(selection.node.kind, Kind::File { size } if size > 0)
                && let Some(mut tar) = open_archive(named, &selection.path).map_err(packing)?
            {
                let name = String::from_utf8_lossy(&selection.name).into_owned();
                let read = Archive::read(&name, &mut tar).map_err(copy_error)?;
                archives.push(OpenArchive { number, path: selection.path.clone(), read });
            }
        }
        Ok(archives)
    }

    fn write(
        &self,
        progress: &Progress<'_, '_>,
        (planned, archives): (&[Planned], &[OpenArchive]),
        writer: &mut pack::StoreLayer,
    ) -> Result<(), Error> {
        match &self.source {
            Source::Context(named) => {
                let mut tar = runtime::tar::Writer::new(writer);
                let mut open = |path: &[u8]| named.context.open(path).map_err(io::Error::other);
                pack::planned(&mut tar, planned, &mut open).map_err(packing)?;
                for archive in archives {
                    let content = open_archive(named, &archive.path).map_err(packing)?;
                    let mut content =
                        content.ok_or_else(|| packing(io::Error::other("the archive changed while it was read")))?;
                    pack::archived(&mut tar, planned, (archive.number, &mut content)).map_err(packing)?;
                }
                pack::links_of_archives(&mut tar, planned, !archives.is_empty()).map_err(packing)?;
                tar.finish().map(drop).map_err(packing)
            }
            Source::Layers { layers, tree } => {
                // One stream holds all files, in the order in which they are packed.
                let sources = planned.iter().filter_map(|planned| match &planned.content {
                    Content::Source(path) => Some(path.clone()),
                    _ => None,
                });
                let sources: Vec<_> = sources.collect();
                let contents = if sources.is_empty() {
                    Box::new(io::empty())
                } else {
                    progress.execution.materials.read_files(layers, tree, &sources)?
                };
                pack::streamed(writer, planned, contents).map_err(packing)
            }
        }
    }
}

/// An archive of an `ADD`.
struct OpenArchive {
    number: usize,
    path: Vec<u8>,
    read: Archive,
}

fn open_archive(named: &NamedContext, path: &[u8]) -> io::Result<Option<Box<dyn Read + Send>>> {
    crate::layer::tar_in(named.context.open(path).map_err(io::Error::other)?)
}

/// Lays the entries of an archive over those that were planned before.
fn merged(planned: Vec<Planned>, archived: Vec<Planned>, number: usize) -> Vec<Planned> {
    let mut all: BTreeMap<WalkPath, Planned> = BTreeMap::new();
    let named = archived.into_iter().map(|mut entry| {
        if let Content::Archived { archive, .. } = &mut entry.content {
            *archive = number;
        }
        entry
    });
    all.extend(planned.into_iter().chain(named).map(|entry| (WalkPath(entry.entry.path.clone()), entry)));
    all.into_values().collect()
}

fn request(copy: &Copy, chown: Option<(u32, u32)>) -> Result<CopyRequest, Error> {
    let chmod = copy.chmod.as_deref().map(Chmod::parse).transpose().map_err(copy_error)?;
    Ok(CopyRequest {
        sources: copy.sources.clone(),
        inline: copy.files.iter().map(|file| (file.name.clone(), file.content.clone())).collect(),
        destination: copy.destination.clone(),
        workdir: copy.workdir.clone(),
        chown,
        chmod,
        parents: copy.parents,
        excludes: copy.excludes.clone(),
        now: 0,
    })
}

/// Looks `spec` (`user[:group]`) up in the account files of `tree`.
fn owner(progress: &Progress<'_, '_>, tree: &Tree, spec: &str) -> Result<(u32, u32), Error> {
    if copy::is_numeric(spec) {
        return copy::lookup_owner(spec, None, None).map_err(copy_error);
    }
    let read = |path: &[u8]| progress.execution.materials.read_file(&progress.layers, tree, path);
    let (passwd, group) = (read(b"etc/passwd")?, read(b"etc/group")?);
    copy::lookup_owner(spec, passwd.as_deref(), group.as_deref()).map_err(copy_error)
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

/// Returns the entries that a `WORKDIR` adds.
pub fn workdir(progress: &Progress<'_, '_>, path: &str, user: &str) -> Result<Vec<runtime::tar::Entry>, Error> {
    let tree = progress.execution.materials.tree(&progress.layers)?;
    let resolved = tree.resolve(path.as_bytes()).ok();
    let exists = resolved.is_some_and(|path| matches!(tree.lookup(&path), Ok(Some(_))));
    let owner = if user.is_empty() || exists { (0, 0) } else { owner(progress, &tree, user)? };
    copy::plan_workdir(&tree, path, owner, progress.execution.options.now).map_err(copy_error)
}

/// Returns the key of the files of a context that `copy` takes.
pub fn definition(named: &NamedContext, copy: &Copy) -> Result<String, CopyError> {
    let view = Filtered::new(&named.context, &named.ignore);
    let request = request(copy, None).map_err(|error| CopyError::View(error.to_string()))?;
    copy::selection_key(&view, &copy::select(&view, &request)?)
}

/// Returns the key of the files of a context that a mount of `path` shows.
pub fn mount_definition(named: &NamedContext, path: &str) -> Result<String, CopyError> {
    let view = Filtered::new(&named.context, &named.ignore);
    copy::selection_key(&view, &copy::select(&view, &mount_request(path, 0))?)
}

/// Returns the request for one path; names with wildcards are names here.
fn mount_request(path: &str, now: i64) -> CopyRequest {
    CopyRequest {
        sources: vec![escaped(path)],
        inline: Vec::new(),
        destination: "/c".to_owned(),
        workdir: "/".to_owned(),
        chown: None,
        chmod: None,
        parents: false,
        excludes: Vec::new(),
        now,
    }
}

/// A path of a view that a `RUN` mounts.
pub struct Mounted {
    /// The layers it is in.
    pub layers: Vec<Arc<Layer>>,
    /// The path there.
    pub path: Vec<u8>,
    /// Key of its content.
    pub key: String,
}

/// Finds what a mount of `path` of `from` shows; files of a context become a layer, because steps see only layers.
pub fn mounted(progress: &Progress<'_, '_>, (from, path): (&From, &str), step: &Step) -> Result<Mounted, Error> {
    let source = source(progress, from)?;
    let request = mount_request(path, progress.execution.options.now);
    let selections = source.view(|view| copy::select(view, &request)).map_err(copy_error)?;
    let Some(selection) = selections.first() else {
        return Err(copy_error(CopyError::NotFound(format!("/{}", path.trim_start_matches('/')))));
    };
    let key = source.view(|view| copy::selection_key(view, &selections)).map_err(copy_error)?;
    let named = match &source {
        Source::Layers { layers, .. } => {
            return Ok(Mounted { layers: layers.clone(), path: selection.path.clone(), key });
        }
        Source::Context(named) => named,
    };
    let execution = progress.execution;
    let layer_key = KeyBuilder::new("context.1").text(&key).finish();
    let layer = match execution.claim_layer(&layer_key) {
        Claimed::Theirs(layer) => layer,
        Claimed::Ours(layer) => {
            let packed = (|| {
                let planned = copy::plan_copy(&Tree::default(), &selections, &request).map_err(copy_error)?;
                let mut writer = pack::begin(&execution.materials.store)?;
                let mut tar = runtime::tar::Writer::new(&mut writer);
                let mut open = |path: &[u8]| named.context.open(path).map_err(io::Error::other);
                pack::planned(&mut tar, &planned, &mut open).and_then(|()| tar.finish().map(drop)).map_err(packing)?;
                pack::settle(execution, writer)
            })();
            let packed = packed.map_err(|error: Error| error.at_step(step.number, step.lines, &step.instruction));
            layer.committed.keep(packed.map(Arc::new));
            layer
        }
    };
    execution.materials.committed(&layer)?;
    Ok(Mounted { layers: vec![layer], path: b"c".to_vec(), key })
}

/// Protects the characters of a path that have a meaning in patterns; a path without them is taken as it is.
fn escaped(path: &str) -> String {
    if !crate::pattern::has_wildcard(path) {
        return path.to_owned();
    }
    path.chars()
        .flat_map(|char| ['\\', char].into_iter().skip(usize::from(!matches!(char, '*' | '?' | '[' | '\\'))))
        .collect()
}

fn packing(error: io::Error) -> Error {
    Error::service("store", "packing a layer").with_cause(error)
}

/// Turns an error of planning into the build's.
fn copy_error(error: CopyError) -> Error {
    Error::user(error.code(), error.to_string())
}
