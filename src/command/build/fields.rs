//! Values of flags that are lists of `key=value`, as docker reads them: CSV, so that a value in quotes may hold commas.

use std::collections::BTreeMap;

/// Splits a line of CSV.
pub(crate) fn csv(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        let mut field = String::new();
        let quoted = chars.next_if_eq(&'"').is_some();
        loop {
            match chars.next() {
                Some('"') if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
                Some('"') if quoted => match chars.next() {
                    None => {
                        fields.push(field);
                        return Ok(fields);
                    }
                    Some(',') => break,
                    Some(_) => return Err(format!("`{text}`: something follows a closing quote")),
                },
                Some(',') if !quoted => break,
                Some(char) => field.push(char),
                None if quoted => return Err(format!("`{text}`: a quote is not closed")),
                None => {
                    fields.push(field);
                    return Ok(fields);
                }
            }
        }
        fields.push(field);
    }
}

/// Reads `key=value` fields; a field without `=` has the value `true`. Keys other than `known` are refused.
pub(crate) fn fields(flag: &str, text: &str, known: &[&str]) -> Result<BTreeMap<String, String>, String> {
    let mut found = BTreeMap::new();
    for field in csv(text).map_err(|error| format!("{flag} {error}"))? {
        let (key, value) = field.split_once('=').unwrap_or((&field, "true"));
        let key = key.trim().to_lowercase();
        let fits =
            |known: &&&str| **known == key || known.strip_suffix('*').is_some_and(|start| key.starts_with(start));
        if !known.iter().any(|known| fits(&known)) {
            return Err(format!("{flag} `{text}`: unexpected key `{key}`; {} are known", known.join(", ")));
        }
        found.insert(key, value.to_owned());
    }
    Ok(found)
}

/// Parses `KEY=VALUE` pairs; a key alone takes its value from the environment, where that is allowed.
pub(crate) fn pairs(
    arguments: &[String],
    flag: &str,
    from_environment: bool,
) -> Result<BTreeMap<String, String>, String> {
    let mut pairs = BTreeMap::new();
    for argument in arguments {
        match argument.split_once('=') {
            Some(("", _)) => return Err(format!("{flag} `{argument}`: the key is empty")),
            Some((key, value)) => drop(pairs.insert(key.to_owned(), value.to_owned())),
            None if argument.is_empty() => return Err(format!("{flag} ``: the key is empty")),
            None if from_environment => {
                if let Ok(value) = std::env::var(argument) {
                    pairs.insert(argument.clone(), value);
                }
            }
            None => drop(pairs.insert(argument.clone(), String::new())),
        }
    }
    Ok(pairs)
}

/// Reads a size as docker does.
pub(crate) fn size(flag: &str, text: &str) -> Result<u64, String> {
    builder::parse_size(text).ok_or_else(|| format!("{flag} `{text}`: a size is expected, as in 64m or 2g"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_protect_commas() {
        assert_eq!(csv("a=1,b=2").unwrap(), ["a=1", "b=2"]);
        assert_eq!(csv(r#""a=1,2",b="#).unwrap(), ["a=1,2", "b="]);
        assert_eq!(csv(r#""a=""x""""#).unwrap(), [r#"a="x""#]);
        assert!(csv("\"a").is_err() && csv("\"a\"b").is_err());
    }

    #[test]
    fn unknown_keys_are_named() {
        let known = ["id", "annotation.*"];
        assert_eq!(fields("--x", "ID=a,annotation.b=c", &known).unwrap()["annotation.b"], "c");
        assert!(fields("--x", "bogus=1", &known).unwrap_err().contains("unexpected key `bogus`"));
    }

    #[test]
    fn a_pair_has_a_key() {
        // EN-08
        for empty in ["", "=X", "="] {
            for (flag, from_environment) in [("--build-arg", true), ("--label", false)] {
                let error = pairs(&["A=1".to_owned(), empty.to_owned()], flag, from_environment).unwrap_err();
                assert!(error.contains("the key is empty") && error.contains(flag), "{error}");
            }
        }
    }

    #[test]
    fn sizes_have_letters() {
        let all = ["64m", "1g", "2KiB", "5", "3mb"].map(|text| size("--shm-size", text).unwrap());
        assert_eq!(all, [64 << 20, 1 << 30, 2048, 5, 3 << 20]);
        for bad in ["", "m", "1x", "-1", "99999999999999999999"] {
            assert!(size("--shm-size", bad).is_err(), "{bad}");
        }
    }
}
