//! Plans of small files: what is expanded, in which order stages come, what the image says.

mod configuration;
mod lint;
mod mounts;
mod stages;
mod variables;

use super::*;
use crate::ast::Dockerfile;
use files::ignore::Ignore;
use registry_client::{ImageConfig, Platform};
use std::collections::BTreeMap;

fn settings() -> Settings {
    Settings::new(Platform::host())
}

fn with_args(args: &[(&str, &str)]) -> Settings {
    let build_args = args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Settings { build_args, ..settings() }
}

/// An image for this machine with one layer.
fn image(env: &[&str], on_build: &[&str]) -> ImageConfig {
    let mut config = ImageConfig::default();
    let platform = Platform::host();
    (config.os, config.architecture) = (platform.os, platform.architecture);
    config.config.env = env.iter().map(|pair| (*pair).to_owned()).collect();
    config.config.on_build = on_build.iter().map(|text| (*text).to_owned()).collect();
    config
}

fn images() -> BaseImages {
    let mut config = image(&["PATH=/bin", "BASE=b"], &["ENV TRIGGERED=1"]);
    config.config.cmd = Some(vec!["base".into()]);
    let mut images = BaseImages::new();
    images.insert("base".into(), config);
    images.insert("plain".into(), image(&["PATH=/bin"], &[]));
    images
}

fn plan_from(text: &str, settings: &Settings, images: &BaseImages) -> Result<Plan, Error> {
    let file = Dockerfile::parse(text.as_bytes()).unwrap();
    let lint = Lint::new(&file, settings)?;
    match Plan::for_file(&file, settings, images, Scope::Target, &lint)? {
        Planned::Ready(plan) => Ok(*plan),
        Planned::Needs(needed) => panic!("{needed:?}"),
    }
}

fn plan_with(text: &str, settings: &Settings) -> Result<Plan, Error> {
    plan_from(text, settings, &images())
}

fn plan(text: &str) -> Plan {
    plan_with(text, &settings()).unwrap_or_else(|error| panic!("{text}: {}", error))
}

/// First and last lines of all that is to blame.
fn lines(error: &Error) -> Vec<(usize, usize)> {
    error.places().iter().map(|span| (span.first_line, span.last_line)).collect()
}

fn refused(text: &str) -> String {
    plan_with(text, &settings()).map(|_| panic!("{text:?} was planned")).unwrap_or_else(|error| error.to_string())
}

fn config(text: &str) -> registry_client::ContainerConfig {
    let plan = plan(text);
    plan.stages[plan.target].config.config.clone()
}

/// The lines of the history for the instructions of the last stage.
fn history(text: &str) -> Vec<String> {
    plan(text).stages.pop().unwrap().steps.iter().map(|step| step.created_by.clone()).collect()
}

fn last_run(plan: &Plan) -> &Run {
    let step = plan.stages[plan.target].steps.iter().rev().find(|step| matches!(step.action, Action::Run(_)));
    match &step.unwrap().action {
        Action::Run(run) => run,
        _ => unreachable!(),
    }
}
