//! Words of a command line and spans of time, as compose files write them.

use crate::Error;
use std::time::Duration;

/// Splits a line as a shell does: by spaces, with quotes and backslashes; nothing is expanded.
pub(crate) fn words(line: &str) -> Result<Vec<String>, Error> {
    let (mut words, mut word, mut chars) = (Vec::new(), None::<String>, line.chars());
    while let Some(char) = chars.next() {
        match char {
            ' ' | '\t' | '\n' => words.extend(word.take()),
            '\'' => loop {
                let open = word.get_or_insert_default();
                match chars.next() {
                    Some('\'') => break,
                    Some(char) => open.push(char),
                    None => return Err(unclosed(line)),
                }
            },
            '"' => loop {
                let open = word.get_or_insert_default();
                match chars.next() {
                    Some('"') => break,
                    Some('\\') => match chars.next() {
                        Some(char @ ('"' | '\\' | '$' | '`')) => open.push(char),
                        Some(char) => open.extend(['\\', char]),
                        None => return Err(unclosed(line)),
                    },
                    Some(char) => open.push(char),
                    None => return Err(unclosed(line)),
                }
            },
            '\\' => word.get_or_insert_default().extend(chars.next()),
            char => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    Ok(words)
}

fn unclosed(line: &str) -> Error {
    Error::new(format!("a quote is not closed: {line}"))
}

/// Reads a span of time: `90s`, `1m30s`, `500ms`.
pub(crate) fn duration(text: &str) -> Result<Duration, Error> {
    let wrong = || Error::new(format!("`{text}` is not a span of time, as 1m30s is"));
    let (mut all, mut rest) = (Duration::ZERO, text.trim());
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit() && char != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        let end = rest[digits..].find(|char: char| char.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let seconds = match &rest[digits..end] {
            "us" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        all += Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())?;
        rest = &rest[end..];
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_as_a_shell_splits_them() {
        assert_eq!(words(r#"sh -c "echo \"a b\"" '' a\ b"#).unwrap(), ["sh", "-c", "echo \"a b\"", "", "a b"]);
        assert!(words("a 'b").is_err() && words("").unwrap().is_empty());
    }

    #[test]
    fn spans_are_read() {
        assert_eq!(duration("1m30s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("500ms").unwrap(), Duration::from_millis(500));
        assert!(duration("5").is_err() && duration("5x").is_err());
    }
}
