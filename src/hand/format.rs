//! `--format`, and sizes and times as docker writes them.

use super::{Failure, Table};
use container::Template;
use serde_json::{Value, json};
use time::OffsetDateTime;

/// How a list is printed.
pub(crate) enum Format {
    /// As a table of these fields.
    Table,
    /// One JSON document on each line.
    Json,
    /// As a template says, one line for each.
    Template(Template),
    /// As a template says, with the names of the columns above.
    TableTemplate(Template),
}

impl Format {
    /// Reads the value of `--format`.
    pub(crate) fn parse(text: Option<&str>) -> Result<Format, Failure> {
        Ok(match text {
            None | Some("table" | "") => Format::Table,
            Some("json") => Format::Json,
            Some(text) => match text.strip_prefix("table ").or_else(|| text.strip_prefix("table\\t")) {
                Some(template) => Format::TableTemplate(Template::parse(template)?),
                None => Format::Template(Template::parse(text)?),
            },
        })
    }

    /// Prints `rows`; `columns` are the fields of the plain table, each with its heading.
    pub(crate) fn print(
        &self,
        columns: &[(&str, &str)],
        headings: &[(&str, &str)],
        rows: &[Value],
    ) -> Result<(), Failure> {
        match self {
            Format::Json => rows.iter().for_each(|row| println!("{row}")),
            Format::Template(template) => {
                for row in rows {
                    println!("{}", template.render(row)?);
                }
            }
            Format::Table => {
                let mut table = Table::new(columns.iter().map(|(_, heading)| *heading));
                for row in rows {
                    table.row(columns.iter().map(|(field, _)| cell(&row[*field])).collect());
                }
                print!("{}", table.text());
            }
            Format::TableTemplate(template) => {
                let known = columns.iter().chain(headings);
                let headings: Value = known.map(|(field, heading)| ((*field).to_owned(), json!(heading))).collect();
                let mut table = Table::default();
                for row in std::iter::once(&headings).chain(rows) {
                    table.row(template.render(row)?.split('\t').map(str::to_owned).collect());
                }
                print!("{}", table.text());
            }
        }
        Ok(())
    }
}

fn cell(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns a size as docker's tables show it: decimal units, three digits.
pub(crate) fn bytes(size: u64) -> String {
    let (mut value, mut unit) = (size as f64, 0);
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let places = if value >= 99.95 {
        0
    } else if value >= 9.995 {
        1
    } else {
        2
    };
    let text = format!("{value:.places$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", UNITS[unit])
}

/// Returns a size as docker shows memory: binary units, four digits.
pub(crate) fn binary_bytes(size: u64) -> String {
    let (mut value, mut unit) = (size as f64, 0);
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let places = match value {
        ..10.0 => 3,
        ..100.0 => 2,
        ..1000.0 => 1,
        _ => 0,
    };
    let text = format!("{value:.places$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{}", UNITS[unit])
}

/// Returns how long ago a moment was, in docker's words, without "ago".
pub(crate) fn ago(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds as f64 / 3600.0).round() as i64);
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".to_owned(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        _ if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

/// Returns a moment as docker's `CreatedAt` shows it.
pub(crate) fn short_time(seconds: i64) -> String {
    let Ok(time) = OffsetDateTime::from_unix_timestamp(seconds) else { return String::new() };
    let (date, clock) = (time.date(), time.time());
    let (hour, minute, second) = clock.as_hms();
    format!("{date} {hour:02}:{minute:02}:{second:02} +0000 UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_written_as_docker_writes_them() {
        for (size, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1536, "1.54kB"),
            (124_000_000, "124MB"),
            (999_999, "1MB"),
            (16_430_000, "16.4MB"),
            (1_089_000_000, "1.09GB"),
            (u64::MAX, "18447PB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        for (size, text) in
            [(0, "0B"), (815_104, "796KiB"), (1_536, "1.5KiB"), (64 << 20, "64MiB"), (1_342_177_280, "1.25GiB")]
        {
            assert_eq!(binary_bytes(size), text);
        }
        for (seconds, text) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (150, "2 minutes"),
            (3600, "About an hour"),
            (7300, "2 hours"),
            (8 * 86400, "8 days"),
            (20 * 86400, "2 weeks"),
            (70 * 86400, "2 months"),
            (800 * 86400, "2 years"),
        ] {
            assert_eq!(ago(seconds), text);
        }
        assert_eq!(short_time(0), "1970-01-01 00:00:00 +0000 UTC");
    }
}
