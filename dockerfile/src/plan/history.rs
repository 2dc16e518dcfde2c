//! The `created_by` texts of an image's history, as BuildKit writes them: tools compare and parse them.

use crate::quote::go_quoted;
use registry_client::Healthcheck;

/// Returns words quoted as Go's `%q` prints a list of strings: `["a" "b"]`.
pub(crate) fn quoted(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| go_quoted(word)).collect();
    format!("[{}]", words.join(" "))
}

/// Returns words as Go's `%v` prints a list of strings: `[a b]`.
pub(crate) fn plain(words: &[String]) -> String {
    format!("[{}]", words.join(" "))
}

/// Returns the text of a `HEALTHCHECK`.
pub(crate) fn healthcheck(check: &Healthcheck) -> String {
    let duration = |nanoseconds: i64| go_duration(nanoseconds);
    format!(
        "HEALTHCHECK {{Test:{} Interval:{} Timeout:{} StartPeriod:{} StartInterval:{} Retries:{}}}",
        plain(&check.test),
        duration(check.interval),
        duration(check.timeout),
        duration(check.start_period),
        duration(check.start_interval),
        check.retries
    )
}

/// Returns a duration as Go prints it: `1h0m0s`, `1m30s`, `1.5s`, `2ms`.
fn go_duration(nanoseconds: i64) -> String {
    const SECOND: i64 = 1_000_000_000;
    match nanoseconds {
        0 => "0s".to_owned(),
        small if small < 1_000 => format!("{small}ns"),
        small if small < 1_000_000 => decimal(small, 1_000, "µs"),
        small if small < SECOND => decimal(small, 1_000_000, "ms"),
        _ => {
            let minutes = nanoseconds / SECOND / 60;
            let rest = decimal(nanoseconds - minutes * 60 * SECOND, SECOND, "s");
            match (minutes / 60, minutes % 60) {
                (0, 0) => rest,
                (0, minutes) => format!("{minutes}m{rest}"),
                (hours, minutes) => format!("{hours}h{minutes}m{rest}"),
            }
        }
    }
}

fn decimal(value: i64, unit: i64, name: &str) -> String {
    let digits = unit.ilog10() as usize;
    let fraction = format!("{:0digits$}", value % unit);
    match fraction.trim_end_matches('0') {
        "" => format!("{}{name}", value / unit),
        fraction => format!("{}.{fraction}{name}", value / unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_printed_as_go_prints_them() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (30_000_000_000, "30s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (1_500_000_000, "1.5s"),
            (2_000_000, "2ms"),
        ] {
            assert_eq!(go_duration(nanoseconds), text);
        }
    }

    #[test]
    fn words_are_quoted_as_go_quotes_them() {
        let words = ["/bin/sh".to_owned(), "a \"b\"\n\\".to_owned()];
        assert_eq!(quoted(&words), r#"["/bin/sh" "a \"b\"\n\\"]"#);
        assert_eq!(plain(&words[..1]), "[/bin/sh]");
    }
}
