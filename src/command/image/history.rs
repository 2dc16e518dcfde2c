//! `slipway history`: how an image was made, the newest line first.

use crate::hand::{Failure, Format, Hand, ago, bytes, now, told};
use clap::Args;
use container::{Catalog, HistoryLine};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Arguments of `slipway history`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Name or id of the image
    image: String,
    /// How to print: table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print sizes and dates in a form for people (true, the default) or for programs (false)
    #[arg(short = 'H', long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    human: bool,
    /// Show ids and instructions whole
    #[arg(long)]
    no_trunc: bool,
    /// Show only ids
    #[arg(short, long)]
    quiet: bool,
}

/// Characters of an instruction that are shown.
const SHOWN: usize = 45;

/// Runs the command.
pub(crate) fn run(arguments: &Arguments, data_dir: Option<PathBuf>) -> Result<ExitCode, String> {
    told(|| {
        let format = Format::parse(arguments.format.as_deref())?;
        let hand = Hand::open(data_dir)?;
        let catalog = Catalog::load(&hand.store)?;
        let lines = container::history(&hand.store, &catalog.find_own(&hand.store, &arguments.image)?)?;
        print(arguments, &format, &lines)?;
        Ok(ExitCode::SUCCESS)
    })
}

fn print(arguments: &Arguments, format: &Format, lines: &[HistoryLine]) -> Result<(), Failure> {
    let rows: Vec<Value> = lines.iter().map(|line| row(arguments, line)).collect();
    if arguments.quiet {
        rows.iter().for_each(|row| println!("{}", row["ID"].as_str().unwrap_or_default()));
        return Ok(());
    }
    let created = if arguments.human { ("CreatedSince", "CREATED") } else { ("CreatedAt", "CREATED AT") };
    let columns = [("ID", "IMAGE"), created, ("CreatedBy", "CREATED BY"), ("Size", "SIZE"), ("Comment", "COMMENT")];
    format.print(&columns, &[("CreatedAt", "CREATED AT"), ("CreatedSince", "CREATED")], &rows)
}

fn row(arguments: &Arguments, line: &HistoryLine) -> Value {
    let id = line.id.as_deref().map_or("<missing>", |id| match arguments.no_trunc {
        true => id,
        false => id.get(7..19).unwrap_or(id),
    });
    let mut instruction = line.created_by.replace('\t', " ");
    if !arguments.no_trunc && instruction.chars().count() > SHOWN {
        instruction = instruction.chars().take(SHOWN - 1).chain(['…']).collect();
    }
    let created = line.created.as_deref().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
    let since = created.map_or("N/A".to_owned(), |time| format!("{} ago", ago(now() - time.unix_timestamp())));
    json!({
        "ID": id,
        "CreatedAt": line.created.clone().unwrap_or_default(),
        "CreatedSince": since,
        "CreatedBy": instruction,
        "Size": if arguments.human { bytes(line.size) } else { line.size.to_string() },
        "Comment": line.comment,
    })
}
