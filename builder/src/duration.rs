//! Durations as people read them.

use std::time::Duration;

/// Returns `duration` in the largest unit that leaves no fraction: `90 s`, `30 min`.
pub(crate) fn shown(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis()) {
        (seconds, 0) if seconds > 0 && seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        (seconds, 0) if seconds > 0 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        (seconds, 0) => format!("{seconds} s"),
        _ => format!("{} ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_exactly() {
        for (milliseconds, expected) in
            [(1_500, "1500 ms"), (2_000, "2 s"), (90_000, "90 s"), (1_800_000, "30 min"), (7_200_000, "2 h")]
        {
            assert_eq!(shown(Duration::from_millis(milliseconds)), expected);
        }
    }
}
