//! Uploads of a build: each layer as soon as it is settled, or while it is packed.

use super::push::{self, Arrived, TagOrder, Unordered, push_config, repositories, without_tag};
use crate::Error;
use crate::execute::{BuildResources, CacheStatus, Layer, Unanswered};
use crate::image::assemble::Image;
use crate::trace::Work;
use registry_client::{Descriptor, Digest, Reference};
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

/// Layers that are uploaded at once, and layers that are asked for meanwhile.
const UPLOADS: usize = 4;

/// Uploads layers while steps still run.
///
/// Layers that were known before the build wait until one is made that was not: if there is none, the registry most
/// likely has the whole image, and one question for its tag replaces one for each layer.
pub(crate) struct Uploads {
    queue: Mutex<Queue>,
    failed: Mutex<Option<Error>>,
    /// Repositories that have the configuration.
    configured: Mutex<BTreeSet<String>>,
}

struct Queue {
    lanes: Option<Lanes<Sender<Arc<Layer>>>>,
    /// Layers that wait; `None` once they are on their way.
    waiting: Option<Vec<Arc<Layer>>>,
}

/// One end of the lanes of layers: those that are made, whose uploads the image waits for, are not behind those that most
/// likely only have to be asked for.
pub(crate) struct Lanes<T> {
    made: T,
    known: T,
}

/// The end that layers are taken from.
pub(crate) type Arriving = Lanes<Mutex<Receiver<Arc<Layer>>>>;

impl Uploads {
    /// Returns uploads that nobody works on yet, and the end that workers take layers from.
    pub(crate) fn new() -> (Self, Arriving) {
        let ((made, made_end), (known, known_end)) = (channel(), channel());
        let queue = Queue { lanes: Some(Lanes { made, known }), waiting: Some(Vec::new()) };
        let uploads = Uploads { queue: Mutex::new(queue), failed: Mutex::default(), configured: Mutex::default() };
        (uploads, Lanes { made: Mutex::new(made_end), known: Mutex::new(known_end) })
    }

    /// Adds a layer that is part of the result.
    pub(crate) fn add(&self, layer: Arc<Layer>, status: CacheStatus) {
        if status == CacheStatus::Miss {
            self.start_known();
        }
        let mut queue = self.queue();
        match &mut queue.waiting {
            Some(waiting) => waiting.push(layer),
            None => queue.send(layer, status),
        }
    }

    /// Starts with the layers that waited.
    pub(crate) fn start_known(&self) {
        let mut queue = self.queue();
        for layer in queue.waiting.take().unwrap_or_default() {
            queue.send(layer, CacheStatus::Hit);
        }
    }

    /// Tells whether nothing was uploaded or asked for yet.
    pub(crate) fn all_known(&self) -> bool {
        self.queue().waiting.is_some()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the threads that upload to the repositories of `tags`.
    pub(crate) fn start<'scope, 'e: 'scope>(
        &'e self,
        arriving: &'e Arriving,
        resources: &'e BuildResources,
        tags: &'e [Reference],
        scope: &'scope Scope<'scope, 'e>,
    ) {
        for lane in [&arriving.made, &arriving.known].into_iter().flat_map(|lane| [lane; UPLOADS]) {
            scope.spawn(move || {
                loop {
                    let next = lane.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(layer) = next else { return };
                    self.upload(resources, tags, &layer);
                }
            });
        }
    }

    fn upload(&self, resources: &BuildResources, tags: &[Reference], layer: &Layer) {
        let early = repositories(tags).next().and_then(|first| upload_growing(resources, first, layer));
        // A layer that failed to come into being is the failure of its step, reported there.
        let Ok(committed) = resources.committed(layer) else { return };
        let is_there = early.is_some_and(|digest| digest == committed.descriptor.digest);
        for repository in repositories(tags).skip(usize::from(is_there)) {
            if let Err(error) = push::upload(resources, repository, &committed) {
                let error = resources.or_damaged(error, &committed);
                self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    }

    /// Uploads the configuration beside the layers. A repository that does not take it says so when the manifest is pushed.
    pub(crate) fn start_config<'scope, 'e: 'scope>(
        &'e self,
        config: Descriptor,
        resources: &'e BuildResources,
        tags: &'e [Reference],
        scope: &'scope Scope<'scope, 'e>,
    ) {
        scope.spawn(move || {
            for repository in repositories(tags) {
                match push_config(resources, &config, repository, &resources.cancel) {
                    Ok(()) => {
                        let mut configured = self.configured.lock().unwrap_or_else(PoisonError::into_inner);
                        configured.insert(without_tag(repository));
                    }
                    Err(error) => {
                        let error = &error as &dyn std::error::Error;
                        tracing::debug!(%repository, error, "a configuration was not uploaded beside the layers");
                    }
                }
            }
        });
    }

    /// Says that no further layer comes; the threads end when they are done.
    pub(crate) fn close(&self) {
        self.queue().lanes.take();
    }

    /// Returns what has arrived once the threads have ended, or the first error.
    pub(crate) fn result(self, is_unnamed: bool) -> Result<Arrived, Error> {
        let failed = self.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        let configured = self.configured.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.map_or(Ok(Arrived { is_unnamed, is_whole: false, configured }), Err)
    }
}

impl Queue {
    fn send(&self, layer: Arc<Layer>, status: CacheStatus) {
        let Some(lanes) = &self.lanes else { return };
        let _ = match status {
            CacheStatus::Hit => lanes.known.send(layer),
            CacheStatus::Miss => lanes.made.send(layer),
        };
    }
}

/// Closes the uploads when it goes out of scope, however that happens.
pub(crate) struct CloseOnDrop<'a>(pub &'a Uploads);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Uploads an image with all its parts and pushes it under each of `tags` that may move; returns those that name it now.
pub(crate) fn whole(
    resources: &BuildResources,
    image: &Image,
    tags: &[Reference],
    order: &dyn TagOrder,
) -> Result<Vec<Reference>, Error> {
    let (uploads, arriving) = Uploads::new();
    let parts = image.parts();
    std::thread::scope(|scope| {
        let _closed_at_the_end = CloseOnDrop(&uploads);
        uploads.start(&arriving, resources, tags, scope);
        for layer in parts.iter().flat_map(|part| &part.layers) {
            let layer = Layer::existing(layer.diff_id.hex().to_owned(), (**layer).clone());
            uploads.add(layer, CacheStatus::Miss);
        }
    });
    let arrived = uploads.result(false)?;
    for part in parts.iter().filter(|part| part.digest != image.digest) {
        let unnamed: Vec<_> = repositories(tags).map(|tag| tag.with_digest(part.digest.clone())).collect();
        push::manifest(resources, part, &unnamed, &Unordered, &arrived)?;
    }
    push::manifest(resources, image, tags, order, &arrived)
}

/// Uploads a large layer while it is being packed, and returns its digest; in all other cases it is uploaded afterwards.
fn upload_growing(resources: &BuildResources, to: &Reference, layer: &Layer) -> Option<Digest> {
    let growing = layer.growing.wait(&resources.cancel)??;
    let _span = resources.trace.span(Work::Upload, "a layer that is being packed");
    match resources.ask(resources.pusher.push_growing_blob(to, growing)) {
        Ok(digest) => digest,
        Err(Unanswered::Failed(error)) => {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(repository = without_tag(to), error, "a layer was not uploaded while it was packed");
            None
        }
        Err(_) => None,
    }
}
