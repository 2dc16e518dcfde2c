//! Work ahead of the steps of a stage: once a step is known to be made, the layers below it are got, indexed and unpacked
//! side by side, and not one after the other when something needs each.

use super::layer::Layer;
use super::progress::Progress;
use super::resources::BuildResources;
use dockerfile::plan::{Action, Step};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Scope;

/// Layers of a stage that are worked on at once: some wait for the network while others use the cores.
const THREADS: usize = 4;

/// Something to have of the layer with this number.
#[derive(Debug, Clone, Copy)]
enum Task {
    /// Its files on disk.
    Files(usize),
    /// The list of its paths.
    Index(usize),
}

/// The tasks of a stage that nobody has begun.
struct Ahead<'e> {
    resources: &'e BuildResources,
    layers: Vec<Arc<Layer>>,
    tasks: Mutex<VecDeque<Task>>,
}

/// Begins with the layers below `step`, the first of its stage that is made.
pub(crate) fn begin<'scope, 'e: 'scope>(
    progress: &mut Progress<'e, '_>,
    step: &Step,
    scope: &'scope Scope<'scope, 'e>,
) {
    if std::mem::replace(&mut progress.is_ahead, true) {
        return;
    }
    let execution = progress.execution;
    let (resources, layers) = (execution.resources, progress.layers.clone());
    let steps = || execution.plan.stages[progress.stage].steps.iter().filter(|later| later.number >= step.number);
    let mut tasks = VecDeque::new();
    if steps().any(|step| matches!(step.action, Action::Run(_))) {
        tasks.extend((0..layers.len()).map(Task::Files));
    }
    if steps().any(|step| needs_paths(&step.action)) {
        let settled = |number: &usize| layers[*number].committed.get().and_then(Result::ok);
        let unknown = |number: &usize| settled(number).is_some_and(|layer| !resources.has_index(&layer));
        tasks.extend((0..layers.len()).filter(unknown).map(Task::Index));
    }
    // One is done soonest by the step itself.
    let threads = if tasks.len() > 1 { tasks.len().min(THREADS) } else { 0 };
    let ahead = Arc::new(Ahead { resources, layers, tasks: Mutex::new(tasks) });
    for _ in 0..threads {
        let ahead = ahead.clone();
        scope.spawn(move || ahead.work());
    }
}

/// Returns whether a step looks at the paths of the layers below it.
fn needs_paths(action: &Action) -> bool {
    match action {
        Action::Copy(copy) => !copy.flags.link,
        Action::Workdir { .. } => true,
        Action::Run(_) | Action::Configure => false,
    }
}

impl Ahead<'_> {
    /// Does one task after the other. A step that needs what failed finds out why.
    fn work(&self) {
        while let Some(task) = self.next() {
            let _ = match task {
                Task::Files(number) => self.resources.snapshot(&self.layers[number], &self.layers[..number]).map(drop),
                Task::Index(number) => {
                    let settled = self.resources.committed(&self.layers[number]);
                    settled.and_then(|layer| self.resources.index(&layer).map(drop))
                }
            };
        }
    }

    fn next(&self) -> Option<Task> {
        let task = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        task.filter(|_| !self.resources.cancel.is_cancelled())
    }
}
