//! The arguments declared before the first `FROM`.

use super::environment::{Arguments, Variables, Words};
use super::error::Error;
use super::settings::Settings;
use crate::ast::{Dockerfile, InstructionKind};
use registry_client::Platform;

/// Returns the value that was given for `name`, or else that of an argument declared before the first `FROM`.
pub fn global(file: &Dockerfile, settings: &Settings, name: &str) -> Option<String> {
    let arguments = Arguments::new(&settings.build_args, &settings.platform, &Platform::host(), "");
    match arguments.given(name) {
        Some(given) => Some(given.to_owned()),
        None => globals(file, &arguments).ok()?.get(name).map(str::to_owned),
    }
}

/// Returns the arguments declared before the first `FROM`, with their values, and the automatic ones.
pub(crate) fn globals(file: &Dockerfile, arguments: &Arguments) -> Result<Variables, Error> {
    let mut globals = arguments.automatic().clone();
    for instruction in &file.global_args {
        let InstructionKind::Arg(pairs) = &instruction.kind else { continue };
        for pair in pairs {
            let located = |error: Error| error.at_instruction(instruction);
            let value = match (arguments.given(&pair.name), &pair.value) {
                (Some(given), _) => Some(given.to_owned()),
                (None, Some(default)) => Some(Words::new(file.escape, &globals).one(default).map_err(located)?),
                (None, None) => None,
            };
            if let Some(value) = value {
                globals.set(&pair.name, &value);
            }
        }
        globals.check_size().map_err(|error| error.at_instruction(instruction))?;
    }
    Ok(globals)
}
