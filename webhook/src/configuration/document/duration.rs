//! Spans of time as they are written: `90s`, `30m`, `2h`.

/// Returns milliseconds, at least a second and at most a week.
pub(crate) fn milliseconds(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a duration: write `90s`, `30m` or `2h`, from one second to seven days");
    let digits = text.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let count: i64 = digits.parse().map_err(|_| wrong())?;
    let seconds = count.checked_mul(unit).filter(|seconds| (1..=7 * 86_400).contains(seconds)).ok_or_else(wrong)?;
    Ok(seconds * 1000)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn spans_are_read() {
        let good = [("90s", 90_000), ("30m", 1_800_000), ("2h", 7_200_000), ("5", 5_000), ("7d", 604_800_000)];
        good.iter().for_each(|(text, expected)| assert_eq!(milliseconds(text), Ok(*expected), "{text}"));
        for bad in ["", "m", "0s", "-1m", "8d", "1x", "1.5h", "9223372036854775807h"] {
            assert!(milliseconds(bad).is_err(), "{bad}");
        }
    }
}
