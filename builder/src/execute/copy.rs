//! `COPY`, `ADD` and `WORKDIR`: entries are planned on indexes, contents stream from where they are into the layer.

use super::cancellable::Cancellable;
use super::copy_request::{copy_error, copy_request, escaped, mount_request};
use super::copy_source::FileSource;
use super::layer::Layer;
use super::progress::{Progress, StepLayer};
use super::state::{CacheStatus, InFlight};
use super::{key, pack, pointed, unfetched};
use crate::Error;
use crate::copy::{
    self, Archive, Content, CopyError, CopyInput, CopyRequest, CopySource, Destination, LayerEntry, Owner,
};
use crate::error::Code;
use crate::event::Event;
use crate::git::Pointer;
use crate::key::KeyBuilder;
use crate::walk::Walk;
use dockerfile::plan::{Copy, From, Source, Step};
use files::pattern;
use files::tree::Tree;
use files::view::{EntryKind, View, ViewError};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

/// A `COPY` or `ADD` with its sources at hand.
pub(crate) struct ResolvedCopy<'e> {
    copy: &'e Copy,
    sources: Vec<FileSource<'e>>,
    /// The files that are copied, in order: each with the number of its source.
    found: Vec<(usize, CopySource)>,
    /// Patterns that match nothing, which is not a mistake for docker.
    empty: Vec<String>,
    walk: Walk,
}

impl<'e> ResolvedCopy<'e> {
    /// Finds the files that `copy` copies; waits for the stage they are in, fetches what is elsewhere.
    pub(crate) fn new(progress: &Progress<'e, '_>, copy: &'e Copy) -> Result<Self, Error> {
        let request = copy_request(copy, None, progress.execution.options.now)?;
        let mut prepared =
            ResolvedCopy { copy, sources: Vec::new(), found: Vec::new(), empty: Vec::new(), walk: walk(progress) };
        if copy.sources.iter().any(|source| matches!(source, Source::Path(_))) {
            prepared.sources.push(FileSource::of(progress, &copy.from)?);
        }
        for source in &copy.sources {
            match source {
                Source::Path(path) => prepared.find(0, path, &request)?,
                Source::Url(url) => {
                    let source = FileSource::web(progress, url, copy)?;
                    if let FileSource::Web(file) = &source {
                        prepared.found.push((prepared.sources.len(), file.selection.clone()));
                    }
                    prepared.sources.push(source);
                }
                Source::Git(url) => {
                    prepared.sources.push(FileSource::git(progress, url, copy)?);
                    prepared.find(prepared.sources.len() - 1, "/", &request)?;
                }
            }
        }
        for pattern in &prepared.empty {
            let text = format!("`{pattern}` matches no file: nothing is copied for it");
            progress.execution.observer.observe(Event::Warning(&text));
        }
        Ok(prepared)
    }

    fn find(&mut self, source: usize, path: &str, request: &CopyRequest) -> Result<(), Error> {
        let found = self.sources[source].view(&self.walk, |view| copy::select(view, path, request));
        let found = found.map_err(|error| self.sources[source].error(path, error))?;
        if let FileSource::Context(named, _) = &self.sources[source] {
            unfetched::check(named, &found)?;
        }
        if found.is_empty() && pattern::has_wildcard(path) {
            self.empty.push(path.to_owned());
        }
        self.found.extend(found.into_iter().map(|selection| (source, selection)));
        Ok(())
    }

    /// Returns the cache key of the layer: what is copied, where to, and how.
    pub(crate) fn key(&self, progress: &Progress<'_, '_>) -> Result<String, Error> {
        let (copy, parent) = (self.copy, &progress.key);
        let latest = progress.execution.options.latest;
        let below = if copy.flags.link { key::with_times(String::new(), latest) } else { parent.clone() };
        let mut key = KeyBuilder::new("copy.4");
        // Names of owners are looked up in the files below, which the parent's key stands for; a linked copy has none
        // below it, and stays the same layer whatever it is put on.
        let flags = &copy.flags;
        key.text(&below).text(flags.chown.as_deref().unwrap_or("")).text(flags.chmod.as_deref().unwrap_or(""));
        let unpack = match flags.unpack {
            None => "None",
            Some(true) => "Some(true)",
            Some(false) => "Some(false)",
        };
        key.text(&format!("{} {} {} {unpack}", copy.add, flags.link, flags.parents));
        key.text(&copy.destination).text(&copy.workdir);
        key.text(&self.found.len().to_string());
        for (source, selection) in &self.found {
            key.text(&self.sources[*source].key(selection, &self.walk).map_err(copy_error)?);
        }
        for file in &copy.files {
            key.text(&file.name).field(&file.content);
        }
        Ok(key.finish())
    }

    /// Plans the entries and packs them, unless a copy to other layers has packed the same ones.
    pub(crate) fn execute(
        mut self,
        progress: &Progress<'e, '_>,
        made: StepLayer<'_, '_>,
    ) -> Result<CacheStatus, Error> {
        for (number, source) in self.sources.iter().enumerate() {
            if let FileSource::Context(named, _) = source {
                let taken = self.found.iter_mut().filter(|(source, _)| *source == number);
                pointed::fetch(named, taken.map(|(_, selection)| selection))?;
            }
        }
        let execution = progress.execution;
        // A linked copy stands on its own: nothing of what is below is looked at.
        let linked = self.copy.flags.link && self.copy.flags.chmod.is_none();
        let tree = if linked { Tree::default() } else { execution.resources.tree(&progress.layers)? };
        let chown = self.copy.flags.chown.as_deref().map(|spec| owner(progress, &tree, spec)).transpose()?;
        let request = copy_request(self.copy, chown, execution.options.now)?;
        let archives = self.archives(progress)?;
        let inputs = self.found.iter().enumerate().map(|(number, (source, selection))| match archives.get(&number) {
            Some(archive) => CopyInput::Archive(archive),
            None => CopyInput::Files(*source, selection),
        });
        let inputs: Vec<_> = inputs.collect();
        let same = |source: usize, there: &[u8], here: &[u8]| self.is_same(progress, source, there, &tree, here);
        let planned = copy::plan_copy(Destination { tree: &tree, same: &same, walk: &self.walk }, &inputs, &request);
        let planned = planned.map_err(copy_error)?;
        let placed = if linked { None } else { Some(self.placed_key(progress, &planned)?) };
        if let Some(key) = placed.as_ref().filter(|_| !progress.is_fresh())
            && let Some(committed) = execution.cache.adopt(key, execution.resources)?
        {
            pack::keep(execution, made, committed, None);
            return Ok(CacheStatus::Hit);
        }
        let mut writer = pack::begin(execution, Some(made.layer))?;
        self.write(progress, &planned, &archives, &mut writer)?;
        pack::keep(execution, made, pack::settle(execution, writer)?, placed);
        Ok(CacheStatus::Miss)
    }

    /// Returns the key of what is packed: each entry with its place, and the contents of the sources.
    fn placed_key(&self, progress: &Progress<'_, '_>, planned: &[LayerEntry]) -> Result<String, Error> {
        let options = progress.execution.options;
        let mut key = KeyBuilder::new("placed.1");
        key.text(&key::with_times(String::new(), options.latest)).text(&self.found.len().to_string());
        for (source, selection) in &self.found {
            key.field(&selection.path).text(&self.sources[*source].key(selection, &self.walk).map_err(copy_error)?);
        }
        for planned in planned {
            planned.add_to(&mut key, options.now);
        }
        Ok(key.finish())
    }

    /// Returns whether a file of a source has the content that `here` has in `tree`.
    fn is_same(&self, progress: &Progress<'_, '_>, source: usize, there: &[u8], tree: &Tree, here: &[u8]) -> bool {
        let Ok(known) = tree.content(here) else { return false };
        let source = &self.sources[source];
        if let FileSource::Layers { tree, .. } = source {
            return tree.content(there).is_ok_and(|content| content == known && !content.0.is_empty());
        }
        let hashed = source.open(&progress.execution.resources.store, there).and_then(|mut content| {
            let mut hasher = blake3::Hasher::new();
            io::copy(&mut content, &mut hasher).map(|_| hasher.finalize())
        });
        hashed.is_ok_and(|hash| format!("b3:{}", hash.to_hex()) == known.0)
    }

    /// Finds the archives among the files of an `ADD`, by the numbers of their inputs.
    fn archives(&self, progress: &Progress<'_, '_>) -> Result<BTreeMap<usize, Archive>, Error> {
        let mut archives = BTreeMap::new();
        if !self.copy.add {
            return Ok(archives);
        }
        for (number, (source, selection)) in self.found.iter().enumerate() {
            let unpacks = match &self.sources[*source] {
                FileSource::Context(..) => self.copy.flags.unpack != Some(false),
                FileSource::Web(_) => self.copy.flags.unpack == Some(true),
                FileSource::Layers { .. } | FileSource::Git { .. } => false,
            };
            if unpacks
                && !selection.excluded
                && matches!(selection.node.kind, EntryKind::File { size } if size > 0)
                && let Some(mut tar) = self.open_archive(progress, *source, &selection.path).map_err(packing)?
            {
                let name = String::from_utf8_lossy(&selection.name).into_owned();
                archives.insert(number, Archive::read(&name, &mut tar).map_err(copy_error)?);
            }
        }
        Ok(archives)
    }

    fn open_archive(
        &self,
        progress: &Progress<'_, '_>,
        source: usize,
        path: &[u8],
    ) -> io::Result<Option<impl Read + use<>>> {
        let resources = progress.execution.resources;
        let content = self.sources[source].open(&resources.store, path)?;
        let tar = crate::layer::tar_in(content)?;
        Ok(tar.map(|tar| Cancellable::new(tar, &resources.cancel)))
    }

    fn write(
        &self,
        progress: &Progress<'_, '_>,
        planned: &[LayerEntry],
        archives: &BTreeMap<usize, Archive>,
        writer: &mut pack::StoreLayer,
    ) -> Result<(), Error> {
        let resources = progress.execution.resources;
        if let Some(FileSource::Layers { layers, tree, .. }) = self.sources.first() {
            // One stream holds all files, in the order in which they are packed.
            let sources = planned.iter().filter_map(|planned| match &planned.content {
                Content::Source { path, .. } => Some(path.clone()),
                _ => None,
            });
            let sources: Vec<_> = sources.collect();
            let contents = match sources.is_empty() {
                true => Box::new(io::empty()),
                false => resources.read_files(layers, tree, &sources)?,
            };
            let tar = files::tar::Writer::new(Cancellable::new(writer, &resources.cancel))
                .until(progress.execution.options.latest);
            return pack::streamed(tar, planned, contents).map_err(packing);
        }
        let mut tar = files::tar::Writer::new(Cancellable::new(writer, &resources.cancel))
            .until(progress.execution.options.latest);
        let mut open = |source: usize, path: &[u8]| self.sources[source].open(&resources.store, path);
        pack::planned(&mut tar, planned, &mut open).map_err(packing)?;
        for number in archives.keys() {
            let (source, selection) = &self.found[*number];
            let content = self.open_archive(progress, *source, &selection.path).map_err(packing)?;
            let mut content =
                content.ok_or_else(|| packing(io::Error::other("the archive changed while it was read")))?;
            pack::archived(&mut tar, planned, *number, &mut content).map_err(packing)?;
        }
        pack::links_of_archives(&mut tar, planned, !archives.is_empty()).map_err(packing)?;
        tar.finish().map(drop).map_err(packing)
    }
}

/// Looks `spec` (`user[:group]`) up in the account files of `tree`.
fn owner(progress: &Progress<'_, '_>, tree: &Tree, spec: &str) -> Result<Owner, Error> {
    if copy::is_numeric(spec) {
        return copy::lookup_owner(spec, None, None).map_err(copy_error);
    }
    let read = |path: &[u8]| progress.execution.resources.read_file(&progress.layers, tree, path);
    let (passwd, group) = (read(b"etc/passwd")?, read(b"etc/group")?);
    copy::lookup_owner(spec, passwd.as_deref(), group.as_deref()).map_err(copy_error)
}

/// Returns the entries that a `WORKDIR` adds.
pub(crate) fn workdir(progress: &Progress<'_, '_>, path: &str, user: &str) -> Result<Vec<files::tar::Entry>, Error> {
    let tree = progress.execution.resources.tree(&progress.layers)?;
    let resolved = tree.resolve(path.as_bytes()).ok();
    let exists = resolved.is_some_and(|path| matches!(tree.lookup(&path), Ok(Some(_))));
    let owner = if user.is_empty() || exists { Owner::default() } else { owner(progress, &tree, user)? };
    let walk = walk(progress);
    copy::plan_workdir(Destination::new(&tree, &walk), path, owner, progress.execution.options.now).map_err(copy_error)
}

/// A path of a view that a `RUN` mounts.
pub(crate) struct Mounted {
    /// The layers it is in.
    pub layers: Vec<Arc<Layer>>,
    /// The path there.
    pub path: Vec<u8>,
    /// Key of its content.
    pub key: String,
}

/// Finds what a mount of `path` of `from` shows; files of a context become a layer, because steps see only layers.
pub(crate) fn mounted(progress: &Progress<'_, '_>, from: &From, path: &str, step: &Step) -> Result<Mounted, Error> {
    let source = FileSource::of(progress, from)?;
    let request = mount_request(progress.execution.options.now);
    let walk = walk(progress);
    let selections = source.view(&walk, |view| copy::select(view, &escaped(path), &request));
    let selections = selections.map_err(|error| source.error(path, error))?;
    if let FileSource::Context(named, _) = &source {
        unfetched::check(named, &selections)?;
    }
    let Some(selection) = selections.first() else {
        return Err(source.error(path, CopyError::NotFound(path.to_owned())));
    };
    let key = source.key(selection, &walk).map_err(copy_error)?;
    if let FileSource::Layers { layers, .. } = &source {
        return Ok(Mounted { layers: layers.clone(), path: selection.path.clone(), key });
    }
    let execution = progress.execution;
    let layer_key = KeyBuilder::new("context.1").text(&key).finish();
    let layer = match execution.claim_layer(&layer_key) {
        InFlight::Existing(layer) => layer,
        InFlight::New(layer) => {
            let packed = pack_mounted(progress, &source, selection, &request, &walk);
            let packed = packed.map_err(|error: Error| error.at_step(step.number, step.lines, &step.instruction));
            layer.settle(packed.map(Arc::new));
            layer
        }
    };
    execution.resources.committed(&layer)?;
    Ok(Mounted { layers: vec![layer], path: b"c".to_vec(), key })
}

fn pack_mounted(
    progress: &Progress<'_, '_>,
    source: &FileSource<'_>,
    selection: &CopySource,
    request: &CopyRequest,
    walk: &Walk,
) -> Result<super::layer::Committed, Error> {
    let (execution, empty) = (progress.execution, Tree::default());
    let mut selection = selection.clone();
    if let FileSource::Context(named, _) = source {
        pointed::fetch(named, std::iter::once(&mut selection))?;
    }
    let destination = Destination::new(&empty, walk);
    let planned = copy::plan_copy(destination, &[CopyInput::Files(0, &selection)], request).map_err(copy_error)?;
    let mut writer = pack::begin(execution, None)?;
    let mut tar =
        files::tar::Writer::new(Cancellable::new(&mut writer, execution.cancel())).until(execution.options.latest);
    let mut open = |_: usize, path: &[u8]| source.open(&execution.resources.store, path);
    pack::planned(&mut tar, &planned, &mut open).and_then(|()| tar.finish().map(drop)).map_err(packing)?;
    pack::settle(execution, writer)
}

fn packing(error: io::Error) -> Error {
    let view = error.get_ref().and_then(|inner| inner.downcast_ref::<ViewError>());
    if let Some(ViewError { path, cause, .. }) = view
        && let Some(pointer) = cause.downcast_ref::<Pointer>()
    {
        let path = dockerfile::printable(path);
        let text = format!("`{path}`: {pointer}: exclude it in .dockerignore, or get it with ADD");
        return Error::new(Code::LfsNotFetched, text);
    }
    Error::new(Code::Store, "packing a layer").with_cause(error)
}

/// Returns the walk of one instruction.
fn walk(progress: &Progress<'_, '_>) -> Walk {
    let execution = progress.execution;
    Walk::new(execution.options.fetching.max_paths, execution.cancel()).one_at_a_time(&execution.large)
}
