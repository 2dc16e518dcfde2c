//! Targets with all that is needed to build them, those first that others need.

use super::super::build;
use super::flags::flags;
use bake::{Resolved, Target};
use clap::Parser;
use std::collections::BTreeSet;

/// A target that can be built.
pub(crate) struct Planned {
    /// Its name.
    pub name: String,
    /// The arguments that `slipway build` would be given for it.
    pub arguments: build::Arguments,
    /// Names of contexts, and the targets that they are.
    pub needs: Vec<(String, String)>,
    /// Whether it answers a question and is not built.
    pub asks: bool,
}

/// The command line of `slipway build`, for its own rules to read.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct CommandLine {
    #[command(flatten)]
    arguments: build::Arguments,
}

/// Returns the targets in an order in which each comes after those that it needs.
pub(crate) fn plan(resolved: &Resolved, registries: &[String]) -> Result<Vec<Planned>, String> {
    let mut planned = Vec::new();
    for (name, target) in &resolved.targets {
        planned.push(one(name, target, registries).map_err(|error| format!("target `{name}`: {error}"))?);
    }
    let mut to_stdout = Vec::new();
    for planned in planned.iter().filter(|planned| !planned.asks) {
        let writes =
            planned.arguments.writes_to_stdout().map_err(|error| format!("target `{}`: {error}", planned.name))?;
        to_stdout.extend(writes.then_some(planned.name.as_str()));
    }
    if to_stdout.len() > 1 {
        return Err(format!("only one target can write to standard output, not {}", to_stdout.join(" and ")));
    }
    Ok(in_order(planned))
}

fn one(name: &str, target: &Target, registries: &[String]) -> Result<Planned, String> {
    let flags = flags(target, registries)?;
    let parsed = CommandLine::try_parse_from(&flags.words).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        first.strip_prefix("error: ").unwrap_or(first).to_owned()
    })?;
    let mut arguments = parsed.arguments;
    arguments.dockerfile_text.clone_from(&target.dockerfile_inline);
    let asks = target.call.as_deref().is_some_and(|call| !matches!(call, "" | "build"));
    Ok(Planned { name: name.to_owned(), arguments, needs: flags.needs, asks })
}

/// Puts targets behind those that they need; circles were refused when they were resolved.
fn in_order(mut planned: Vec<Planned>) -> Vec<Planned> {
    let (mut ordered, mut done) = (Vec::new(), BTreeSet::new());
    while !planned.is_empty() {
        let ready = |planned: &Planned| planned.needs.iter().all(|(_, needed)| done.contains(needed));
        let (next, rest): (Vec<_>, Vec<_>) = planned.into_iter().partition(ready);
        let is_stuck = next.is_empty();
        done.extend(next.iter().map(|planned: &Planned| planned.name.clone()));
        ordered.extend(next);
        planned = rest;
        if is_stuck {
            ordered.append(&mut planned);
        }
    }
    ordered
}
