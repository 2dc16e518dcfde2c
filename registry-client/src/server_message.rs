//! A registry's own words in an error: its code, message and detail, or its text; cleaned and bounded (SV-17).

use serde_json::Value;

/// Longest text that is kept of all that it said.
const MAX_SAID: usize = 600;
/// Errors of one answer that are told.
const MAX_ERRORS: usize = 3;

/// Returns a text as the end of a sentence; nothing, if nothing was said.
pub(crate) fn as_suffix(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// Returns what the body of an answer says: the errors of the distribution's form and of its relatives, or its text.
pub(crate) fn of_body(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let told = match serde_json::from_slice::<Value>(body) {
        Ok(answer) => of_json(&answer).unwrap_or_default(),
        Err(_) if text.trim_start().starts_with('<') => title(&text).unwrap_or_default().to_owned(),
        Err(_) => text.into_owned(),
    };
    clean(&told)
}

fn of_json(answer: &Value) -> Option<String> {
    if let Some(errors) = answer.get("errors").and_then(Value::as_array) {
        let told: Vec<_> = errors.iter().take(MAX_ERRORS).filter_map(of_error).collect();
        return (!told.is_empty()).then(|| told.join("; "));
    }
    let keys = ["message", "error_description", "details", "detail", "errors", "error"];
    keys.iter().find_map(|key| text_of(answer.get(key)?)).or_else(|| text_of(answer))
}

fn of_error(error: &Value) -> Option<String> {
    let code = error.get("code").and_then(text_of).map(|code| code.to_lowercase().replace('_', " "));
    let message = error.get("message").and_then(text_of);
    let detail = error.get("detail").and_then(|detail| match detail {
        Value::Null => None,
        Value::Object(fields) if fields.is_empty() => None,
        Value::String(text) if text.is_empty() => None,
        other => text_of(other).or_else(|| Some(other.to_string())),
    });
    let told = match (code, message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (code, message) => code.or(message).or_else(|| text_of(error))?,
    };
    Some(
        detail
            .filter(|detail| !told.contains(detail.as_str()))
            .map_or(told.clone(), |detail| format!("{told} ({detail})")),
    )
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Object(fields) => fields.get("message").and_then(text_of),
        _ => None,
    }
}

fn title(page: &str) -> Option<&str> {
    let lower = page.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    page.get(start..start + lower[start..].find('<')?)
}

/// Makes one line of a text from outside: without what moves a cursor or the direction of writing, and not long.
fn clean(text: &str) -> String {
    let hidden = |char: char| {
        char.is_control()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
            || matches!(char, '\u{e000}'..='\u{f8ff}')
    };
    let spaced: String = text.chars().map(|char| if hidden(char) { ' ' } else { char }).collect();
    let line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_SAID) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Replaces secrets that a registry repeats (SEC-m8).
pub(crate) fn redact(text: &str, secrets: &[&str]) -> String {
    let long = secrets.iter().filter(|secret| secret.len() > 3);
    long.fold(text.to_owned(), |text, secret| text.replace(secret, "***"))
}

#[cfg(test)]
mod tests {
    use super::*;

    // SV-17
    #[test]
    fn what_a_registry_said_is_told_in_one_line() {
        for (body, told) in [
            (r#"{"errors":[{"code":"DENIED","message":"will exceed the limit"}]}"#, "denied: will exceed the limit"),
            (
                r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow","detail":"100 an hour"}]}"#,
                "toomanyrequests: slow (100 an hour)",
            ),
            (
                r#"{"errors":[{"code":"NAME_UNKNOWN","message":"m","detail":{"name":"x"}},{"code":"B"}]}"#,
                r#"name unknown: m ({"name":"x"}); b"#,
            ),
            (r#"{"errors":[{"code":null,"message":"m","detail":null}]}"#, "m"),
            (r#"{"errors":["plain"]}"#, "plain"),
            (r#"{"errors":null,"message":"m"}"#, "m"),
            (r#"{"message":"quota"}"#, "quota"),
            (r#"{"error":"invalid_grant","error_description":"wrong"}"#, "wrong"),
            (r#"{"details":"incorrect username or password"}"#, "incorrect username or password"),
            (r#"{"error":{"message":"deep"}}"#, "deep"),
            ("no space left\n", "no space left"),
            ("<html><head><title>502 Bad Gateway</title></head>", "502 Bad Gateway"),
            ("<html><body>x", ""),
            ("{}", ""),
            ("a\u{1b}[2Jb\u{202e}c\r\nd", "a [2Jb c d"),
            ("", ""),
        ] {
            assert_eq!(of_body(body.as_bytes()), told, "{body}");
        }
        assert_eq!(of_body("ä".repeat(5000).as_bytes()).chars().count(), MAX_SAID + 1);
    }
}
