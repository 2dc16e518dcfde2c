//! Schedules: the five fields of cron, in UTC or in the time zone that stands before them.

use chrono::DateTime;
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use std::str::FromStr;
use time::OffsetDateTime;

/// Begins a schedule in another time zone than UTC, as cron itself has it.
const TIME_ZONE: &str = "CRON_TZ=";

/// When something is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schedule {
    text: String,
    cron: Cron,
    zone: Tz,
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (zone, fields) = match text.trim().strip_prefix(TIME_ZONE) {
            Some(rest) => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            None => ("UTC", text.trim()),
        };
        let zone = zone.parse().map_err(|_| {
            format!("schedule `{text}`: `{zone}` is not a time zone: `Europe/Berlin` or `UTC` is, as in `{TIME_ZONE}Europe/Berlin 0 3 * * *`")
        })?;
        if fields.split_whitespace().count() != 5 && !fields.starts_with('@') {
            return Err(format!(
                "schedule `{text}` needs five fields: minute, hour, day, month, weekday, such as `0 3 * * *`"
            ));
        }
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(fields).map_err(|error| format!("schedule `{text}`: {error}"))?;
        let schedule = Schedule { text: text.to_owned(), cron, zone };
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

    /// Returns the schedule for people: its fields and their time zone.
    pub(crate) fn shown(&self) -> String {
        let fields = match self.text.trim().strip_prefix(TIME_ZONE) {
            Some(rest) => rest.split_once(char::is_whitespace).map_or("", |(_, fields)| fields.trim()),
            None => self.text.trim(),
        };
        format!("{fields} {}", self.zone)
    }

    /// Returns the first moment after `after` at which it is due. A time that the clocks jump over is due right after the jump,
    /// one that comes twice the first time; what is due every so many minutes or hours keeps its pace instead.
    pub(crate) fn next_after(&self, after: OffsetDateTime) -> Option<OffsetDateTime> {
        let after = DateTime::from_timestamp(after.unix_timestamp(), 0)?.with_timezone(&self.zone);
        let due = self.cron.find_next_occurrence(&after, false).ok()?;
        OffsetDateTime::from_unix_timestamp(due.timestamp()).ok()
    }
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

    /// Returns the moments from `after` on, as a clock in UTC shows them.
    fn moments(schedule: &str, after: OffsetDateTime, number: usize) -> Vec<OffsetDateTime> {
        let schedule: Schedule = schedule.parse().unwrap();
        std::iter::successors(schedule.next_after(after), |last| schedule.next_after(*last)).take(number).collect()
    }

    #[test]
    fn a_schedule_follows_the_clock_of_its_time_zone() {
        let winter = datetime!(2026-01-10 00:00 UTC);
        let summer = datetime!(2026-07-10 00:00 UTC);
        assert_eq!(next("CRON_TZ=Europe/Berlin 0 3 * * *", winter), datetime!(2026-01-10 02:00 UTC));
        assert_eq!(next("CRON_TZ=Europe/Berlin 0 3 * * *", summer), datetime!(2026-07-10 01:00 UTC));
        assert_eq!(next("CRON_TZ=America/New_York @daily", winter), datetime!(2026-01-10 05:00 UTC));
        assert_eq!(next("CRON_TZ=Asia/Kolkata 0 0 * * *", winter), datetime!(2026-01-10 18:30 UTC));
        assert_eq!("CRON_TZ=Asia/Kolkata 0 0 * * *".parse::<Schedule>().unwrap().shown(), "0 0 * * * Asia/Kolkata");
        assert_eq!("@daily".parse::<Schedule>().unwrap().shown(), "@daily UTC");
    }

    #[test]
    fn a_time_that_the_clocks_jump_over_is_due_right_after() {
        // In Berlin, 02:00 is 03:00 on 2026-03-29.
        let before = datetime!(2026-03-28 12:00 UTC);
        assert_eq!(
            moments("CRON_TZ=Europe/Berlin 30 2 * * *", before, 2),
            [datetime!(2026-03-29 01:00 UTC), datetime!(2026-03-30 00:30 UTC)]
        );
        let before = datetime!(2026-03-29 00:30 UTC);
        assert_eq!(
            moments("CRON_TZ=Europe/Berlin 15 * * * *", before, 2),
            [datetime!(2026-03-29 01:15 UTC), datetime!(2026-03-29 02:15 UTC)]
        );
    }

    #[test]
    fn a_time_that_comes_twice_is_due_once() {
        // In Berlin, 03:00 is 02:00 again on 2026-10-25.
        let before = datetime!(2026-10-24 12:00 UTC);
        assert_eq!(
            moments("CRON_TZ=Europe/Berlin 30 2 * * *", before, 2),
            [datetime!(2026-10-25 00:30 UTC), datetime!(2026-10-26 01:30 UTC)]
        );
        let before = datetime!(2026-10-25 00:00 UTC);
        assert_eq!(
            moments("CRON_TZ=Europe/Berlin 15 * * * *", before, 3),
            [datetime!(2026-10-25 00:15 UTC), datetime!(2026-10-25 01:15 UTC), datetime!(2026-10-25 02:15 UTC)]
        );
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
            "0 0 * * * *",
            "CRON_TZ=Europe/Atlantis 0 3 * * *",
            "CRON_TZ=Europe/Berlin",
            "TZ=Europe/Berlin 0 3 * * *",
        ] {
            assert!(bad.parse::<Schedule>().is_err(), "{bad}");
        }
    }
}
