//! Finds out before any step runs that a file of a context is missing: nobody waits for a build that cannot succeed.

use super::copy::copy_error;
use super::{Execution, unfetched};
use crate::Error;
use crate::context::NamedContext;
use crate::copy::{self, CopyError};
use crate::event::Event;
use crate::ignore::Filtered;
use crate::plan::{Action, Copy, From, Source, Step};
use crate::walk::{Walk, Walked};
use std::time::Duration;

/// Checks the sources of all steps that copy from contexts, the last step first, as BuildKit does.
pub fn check(execution: &Execution<'_>) -> Result<(), Error> {
    let steps = execution.plan.stages.iter().rev().flat_map(|stage| stage.steps.iter().rev());
    let walk = Walk::of(&execution.options.fetching);
    for step in steps {
        let Action::Copy(copy) = &step.action else { continue };
        let context = match &copy.from {
            From::Context => Some(execution.sources.context),
            From::Named(name) => execution.sources.named.get(name),
            From::Stage(_) | From::Image(_) => None,
        };
        let Some(context) = context else { continue };
        if let Some(error) = missing(context, copy, &walk) {
            let error = unfetched::or_submodule(context, error).map_or_else(|error| error, copy_error);
            return Err(failed(execution, step, error));
        }
    }
    Ok(())
}

fn missing(named: &NamedContext, copy: &Copy, walk: &Walk) -> Option<CopyError> {
    let walked = Walked::new(&named.context, walk);
    let view = Filtered::new(&walked, &named.ignore);
    let paths = copy.sources.iter().filter_map(|source| match source {
        Source::Path(path) => Some(path),
        Source::Url(_) | Source::Git(_) => None,
    });
    paths.into_iter().find_map(|path| copy::missing(&view, path, copy.parents))
}

fn failed(execution: &Execution<'_>, step: &Step, error: Error) -> Error {
    execution.observer.observe(Event::Started { step: step.number });
    execution.observer.observe(Event::Failed { step: step.number, exit_code: None, duration: Duration::ZERO });
    error.at_step(step.number, step.lines, &step.instruction)
}
