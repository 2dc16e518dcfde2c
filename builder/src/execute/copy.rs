//! `COPY`, `ADD` and `WORKDIR`: entries are planned on indexes, contents stream from where they are into the layer.

use super::cancellable::Cancellable;
use super::places::Place;
use super::stage::Progress;
use super::{Claimed, Layer, key, pack, unfetched};
use crate::Error;
use crate::copy::{
    self, Archive, Content, CopyError, CopyInput, CopyRequest, CopySource, Destination, LayerEntry, Owner,
};
use crate::event::Event;
use crate::key::KeyBuilder;
use crate::source::Pointer;
use crate::walk::{Walk, WalkError};
use dockerfile::plan::{Copy, From, Source, Step};
use files::pattern;
use files::tree::Tree;
use files::view::{EntryKind, View, ViewError};
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

/// A `COPY` or `ADD` with its sources at hand.
pub struct Prepared<'e> {
    copy: &'e Copy,
    places: Vec<Place<'e>>,
    /// What is copied, in order: the place's number and the files.
    found: Vec<(usize, CopySource)>,
    /// Patterns that match nothing, which is not a mistake for docker.
    empty: Vec<String>,
    walk: Walk,
}

impl<'e> Prepared<'e> {
    /// Finds the files that `copy` copies; waits for the stage they are in, fetches what is elsewhere.
    pub fn new(progress: &Progress<'e, '_>, copy: &'e Copy) -> Result<Self, Error> {
        let request = request(copy, None, progress.execution.options.now)?;
        let mut prepared =
            Prepared { copy, places: Vec::new(), found: Vec::new(), empty: Vec::new(), walk: walk(progress) };
        if copy.sources.iter().any(|source| matches!(source, Source::Path(_))) {
            prepared.places.push(Place::of(progress, &copy.from)?);
        }
        for source in &copy.sources {
            match source {
                Source::Path(path) => prepared.find(0, path, &request)?,
                Source::Url(url) => {
                    let place = Place::web(progress, url, copy)?;
                    if let Place::Web(file) = &place {
                        prepared.found.push((prepared.places.len(), file.selection.clone()));
                    }
                    prepared.places.push(place);
                }
                Source::Git(url) => {
                    prepared.places.push(Place::git(progress, url, copy)?);
                    prepared.find(prepared.places.len() - 1, "/", &request)?;
                }
            }
        }
        for pattern in &prepared.empty {
            let text = format!("`{pattern}` matches no file: nothing is copied for it");
            progress.execution.observer.observe(Event::Warning(&text));
        }
        Ok(prepared)
    }

    fn find(&mut self, place: usize, path: &str, request: &CopyRequest) -> Result<(), Error> {
        let found = self.places[place].view(&self.walk, |view| copy::select(view, path, request));
        let found = found.map_err(|error| self.places[place].error(path, error))?;
        unfetched::check(&self.places[place], &found)?;
        if found.is_empty() && pattern::has_wildcard(path) {
            self.empty.push(path.to_owned());
        }
        self.found.extend(found.into_iter().map(|selection| (place, selection)));
        Ok(())
    }

    /// Returns the cache key of the layer: what is copied, where to, and how.
    pub fn key(&self, progress: &Progress<'_, '_>) -> Result<String, Error> {
        let (copy, parent) = (self.copy, &progress.key);
        let latest = progress.execution.options.latest;
        let below = if copy.flags.link { key::with_times(String::new(), latest) } else { parent.clone() };
        let mut key = KeyBuilder::new("copy.4");
        // Names of owners are looked up in the files below, which the parent's key stands for; a linked copy has none
        // below it, and stays the same layer whatever it is put on.
        let flags = &copy.flags;
        key.text(&below).text(flags.chown.as_deref().unwrap_or("")).text(flags.chmod.as_deref().unwrap_or(""));
        key.text(&format!("{} {} {} {:?}", copy.add, flags.link, flags.parents, flags.unpack));
        key.text(&copy.destination).text(&copy.workdir);
        key.text(&self.found.len().to_string());
        for (place, selection) in &self.found {
            key.text(&self.places[*place].key(selection, &self.walk).map_err(copy_error)?);
        }
        for file in &copy.files {
            key.text(&file.name).field(&file.content);
        }
        Ok(key.finish())
    }

    /// Plans the entries and packs them.
    pub fn execute(self, progress: &Progress<'e, '_>, made: (&Arc<Layer>, &Step)) -> Result<(), Error> {
        let execution = progress.execution;
        // A linked copy stands on its own: nothing of what is below is looked at.
        let linked = self.copy.flags.link && self.copy.flags.chmod.is_none();
        let tree = if linked { Tree::default() } else { execution.materials.tree(&progress.layers)? };
        let chown = self.copy.flags.chown.as_deref().map(|spec| owner(progress, &tree, spec)).transpose()?;
        let request = request(self.copy, chown, execution.options.now)?;
        let archives = self.archives(progress)?;
        let inputs = self.found.iter().enumerate().map(|(number, (place, selection))| match archives.get(&number) {
            Some(archive) => CopyInput::Archive(archive),
            None => CopyInput::Files(*place, selection),
        });
        let inputs: Vec<_> = inputs.collect();
        let same = |place: usize, there: &[u8], here: &[u8]| self.is_same(progress, place, (there, &tree, here));
        let planned = copy::plan_copy(Destination { tree: &tree, same: &same, walk: &self.walk }, &inputs, &request);
        let planned = planned.map_err(copy_error)?;
        let mut writer = pack::begin(execution)?;
        self.write(progress, (&planned, &archives), &mut writer)?;
        pack::commit(execution, (made.0, made.1), writer)
    }

    /// Tells whether a file of a place has the content that `here` has in `tree`.
    fn is_same(&self, progress: &Progress<'_, '_>, place: usize, (there, tree, here): (&[u8], &Tree, &[u8])) -> bool {
        let Ok(known) = tree.content(here) else { return false };
        let place = &self.places[place];
        if let Place::Layers { tree, .. } = place {
            return tree.content(there).is_ok_and(|content| content == known && !content.0.is_empty());
        }
        let hashed = place.open(&progress.execution.materials.store, there).and_then(|mut content| {
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
        for (number, (place, selection)) in self.found.iter().enumerate() {
            let unpacks = match &self.places[*place] {
                Place::Context(..) => self.copy.flags.unpack != Some(false),
                Place::Web(_) => self.copy.flags.unpack == Some(true),
                Place::Layers { .. } | Place::Git { .. } => false,
            };
            if unpacks
                && !selection.excluded
                && matches!(selection.node.kind, EntryKind::File { size } if size > 0)
                && let Some(mut tar) = self.open_archive(progress, (*place, &selection.path)).map_err(packing)?
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
        (place, path): (usize, &[u8]),
    ) -> io::Result<Option<impl Read + use<>>> {
        let materials = progress.execution.materials;
        let content = self.places[place].open(&materials.store, path)?;
        let tar = crate::layer::tar_in(content)?;
        Ok(tar.map(|tar| Cancellable::new(tar, &materials.cancel)))
    }

    fn write(
        &self,
        progress: &Progress<'_, '_>,
        (planned, archives): (&[LayerEntry], &BTreeMap<usize, Archive>),
        writer: &mut pack::StoreLayer,
    ) -> Result<(), Error> {
        let materials = progress.execution.materials;
        if let Some(Place::Layers { layers, tree, .. }) = self.places.first() {
            // One stream holds all files, in the order in which they are packed.
            let sources = planned.iter().filter_map(|planned| match &planned.content {
                Content::Source { path, .. } => Some(path.clone()),
                _ => None,
            });
            let sources: Vec<_> = sources.collect();
            let contents = match sources.is_empty() {
                true => Box::new(io::empty()),
                false => materials.read_files(layers, tree, &sources)?,
            };
            let tar = files::tar::Writer::new(Cancellable::new(writer, &materials.cancel))
                .until(progress.execution.options.latest);
            return pack::streamed(tar, planned, contents).map_err(packing);
        }
        let mut tar = files::tar::Writer::new(Cancellable::new(writer, &materials.cancel))
            .until(progress.execution.options.latest);
        let mut open = |place: usize, path: &[u8]| self.places[place].open(&materials.store, path);
        pack::planned(&mut tar, planned, &mut open).map_err(packing)?;
        for number in archives.keys() {
            let (place, selection) = &self.found[*number];
            let content = self.open_archive(progress, (*place, &selection.path)).map_err(packing)?;
            let mut content =
                content.ok_or_else(|| packing(io::Error::other("the archive changed while it was read")))?;
            pack::archived(&mut tar, planned, (*number, &mut content)).map_err(packing)?;
        }
        pack::links_of_archives(&mut tar, planned, !archives.is_empty()).map_err(packing)?;
        tar.finish().map(drop).map_err(packing)
    }
}

pub(crate) fn request(copy: &Copy, owner: Option<Owner>, now: i64) -> Result<CopyRequest, Error> {
    CopyRequest::of(copy, owner, now).map_err(copy_error)
}

/// Looks `spec` (`user[:group]`) up in the account files of `tree`.
fn owner(progress: &Progress<'_, '_>, tree: &Tree, spec: &str) -> Result<Owner, Error> {
    if copy::is_numeric(spec) {
        return copy::lookup_owner(spec, None, None).map_err(copy_error);
    }
    let read = |path: &[u8]| progress.execution.materials.read_file(&progress.layers, tree, path);
    let (passwd, group) = (read(b"etc/passwd")?, read(b"etc/group")?);
    copy::lookup_owner(spec, passwd.as_deref(), group.as_deref()).map_err(copy_error)
}

/// Returns the entries that a `WORKDIR` adds.
pub fn workdir(progress: &Progress<'_, '_>, path: &str, user: &str) -> Result<Vec<files::tar::Entry>, Error> {
    let tree = progress.execution.materials.tree(&progress.layers)?;
    let resolved = tree.resolve(path.as_bytes()).ok();
    let exists = resolved.is_some_and(|path| matches!(tree.lookup(&path), Ok(Some(_))));
    let owner = if user.is_empty() || exists { Owner::default() } else { owner(progress, &tree, user)? };
    let walk = walk(progress);
    copy::plan_workdir(Destination::new(&tree, &walk), path, owner, progress.execution.options.now).map_err(copy_error)
}

/// Returns the request for one path, whose wildcards are names: a mount shows one path.
pub(crate) fn mount_request(now: i64) -> CopyRequest {
    CopyRequest::to("/c", now)
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
    let place = Place::of(progress, from)?;
    let request = mount_request(progress.execution.options.now);
    let walk = walk(progress);
    let selections = place.view(&walk, |view| copy::select(view, &escaped(path), &request));
    let selections = selections.map_err(|error| place.error(path, error))?;
    unfetched::check(&place, &selections)?;
    let Some(selection) = selections.first() else {
        return Err(place.error(path, CopyError::NotFound(path.to_owned())));
    };
    let key = place.key(selection, &walk).map_err(copy_error)?;
    if let Place::Layers { layers, .. } = &place {
        return Ok(Mounted { layers: layers.clone(), path: selection.path.clone(), key });
    }
    let execution = progress.execution;
    let layer_key = KeyBuilder::new("context.1").text(&key).finish();
    let layer = match execution.claim_layer(&layer_key) {
        Claimed::Theirs(layer) => layer,
        Claimed::Ours(layer) => {
            let packed = pack_mounted(progress, (&place, selection), (&request, &walk));
            let packed = packed.map_err(|error: Error| error.at_step(step.number, step.lines, &step.instruction));
            layer.committed.keep(packed.map(Arc::new));
            layer
        }
    };
    execution.materials.committed(&layer)?;
    Ok(Mounted { layers: vec![layer], path: b"c".to_vec(), key })
}

fn pack_mounted(
    progress: &Progress<'_, '_>,
    (place, selection): (&Place<'_>, &CopySource),
    (request, walk): (&CopyRequest, &Walk),
) -> Result<super::Committed, Error> {
    let (execution, empty) = (progress.execution, Tree::default());
    let destination = Destination::new(&empty, walk);
    let planned = copy::plan_copy(destination, &[CopyInput::Files(0, selection)], request).map_err(copy_error)?;
    let mut writer = pack::begin(execution)?;
    let mut tar =
        files::tar::Writer::new(Cancellable::new(&mut writer, execution.cancel())).until(execution.options.latest);
    let mut open = |_: usize, path: &[u8]| place.open(&execution.materials.store, path);
    pack::planned(&mut tar, &planned, &mut open).and_then(|()| tar.finish().map(drop)).map_err(packing)?;
    pack::settle(execution, writer)
}

/// Protects the characters of a path that have a meaning in patterns; a path without them is taken as it is.
pub(crate) fn escaped(path: &str) -> String {
    if !files::pattern::has_wildcard(path) {
        return path.to_owned();
    }
    path.chars()
        .flat_map(|char| ['\\', char].into_iter().skip(usize::from(!matches!(char, '*' | '?' | '[' | '\\'))))
        .collect()
}

fn packing(error: io::Error) -> Error {
    let view = error.get_ref().and_then(|inner| inner.downcast_ref::<ViewError>());
    if let Some(ViewError { path, cause, .. }) = view
        && let Some(pointer) = cause.downcast_ref::<Pointer>()
    {
        let path = dockerfile::printable(path);
        let text = format!("`{path}`: {pointer}: exclude it in .dockerignore, or get it with ADD");
        return Error::user("lfs_not_fetched", text);
    }
    Error::service("store", "packing a layer").with_cause(error)
}

/// Returns the walk of one instruction.
fn walk(progress: &Progress<'_, '_>) -> Walk {
    let execution = progress.execution;
    Walk::new(execution.options.fetching.max_paths, execution.cancel()).one_at_a_time(&execution.large)
}

/// Turns an error of planning into the build's.
pub(crate) fn copy_error(error: CopyError) -> Error {
    if error == CopyError::Walk(WalkError::Cancelled) {
        return Error::cancelled();
    }
    Error::user(error.code(), error.to_string())
}
