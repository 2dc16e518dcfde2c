//! The exec form: a JSON array of strings, or anything else.

use serde_json::Value;

/// A JSON array that holds something else than strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("when using JSON array syntax, arrays must be comprised of strings only")]
pub struct NotStrings;

/// Parses `text` as an array of strings; `None` if it is no JSON array at all, and thus shell form.
pub fn parse(text: &str) -> Result<Option<Vec<String>>, NotStrings> {
    let text = text.trim_start();
    if !text.starts_with('[') {
        return Ok(None);
    }
    let Ok(Value::Array(items)) = serde_json::from_str(text) else { return Ok(None) };
    let strings = items.into_iter().map(|item| match item {
        Value::String(text) => Ok(text),
        _ => Err(NotStrings),
    });
    strings.collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    // E28
    #[test]
    fn only_a_whole_array_of_strings_is_exec_form() {
        assert_eq!(parse(r#" ["a", "b\u0041"] "#), Ok(Some(vec!["a".into(), "bA".into()])));
        assert_eq!(parse("[]"), Ok(Some(vec![])));
        for shell in ["['a']", r#"["a"]x"#, r#"["a","#, r#"["a",]"#, "a", r#"["a" "b"]"#] {
            assert_eq!(parse(shell), Ok(None), "{shell}");
        }
        assert_eq!(parse("[1]"), Err(NotStrings));
    }
}
