//! The pieces of a template: text, and actions cut into words.

/// A part of a template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Piece {
    /// It stands for itself.
    Text(String),
    /// The words between braces.
    Action(Vec<Token>),
}

/// A word of an action.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A keyword, function or constant.
    Word(String),
    /// `.`, `.A.B`: the names.
    Field(Vec<String>),
    /// `$`, `$x`, `$x.A`: the variable's name and the names after it.
    Variable(String, Vec<String>),
    /// A string.
    Text(String),
    /// A number.
    Number(f64),
    /// `|`
    Pipe,
    /// `(`
    Open,
    /// `)` and the names directly after it.
    Close(Vec<String>),
    /// `:=` or `=`
    Assign,
    /// `,`
    Comma,
}

/// Cuts a template into its pieces; spaces go where `{{-` and `-}}` say so.
pub(crate) fn pieces(template: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut rest, mut trims) = (Vec::new(), template, false);
    while let Some(at) = rest.find("{{") {
        let (mut text, mut inside) = (&rest[..at], &rest[at + 2..]);
        let trims_before = inside.starts_with("- ") || inside.starts_with("-\n");
        if trims_before {
            inside = &inside[1..];
        }
        text = trimmed(text, trims, trims_before);
        let end = end_of(inside)?;
        let (mut action, after) = (&inside[..end], &inside[end + 2..]);
        trims = action.ends_with(" -");
        if trims {
            action = &action[..action.len() - 1];
        }
        if !text.is_empty() {
            pieces.push(Piece::Text(text.to_owned()));
        }
        if !action.trim().starts_with("/*") {
            pieces.push(Piece::Action(tokens(action)?));
        }
        rest = after;
    }
    let text = trimmed(rest, trims, false);
    if !text.is_empty() {
        pieces.push(Piece::Text(text.to_owned()));
    }
    Ok(pieces)
}

fn trimmed(text: &str, start: bool, end: bool) -> &str {
    let text = if start { text.trim_start() } else { text };
    if end { text.trim_end() } else { text }
}

/// Returns where the action ends; braces in strings do not count.
fn end_of(text: &str) -> Result<usize, String> {
    let (mut quote, mut is_escaped) = (None, false);
    for (at, char) in text.char_indices() {
        match quote {
            Some(_) if is_escaped => is_escaped = false,
            Some('"') if char == '\\' => is_escaped = true,
            Some(open) if char == open => quote = None,
            Some(_) => {}
            None if char == '"' || char == '`' => quote = Some(char),
            None if text[at..].starts_with("}}") => return Ok(at),
            None => {}
        }
    }
    Err(if quote.is_some() { "unterminated quoted string" } else { "unclosed action" }.to_owned())
}

fn tokens(action: &str) -> Result<Vec<Token>, String> {
    let (mut tokens, mut rest) = (Vec::new(), action.trim_start());
    while let Some(first) = rest.chars().next() {
        let (token, after) = token(first, rest)?;
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn token(first: char, rest: &str) -> Result<(Token, &str), String> {
    let after = &rest[first.len_utf8()..];
    Ok(match first {
        '|' => (Token::Pipe, after),
        '(' => (Token::Open, after),
        ')' => {
            let (names, after) = names(after);
            (Token::Close(names), after)
        }
        ',' => (Token::Comma, after),
        ':' if after.starts_with('=') => (Token::Assign, &after[1..]),
        '=' => (Token::Assign, after),
        '"' => quoted(after)?,
        '`' => {
            let (text, after) = after.split_once('`').ok_or("unterminated raw quoted string")?;
            (Token::Text(text.to_owned()), after)
        }
        '.' => {
            let (names, after) = names(rest);
            (Token::Field(names), if after.len() == rest.len() { &rest[1..] } else { after })
        }
        '$' => {
            let (name, after) = word(after);
            let (names, after) = names(after);
            (Token::Variable(name.to_owned(), names), after)
        }
        '-' | '+' | '0'..='9' => {
            let end =
                rest[1..].find(|char: char| !char.is_ascii_digit() && char != '.').map_or(rest.len(), |at| at + 1);
            let number = rest[..end].parse().map_err(|_| format!("bad number syntax: {:?}", &rest[..end]))?;
            (Token::Number(number), &rest[end..])
        }
        first if first.is_alphabetic() || first == '_' => {
            let (name, after) = word(rest);
            (Token::Word(name.to_owned()), after)
        }
        other => return Err(format!("unexpected {other:?} in command")),
    })
}

/// Takes `.A.B` off the front of a text.
fn names(mut text: &str) -> (Vec<String>, &str) {
    let mut names = Vec::new();
    while let Some(after) = text.strip_prefix('.') {
        let (name, rest) = word(after);
        if name.is_empty() {
            break;
        }
        names.push(name.to_owned());
        text = rest;
    }
    (names, text)
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|char: char| !char.is_alphanumeric() && char != '_').unwrap_or(text.len()))
}

fn quoted(text: &str) -> Result<(Token, &str), String> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((Token::Text(value), &text[at + 1..])),
            '\\' => value.push(match chars.next() {
                Some((_, 'n')) => '\n',
                Some((_, 't')) => '\t',
                Some((_, other)) => other,
                None => break,
            }),
            char => value.push(char),
        }
    }
    Err("unterminated quoted string".to_owned())
}
