//! Functions on times.

use super::table::{Facts, Function};
use crate::Error;
use crate::value::Value;
use std::collections::BTreeMap;
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// The functions.
pub(crate) const FUNCTIONS: &[Function] = &[
    ("formatdate", 2, 2, |a, _| Ok(Value::Text(formatted(&a[0].to_text()?, read(&a[1].to_text()?)?)?))),
    ("formattimestamp", 2, 2, formattimestamp),
    ("timeadd", 2, 2, timeadd),
    ("timestamp", 0, 0, |_, facts| Ok(Value::Text(written(from_unix(facts.now)?)?))),
    ("unixtimestampparse", 1, 1, unixtimestampparse),
];

fn read(text: &str) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| Error::new(format!("`{text}` is not a time of RFC 3339, as 2026-01-02T03:04:05Z is")))
}

fn written(time: OffsetDateTime) -> Result<String, Error> {
    time.format(&Rfc3339).map_err(|error| Error::new(format!("the time cannot be written: {error}")))
}

fn from_unix(seconds: i64) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| Error::new("the time is too far away"))
}

fn formattimestamp(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let time = match &arguments[1] {
        Value::Number(_) => from_unix(arguments[1].to_whole()?)?,
        other => read(&other.to_text()?)?,
    };
    match arguments[0].to_text()?.as_str() {
        "X" => Ok(Value::Text(time.unix_timestamp().to_string())),
        form => Ok(Value::Text(formatted(form, time)?)),
    }
}

/// Writes a time; runs of a letter stand for its parts, quotes protect text.
fn formatted(form: &str, time: OffsetDateTime) -> Result<String, Error> {
    let (mut out, mut chars) = (String::new(), form.chars().peekable());
    while let Some(first) = chars.next() {
        if first == '\'' {
            loop {
                match chars.next() {
                    Some('\'') if chars.next_if_eq(&'\'').is_some() => out.push('\''),
                    Some('\'') => break,
                    Some(other) => out.push(other),
                    None => return Err(Error::new("a quote is not closed")),
                }
            }
        } else if first.is_ascii_alphabetic() {
            let mut count = 1;
            while chars.next_if_eq(&first).is_some() {
                count += 1;
            }
            out.push_str(&part(first, count, time)?);
        } else {
            out.push(first);
        }
    }
    Ok(out)
}

fn part(letter: char, count: usize, time: OffsetDateTime) -> Result<String, Error> {
    let hour_of_12 = match time.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let (month, weekday) = (time.month().to_string(), time.weekday().to_string());
    let (hours, minutes, _) = time.offset().as_hms();
    let sign = if time.offset().is_negative() { '-' } else { '+' };
    let (hours, minutes) = (hours.unsigned_abs(), minutes.unsigned_abs());
    let is_utc = time.offset().is_utc();
    Ok(match (letter, count) {
        ('Y', 4) => format!("{:04}", time.year()),
        ('Y', 2) => format!("{:02}", time.year().rem_euclid(100)),
        ('M', 4) => month,
        ('M', 3) => month[..3].to_owned(),
        ('M', 2) => format!("{:02}", u8::from(time.month())),
        ('M', 1) => u8::from(time.month()).to_string(),
        ('D', 2) => format!("{:02}", time.day()),
        ('D', 1) => time.day().to_string(),
        ('E', 4) => weekday,
        ('E', 3) => weekday[..3].to_owned(),
        ('h', 2) => format!("{:02}", time.hour()),
        ('h', 1) => time.hour().to_string(),
        ('H', 2) => format!("{hour_of_12:02}"),
        ('H', 1) => hour_of_12.to_string(),
        ('A', 2) => if time.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        ('a', 2) => if time.hour() < 12 { "am" } else { "pm" }.to_owned(),
        ('m', 2) => format!("{:02}", time.minute()),
        ('m', 1) => time.minute().to_string(),
        ('s', 2) => format!("{:02}", time.second()),
        ('s', 1) => time.second().to_string(),
        ('Z', 5) => format!("{sign}{hours:02}:{minutes:02}"),
        ('Z', 4) => format!("{sign}{hours:02}{minutes:02}"),
        ('Z', 3) if is_utc => "UTC".to_owned(),
        ('Z', 3) => format!("{sign}{hours:02}{minutes:02}"),
        ('Z', 1) if is_utc => "Z".to_owned(),
        ('Z', 1) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => return Err(Error::new(format!("`{}` stands for no part of a time", letter.to_string().repeat(count)))),
    })
}

fn timeadd(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let (time, text) = (read(&arguments[0].to_text()?)?, arguments[1].to_text()?);
    let duration = duration(&text).ok_or_else(|| Error::new(format!("`{text}` is not a duration, as 1h30m is")))?;
    let sum = time.checked_add(duration).ok_or_else(|| Error::new("the time is too far away"))?;
    Ok(Value::Text(written(sum)?))
}

fn duration(text: &str) -> Option<Duration> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() || text.len() < 2 {
        let (number, after) = rest.split_at(rest.find(|char: char| !char.is_ascii_digit() && char != '.')?);
        let units = [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
        let (unit, size) = units.iter().find(|(unit, _)| after.starts_with(unit))?;
        seconds += number.parse::<f64>().ok()? * size;
        rest = &after[unit.len()..];
    }
    Duration::checked_seconds_f64(sign * seconds)
}

fn unixtimestampparse(arguments: &[Value], _: &Facts) -> Result<Value, Error> {
    let time = from_unix(arguments[0].to_whole()?)?;
    let (iso_year, iso_week, _) = time.to_iso_week_date();
    let number = |number: i64| Value::Number(number as f64);
    let parts = [
        ("year", number(i64::from(time.year()))),
        ("year_day", number(i64::from(time.ordinal()))),
        ("day", number(i64::from(time.day()))),
        ("month", number(i64::from(u8::from(time.month())))),
        ("month_name", Value::Text(time.month().to_string())),
        ("weekday", number(i64::from(time.weekday().number_days_from_sunday()))),
        ("weekday_name", Value::Text(time.weekday().to_string())),
        ("hour", number(i64::from(time.hour()))),
        ("minute", number(i64::from(time.minute()))),
        ("second", number(i64::from(time.second()))),
        ("rfc3339", Value::Text(written(time)?)),
        ("iso_year", number(i64::from(iso_year))),
        ("iso_week", number(i64::from(iso_week))),
    ];
    Ok(Value::Map(parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>()))
}
