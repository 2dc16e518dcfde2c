//! Says what was probably meant: the nearest key or value where there is none of the name that was written.

/// Keys of other services' files that slipway does not have, and why.
const ELSEWHERE: [(&str, &str); 3] = [
    ("autotest", "slipway builds and pushes; tests are steps or a stage of the Dockerfile"),
    ("build_context", "write `context`"),
    ("nocache", "write `cache = false`"),
];

/// Returns a reader's message with what was probably meant.
pub(crate) fn explain(message: &str) -> String {
    let plain = in_words(message.trim_end());
    let message = plain.as_str();
    let unknown = [("unknown field `", "key"), ("unknown variant `", "value")];
    let Some((rest, what)) =
        unknown.iter().find_map(|(start, what)| message.strip_prefix(start).map(|rest| (rest, what)))
    else {
        return message.to_owned();
    };
    let Some((written, rest)) = rest.split_once('`') else { return message.to_owned() };
    if let Some((_, why)) = ELSEWHERE.iter().find(|(key, _)| *key == written && *what == "key") {
        return format!("unknown key `{written}`: {why}");
    }
    let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
    let meant = did_you_mean(written, known.iter().copied());
    let all = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let there_are = if all.is_empty() { "there are none here".to_owned() } else { format!("there are {all}") };
    format!("unknown {what} `{written}`{meant} ({there_are})")
}

/// Returns `; did you mean …?` with the name of `known` that is nearest to what was written, or nothing if none is near.
pub(crate) fn did_you_mean<'k>(written: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    nearest(written, &known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Returns the name that was probably meant, if one is near enough.
pub fn nearest<'n>(written: &str, known: &[&'n str]) -> Option<&'n str> {
    let (distance, name) = known.iter().map(|name| (distance(written, name), *name)).min()?;
    (distance <= 1 + name.len().max(written.len()) / 3).then_some(name)
}

/// Says what is expected without the names of types that only the program's authors know.
fn in_words(message: &str) -> String {
    let message = match message.split_once("struct ") {
        None => message.to_owned(),
        Some((start, rest)) => {
            let end = rest.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(rest.len());
            format!("{start}an object{}", &rest[end..])
        }
    };
    let types = message.strip_prefix("invalid type: ").and_then(|types| types.split_once(", expected "));
    let Some((found, expected)) = types else { return message };
    let text = found.strip_prefix("string ");
    let expected = match (expected, text) {
        ("a sequence", Some(text)) => format!("a list is expected, as in [{text}]"),
        ("a sequence", None) => "a list is expected".to_owned(),
        ("a map", _) => "a table of keys and values is expected".to_owned(),
        ("a string", _) => "a text in quotes is expected".to_owned(),
        ("a boolean", _) => "`true` or `false` is expected".to_owned(),
        (number, _) if ["u8", "u16", "u32", "u64", "usize", "i64"].contains(&number) => {
            "a whole number is expected".to_owned()
        }
        (other, _) => format!("{other} is expected"),
    };
    let found = match (found, text) {
        (_, Some(text)) => format!("the text {text}"),
        ("sequence", _) => "a list".to_owned(),
        ("map", _) => "a table".to_owned(),
        ("null" | "unit value", _) => "nothing".to_owned(),
        (other, _) => other.replace('`', ""),
    };
    format!("{expected}, not {found}")
}

/// Counts the letters that have to be put in, taken out, exchanged or swapped.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().take(64).collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for (i, left) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, right) in other.iter().enumerate() {
            let exchanged = rows[i][j] + usize::from(left != right);
            let mut least = exchanged.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *left == other[j - 1] && one[i - 1] == *right {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_another_type_is_told_what_is_expected() {
        let wrong = |found: &str, expected: &str| explain(&format!("invalid type: {found}, expected {expected}"));
        assert_eq!(
            wrong("string \"latest\"", "a sequence"),
            "a list is expected, as in [\"latest\"], not the text \"latest\""
        );
        assert_eq!(wrong("boolean `true`", "one of \"own\""), "one of \"own\" is expected, not boolean true");
        assert_eq!(wrong("integer `5`", "a string"), "a text in quotes is expected, not integer 5");
        assert_eq!(wrong("sequence", "struct Server"), "an object is expected, not a list");
        assert_eq!(wrong("string \"two\"", "usize"), "a whole number is expected, not the text \"two\"");
    }

    #[test]
    fn the_nearest_name_is_named() {
        let field =
            |written: &str| explain(&format!("unknown field `{written}`, expected one of `workers`, `listen`, `tags`"));
        assert!(field("worker").contains("`worker`; did you mean `workers`?"), "{}", field("worker"));
        assert!(field("lsiten").contains("did you mean `listen`?"));
        assert!(!field("zzzzzzzz").contains("did you mean"));
        assert!(explain("unknown variant `hihg`, expected `high` or `low`").contains("did you mean `high`?"));
        assert!(explain("unknown field `autotest`, expected `a`").contains("steps or a stage"));
        assert_eq!(explain("missing field `image`\n"), "missing field `image`");
        assert_eq!((distance("ab", "ba"), distance("", "abc"), distance("x", "x")), (1, 3, 0));
    }
}
