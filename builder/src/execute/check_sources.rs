//! Fails fast when a source of `COPY` is missing from its build context, before any step runs.

use super::state::Execution;
use super::unfetched;
use crate::Error;
use crate::context::NamedContext;
use crate::copy::{self, Searched};
use crate::event::Event;
use crate::walk::{Walk, Walked};
use dockerfile::plan::{Action, Copy, From, Source, Step};
use files::ignore::Filtered;
use std::time::Duration;

/// Checks the sources of all steps that copy from contexts, the last step first, as BuildKit does.
pub(crate) fn check(execution: &Execution<'_>) -> Result<(), Error> {
    let steps = execution.plan.stages.iter().rev().flat_map(|stage| stage.steps.iter().rev());
    let walk = execution.options.fetching.walk();
    for step in steps {
        let Action::Copy(copy) = &step.action else { continue };
        let (context, name) = match &copy.from {
            From::Context => (Some(execution.sources.context), "the context".to_owned()),
            From::Named(name) => (execution.sources.named.get(name), format!("the context `{name}`")),
            From::Stage(_) | From::Image(_) => continue,
        };
        if let Some(error) = context.and_then(|context| missing(context, &name, copy, &walk)) {
            return Err(failed(execution, step, error));
        }
    }
    Ok(())
}

fn missing(named: &NamedContext, name: &str, copy: &Copy, walk: &Walk) -> Option<Error> {
    let walked = Walked::new(&named.context, walk);
    let view = Filtered::new(&walked, &named.ignore);
    let paths = copy.sources.iter().filter_map(|source| match source {
        Source::Path(path) => Some(path),
        Source::Url(_) | Source::Git(_) => None,
    });
    let searched = Searched { view: &walked, ignore: Some(&named.ignore), name };
    paths.into_iter().find_map(|path| {
        let error = copy::missing(&view, path, copy.flags.parents)?;
        Some(match error.missing_path() {
            Some(_) => unfetched::missing(named, path)
                .unwrap_or_else(|| Error::new(error.code(), copy::not_found(&searched, path))),
            None => super::copy_request::copy_error(error),
        })
    })
}

fn failed(execution: &Execution<'_>, step: &Step, error: Error) -> Error {
    execution.observer.observe(Event::Started { step: step.number });
    execution.observer.observe(Event::Failed { step: step.number, exit_code: None, duration: Duration::ZERO });
    error.at_step(step.number, step.lines, &step.instruction)
}
