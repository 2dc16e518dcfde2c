//! `# check=…`: which rules are left out, which are asked for, and whether a warning ends the build.

use crate::rules::Rule;

/// The check options of a file or of the requester.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Check {
    skip: Names,
    experimental: Names,
    /// Whether a warning is an error.
    pub error: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Names {
    all: bool,
    names: Vec<String>,
}

impl Names {
    fn parse(text: &str) -> Self {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        Names { all: names.len() == 1 && names[0].eq_ignore_ascii_case("all"), names }
    }

    fn hold(&self, rule: &Rule) -> bool {
        self.all || self.names.iter().any(|name| name.eq_ignore_ascii_case(rule.name))
    }
}

impl Check {
    /// Parses `skip=A,B|all;experimental=C|all;error=BOOL`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut check = Check::default();
        if text.trim().is_empty() {
            return Ok(check);
        }
        for part in text.split(';') {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("invalid check option {part:?}"))?;
            match key.trim() {
                "skip" => check.skip = Names::parse(value.trim()),
                "experimental" => check.experimental = Names::parse(value.trim()),
                "error" => {
                    check.error = truth(value.trim())
                        .ok_or_else(|| format!("failed to parse check option {part:?}: true or false is expected"))?;
                }
                other => return Err(format!("invalid check option {other:?}")),
            }
        }
        Ok(check)
    }

    /// Tells whether `rule` is applied to an instruction with these comments above it.
    pub(crate) fn applies(&self, rule: &Rule, comments: &[String]) -> bool {
        let of_line = || comments.iter().filter_map(|comment| Check::parse(comment.strip_prefix("check=")?).ok());
        let skipped = self.skip.hold(rule) || of_line().any(|check| check.skip.hold(rule));
        let asked =
            !rule.experimental || self.experimental.hold(rule) || of_line().any(|check| check.experimental.hold(rule));
        asked && !skipped
    }
}

/// Reads a truth value as Go does.
pub(crate) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{INVALID_DEFINITION_DESCRIPTION, STAGE_NAME_CASING, UNDEFINED_VAR};

    // DF-017
    #[test]
    fn rules_are_skipped_and_asked_for() {
        let check = |text: &str| Check::parse(text).unwrap();
        let file = check("skip=UndefinedVar, StageNameCasing;error=true");
        assert!(file.error && !file.applies(&UNDEFINED_VAR, &[]) && !file.applies(&STAGE_NAME_CASING, &[]));
        assert!(!check("skip=all").applies(&UNDEFINED_VAR, &[]));
        assert!(!check("").applies(&INVALID_DEFINITION_DESCRIPTION, &[]));
        assert!(check("experimental=all").applies(&INVALID_DEFINITION_DESCRIPTION, &[]));
        assert_eq!(Check::parse("foo=bar").unwrap_err(), "invalid check option \"foo\"");
        assert_eq!(Check::parse("skip").unwrap_err(), "invalid check option \"skip\"");
        assert!(Check::parse("error=maybe").is_err());
    }

    // DF-018
    #[test]
    fn a_comment_above_an_instruction_speaks_of_it_alone() {
        let comments = ["something else".to_owned(), "check=skip=UndefinedVar".to_owned()];
        assert!(!Check::default().applies(&UNDEFINED_VAR, &comments));
        assert!(Check::default().applies(&STAGE_NAME_CASING, &comments));
    }
}
