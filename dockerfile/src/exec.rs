//! The exec form: a JSON array of strings, or anything else.

use serde_json::Value;

/// A JSON array that holds something else than strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("when using JSON array syntax, arrays must be comprised of strings only")]
pub(crate) struct NotStrings;

/// Parses `text` as an array of strings; `None` if it is not a JSON array at all, and thus shell form.
pub(crate) fn parse(text: &str) -> Result<Option<Vec<String>>, NotStrings> {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return Ok(None);
    }
    let parsed = serde_json::from_str(text).or_else(|_| serde_json::from_str(&with_whole_pairs(text)));
    let Ok(Value::Array(items)) = parsed else { return Ok(None) };
    let strings = items.into_iter().map(|item| match item {
        Value::String(text) => Ok(text),
        _ => Err(NotStrings),
    });
    strings.collect::<Result<_, _>>().map(Some)
}

/// Replaces each half of a surrogate pair that stands alone, as Go does: for others it is an error.
fn with_whole_pairs(text: &str) -> String {
    let unit = |text: &str| u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        mended.push_str(&rest[..at]);
        rest = &rest[at..];
        let next = rest.get(6..).and_then(unit).filter(|low| (0xdc00..0xe000).contains(low));
        let (taken, shown) = match (unit(rest), next) {
            (Some(0xd800..0xdc00), Some(_)) => (12, &rest[..12]),
            (Some(0xd800..0xe000), _) => (6, "\\ufffd"),
            _ => {
                let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
                (length, &rest[..length])
            }
        };
        mended.push_str(shown);
        rest = &rest[taken..];
    }
    mended.push_str(rest);
    mended
}

#[cfg(test)]
mod tests {
    use super::*;

    // DF-022 to DF-024, E28
    #[test]
    fn only_a_whole_array_of_strings_is_exec_form() {
        assert_eq!(parse(r#" ["a", "b\u0041"] "#), Ok(Some(vec!["a".into(), "bA".into()])));
        assert_eq!(parse("[]"), Ok(Some(vec![])));
        assert_eq!(parse(r#"["\/", "\ud83d\ude00", "\u0000"]"#), Ok(Some(vec!["/".into(), "😀".into(), "\0".into()])));
        assert_eq!(parse(r#"["\ud800x"]"#), Ok(Some(vec!["\u{fffd}x".into()])), "half a pair is replaced");
        assert_eq!(parse("[\"a\tb\"]"), Ok(None), "control characters are not JSON");
        for shell in ["['a']", r#"["a"]x"#, r#"["a","#, r#"["a",]"#, "a", r#"["a" "b"]"#] {
            assert_eq!(parse(shell), Ok(None), "{shell}");
        }
        assert_eq!(parse("[1]"), Err(NotStrings));
    }
}
