//! Rules about how a Dockerfile is written, which need nothing but its text.

use crate::ast::InstructionKind;
use crate::ast::{Dockerfile, Stage};
use crate::error::Span;
use crate::lexer::Comments;
use crate::rules::{self, Rule};
use std::collections::HashSet;

/// Takes a warning: the rule, what is odd, where, and the comments above it.
pub(crate) type Report<'r> = &'r mut dyn FnMut(&'static Rule, String, Span, &Comments);

/// Reports what is odd in the style of `file`.
pub(crate) fn check(file: &Dockerfile, report: Report<'_>) {
    for &line in &file.blank_lines {
        let span = Span { first_line: line, last_line: line, column: 1 };
        report(&rules::NO_EMPTY_CONTINUATION, "Empty continuation line".to_owned(), span, &Comments::default());
    }
    for instruction in &file.global_args {
        descriptions(instruction, report);
    }
    for stage in &file.stages {
        from_line(stage, report);
        for instruction in &stage.instructions {
            descriptions(instruction, report);
            if matches!(instruction.kind, InstructionKind::Maintainer(_)) {
                let text = "Maintainer instruction is deprecated in favor of using label";
                report(&rules::MAINTAINER_DEPRECATED, text.to_owned(), instruction.span, &instruction.comments);
            }
        }
    }
    stage_names(file, report);
    casing(file, report);
}

fn from_line(stage: &Stage, report: Report<'_>) {
    let written = &stage.written;
    if let Some(name) = written.name.as_deref().filter(|name| name.to_lowercase() != *name) {
        let text = format!("Stage name '{name}' should be lowercase");
        report(&rules::STAGE_NAME_CASING, text, stage.span, &stage.comments);
    }
    if let Some(word) = &written.as_word {
        let matches = match case(&written.keyword) {
            Some(Case::Lower) => *word == word.to_lowercase(),
            Some(Case::Upper) => *word == word.to_uppercase(),
            None => true,
        };
        if !matches {
            let text = format!("'{word}' and '{}' keywords' casing do not match", written.keyword);
            report(&rules::FROM_AS_CASING, text, stage.span, &stage.comments);
        }
    }
    if let Some(name) = &stage.name {
        described("FROM", &[name.as_str()], stage.span, &stage.comments, report);
    }
}

fn descriptions(instruction: &crate::ast::Instruction, report: Report<'_>) {
    if let InstructionKind::Arg(args) = &instruction.kind {
        let names: Vec<&str> = args.iter().map(|arg| arg.name.as_str()).collect();
        described("ARG", &names, instruction.span, &instruction.comments, report);
    }
}

fn described(keyword: &str, names: &[&str], span: Span, comments: &Comments, report: Report<'_>) {
    let Some(comment) = comments.description.as_deref().filter(|comment| !comment.starts_with("check=")) else {
        return;
    };
    if names.contains(&comment.split(' ').next().unwrap_or_default()) {
        return;
    }
    let example = if names.len() > 1 { "<arg_key>" } else { names[0] };
    let text = format!("Comment for {keyword} should follow the format: `# {example} <description>`");
    report(&rules::INVALID_DEFINITION_DESCRIPTION, text, span, comments);
}

fn stage_names(file: &Dockerfile, report: Report<'_>) {
    let mut names = HashSet::new();
    for stage in &file.stages {
        let Some(name) = &stage.name else { continue };
        if ["scratch", "context"].contains(&name.as_str()) {
            let text = format!("Stage name should not use the same name as reserved stage {name:?}");
            report(&rules::RESERVED_STAGE_NAME, text, stage.span, &stage.comments);
        }
        if !names.insert(name) {
            let text = format!("Duplicate stage name {name:?}, stage names should be unique");
            report(&rules::DUPLICATE_STAGE_NAME, text, stage.span, &stage.comments);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Lower,
    Upper,
}

/// Returns the case of a keyword that is written in one.
fn case(keyword: &str) -> Option<Case> {
    if keyword == keyword.to_lowercase() {
        Some(Case::Lower)
    } else if keyword == keyword.to_uppercase() {
        Some(Case::Upper)
    } else {
        None
    }
}

/// The case of most keywords is the file's; as many of each count as upper case.
fn casing(file: &Dockerfile, report: Report<'_>) {
    let keywords = || {
        file.stages.iter().flat_map(|stage| {
            let from = (&stage.written.keyword, stage.span, &stage.comments);
            let rest = stage.instructions.iter();
            std::iter::once(from).chain(rest.map(|line| (&line.keyword, line.span, &line.comments)))
        })
    };
    let count = |wanted: Case| keywords().filter(|(keyword, ..)| case(keyword) == Some(wanted)).count();
    let (majority, name) = match count(Case::Lower) > count(Case::Upper) {
        true => (Case::Lower, "lowercase"),
        false => (Case::Upper, "uppercase"),
    };
    for (keyword, span, comments) in keywords().filter(|(keyword, ..)| case(keyword) != Some(majority)) {
        let text = format!("Command '{keyword}' should match the case of the command majority ({name})");
        report(&rules::CONSISTENT_INSTRUCTION_CASING, text, span, comments);
    }
}
