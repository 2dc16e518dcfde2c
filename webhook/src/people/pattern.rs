//! Patterns of names of repositories: `*` stands for a part, `**` for any number of parts.

/// Tells whether a pattern stands for a name.
pub(crate) fn path_matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    let (after, is_deep) = after.strip_prefix('*').map_or((after, false), |after| (after, true));
    let end = if is_deep { rest.len() } else { rest.find('/').unwrap_or(rest.len()) };
    (0..=end).filter(|at| rest.is_char_boundary(*at)).any(|at| path_matches(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_part() {
        for (pattern, name, expected) in [
            ("team/app", "team/app", true),
            ("team/app", "team/apple", false),
            ("team/*", "team/app", true),
            ("team/*", "team/app/x", false),
            ("*/app", "team/app", true),
            ("*", "team/app", false),
            ("**", "team/app", true),
            ("team/a*e", "team/apple", true),
            ("team/*", "teams/app", false),
        ] {
            assert_eq!(path_matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
