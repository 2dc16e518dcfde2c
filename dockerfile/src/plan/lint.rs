//! Collects the warnings of the rules while a plan is made.

use super::error::{Code, Error};
use super::frontend;
use super::settings::Settings;
use crate::ast::Dockerfile;
use crate::check::Check;
use crate::error::Span;
use crate::lexer::Comments;
use crate::rules;
use crate::rules::{Rule, Warning};
use std::cell::RefCell;

/// The build argument that replaces `# check=…`.
const OVERRIDE: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// Most warnings that are kept: nobody reads more, and a file may have one on every line.
const MAX_WARNINGS: usize = 1000;

/// The warnings of one plan.
#[derive(Debug, Default)]
pub struct Lint {
    check: Check,
    warnings: RefCell<Vec<Warning>>,
}

impl Lint {
    /// Reads the check options of the file and of the requester.
    pub fn new(file: &Dockerfile, settings: &Settings) -> Result<Self, Error> {
        let options = settings.build_args.get(OVERRIDE).or(file.directives.check.as_ref());
        let check = Check::parse(options.map_or("", String::as_str))
            .map_err(|cause| Error::invalid(format!("failed to parse check options: {cause}")))?;
        Ok(Lint { check, warnings: RefCell::default() })
    }

    /// Starts over with the warnings about the text alone: a plan is made several times until all images are known.
    pub fn start(&self, file: &Dockerfile, settings: &Settings) {
        self.warnings.borrow_mut().clear();
        if let Some(syntax) = crate::syntax::foreign_syntax(file, &settings.build_args) {
            let text = format!("the frontend `{syntax}` is not run: slipway reads the Dockerfile itself");
            self.report(&rules::SYNTAX_NOT_FOLLOWED, text, Span { first_line: 1, last_line: 1, column: 1 }, &[]);
        }
        for text in frontend::not_followed(file, &settings.build_args) {
            self.report(&rules::ARGUMENT_NOT_FOLLOWED, text, Span { first_line: 1, last_line: 1, column: 1 }, &[]);
        }
        crate::style::check(file, &mut |rule: &'static Rule, text: String, span: Span, comments: &Comments| {
            self.report(rule, text, span, &comments.lines);
        });
    }

    /// Adds a warning about what stands at `span` below `comments`.
    pub fn report(&self, rule: &'static Rule, message: String, span: Span, comments: &[String]) {
        if !self.is_full() && self.check.applies(rule, comments) {
            let warning = Warning { rule, message, span };
            let mut warnings = self.warnings.borrow_mut();
            if !warnings.contains(&warning) {
                warnings.push(warning);
            }
        }
    }

    /// Tells whether no more warnings are kept.
    pub fn is_full(&self) -> bool {
        self.warnings.borrow().len() >= MAX_WARNINGS
    }

    /// Returns the warnings in the order of the file.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.warnings.borrow().clone();
        warnings.sort_by_key(|warning| warning.span.first_line);
        warnings
    }

    /// Returns the error that warnings are, where the file asks for it.
    pub fn violation(&self) -> Option<Error> {
        let warnings = self.warnings.borrow();
        let mut names: Vec<&str> =
            warnings.iter().filter(|warning| !warning.rule.is_note()).map(|warning| warning.rule.name).collect();
        names.sort_unstable();
        names.dedup();
        (self.check.error && !names.is_empty())
            .then(|| Error::new(Code::LintViolation, format!("lint violation found for rules: {}", names.join(", "))))
    }
}
