//! Which step of an earlier stage a step is the successor of: equal texts first, then the same instruction in between.

use dockerfile::plan::Step;

/// Texts of two stages are aligned exactly up to so many pairs; longer ones by what they begin and end with.
const MAX_PAIRS: usize = 1_000_000;

/// The relation of a step to the steps of an earlier stage.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    /// The position of the step that it succeeds.
    pub old: Option<usize>,
    /// The positions of steps that stood before it and are gone.
    pub removed: Vec<usize>,
}

/// Returns the pair of each step of `new`, and which steps are missing after the last.
pub(crate) fn pairs(old: &[Step], new: &[Step]) -> Vec<Pair> {
    let texts = |steps: &[Step]| steps.iter().map(|step| step.instruction.clone()).collect::<Vec<_>>();
    of_texts(&texts(old), &texts(new))
}

fn of_texts(old: &[String], new: &[String]) -> Vec<Pair> {
    let mut pairs = vec![Pair::default(); new.len()];
    let (mut after_old, mut after_new) = (0, 0);
    for (at_old, at_new) in equal(old, new).into_iter().chain([(old.len(), new.len())]) {
        let mut next = after_old;
        for position in after_new..at_new {
            let same_word = |&at: &usize| word(&old[at]) == word(&new[position]);
            if let Some(found) = (next..at_old).find(same_word) {
                pairs[position] = Pair { old: Some(found), removed: (next..found).collect() };
                next = found + 1;
            }
        }
        if let Some(pair) = pairs.get_mut(at_new) {
            *pair = Pair { old: Some(at_old), removed: (next..at_old).collect() };
        }
        (after_old, after_new) = (at_old + 1, at_new + 1);
    }
    pairs
}

/// Returns the positions of the longest common subsequence of two lists.
fn equal(old: &[String], new: &[String]) -> Vec<(usize, usize)> {
    let start = old.iter().zip(new).take_while(|(one, other)| one == other).count();
    let rest = (&old[start..], &new[start..]);
    let end = rest.0.iter().rev().zip(rest.1.iter().rev()).take_while(|(one, other)| one == other).count();
    let (old_middle, new_middle) = (&rest.0[..rest.0.len() - end], &rest.1[..rest.1.len() - end]);
    let mut found: Vec<_> = (0..start).map(|at| (at, at)).collect();
    if old_middle.len() * new_middle.len() <= MAX_PAIRS {
        found.extend(common(old_middle, new_middle).into_iter().map(|(one, other)| (one + start, other + start)));
    }
    found.extend((0..end).rev().map(|left| (old.len() - left - 1, new.len() - left - 1)));
    found
}

fn common(old: &[String], new: &[String]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    // How much is common of what follows each pair of positions.
    let mut lengths = vec![0usize; (old.len() + 1) * width];
    for one in (0..old.len()).rev() {
        for other in (0..new.len()).rev() {
            lengths[one * width + other] = if old[one] == new[other] {
                lengths[(one + 1) * width + other + 1] + 1
            } else {
                lengths[(one + 1) * width + other].max(lengths[one * width + other + 1])
            };
        }
    }
    let (mut found, mut one, mut other) = (Vec::new(), 0, 0);
    while one < old.len() && other < new.len() {
        if old[one] == new[other] {
            found.push((one, other));
            (one, other) = (one + 1, other + 1);
        } else if lengths[(one + 1) * width + other] >= lengths[one * width + other + 1] {
            one += 1;
        } else {
            other += 1;
        }
    }
    found
}

/// Returns the first word of an instruction, in capital letters.
fn word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(old: &[&str], new: &[&str]) -> Vec<(Option<usize>, Vec<usize>)> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        of_texts(&texts(old), &texts(new)).into_iter().map(|pair| (pair.old, pair.removed)).collect()
    }

    #[test]
    fn steps_are_found_again_where_others_were_changed_added_or_removed() {
        let old = ["COPY a /", "RUN make", "ENV A=b", "RUN test"];
        assert_eq!(found(&old, &old), [0, 1, 2, 3].map(|at| (Some(at), vec![])));
        let changed = found(&old, &["COPY a /", "RUN make all", "ENV A=b", "RUN test"]);
        assert_eq!(changed, [0, 1, 2, 3].map(|at| (Some(at), vec![])));
        let added = found(&old, &["COPY a /", "COPY b /", "RUN make", "ENV A=b", "RUN test"]);
        assert_eq!(added[1], (None, vec![]));
        assert_eq!(added[2], (Some(1), vec![]));
        let removed = found(&old, &["COPY a /", "ENV A=b", "RUN test"]);
        assert_eq!(removed[1], (Some(2), vec![1]));
        let moved = found(&["RUN a", "RUN b"], &["RUN b", "RUN a"]);
        assert_eq!(moved.iter().filter(|(old, _)| old.is_some()).count(), 1, "{moved:?}");
        assert_eq!(found(&[], &["RUN a"]), [(None, vec![])]);
    }
}
