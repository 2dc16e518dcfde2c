//! Names of signals.

/// The signals that have names, without `SIG`.
const NAMES: [&str; 34] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL", "PIPE", "POLL",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// Tells whether `text` is a signal: a number, which docker does not look at closer, or a name with or without `SIG`.
pub(crate) fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<i64>() {
        return number > 0;
    }
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let realtime = |name: &str| match name
        .strip_prefix("RTMIN")
        .map(|offset| (offset, '+'))
        .or(name.strip_prefix("RTMAX").map(|offset| (offset, '-')))
    {
        Some(("", _)) => true,
        Some((offset, sign)) => offset
            .strip_prefix(sign)
            .and_then(|number| number.parse::<u8>().ok())
            .is_some_and(|number| (1..=15).contains(&number)),
        None => false,
    };
    NAMES.contains(&name) || realtime(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    // DF-222, DF-28
    #[test]
    fn numbers_and_names_are_signals() {
        assert!(["9", "999", "SIGTERM", "term", "SIGRTMIN+3", "RTMAX-1"].iter().all(|signal| is_signal(signal)));
        assert!(["0", "-1", "SIGFOO", "", "SIGRTMIN+99"].iter().all(|signal| !is_signal(signal)));
    }
}
