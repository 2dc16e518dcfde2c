//! A comparison of two builds in words: a sentence for each reason, one for the whole.

use database::{BuildState, ChangedPath, ChangingCommit, Explained, ExplainedStep, PathChange, Was, Why};

/// Paths that a sentence names.
const MAX_NAMED: usize = 3;
/// Characters of a text that a sentence quotes.
const MAX_QUOTED: usize = 60;

/// Returns a reason as a sentence without its full stop.
pub(crate) fn sentence(why: &Why) -> String {
    match why {
        Why::Same => "nothing about it differs".to_owned(),
        Why::FirstBuild => "nothing was built before".to_owned(),
        Why::BaseImageChanged { reference, old_reference, old, new } => {
            base_image(reference, old_reference.as_deref(), old.as_deref(), new.as_deref())
        }
        Why::InstructionChanged { old, .. } => format!("its instruction changed, it was {}", quoted(old)),
        Why::InstructionAdded => "its instruction is new".to_owned(),
        Why::InstructionRemoved { old } => format!("{} before it was removed", quoted(old)),
        Why::ArgumentChanged { names } => {
            let variables = if names.len() == 1 { "the variable" } else { "the variables" };
            format!("{variables} {} changed", listed(names, names.len()))
        }
        Why::FilesChanged { paths, more, commit } => {
            format!("{}{}", files(paths, *more), commit.as_ref().map(of_commit).unwrap_or_default())
        }
        Why::EarlierStepChanged { step } => format!("it rests on step {step}, which changed"),
        Why::PlatformChanged { old, new } => format!("it was made for {old} before and is for {new} now"),
        Why::SecretOrMountChanged { ids } => {
            format!("what it mounts is declared in another way: {}", listed(ids, ids.len()))
        }
        Why::NotCached => "the build was to take nothing from the cache for it".to_owned(),
        Why::CacheLost => {
            "nothing about it differs, but there was no layer to use: it is gone, or belongs to the cache of others"
                .to_owned()
        }
        Why::ContentUnknown => "it depends on files that are known only when it is executed".to_owned(),
    }
}

/// Returns all reasons of a step in one sentence.
pub(crate) fn sentences(step: &ExplainedStep) -> String {
    step.why.iter().map(sentence).collect::<Vec<_>>().join("; ")
}

/// Says in one sentence why the build did what it did.
pub(crate) fn summary(explained: &Explained, state: BuildState) -> String {
    let was = |was: Was| explained.steps.iter().filter(move |step| step.was == was);
    match (was(Was::Executed).next(), was(Was::Cached).next()) {
        (Some(first), _) => {
            let (number, instruction) = (first.number, shortened(&first.instruction));
            let others = was(Was::Executed).count() - 1;
            let others = match others {
                0 => String::new(),
                1 => " (and 1 step more was executed)".to_owned(),
                others => format!(" (and {others} steps more were executed)"),
            };
            format!("step {number} {instruction} was executed because {}{others}", sentences(first))
        }
        (None, Some(_)) => "no step was executed: all that make a layer came from the cache".to_owned(),
        (None, None) => format!("no step was executed: the build ended as {}", state.as_str()),
    }
}

fn base_image(reference: &str, old_reference: Option<&str>, old: Option<&str>, new: Option<&str>) -> String {
    if let Some(old_reference) = old_reference {
        return format!("the image {reference} is used instead of {old_reference}");
    }
    let short = |digest: Option<&str>| digest.map_or("unknown", |digest| digest.get(..19).unwrap_or(digest)).to_owned();
    format!("the image {reference} changed from {} to {}", short(old), short(new))
}

fn files(paths: &[ChangedPath], more: usize) -> String {
    let count = paths.len() + more;
    let named = paths.iter().map(|path| match path.change {
        PathChange::Added => format!("{} (added)", path.path),
        PathChange::Removed => format!("{} (removed)", path.path),
        PathChange::Mode => format!("{} (mode)", path.path),
        PathChange::Changed => path.path.clone(),
    });
    let named: Vec<_> = named.collect();
    let noun = if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    format!("{noun} changed: {}", listed(&named, count))
}

/// Names the commit that changed files, and its author; of several commits the newest.
fn of_commit(commit: &ChangingCommit) -> String {
    let id = commit.id.get(..7).unwrap_or(&commit.id);
    let by = if commit.is_alone { "by commit" } else { "in commits up to" };
    format!(", {by} {id} of {}, {}", shortened(&commit.author), quoted(&commit.message))
}

/// Returns the first of `count` names.
fn listed(names: &[String], count: usize) -> String {
    let first = names.iter().take(MAX_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match count.saturating_sub(MAX_NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn quoted(text: &str) -> String {
    format!("`{}`", shortened(text))
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: i64, was: Was, why: Vec<Why>) -> ExplainedStep {
        let (stage, instruction) = ("stage-0".to_owned(), "COPY src/ /src".to_owned());
        ExplainedStep { number, stage, instruction, line: number, was, why }
    }

    fn changed(path: &str, change: PathChange) -> ChangedPath {
        ChangedPath { path: path.to_owned(), change, old: None, new: None }
    }

    #[test]
    fn a_summary_names_the_first_step_that_was_executed() {
        let paths = vec![changed("src/a", PathChange::Changed), changed("src/b", PathChange::Added)];
        let steps = vec![
            step(1, Was::Cached, vec![Why::Same]),
            step(2, Was::Executed, vec![Why::FilesChanged { paths, more: 0, commit: None }]),
            step(3, Was::Executed, vec![Why::EarlierStepChanged { step: 2 }]),
        ];
        let mut explained = Explained { steps, ..Explained::default() };
        assert_eq!(
            summary(&explained, BuildState::Succeeded),
            "step 2 COPY src/ /src was executed because 2 files changed: src/a, src/b (added) (and 1 step more was executed)"
        );
        explained.steps.truncate(1);
        assert!(summary(&explained, BuildState::Succeeded).starts_with("no step was executed: all"));
        explained.steps.clear();
        assert_eq!(summary(&explained, BuildState::Skipped), "no step was executed: the build ended as skipped");
    }

    #[test]
    fn long_lists_and_texts_are_shortened() {
        let names: Vec<String> = ["A", "B", "C", "D"].map(str::to_owned).into();
        assert_eq!(sentence(&Why::ArgumentChanged { names }), "the variables A, B, C and 1 more changed");
        let paths = vec![changed("a", PathChange::Mode)];
        let mut commit = ChangingCommit {
            id: "0123456789".repeat(4),
            author: "Jane Doe".to_owned(),
            message: "Fix x".to_owned(),
            is_alone: true,
        };
        let mut told = |more, is_alone| {
            commit.is_alone = is_alone;
            sentence(&Why::FilesChanged { paths: paths.clone(), more, commit: Some(commit.clone()) })
        };
        assert_eq!(told(0, true), "1 file changed: a (mode), by commit 0123456 of Jane Doe, `Fix x`");
        assert_eq!(told(0, false), "1 file changed: a (mode), in commits up to 0123456 of Jane Doe, `Fix x`");
        assert_eq!(
            sentence(&Why::FilesChanged { paths, more: 60, commit: None }),
            "61 files changed: a (mode) and 58 more"
        );
        let told = sentence(&Why::InstructionChanged { old: "ü".repeat(200), new: String::new() });
        assert!(told.chars().count() < 100, "{told}");
    }
}
