//! Texts of other services as templates of rules: expressions, variables of a shell, patterns of refs.

use bake::yaml::{Content, Node};

/// Returns a line of a comment; foreign text stays within it.
pub(crate) fn comment(text: &str) -> String {
    format!("# {}\n", text.replace(|char: char| char.is_control(), " "))
}

/// Returns the texts of a list, of a text with lines, or of one text.
pub(crate) fn texts(node: Option<&Node>) -> Vec<(usize, String)> {
    let Some(node) = node else { return Vec::new() };
    match &node.content {
        Content::List(list) => list.iter().filter_map(|node| Some((node.line, node.scalar()?))).collect(),
        Content::Scalar { .. } => {
            let text = node.scalar().unwrap_or_default();
            let lines = text.lines().enumerate().map(|(number, line)| (node.line + number, line.trim().to_owned()));
            lines.filter(|(_, line)| !line.is_empty()).collect()
        }
        _ => Vec::new(),
    }
}

/// Replaces what stands between `open` and `close` by what `value` says; fails with what it does not know.
pub(crate) fn replaced(
    text: &str,
    open: &str,
    close: &str,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<String, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once(open) {
        let (inner, behind) = after.split_once(close).ok_or_else(|| text.to_owned())?;
        out.push_str(before);
        out.push_str(&value(inner.trim()).ok_or_else(|| format!("{open}{inner}{close}"))?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

/// Replaces `$NAME` and `${NAME}` by what `value` says; fails with what it does not know.
pub(crate) fn with_variables(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let text = replaced(text, "${", "}", value)?;
    let (mut out, mut rest) = (String::new(), text.as_str());
    while let Some((before, after)) = rest.split_once('$') {
        let length = after.find(|char: char| !char.is_ascii_alphanumeric() && char != '_').unwrap_or(after.len());
        out.push_str(before);
        out.push_str(&value(&after[..length]).ok_or_else(|| format!("${}", &after[..length]))?);
        rest = &after[length..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Returns a rule's name of refs for a pattern with `*` and `**`; one without is a name.
pub(crate) fn of_glob(pattern: &str) -> String {
    if !pattern.contains(['*', '?', '[', '+']) {
        return pattern.to_owned();
    }
    let (mut expression, mut chars) = (String::from("/^"), pattern.chars().peekable());
    while let Some(char) = chars.next() {
        match char {
            '*' if chars.next_if_eq(&'*').is_some() => expression.push_str(".*"),
            '*' => expression.push_str("[^/]*"),
            // After a character these count it, as in an expression.
            '?' | '+' | '[' | ']' | '-' => expression.push(char),
            '.' | '(' | ')' | '^' | '$' | '|' | '{' | '}' | '\\' => expression.extend(['\\', char]),
            other => expression.push(other),
        }
    }
    expression.push_str("$/");
    expression
}

/// Splits an image's name into what stands before the tag, and the tag.
pub(crate) fn image_and_tag(name: &str) -> (&str, Option<&str>) {
    // A colon may stand within braces, or before a port.
    match name.rsplit_once(':') {
        Some((image, tag)) if !tag.contains('/') => (image, Some(tag)),
        _ => (name, None),
    }
}

/// Writes a text of another service so that braces are braces in a build argument.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// Splits a command as a shell does, as far as quotes and spaces go.
pub(crate) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut within) = (Vec::new(), String::new(), None, false);
    for char in line.chars() {
        match (quote, char) {
            (Some(open), close) if open == close => quote = None,
            (None, '"' | '\'') => (quote, within) = (Some(char), true),
            (None, char) if char.is_whitespace() => {
                if within {
                    words.push(std::mem::take(&mut word));
                }
                within = false;
            }
            (None, '\\') => {}
            (_, char) => {
                word.push(char);
                within = true;
            }
        }
    }
    if within {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_expressions() {
        for (pattern, expected) in [
            ("main", "main"),
            ("v*", "/^v[^/]*$/"),
            ("release/**", "/^release/.*$/"),
            ("v[0-9]+.[0-9]+", "/^v[0-9]+\\.[0-9]+$/"),
        ] {
            assert_eq!(of_glob(pattern), expected);
        }
    }

    #[test]
    fn commands_are_words() {
        assert_eq!(words("docker build -t \"a b\":c  --x='y z' ."), ["docker", "build", "-t", "a b:c", "--x=y z", "."]);
        assert_eq!(image_and_tag("localhost:5000/a"), ("localhost:5000/a", None));
        assert_eq!(image_and_tag("localhost:5000/a:{sha7}"), ("localhost:5000/a", Some("{sha7}")));
    }
}
