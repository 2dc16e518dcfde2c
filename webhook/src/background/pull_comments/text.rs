//! The text of a comment on a pull request: for each rule its image, how to pull it, and in what it differs from the branch's.

use crate::background::commit_statuses::size;
use crate::background::markdown::{cell, code};
use crate::view::text::plain;
use database::{Build, BuildState, FileDifference, FileFacts, ImageDifference, PackageDifference};
use std::fmt::Write;

/// Packages and files that a comment lists of each kind.
const MAX_LISTED: usize = 20;
/// Characters of a comment: every forge takes so many.
const MAX_TEXT: usize = 20_000;
/// Bits of a file's mode with which it runs as somebody else: setuid and setgid.
const PRIVILEGED: u32 = 0o6000;

/// A build of a pull request, and what it is compared with.
pub(super) struct Told {
    /// The newest build of its rule that ended.
    pub build: Build,
    /// In what its image differs from the branch's, if both could be read.
    pub difference: Option<ImageDifference>,
    /// The build of the branch's image.
    pub against: Option<Build>,
}

/// The facts that a comment tells.
pub(super) struct CommentFacts<'f> {
    /// Name of the repository here.
    pub repository: &'f str,
    /// Start of links.
    pub public_url: &'f str,
    /// Stands in a link of the comment.
    pub nonce: &'f str,
    /// Whether the pull request is closed.
    pub is_closed: bool,
    /// The builds, one for each rule.
    pub told: &'f [Told],
}

/// Returns the text.
pub(super) fn comment(facts: &CommentFacts<'_>) -> String {
    let mut text = format!("**slipway**: the images of {}\n", code(facts.repository));
    for told in facts.told {
        let _ = write!(text, "\n{}", of_build(facts, told));
    }
    if facts.is_closed && facts.told.iter().any(|told| has_tag(&told.build)) {
        text.push_str("\nThe pull request is closed: its tags are removed.\n");
    }
    text.chars().take(MAX_TEXT).collect()
}

fn of_build(facts: &CommentFacts<'_>, told: &Told) -> String {
    let build = &told.build;
    let commit = build.commit.as_deref().map_or("", |commit| commit.get(..7).unwrap_or(commit));
    let link = format!("{}/builds/{}#{}", facts.public_url, build.id.as_str(), facts.nonce);
    let mut text = format!("**{}**, commit {}: ", code(&build.request.rule), code(commit));
    let Some(image) = build.image.as_ref().filter(|_| build.state == BuildState::Succeeded) else {
        let reason = build.reason.as_ref().map_or("", |reason| reason.message.lines().next().unwrap_or_default());
        let reason = plain(database::redact(reason).as_bytes());
        let _ = writeln!(text, "[build {}]({link}) {}: {}", build.number, ended(build.state), code(&reason));
        return text;
    };
    let _ = write!(text, "[build {}]({link}) made {}", build.number, size(image.size));
    match (&told.difference, &told.against) {
        (Some(difference), Some(against)) if difference.failure.is_none() => {
            text.push_str(&compared(difference, against));
        }
        (_, Some(_)) => text.push_str("; the image of the branch could not be compared with it.\n"),
        (_, None) => text.push_str("; the branch has no image yet.\n"),
    }
    if let Some(tag) = image.tags.first().filter(|_| has_tag(build) && !facts.is_closed) {
        let _ = writeln!(text, "\n```\ndocker pull {}\n```", plain(tag.as_bytes()));
    }
    text
}

fn ended(state: BuildState) -> &'static str {
    match state {
        BuildState::Superseded => "was superseded",
        BuildState::TimedOut => "took too long",
        _ => "failed",
    }
}

/// Tells whether the image was pushed under a tag of the pull request.
fn has_tag(build: &Build) -> bool {
    build.request.spec.push && build.image.as_ref().is_some_and(|image| !image.tags.is_empty())
}

fn compared(difference: &ImageDifference, against: &Build) -> String {
    let (_, branch) =
        against.request.spec.git_ref.split_at("refs/heads/".len().min(against.request.spec.git_ref.len()));
    let mut text =
        format!(", {} against {} (build {}).\n", change(difference.compressed), code(branch), against.number);
    let (added, removed, changed) = difference.counts;
    let _ = writeln!(
        text,
        "\nFiles: {added} added, {removed} removed, {changed} changed; unpacked {}.",
        change(difference.unpacked)
    );
    if !difference.packages.is_empty() {
        text.push_str("\n| Package | Branch | Here |\n|---|---|---|\n");
        difference.packages.iter().take(MAX_LISTED).for_each(|package| text.push_str(&package_row(package)));
        more(&mut text, difference.packages.len(), "packages");
    }
    if !difference.privileged.is_empty() {
        text.push_str("\n| File with setuid or setgid | Branch | Here |\n|---|---|---|\n");
        difference.privileged.iter().take(MAX_LISTED).for_each(|file| text.push_str(&file_row(file)));
        more(&mut text, difference.privileged.len(), "files");
    }
    text
}

/// Returns by how much a size grew: the newer one comes first.
fn change(sizes: (u64, u64)) -> String {
    match sizes.0.checked_sub(sizes.1) {
        Some(0) => "the same size".to_owned(),
        Some(grown) => format!("{} more", size(grown)),
        None => format!("{} less", size(sizes.1 - sizes.0)),
    }
}

fn package_row(package: &PackageDifference) -> String {
    let version =
        |version: &Option<String>| version.as_deref().map_or_else(|| "none".to_owned(), |text| cell(&shown(text)));
    let name = cell(&shown(&package.name));
    format!("| {name} ({}) | {} | {} |\n", package.manager, version(&package.old), version(&package.new))
}

fn file_row(file: &FileDifference) -> String {
    let mode = |facts: &Option<FileFacts>| match facts {
        None => "none".to_owned(),
        Some(facts) if facts.mode & PRIVILEGED == 0 => "neither".to_owned(),
        Some(facts) => format!("`{:04o}`, owner {}:{}", facts.mode & 0o7777, facts.owner.0, facts.owner.1),
    };
    format!(
        "| {} | {} | {} |\n",
        cell(&shown(&format!("/{}", file.path.trim_start_matches('/')))),
        mode(&file.old),
        mode(&file.new)
    )
}

fn more(text: &mut String, all: usize, what: &str) {
    if let Some(more) = all.checked_sub(MAX_LISTED).filter(|more| *more > 0) {
        let _ = writeln!(text, "\n{more} more {what}.");
    }
}

fn shown(text: &str) -> String {
    const MAX: usize = 100;
    plain(text.as_bytes()).chars().take(MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_code() {
        // SEC-30
        let package = PackageDifference {
            manager: "npm".to_owned(),
            name: "a | b` @everyone\n<img>".to_owned(),
            new: Some("\u{1b}[31m2".to_owned()),
            old: None,
        };
        let row = package_row(&package);
        assert_eq!(row.matches('\n').count(), 1, "{row}");
        assert!(row.starts_with("| `` a \\| b` @everyone <img> `` (npm) | none | ` 2 ` |"), "{row}");
        let file = |mode: u32| Some(FileFacts { size: 1, mode, owner: (0, 0) });
        let gained = FileDifference { path: "bin/su".to_owned(), new: file(0o104755), old: file(0o100755) };
        assert_eq!(file_row(&gained), "| ` /bin/su ` | neither | `4755`, owner 0:0 |\n");
    }

    #[test]
    fn sizes_are_told_as_changes() {
        assert_eq!(change((5_000_000, 5_000_000)), "the same size");
        assert_eq!(change((7_000_000, 5_000_000)), "2 MB more");
        assert_eq!(change((5_000_000, 5_400_000)), "400 kB less");
    }
}
