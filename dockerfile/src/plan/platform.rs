//! `FROM` lines: the platform of a stage, and what the rules say of arguments in them.

use super::environment::{Arguments, Variables, Words};
use super::error::{Code, Error};
use super::globals;
use super::lint::Lint;
use super::settings::Settings;
use crate::ast::{Dockerfile, InstructionKind, Stage};
use crate::rules;
use crate::suggest::suggest_name;
use registry_client::{ImageConfig, Platform, Reference};

/// Returns the platform that the `--platform` of a stage names.
pub(crate) fn of_stage(
    word: &str,
    file: &Dockerfile,
    globals: &Variables,
    stage: &Stage,
    lint: &Lint,
) -> Result<Platform, Error> {
    let words = Words::new(file.escape, globals);
    let expanded = words.expanded(word)?;
    report_undeclared(&expanded.unset, file, globals, stage, lint);
    let only_target = expanded.unset.is_empty()
        && !expanded.used.is_empty()
        && expanded.used.iter().all(|name| name == "TARGETPLATFORM");
    if only_target && globals.get("TARGETPLATFORM") == Some(&expanded.text) {
        let text =
            format!("Setting platform to predefined {word} in FROM is redundant as this is the default behavior");
        lint.report(&rules::REDUNDANT_TARGET_PLATFORM, text, stage.span, &stage.comments.lines);
    }
    let hint = || {
        let near = expanded.unset.iter().find_map(|name| suggest_name(name, globals.names()));
        near.map_or_else(String::new, |name| format!(" (did you mean {name}?)"))
    };
    if expanded.text.is_empty() {
        let text = format!("empty platform value from expression {word}{}", hint());
        return Err(Error::new(Code::InvalidPlatform, text));
    }
    let platform: Platform = expanded.text.parse().map_err(|error| {
        Error::new(Code::InvalidPlatform, format!("failed to parse platform {word}: {error}{}", hint()))
    })?;
    let constant = expanded.used.is_empty() && expanded.unset.is_empty();
    let named = |part: &str| stage.name.as_deref().unwrap_or_default().contains(part);
    if constant && !named(&platform.os) && !named(&platform.architecture) {
        let text = format!("FROM --platform flag should not use constant value {:?}", expanded.text);
        lint.report(&rules::FROM_PLATFORM_FLAG_CONST_DISALLOWED, text, stage.span, &stage.comments.lines);
    }
    Ok(platform)
}

/// Reports arguments of a `FROM` line that nothing declares.
pub(crate) fn report_undeclared(unset: &[String], file: &Dockerfile, globals: &Variables, stage: &Stage, lint: &Lint) {
    if unset.is_empty() || lint.is_full() {
        return;
    }
    let declared: Vec<&str> = file
        .global_args
        .iter()
        .filter_map(|instruction| match &instruction.kind {
            InstructionKind::Arg(args) => Some(args),
            _ => None,
        })
        .flat_map(|args| args.iter().map(|arg| arg.name.as_str()))
        .chain(globals.names())
        .collect();
    for name in unset.iter().filter(|name| !declared.contains(&name.as_str())) {
        let hint = suggest_name(name, declared.iter().copied());
        let hint = hint.map_or_else(String::new, |near| format!(" (did you mean {near}?)"));
        let text = format!("FROM argument '{name}' is not declared{hint}");
        lint.report(&rules::UNDEFINED_ARG_IN_FROM, text, stage.span, &stage.comments.lines);
    }
}

/// Reports bases that are not valid image names when no build argument is given.
pub(crate) fn check_default_bases(file: &Dockerfile, arguments: &Arguments, lint: &Lint) {
    let Ok(globals) = globals::globals(file, &arguments.without_given()) else { return };
    for stage in &file.stages {
        let Ok(base) = Words::new(file.escape, &globals).one(&stage.base) else { return };
        if Reference::parse(&base).is_err() {
            let text = format!("Default value for ARG {} results in empty or invalid base image name", stage.base);
            lint.report(&rules::INVALID_DEFAULT_ARG_IN_FROM, text, stage.span, &stage.comments.lines);
        }
    }
}

/// Reports an image that is for another platform than is wanted.
pub(crate) fn check_image(config: &ImageConfig, name: &str, wanted: &Platform, stage: &Stage, lint: &Lint) {
    let same = config.os == wanted.os && config.architecture == wanted.architecture;
    if same || config.os.is_empty() {
        return;
    }
    let found = Platform {
        os: config.os.clone(),
        architecture: config.architecture.clone(),
        variant: config.variant.clone().filter(|variant| !variant.is_empty()),
    };
    let text =
        format!("Base image {name} was pulled with platform \"{found}\", expected \"{wanted}\" for current build");
    lint.report(&rules::INVALID_BASE_IMAGE_PLATFORM, text, stage.span, &stage.comments.lines);
}

/// Writes the platform of the result into its configuration: the one asked for, or the base's where none was.
pub(crate) fn settle(config: &mut ImageConfig, settings: &Settings) {
    let wanted = &settings.platform;
    if *wanted != Platform::host() || config.os.is_empty() {
        let same = config.os == wanted.os && config.architecture == wanted.architecture;
        config.os.clone_from(&wanted.os);
        config.architecture.clone_from(&wanted.architecture);
        if wanted.variant.is_some() || !same {
            config.variant.clone_from(&wanted.variant);
        }
    }
    let implied = matches!(
        (config.architecture.as_str(), config.variant.as_deref()),
        ("arm64", Some("v8" | "8")) | ("amd64", Some("v1")) | (_, Some(""))
    );
    if implied {
        config.variant = None;
    }
}
