//! `--call`: a question about the Dockerfile that is answered in place of a build.

use super::super::findings::{self, Format};
use super::Arguments;
use super::fields::csv;
use builder::Answer;
use std::path::PathBuf;
use std::process::ExitCode;

/// The question of `--call`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// The findings of the checks.
    Check,
    /// The arguments of its target.
    Outline,
    /// Which stages it has.
    Targets,
}

/// Reads `METHOD[,format=text|json]`; `None` asks for a build.
pub(crate) fn question(arguments: &Arguments) -> Result<Option<(Question, Format)>, String> {
    let fields = csv(&arguments.call).map_err(|error| format!("--call {error}"))?;
    let (method, options) = fields.split_first().ok_or("--call is empty")?;
    let mut format = arguments.format;
    for option in options {
        format = match option.as_str() {
            "format=text" => Format::Text,
            "format=json" => Format::Json,
            other => return Err(format!("--call `{other}`: format=text or format=json is expected")),
        };
    }
    let question = match method.as_str() {
        _ if arguments.check => Question::Check,
        "" | "build" => return Ok(None),
        "check" | "lint" => Question::Check,
        "outline" => Question::Outline,
        "targets" => Question::Targets,
        other => return Err(format!("--call `{other}`: build, check, outline or targets is expected")),
    };
    Ok(Some((question, format)))
}

/// Answers a question.
pub(crate) fn answer(
    question: Question,
    format: Format,
    arguments: &Arguments,
    data_dir: Option<PathBuf>,
) -> Result<ExitCode, String> {
    let answer = match question {
        Question::Check => {
            let (checked, file) = super::check(arguments, data_dir)?;
            return findings::show(&checked, &file, format);
        }
        Question::Outline => super::ask(arguments, data_dir, builder::outline)?,
        Question::Targets => super::ask(arguments, data_dir, |request, _| builder::targets(&request.dockerfile))?,
    };
    let Answer { text, json } = answer.map_err(|error| error.report())?;
    match format {
        Format::Text => print!("{text}"),
        Format::Json => {
            let json = serde_json::to_string_pretty(&json);
            println!("{}", json.map_err(|error| format!("writing the answer: {error}"))?);
        }
    }
    Ok(ExitCode::SUCCESS)
}
