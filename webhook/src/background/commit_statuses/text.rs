//! The text of a status: the cause first, in the few characters that a forge shows.

use crate::view::text::plain;
use database::{Build, BuildState, PendingStatus, PushedImage, Step, StepState};

/// The facts about a build from which its status is written.
pub(crate) struct StatusFacts<'k> {
    /// The status.
    pub status: &'k PendingStatus,
    /// The build, unless it has gone on since the status was written.
    pub build: Option<&'k Build>,
    /// Its steps.
    pub steps: &'k [Step],
    /// The end of what the step printed that failed.
    pub output: &'k [u8],
}

/// Returns the step that a build failed at.
pub(crate) fn failed_step(steps: &[Step]) -> Option<&Step> {
    steps.iter().find(|step| step.state == StepState::Failed)
}

/// Returns the description of a status; [`line`] makes it fit.
pub(crate) fn description(known: &StatusFacts<'_>) -> String {
    let said = &known.status.description;
    let with = |what: &str| if said.is_empty() || said == what { what.to_owned() } else { format!("{what}: {said}") };
    match known.status.state {
        BuildState::Queued if said.is_empty() => "waiting for a worker".to_owned(),
        BuildState::Queued => said.clone(),
        BuildState::Preparing | BuildState::Building => "building".to_owned(),
        BuildState::Pushing => "pushing the image".to_owned(),
        BuildState::Succeeded => success(known).unwrap_or_else(|| with("built")),
        BuildState::Superseded => with_reason(known, "superseded"),
        BuildState::Skipped => with("nothing to build"),
        BuildState::Cancelled => "cancelled".to_owned(),
        BuildState::Failed | BuildState::Errored | BuildState::TimedOut => {
            failure(known).unwrap_or_else(|| said.clone())
        }
    }
}

/// Returns a text as one line of at most `max` characters that a forge takes. Forges show it as text, without links and mentions; what could change how
/// it is read is taken out here.
pub(crate) fn line(text: &str, max: usize) -> String {
    let shown = plain(database::redact(text).as_bytes());
    let line = shown.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().to_owned();
    if line.chars().count() <= max {
        return line;
    }
    line.chars().take(max - 1).chain(['…']).collect()
}

/// Says why a build was superseded; of one that has an image, the digest says nothing.
fn with_reason(known: &StatusFacts<'_>, what: &str) -> String {
    let reason = known.build.and_then(|build| build.reason.as_ref());
    match reason {
        Some(reason) if reason.message != what => format!("{what}: {}", reason.message),
        _ => format!("{what} by a newer commit"),
    }
}

/// Returns `1.4.2, latest: 42 MB in 12 s, 9 of 13 steps cached`.
fn success(known: &StatusFacts<'_>) -> Option<String> {
    let build = known.build?;
    let image = build.image.as_ref()?;
    let took = build.finished_ms.zip(build.started_ms).map(|(end, start)| format!(" in {}", seconds(end - start)));
    if let Some(merged) = &image.merged {
        let size = size(image.size);
        return Some(format!("{}: {size}, the image of pull request {}, not built again", tags(image), merged.number));
    }
    let cached = known.steps.iter().filter(|step| step.cached).count();
    let steps = match known.steps.len() {
        0 => String::new(),
        all => format!(", {cached} of {all} steps cached"),
    };
    Some(format!("{}: {}{}{steps}", tags(image), size(image.size), took.unwrap_or_default()))
}

/// Returns the names of the tags without the image's; few of them, so that there is room for the rest.
fn tags(image: &PushedImage) -> String {
    const MAX_SHOWN: usize = 3;
    let names: Vec<&str> =
        image.tags.iter().map(|tag| tag.rsplit_once(':').map_or(tag.as_str(), |(_, name)| name)).collect();
    let shown = names
        .iter()
        .take(MAX_SHOWN)
        .map(|name| name.chars().take(24).collect::<String>())
        .collect::<Vec<_>>()
        .join(", ");
    match names.len() {
        0 => "built, not pushed".to_owned(),
        all if all > MAX_SHOWN => format!("{shown} and {} more", all - MAX_SHOWN),
        _ => shown,
    }
}

/// Returns `RUN (Dockerfile:10) exit 2: make: *** [build] Error 2`.
fn failure(known: &StatusFacts<'_>) -> Option<String> {
    let build = known.build?;
    let reason = build.reason.as_ref()?;
    let sentence = reason.message.lines().next().unwrap_or_default();
    let Some(step) = failed_step(known.steps) else { return Some(sentence.to_owned()) };
    let keyword = step.instruction.split_whitespace().next().unwrap_or("a step");
    let file = &build.request.spec.dockerfile;
    let place = format!("{keyword} ({file}:{})", step.line);
    let shown = plain(known.output);
    let last = shown.lines().map(str::trim).rfind(|line| !line.is_empty());
    Some(match (step.exit_code, reason.code.as_str(), last) {
        (Some(code), "step_failed", Some(last)) => format!("{place} exit {code}: {last}"),
        (Some(code), "step_failed", None) => {
            // It said nothing: what it was has to do.
            let rest = step.instruction.split_once(char::is_whitespace).map_or("", |(_, rest)| rest);
            format!("{place} exit {code}: {rest}")
        }
        (Some(_), "out_of_memory", _) => format!("{place} ran out of memory"),
        (_, "step_timeout", _) => {
            format!("{place} took too long: {}", sentence.rsplit("took").next().unwrap_or(sentence).trim())
        }
        _ => format!("{place}: {sentence}"),
    })
}

fn seconds(milliseconds: i64) -> String {
    match milliseconds / 1000 {
        0 => format!("{:.1} s", milliseconds.max(0) as f64 / 1000.0),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

/// Returns a size for people.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::document::{compile, from_json};
    use crate::intake::build_requests::{BuildTrigger, Rules};
    use database::{BuildId, Reason, Trigger};

    fn status(state: BuildState, description: &str) -> PendingStatus {
        let build = BuildId::parse("bld_00000000000000000000000000000000").unwrap();
        PendingStatus {
            id: 1,
            build,
            repository: "team/app".to_owned(),
            commit: "1".repeat(40),
            rule: "main".to_owned(),
            state,
            description: description.to_owned(),
            forge: None,
            delivered_by: None,
            git_ref: "refs/heads/main".to_owned(),
        }
    }

    fn build(state: BuildState) -> Build {
        let text = r#"{"name":"team/app","clone_url":"https://x/y.git","image":"r.example.com/team/app"}"#;
        let repository = compile(&from_json(text.as_bytes()).unwrap(), Vec::new()).unwrap();
        let trigger = Trigger::Manual { by: "me".to_owned() };
        let asked =
            BuildTrigger { git_ref: "refs/heads/main", commit: None, message: "", default_branch: None, trigger };
        let request = Rules::of(&repository).requests(&asked).builds.remove(0);
        Build {
            id: status(state, "").build,
            number: 1,
            request,
            sequence: 1,
            state,
            attempt: 1,
            commit: None,
            reason: None,
            image: None,
            created_ms: 0,
            started_ms: Some(1_000),
            finished_ms: Some(13_400),
            version: 1,
            cancel_requested: false,
            awaits_approval: false,
            approved_by: None,
            log_removed_ms: None,
            warnings: Vec::new(),
        }
    }

    fn step(number: i64, instruction: &str, state: StepState) -> Step {
        Step {
            number,
            instruction: instruction.to_owned(),
            stage: "stage-0".to_owned(),
            line: number * 5,
            state,
            cached: number == 1,
            exit_code: (state == StepState::Failed).then_some(2),
            layer_digest: None,
            layer_size: None,
            started_ms: None,
            duration_ms: None,
        }
    }

    #[test]
    fn a_description_is_one_line_of_text_whatever_others_wrote() {
        // SEC-30
        let text = "\x1b[31m\x1b]0;title\x07RUN **x** @everyone <b>\u{202e}\rnext\nthird";
        let described = |text: &str| {
            let status = status(BuildState::Failed, text);
            line(&description(&StatusFacts { status: &status, build: None, steps: &[], output: b"" }), 140)
        };
        assert_eq!(described(text), "RUN **x** @everyone <b>\u{fffd}");
        assert_eq!(described(&"ä".repeat(1_000)).chars().count(), 140);
    }

    #[test]
    fn the_cause_comes_first() {
        // US-21
        let mut failed = build(BuildState::Failed);
        let reason = |code: &str, message: &str| Some(Reason { code: code.to_owned(), message: message.to_owned() });
        failed.reason =
            reason("step_failed", "process \"/bin/sh -c make\" did not complete successfully: exit code: 2\nx");
        let steps = [step(1, "FROM x", StepState::Succeeded), step(2, "RUN make", StepState::Failed)];
        let status = status(BuildState::Failed, "process …");
        let told = |build: &Build, steps: &[Step], output: &[u8]| {
            line(&description(&StatusFacts { status: &status, build: Some(build), steps, output }), 140)
        };
        let output = b"cc -c x.c\n\x1b[31mmake: *** [build] Error 2\x1b[0m\n\n";
        assert_eq!(told(&failed, &steps, output), "RUN (Dockerfile:10) exit 2: make: *** [build] Error 2");
        assert_eq!(told(&failed, &steps, b""), "RUN (Dockerfile:10) exit 2: make");
        failed.reason = reason("dockerfile_invalid", "Dockerfile:3: unknown instruction `RUNN`\nhere");
        assert_eq!(told(&failed, &[], b""), "Dockerfile:3: unknown instruction `RUNN`");
        failed.reason = reason("source_auth", "fetching https://bot:hush@git.example.com/x.git: 401");
        assert!(!told(&failed, &[], b"").contains("hush"));
    }

    #[test]
    fn success_says_what_there_is_now() {
        // US-21
        let mut built = build(BuildState::Succeeded);
        let tags = ["r.example.com:5000/team/app:1.4.2", "r.example.com:5000/team/app:latest"];
        built.image = Some(PushedImage {
            digest: "sha256:1".to_owned(),
            media_type: "x".to_owned(),
            size: 42_300_000,
            tags: tags.map(str::to_owned).to_vec(),
            inputs_key: None,
            base_images: Vec::new(),
            tree: None,
            merged: None,
        });
        let steps = [step(1, "FROM x", StepState::Succeeded), step(2, "RUN make", StepState::Succeeded)];
        let status = status(BuildState::Succeeded, "sha256:1");
        let told = description(&StatusFacts { status: &status, build: Some(&built), steps: &steps, output: b"" });
        assert_eq!(told, "1.4.2, latest: 42 MB in 12 s, 1 of 2 steps cached");
        let build = status.build.clone();
        built.image.as_mut().unwrap().merged = Some(database::MergedPull { number: 7, build });
        let told = description(&StatusFacts { status: &status, build: Some(&built), steps: &steps, output: b"" });
        assert_eq!(told, "1.4.2, latest: 42 MB, the image of pull request 7, not built again");
    }
}
