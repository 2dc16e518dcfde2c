//! Names for containers whose maker gave none.

const ADJECTIVES: [&str; 16] = [
    "able", "brave", "calm", "deep", "eager", "fair", "glad", "keen", "light", "merry", "noble", "proud", "quick",
    "steady", "sunny", "swift",
];
const NOUNS: [&str; 16] = [
    "anchor", "beacon", "bow", "buoy", "compass", "deck", "galley", "harbour", "helm", "keel", "lantern", "mast",
    "oar", "rudder", "sail", "tiller",
];

/// Returns a name that follows from an id.
pub(crate) fn name_of(id: &str) -> String {
    let digit = |at: usize| id.as_bytes().get(at).map_or(0, |byte| usize::from(*byte) % 16);
    format!("{}_{}_{}", ADJECTIVES[digit(0)], NOUNS[digit(1)], &id[2..6])
}

/// Tells whether docker would take a name.
pub(crate) fn is_valid(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name.len() > 1
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}
