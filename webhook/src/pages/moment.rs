//! Moments on pages: how long ago, or in how long; the exact one is in the document and shown on hover.

use super::words::{count, now_ms};
use maud::{Markup, html};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Returns a moment, in milliseconds since 1970, as people read it.
pub(crate) fn time(milliseconds: i64) -> Markup {
    let exact = crate::view::time::moment(milliseconds).unwrap_or_default();
    let readable = format!("{} UTC", exact.get(..19).unwrap_or(&exact).replace('T', " "));
    let shown = relative(milliseconds - now_ms()).unwrap_or_else(|| readable.clone());
    html! { time datetime=(exact) title=(readable) { (shown) } }
}

/// Returns the day of a moment, as a heading; days are those of UTC.
pub(crate) fn day(milliseconds: i64, now: i64) -> String {
    match now.div_euclid(DAY) - milliseconds.div_euclid(DAY) {
        ..=0 => "Today".to_owned(),
        1 => "Yesterday".to_owned(),
        _ => crate::view::time::moment(milliseconds).unwrap_or_default().chars().take(10).collect(),
    }
}

/// Says how far away a moment is; `None` if that is so far that its date says more.
fn relative(difference: i64) -> Option<String> {
    let amount = match difference.abs() {
        distance if distance < 5 * SECOND => return Some("now".to_owned()),
        distance if distance < MINUTE => format!("{} s", distance / SECOND),
        distance if distance < HOUR => format!("{} min", distance / MINUTE),
        distance if distance < DAY => format!("{} h", distance / HOUR),
        distance if distance < 30 * DAY => count(distance / DAY, "day"),
        _ => return None,
    };
    Some(if difference < 0 { format!("{amount} ago") } else { format!("in {amount}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_names() {
        let now = 10 * DAY + HOUR;
        assert_eq!([day(now, now), day(now - 2 * HOUR, now)], ["Today", "Yesterday"]);
        assert_eq!(day(8 * DAY, now), "1970-01-09");
    }

    #[test]
    fn moments_are_told_from_now() {
        for (difference, told) in [
            (-4 * SECOND, "now"),
            (-59 * SECOND, "59 s ago"),
            (-90 * SECOND, "1 min ago"),
            (-3 * HOUR - 59 * MINUTE, "3 h ago"),
            (-DAY, "1 day ago"),
            (-29 * DAY, "29 days ago"),
            (5 * MINUTE + 1, "in 5 min"),
        ] {
            assert_eq!(relative(difference).as_deref(), Some(told));
        }
        assert_eq!(relative(-30 * DAY), None);
        let shown = time(0).into_string();
        let expected = r#"title="1970-01-01 00:00:00 UTC">1970-01-01 00:00:00 UTC</time>"#;
        assert!(shown.starts_with("<time datetime=\"1970-01-01T00:00:00") && shown.ends_with(expected), "{shown}");
        let shown = time(now_ms() - 10 * MINUTE).into_string();
        assert!(shown.ends_with(" UTC\">10 min ago</time>"), "{shown}");
    }
}
