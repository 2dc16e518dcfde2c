//! `HEALTHCHECK`: its command and its times.

use super::exec;
use super::flags::Flags;
use super::instruction::HealthcheckFlags;

/// The flags it has.
pub const FLAGS: [&str; 5] = ["interval", "timeout", "start-period", "start-interval", "retries"];

/// Nanoseconds of a millisecond, the shortest time that is taken.
const MILLISECOND: i64 = 1_000_000;

/// Parses the arguments of a `HEALTHCHECK`.
pub fn parse(flags: &Flags, arguments: &str) -> Result<HealthcheckFlags, String> {
    let (kind, rest) = super::words::keyword(arguments);
    let test = match kind.to_uppercase().as_str() {
        "" => return Err("HEALTHCHECK requires at least one argument".to_owned()),
        "NONE" if rest.is_empty() => vec!["NONE".to_owned()],
        "NONE" => return Err("HEALTHCHECK NONE takes no arguments".to_owned()),
        "CMD" => command(rest)?,
        other => return Err(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)")),
    };
    if test[0] == "NONE" {
        return Ok(HealthcheckFlags { test, ..HealthcheckFlags::default() });
    }
    Ok(HealthcheckFlags {
        test,
        interval: time(flags, "interval")?,
        timeout: time(flags, "timeout")?,
        start_period: time(flags, "start-period")?,
        start_interval: time(flags, "start-interval")?,
        retries: retries(flags)?,
    })
}

fn command(text: &str) -> Result<Vec<String>, String> {
    match exec::parse(text).map_err(|error| error.to_string())? {
        Some(words) if !words.is_empty() => Ok([vec!["CMD".to_owned()], words].concat()),
        None if !text.is_empty() => Ok(vec!["CMD-SHELL".to_owned(), text.to_owned()]),
        _ => Err("Missing command after HEALTHCHECK CMD".to_owned()),
    }
}

fn time(flags: &Flags, name: &str) -> Result<i64, String> {
    let Some(text) = flags.text(name)?.filter(|text| !text.is_empty()) else { return Ok(0) };
    let time = go_duration(&text).ok_or_else(|| format!("time: invalid duration {text:?}"))?;
    if time == 0 || time >= MILLISECOND {
        return Ok(time);
    }
    Err(format!("Interval {name:?} cannot be less than 1ms"))
}

fn retries(flags: &Flags) -> Result<i64, String> {
    let Some(text) = flags.text("retries")?.filter(|text| !text.is_empty()) else { return Ok(0) };
    match text.parse::<i32>() {
        Ok(number) if number >= 0 => Ok(i64::from(number)),
        Ok(number) => Err(format!("--retries cannot be negative ({number})")),
        Err(_) => Err(format!("strconv.ParseInt: parsing {text:?}: invalid syntax")),
    }
}

/// Parses a duration as Go does: `1h30m`, `1.5s`, `-2ms`, `0`; in nanoseconds.
fn go_duration(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    while !rest.is_empty() || total == 0.0 {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let units =
            [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];
        let (unit, size) = units.into_iter().find(|(unit, _)| {
            let end = rest.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(rest.len());
            &rest[..end] == *unit
        })?;
        total += number * size;
        rest = &rest[unit.len()..];
        if rest.is_empty() {
            break;
        }
    }
    let total = (sign * total).round();
    (total.abs() < 9.2e18).then_some(total as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("30s", Some(30_000_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("0", Some(0)),
            ("5", None),
            ("s", None),
            ("", None),
            ("1x", None),
        ] {
            assert_eq!(go_duration(text), expected, "{text}");
        }
    }
}
