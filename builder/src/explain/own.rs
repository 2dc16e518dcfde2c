//! Differences between a step and its predecessor: text, variables, mounts.

use crate::key::KeyBuilder;
use database::Why;
use dockerfile::plan::{Action, Copy, Mount, MountKind, Run, Step};
use std::collections::BTreeSet;

/// Returns what of the settings in force differs; `setting` is the step that changed them last.
pub(crate) fn differences(old: &Step, new: &Step, setting: Option<usize>) -> Vec<Why> {
    let mut why = Vec::new();
    if old.instruction != new.instruction {
        why.push(Why::InstructionChanged { old: old.instruction.clone(), new: new.instruction.clone() });
    }
    let same_text = why.is_empty();
    match (&old.action, &new.action) {
        (Action::Run(before), Action::Run(after)) => {
            why.extend(of_run(old, before, new, after, same_text, setting));
        }
        (Action::Copy(before), Action::Copy(after)) if same_text => why.extend(of_copy(old, before, new, after)),
        (Action::Workdir { user: before, .. }, Action::Workdir { user: after, .. }) if same_text && before != after => {
            why.extend(setting.map(|step| Why::EarlierStepChanged { step: step as i64 }));
        }
        _ if same_text && old.created_by != new.created_by => why.extend(argument(&new.instruction)),
        _ => {}
    }
    why
}

fn of_run(old: &Step, before: &Run, new: &Step, after: &Run, same_text: bool, setting: Option<usize>) -> Vec<Why> {
    let mut why = Vec::new();
    let pairs = |run: &Run| run.env.iter().cloned().collect::<BTreeSet<_>>();
    let (older, newer) = (pairs(before), pairs(after));
    let names = older.symmetric_difference(&newer).map(|pair| pair.split('=').next().unwrap_or_default().to_owned());
    let names: BTreeSet<String> = names.collect();
    if !names.is_empty() {
        why.push(Why::ArgumentChanged { names: names.into_iter().collect() });
    }
    let ids = changed_mounts(before, after);
    if !ids.is_empty() {
        why.push(Why::SecretOrMountChanged { ids });
    }
    let (script_before, script_after) = (text(before), text(after));
    if same_text && script_before != script_after {
        why.extend(of_text(old, &script_before, new, &script_after, setting));
    }
    let settings = |run: &Run| (run.cwd.clone(), run.user.clone(), run.network);
    if settings(before) != settings(after) {
        why.extend(setting.map(|step| Why::EarlierStepChanged { step: step as i64 }));
    }
    why
}

/// Says how a command differs whose instruction reads the same: in what stands below it, or in its shell.
fn of_text(old: &Step, before: &str, new: &Step, after: &str, setting: Option<usize>) -> Option<Why> {
    if !new.instruction.contains("<<") {
        return setting.map(|step| Why::EarlierStepChanged { step: step as i64 });
    }
    let (mut old_lines, mut new_lines) = (before.lines(), after.lines());
    loop {
        let (one, other) = (old_lines.next(), new_lines.next());
        if one != other || one.is_none() {
            let shown = |step: &Step, line: Option<&str>| {
                let line = line.map_or_else(|| " …".to_owned(), |line| format!(" … {line}"));
                dockerfile::printable(&format!("{}{line}", step.instruction))
            };
            return Some(Why::InstructionChanged { old: shown(old, one), new: shown(new, other) });
        }
    }
}

/// Returns the command with the script that it runs.
fn text(run: &Run) -> String {
    let scripts = run.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Script { content } => Some(String::from_utf8_lossy(content).into_owned()),
        _ => None,
    });
    run.argv.iter().cloned().chain(scripts).collect::<Vec<_>>().join("\n")
}

fn of_copy(old: &Step, before: &Copy, new: &Step, after: &Copy) -> Option<Why> {
    if before.files != after.files {
        let text = |copy: &Copy| {
            let contents = copy.files.iter().map(|file| String::from_utf8_lossy(&file.content));
            contents.collect::<Vec<_>>().join("\n")
        };
        return of_text(old, &text(before), new, &text(after), None);
    }
    // Where files come from is compared elsewhere; the directory below is another step's.
    let shape = |copy: &Copy| KeyBuilder::new("copy").add(&Copy { workdir: String::new(), ..copy.clone() }).finish();
    if shape(before) == shape(after) { None } else { argument(&new.instruction) }
}

/// Returns which mounts are declared in another way: ids where they have one, targets otherwise.
fn changed_mounts(before: &Run, after: &Run) -> Vec<String> {
    let named = |run: &Run| {
        let mounts = run.mounts.iter().filter(|mount| !matches!(mount.kind, MountKind::Script { .. }));
        let shape = |mount: &Mount| KeyBuilder::new("mount").add(mount).finish();
        mounts.map(|mount| (id(&mount.kind).unwrap_or(&mount.target).to_owned(), shape(mount))).collect::<BTreeSet<_>>()
    };
    let (old, new) = (named(before), named(after));
    let ids: BTreeSet<String> = old.symmetric_difference(&new).map(|(id, _)| id.clone()).collect();
    ids.into_iter().collect()
}

fn id(kind: &MountKind) -> Option<&str> {
    match kind {
        MountKind::Cache { name, .. } => Some(name),
        MountKind::Secret { id, .. } | MountKind::Ssh { id, .. } => Some(id),
        MountKind::Bind { .. } | MountKind::Tmpfs { .. } | MountKind::Script { .. } => None,
    }
}

/// Names the variables that an instruction uses or declares.
fn argument(instruction: &str) -> Option<Why> {
    let names = variables(instruction);
    (!names.is_empty()).then_some(Why::ArgumentChanged { names })
}

fn variables(instruction: &str) -> Vec<String> {
    let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let mut names = BTreeSet::new();
    for part in instruction.split('$').skip(1) {
        let name: String = part.trim_start_matches('{').chars().take_while(|char| is_name(*char)).collect();
        names.insert(name);
    }
    let mut words = instruction.split_whitespace();
    if words.next().is_some_and(|word| word.eq_ignore_ascii_case("ARG")) {
        names.extend(words.map(|word| word.chars().take_while(|char| is_name(*char)).collect()));
    }
    names.remove("");
    names.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_in_instructions() {
        assert_eq!(variables("COPY $DIR/${NAME:-x} /$DIR"), ["DIR", "NAME"]);
        assert_eq!(variables("ARG A=1 B"), ["A", "B"]);
        assert_eq!(variables("ENV A=$B"), ["B"]);
        assert!(variables("RUN true").is_empty());
    }
}
