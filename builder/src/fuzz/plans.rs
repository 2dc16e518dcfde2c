//! Dockerfiles: any bytes are parsed and planned, or refused with a place.

use dockerfile::plan::{Action, Base, BaseImages, From, Lint, MountKind, Plan, Planned, Scope, Settings, Step};
use dockerfile::{Dockerfile, Span, printable, snippet_of_error};
use registry_client::{ImageConfig, Platform};

/// A base image with triggers, one of which needs another image.
const TRIGGERS: [&str; 2] = ["COPY --from=alpine /etc/os-release /", "RUN --mount=type=bind,from=busybox true"];

/// Parses and plans a Dockerfile.
pub fn dockerfile(text: &[u8]) {
    let lines = 1 + text.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    let file = match Dockerfile::parse(text) {
        Ok(file) => file,
        Err(error) => {
            let message = error.to_string();
            assert_eq!(printable(&message), message, "an error steers no terminal");
            let span = error.span();
            assert!(span.last_line <= lines, "{span:?} of {lines} lines");
            snippet_of_error("Dockerfile", text, &[(span.first_line, span.last_line)], &message);
            return;
        }
    };
    assert!(!file.stages.is_empty());
    for stage in &file.stages {
        check_span(stage.span, lines);
        stage.instructions.iter().for_each(|instruction| check_span(instruction.span, lines));
    }
    let settings = Settings::new(Platform::host());
    if let Ok(lint) = Lint::new(&file, &settings) {
        plan(&file, &settings, &lint);
    }
}

fn check_span(span: Span, lines: usize) {
    let is_inside = 1 <= span.first_line && span.first_line <= span.last_line && span.last_line <= lines;
    assert!(is_inside, "{span:?} of {lines} lines");
}

/// Plans until no image is missing: what was named is not asked for again, so there is an end.
fn plan(file: &Dockerfile, settings: &Settings, lint: &Lint) {
    let mut images = BaseImages::new();
    loop {
        match Plan::for_file(file, settings, &images, Scope::All, lint) {
            Err(error) => {
                assert!(!error.to_string().is_empty(), "an error says something");
                return;
            }
            Ok(Planned::Ready(plan)) => return check_plan(&plan),
            Ok(Planned::Needs(needed)) => {
                assert!(!needed.is_empty());
                for image in needed {
                    assert!(images.get(&image.key).is_none(), "{} is known already", image.key);
                    let mut config = ImageConfig::default();
                    (config.os, config.architecture) = (image.platform.os, image.platform.architecture);
                    if image.name.contains("onbuild") {
                        config.config.on_build = TRIGGERS.map(str::to_owned).to_vec();
                    }
                    images.insert(image.key, config);
                }
            }
        }
    }
}

/// Checks that a plan names no stage that is missing or later.
fn check_plan(plan: &Plan) {
    assert!(plan.target < plan.stages.len());
    for (position, stage) in plan.stages.iter().enumerate() {
        if let Base::Stage(base) = stage.base {
            assert!(base < position);
        }
        for source in stage.steps.iter().flat_map(sources) {
            assert!(!matches!(source, From::Stage(index) if *index >= position));
        }
    }
}

/// Returns where the files of a step come from.
fn sources(step: &Step) -> Vec<&From> {
    match &step.action {
        Action::Copy(copy) => vec![&copy.from],
        Action::Run(run) => run.mounts.iter().filter_map(|mount| source_of(&mount.kind)).collect(),
        Action::Configure | Action::Workdir { .. } => Vec::new(),
    }
}

fn source_of(kind: &MountKind) -> Option<&From> {
    match kind {
        MountKind::Bind { from, .. } | MountKind::Cache { seed: Some((from, _)), .. } => Some(from),
        _ => None,
    }
}
