//! `HEALTHCHECK`: its command and its times.

use crate::ast::HealthcheckFlags;
use crate::cause::Cause;
use crate::exec;
use crate::flags::Flags;

/// The flags it has.
const FLAGS: [&str; 5] = ["interval", "timeout", "start-period", "start-interval", "retries"];

/// Nanoseconds of a millisecond, the shortest time that is taken.
const MILLISECOND: i64 = 1_000_000;

/// Parses the arguments of a `HEALTHCHECK`.
pub(crate) fn parse(flags: Vec<String>, arguments: &str) -> Result<HealthcheckFlags, Cause> {
    let (kind, rest) = crate::words::keyword(arguments);
    let kind = kind.to_uppercase();
    if kind.is_empty() {
        return Err(Cause::Instruction("HEALTHCHECK requires at least one argument".to_owned()));
    }
    let command = exec::parse(rest)?;
    if kind == "NONE" {
        if !rest.is_empty() && command.is_none_or(|words| !words.is_empty()) {
            return Err(Cause::Instruction("HEALTHCHECK NONE takes no arguments".to_owned()));
        }
        return Ok(HealthcheckFlags { test: vec![kind], ..HealthcheckFlags::default() });
    }
    let flags = Flags::new(flags, &FLAGS, &[])?;
    if kind != "CMD" {
        return Err(Cause::Instruction(format!("Unknown type {kind:?} in HEALTHCHECK (try CMD)")));
    }
    let test = match command {
        Some(words) if !words.is_empty() => [vec!["CMD".to_owned()], words].concat(),
        None if !rest.is_empty() => vec!["CMD-SHELL".to_owned(), rest.to_owned()],
        _ => return Err(Cause::Instruction("Missing command after HEALTHCHECK CMD".to_owned())),
    };
    Ok(HealthcheckFlags {
        test,
        interval: time(&flags, "interval")?,
        timeout: time(&flags, "timeout")?,
        start_period: time(&flags, "start-period")?,
        start_interval: time(&flags, "start-interval")?,
        retries: retries(&flags)?,
    })
}

fn time(flags: &Flags, name: &str) -> Result<i64, String> {
    let Some(text) = flags.text(name)?.filter(|text| !text.is_empty()) else { return Ok(0) };
    let time = go_duration(&text)?;
    if time == 0 || time >= MILLISECOND {
        return Ok(time);
    }
    Err(format!("Interval {name:?} cannot be less than 1ms"))
}

fn retries(flags: &Flags) -> Result<i64, String> {
    let Some(text) = flags.text("retries")?.filter(|text| !text.is_empty()) else { return Ok(0) };
    let invalid = |what: &str| format!("strconv.ParseInt: parsing {text:?}: {what}");
    match text.parse::<i64>() {
        Ok(number) if i32::try_from(number).is_err() => Err(invalid("value out of range")),
        Ok(number) if number >= 0 => Ok(number),
        Ok(number) => Err(format!("--retries cannot be negative ({number})")),
        Err(_) => Err(invalid("invalid syntax")),
    }
}

/// The units of a duration and how many nanoseconds they have.
const UNITS: [(&str, i128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Parses a duration as Go does: `1h30m`, `1.5s`, `-2ms`, `0`; in nanoseconds.
fn go_duration(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let end = after.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 30 {
            return Err(invalid());
        }
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let known = UNITS.into_iter().find(|(name, _)| *name == unit);
        let (_, size) = known.ok_or_else(|| format!("time: unknown unit {unit:?} in duration {text:?}"))?;
        let digits = |digits: &str| digits.bytes().fold(0, |sum: i128, digit| sum * 10 + i128::from(digit - b'0'));
        let parts = size.checked_mul(digits(fraction)).ok_or_else(invalid)? / 10_i128.pow(fraction.len() as u32);
        total =
            digits(whole).checked_mul(size).and_then(|whole| total.checked_add(whole + parts)).ok_or_else(invalid)?;
        rest = after;
    }
    i64::try_from(sign * total).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    // DF-221
    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("30s", 30_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5ms", 500_000),
            ("0", 0),
            ("-2us", -2_000),
        ] {
            assert_eq!(go_duration(text), Ok(expected), "{text}");
        }
        for (text, expected) in [
            ("5", "time: missing unit in duration \"5\""),
            ("s", "time: invalid duration \"s\""),
            ("", "time: invalid duration \"\""),
            ("1x", "time: unknown unit \"x\" in duration \"1x\""),
            ("1.2.3s", "time: invalid duration \"1.2.3s\""),
            ("99999999999h", "time: invalid duration \"99999999999h\""),
        ] {
            assert_eq!(go_duration(text), Err(expected.to_owned()), "{text}");
        }
    }
}
