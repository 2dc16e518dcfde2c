//! "Did you mean …?": the nearest of some known words.

/// Largest distance at which a word is still suggested.
const NEAR: usize = 2;

/// Returns the candidate nearest to `word`, if one is near, in the case style of `word`.
pub(crate) fn suggest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    let lower = word.to_lowercase();
    let candidates: Vec<String> = candidates.into_iter().map(str::to_lowercase).collect();
    let found = suggest_name(&lower, candidates.iter().map(String::as_str))?;
    let shouted = word.chars().any(char::is_alphabetic) && word == word.to_uppercase();
    Some(if shouted { found.to_uppercase() } else { found })
}

/// Returns the candidate nearest to `word`, if one is near; upper and lower case are different letters.
pub fn suggest_name<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<String> {
    let length = word.chars().count();
    let alike = candidates.into_iter().filter(|candidate| candidate.chars().count().abs_diff(length) <= NEAR);
    let near = alike.map(|candidate| (distance(word, candidate), candidate));
    let near = near.filter(|(distance, _)| *distance <= NEAR);
    // Of two words at the same distance the one with the same letters is meant: letters are swapped more often than lost.
    let (distance, found) = near.min_by_key(|(distance, candidate)| (*distance, foreign_letters(word, candidate)))?;
    // The exact word is not a suggestion: the mistake is another one.
    (distance > 0).then(|| found.to_owned())
}

/// Returns ` (did you mean …?)`, or nothing if no candidate is near.
pub(crate) fn hint<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    suggest(word, candidates).map_or_else(String::new, |found| format!(" (did you mean {found}?)"))
}

/// Returns how many letters of `word` the candidate does not have.
fn foreign_letters(word: &str, candidate: &str) -> usize {
    word.chars().filter(|letter| !candidate.contains(*letter)).count()
}

/// Returns how many letters must be added, removed or changed to make one word of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, &candidate) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != candidate);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    // DF-306
    #[test]
    fn near_words_are_found_in_the_same_case() {
        assert_eq!(suggest("RNU", ["run", "cmd"]), Some("RUN".into()));
        assert_eq!(suggest("coppy", ["copy"]), Some("copy".into()));
        assert_eq!(suggest("bogus", ["run", "cmd"]), None);
        assert_eq!(suggest("RNU", ["env", "run"]), Some("RUN".into()), "swapped letters are nearer than others");
        assert_eq!(suggest_name("VERSIN", ["VERSION", "versin"]), Some("VERSION".into()));
        assert_eq!(suggest_name("Version", ["VERSION"]), None);
        assert_eq!(suggest("run", ["run"]), None);
    }
}
