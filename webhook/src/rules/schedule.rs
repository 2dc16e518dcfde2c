//! Schedules: the five fields of cron, in UTC.

use std::str::FromStr;
use time::{Date, Duration, OffsetDateTime, Time, UtcOffset};

/// Years that the next moment is looked for: long enough for the 29th of February.
const HORIZON_DAYS: i64 = 9 * 366;

/// When something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    text: String,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether both days are restricted: then either suffices, as cron has it.
    either_day: bool,
}

/// Values of a field: from, to, and names from the first value on.
struct Field(&'static str, u32, u32, &'static [&'static str]);

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let written = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = written.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!(
                "schedule `{text}` needs five fields: minute, hour, day, month, weekday, such as `0 3 * * *`"
            ));
        };
        let read =
            |field: &Field, value| values(field, value).map_err(|problem| format!("schedule `{text}`: {problem}"));
        let weekdays = read(&Field("weekday", 0, 7, &WEEKDAYS), weekday)?;
        let schedule = Schedule {
            text: text.to_owned(),
            minutes: read(&Field("minute", 0, 59, &[]), minute)?,
            hours: read(&Field("hour", 0, 23, &[]), hour)?,
            days: read(&Field("day", 1, 31, &[]), day)?,
            months: read(&Field("month", 1, 12, &MONTHS), month)?,
            // Sunday is 0 and 7.
            weekdays: (weekdays | (weekdays >> 7)) & 0x7f,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        };
        match schedule.next_after(OffsetDateTime::UNIX_EPOCH) {
            Some(_) => Ok(schedule),
            None => Err(format!("schedule `{text}` is never due")),
        }
    }
}

impl Schedule {
    /// Returns the schedule as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the first moment after `after` at which it is due.
    pub(crate) fn next_after(&self, after: OffsetDateTime) -> Option<OffsetDateTime> {
        let after = after.to_offset(UtcOffset::UTC);
        let first = after.date();
        for number in 0..HORIZON_DAYS {
            let date = first.checked_add(Duration::days(number))?;
            if !self.is_on(date) {
                continue;
            }
            let from = if number == 0 { i64::from(after.hour()) * 60 + i64::from(after.minute()) + 1 } else { 0 };
            let due = (from..24 * 60)
                .find(|minute| self.hours >> (minute / 60) & 1 == 1 && self.minutes >> (minute % 60) & 1 == 1);
            if let Some(minute) = due {
                return Some(date.with_time(Time::MIDNIGHT).assume_utc() + Duration::minutes(minute));
            }
        }
        None
    }

    fn is_on(&self, date: Date) -> bool {
        let day = self.days >> date.day() & 1 == 1;
        let weekday = self.weekdays >> date.weekday().number_days_from_sunday() & 1 == 1;
        let right_day = if self.either_day { day || weekday } else { day && weekday };
        right_day && self.months >> u8::from(date.month()) & 1 == 1
    }
}

/// Returns the values that a field names, as bits.
fn values(field: &Field, text: &str) -> Result<u64, String> {
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0)),
            None => (part, Some(1)),
        };
        let wrong =
            || format!("`{part}` is not a {}: {} to {}, `*`, ranges, lists and steps are", field.0, field.1, field.2);
        let step: u32 = step.ok_or_else(wrong)?;
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (field.1, field.2),
            Some((from, to)) => (value(field, from).ok_or_else(wrong)?, value(field, to).ok_or_else(wrong)?),
            None => {
                let from = value(field, range).ok_or_else(wrong)?;
                (from, if part.contains('/') { field.2 } else { from })
            }
        };
        if from > to {
            return Err(wrong());
        }
        (from..=to).step_by(step as usize).for_each(|value| bits |= 1u64 << value);
    }
    Ok(bits)
}

fn value(field: &Field, text: &str) -> Option<u32> {
    let lower = text.to_ascii_lowercase();
    if let Some(position) = field.3.iter().position(|name| *name == lower) {
        return Some(field.1 + position as u32);
    }
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|value| (field.1..=field.2).contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn next(schedule: &str, after: OffsetDateTime) -> OffsetDateTime {
        schedule.parse::<Schedule>().unwrap().next_after(after).unwrap()
    }

    #[test]
    fn the_next_moment_is_cron_s() {
        let now = datetime!(2026-11-25 13:45:30 UTC);
        let cases = [
            ("* * * * *", datetime!(2026-11-25 13:46 UTC)),
            ("45 13 * * *", datetime!(2026-11-26 13:45 UTC)),
            ("0 3 * * *", datetime!(2026-11-26 03:00 UTC)),
            ("*/20 * * * *", datetime!(2026-11-25 14:00 UTC)),
            ("5-59/30 * * * *", datetime!(2026-11-25 14:05 UTC)),
            ("0 0 1 jan *", datetime!(2027-01-01 00:00 UTC)),
            ("0 0 29 2 *", datetime!(2028-02-29 00:00 UTC)),
            ("0 12 * * sun", datetime!(2026-11-29 12:00 UTC)),
            ("0 12 * * 7", datetime!(2026-11-29 12:00 UTC)),
            ("0 0 13 * fri", datetime!(2026-11-27 00:00 UTC)),
            ("0 9-17 * * mon-fri", datetime!(2026-11-25 14:00 UTC)),
            ("@daily", datetime!(2026-11-26 00:00 UTC)),
        ];
        for (schedule, expected) in cases {
            assert_eq!(next(schedule, now), expected, "{schedule}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        for bad in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "5-1 * * * *",
            "x * * * *",
            "0 0 30 2 *",
        ] {
            assert!(bad.parse::<Schedule>().is_err(), "{bad}");
        }
    }
}
