//! Lines of fields with commas between them; quotes protect commas.

use crate::Error;

/// Splits a line at its commas.
pub(crate) fn fields(line: &str) -> Result<Vec<String>, Error> {
    split(line, ',')
}

/// Splits a line at a separator; in quotes it does not separate, and two quotes are one.
pub(crate) fn split(line: &str, separator: char) -> Result<Vec<String>, Error> {
    let (mut fields, mut rest) = (Vec::new(), line);
    loop {
        let Some(mut quoted) = rest.strip_prefix('"') else {
            match rest.split_once(separator) {
                Some((field, after)) => {
                    fields.push(field.to_owned());
                    rest = after;
                    continue;
                }
                None => {
                    fields.push(rest.to_owned());
                    return Ok(fields);
                }
            }
        };
        let mut field = String::new();
        loop {
            let unclosed = || Error::new(format!("`{line}`: a quote is not closed"));
            let (part, after) = quoted.split_once('"').ok_or_else(unclosed)?;
            field.push_str(part);
            match after.strip_prefix('"') {
                Some(more) => {
                    field.push('"');
                    quoted = more;
                }
                None => {
                    quoted = after;
                    break;
                }
            }
        }
        fields.push(field);
        match quoted.strip_prefix(separator) {
            Some(after) => rest = after,
            None if quoted.is_empty() => return Ok(fields),
            None => return Err(Error::new(format!("`{line}`: text follows a quoted field"))),
        }
    }
}

/// Writes `key=value` as a field.
pub(crate) fn field(key: &str, value: &str) -> String {
    let pair = format!("{key}={value}");
    match pair.contains([',', '"']) {
        true => format!("\"{}\"", pair.replace('"', "\"\"")),
        false => pair,
    }
}
