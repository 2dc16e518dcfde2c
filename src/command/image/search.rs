//! `slipway search`: repositories of a registry by name and description.

use crate::command::build::registries;
use crate::hand::{Failure, Format, Hand, runtime, told};
use clap::Args;
use container::Error;
use registry_client::FoundRepository;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `slipway search`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The term, after the host of a registry other than Docker Hub: HOST/TERM
    term: String,
    /// Only repositories for which this holds: is-official=, stars=
    #[arg(short, long = "filter", value_name = "NAME=VALUE")]
    filters: Vec<String>,
    /// How to print: table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Results at most
    #[arg(long, value_name = "NUMBER", default_value_t = 25, allow_hyphen_values = true)]
    limit: i64,
    /// Show descriptions whole
    #[arg(long)]
    no_trunc: bool,
    /// Speak to a registry otherwise than docker does by default
    #[arg(long = "registry", value_name = "HOST=plain-http|tls|insecure|ca=FILE")]
    registries: Vec<String>,
}

const COLUMNS: [(&str, &str); 4] =
    [("Name", "NAME"), ("Description", "DESCRIPTION"), ("StarCount", "STARS"), ("IsOfficial", "OFFICIAL")];
/// Characters of a description that are shown.
const SHOWN: usize = 45;

/// Conditions on what is shown.
#[derive(Default)]
struct Filters {
    is_official: Option<bool>,
    stars: u64,
}

impl Filters {
    fn parse(texts: &[String]) -> Result<Filters, Failure> {
        let mut filters = Filters::default();
        for text in texts {
            let wrong = || Failure::from(Error::Invalid(format!("invalid filter '{text}'")));
            match text.split_once('=').ok_or_else(wrong)? {
                ("is-official", "true" | "1") => filters.is_official = Some(true),
                ("is-official", "false" | "0") => filters.is_official = Some(false),
                ("stars", number) => filters.stars = number.parse().map_err(|_| wrong())?,
                _ => return Err(wrong()),
            }
        }
        Ok(filters)
    }

    fn matches(&self, found: &FoundRepository) -> bool {
        self.is_official.is_none_or(|wanted| found.is_official == wanted) && found.star_count >= self.stars
    }
}

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let format = Format::parse(arguments.format.as_deref())?;
        let filters = Filters::parse(&arguments.filters)?;
        let limit = u32::try_from(arguments.limit).ok().filter(|limit| (1..=100).contains(limit)).ok_or_else(|| {
            Error::Invalid(format!("invalid limit {0}: limit {0} is outside the range of [1, 100]", arguments.limit))
        })?;
        let (registry, term) = parts(&arguments.term);
        let client = Hand::open(data_dir)?.client(registries::parse_all(&arguments.registries)?)?;
        let found = runtime()?.block_on(client.search(registry, term, limit)).map_err(Error::from)?;
        let found = found.iter().filter(|found| filters.matches(found));
        let rows: Vec<Value> = found.map(|found| row(found, registry, arguments.no_trunc)).collect();
        format.print(&COLUMNS, &[], &rows)?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Splits the host of a registry off.
fn parts(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((host, term)) if host.contains(['.', ':']) || host == "localhost" => match host {
            "index.docker.io" => ("docker.io", term),
            host => (host, term),
        },
        _ => ("docker.io", text),
    }
}

fn row(found: &FoundRepository, registry: &str, whole: bool) -> Value {
    let mut description = found.description.as_deref().unwrap_or_default().replace(['\n', '\r'], " ");
    if !whole && description.chars().count() > SHOWN {
        description = description.chars().take(SHOWN - 1).chain(['…']).collect();
    }
    json!({
        "Name": if registry == "docker.io" { found.name.clone() } else { format!("{registry}/{}", found.name) },
        "Description": description,
        "StarCount": found.star_count.to_string(),
        "IsOfficial": if found.is_official { "[OK]" } else { "" },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_may_begin_with_a_registry() {
        for (text, registry, term) in [
            ("nginx", "docker.io", "nginx"),
            ("team/app", "docker.io", "team/app"),
            ("r.example.com/team/app", "r.example.com", "team/app"),
            ("localhost:5000/app", "localhost:5000", "app"),
            ("index.docker.io/app", "docker.io", "app"),
        ] {
            assert_eq!(parts(text), (registry, term));
        }
    }
}
