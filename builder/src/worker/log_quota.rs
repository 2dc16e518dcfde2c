//! How much of a build's output is kept: a flood ends in a mark, and the step goes on.

use std::collections::HashMap;

/// Bytes that are kept of one step.
pub(crate) const STEP: usize = 16 * 1024 * 1024;
/// Bytes that are kept of the output of all steps; what slipway itself says comes on top.
pub(crate) const BUILD: usize = 63 * 1024 * 1024;

/// Counts what was kept.
#[derive(Debug, Default)]
pub(crate) struct Quota {
    steps: HashMap<usize, usize>,
    total: usize,
    full: bool,
}

/// The part of a piece of output that is kept.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeptOutput<'b> {
    /// The beginning of the piece.
    pub bytes: &'b [u8],
    /// The notice in place of the rest, the first time that output is left out.
    pub mark: Option<String>,
}

impl Quota {
    /// Counts `bytes` that the step `number` printed and returns what is kept of them.
    pub(crate) fn take<'b>(&mut self, number: usize, bytes: &'b [u8]) -> KeptOutput<'b> {
        let step = self.steps.entry(number).or_default();
        let room = STEP.saturating_sub(*step).min(BUILD - self.total);
        let kept = &bytes[..bytes.len().min(room)];
        let was_full = *step > STEP || self.full;
        *step += kept.len();
        self.total += kept.len();
        if kept.len() == bytes.len() || was_full {
            return KeptOutput { bytes: kept, mark: None };
        }
        let step_is_full = *step >= STEP;
        // One more than there may be stands for the mark that was made.
        *step = STEP + 1;
        self.full = !step_is_full;
        let mib = |bytes: usize| bytes / (1024 * 1024);
        let limit =
            if step_is_full { format!("step at {} MiB", mib(STEP)) } else { format!("build at {} MiB", mib(BUILD)) };
        KeptOutput { bytes: kept, mark: Some(format!("\n[log truncated: output of the {limit}]\n")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_prints_too_much_is_cut_once_and_others_are_not() {
        // RL15, RT-20
        let mut quota = Quota::default();
        let chunk = vec![b'x'; STEP - 1];
        assert_eq!(quota.take(1, &chunk).bytes.len(), STEP - 1);
        let kept = quota.take(1, b"abc");
        assert_eq!(kept.bytes, b"a");
        assert!(kept.mark.unwrap().contains("step at 16 MiB"));
        assert_eq!(quota.take(1, b"abc"), KeptOutput { bytes: b"", mark: None });
        assert_eq!(quota.take(2, b"abc"), KeptOutput { bytes: b"abc", mark: None });
    }

    #[test]
    fn a_build_that_prints_too_much_is_cut_once() {
        let mut quota = Quota::default();
        let chunk = vec![b'x'; STEP];
        let marks: Vec<_> = (1..=6).filter_map(|step| quota.take(step, &chunk).mark).collect();
        assert_eq!(marks.len(), 1, "{marks:?}");
        assert!(marks[0].contains("build at 63 MiB"));
    }
}
