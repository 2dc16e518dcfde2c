//! Sizes as docker writes them: `64m`, `1g`, `512k`, bytes without a letter.

/// Reads a size, in bytes; `None` if it is not one.
pub fn parse_size(text: &str) -> Option<u64> {
    let lower = text.to_lowercase();
    let digits = lower.trim_end_matches(|char: char| char.is_ascii_alphabetic());
    let factor = match lower[digits.len()..].trim_end_matches('b').trim_end_matches('i') {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_powers_of_1024() {
        for (text, bytes) in [("7", 7), ("1k", 1024), ("2MB", 2 << 20), ("3 GiB", 3 << 30), ("1t", 1 << 40)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for bad in ["", "m", "-1", "1.5g", "1x", "99999999999t"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
    }
}
