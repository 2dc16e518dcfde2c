//! Words and what they expand to.

use super::*;

fn lookup(name: &str) -> Option<String> {
    match name {
        "A" => Some("a".into()),
        "EMPTY" => Some(String::new()),
        "PATHS" => Some("/usr/local/bin/tool.tar.gz".into()),
        "QUOTED" => Some("\"x\" $A".into()),
        _ => None,
    }
}

#[test]
fn words_are_expanded_df_043_to_df_050() {
    for (word, expected) in [
        ("plain", "plain"),
        ("$A${A}b", "aab"),
        ("$ $. $", "$ $. $"),
        ("${UNSET}", ""),
        ("$1x$@", "x"),
        ("'$A'\"$A\"", "$Aa"),
        (r"\$A \x", "$A x"),
        (r#""\$A \x \\""#, r"$A \x \"),
        ("end\\", "end"),
        ("${UNSET-d}${EMPTY-d}${EMPTY:-$A}", "da"),
        ("${A+s}${EMPTY+s}${EMPTY:+s}${UNSET+s}", "ss"),
        ("${A?no}${A:?no}", "aa"),
        ("${PATHS#*/}", "usr/local/bin/tool.tar.gz"),
        ("${PATHS##*/}", "tool.tar.gz"),
        ("${PATHS%.*}", "/usr/local/bin/tool.tar"),
        ("${PATHS%%.*}", "/usr/local/bin/tool"),
        ("${PATHS/o/0}", "/usr/l0cal/bin/tool.tar.gz"),
        ("${PATHS//o/0}", "/usr/l0cal/bin/t00l.tar.gz"),
        (r"${PATHS//\//-}", "-usr-local-bin-tool.tar.gz"),
        ("$QUOTED", "\"x\" $A"),
    ] {
        assert_eq!(Expander::new('\\').word(word, &lookup).unwrap().text, expected, "{word}");
    }
    assert_eq!(Expander::new('`').word(r"C:\x`$A", &lookup).unwrap().text, r"C:\x$A");
    assert_eq!(Expander::new('\\').heredoc("\"$A\" \\$A \\\\ 'x'\n", &lookup).unwrap().text, "\"a\" $A \\ 'x'\n");
}

#[test]
fn what_cannot_be_expanded_is_refused() {
    for (word, message) in [
        ("${", "syntax error: missing '}'"),
        ("${A", "syntax error: missing '}'"),
        ("${}", "syntax error: bad substitution"),
        ("${A:#x}", "unsupported modifier (:#) in substitution"),
        ("${A=x}", "unsupported modifier (=) in substitution"),
        ("${UNSET?}", "UNSET: is not allowed to be unset"),
        ("${EMPTY:?}", "EMPTY: is not allowed to be empty"),
        ("${UNSET?give it}", "UNSET: give it"),
        ("'a", "unexpected end of statement while looking for matching single-quote"),
        ("\"a", "unexpected end of statement while looking for matching double-quote"),
        (r"${A#\a}", r"invalid pattern (\a) in substitution: invalid escape '\a'"),
    ] {
        assert_eq!(Expander::new('\\').word(word, &lookup).unwrap_err().to_string(), message, "{word}");
    }
}

// DF-052
#[test]
fn words_are_split_where_nothing_protects_the_space() {
    let lookup = |name: &str| (name == "TWO").then(|| " a  b ".to_owned());
    let words = |word: &str| Expander::new('\\').word(word, &lookup).unwrap().words.join("|");
    for (word, expected) in [
        ("x${TWO}y", "x|a|b|y"),
        ("x\"${TWO}\"y", "x a  b y"),
        ("$TWO", "a|b"),
        ("a\\ b c", "a b|c"),
        ("'' \"\"", ""),
        ("'a b' c", "a b|c"),
    ] {
        assert_eq!(words(word), expected, "{word}");
    }
}

#[test]
fn names_are_noted_as_set_and_not_set() {
    let expanded = Expander::new('\\').word("$A${B}${C:-d}${A+x}", &lookup).unwrap();
    assert_eq!(
        (expanded.used, expanded.unset),
        (vec!["A".to_owned(), "A".to_owned()], vec!["B".to_owned(), "C".to_owned()])
    );
}

#[test]
fn lines_for_a_shell_keep_quotes_escapes_and_variables() {
    assert_eq!(shell_words("cat << 'E F' $X ${Y} \\< \"a b\""), ["cat", "<< 'E F'", "$X", "${Y}", "\\<", "\"a b\""]);
    assert_eq!(shell_words("echo don't <<EOF"), [""; 0], "a quote is open");
    assert_eq!(unquoted("'E'OF"), Some(("EOF".to_owned(), true)));
    assert_eq!(unquoted("\\EOF"), Some(("EOF".to_owned(), false)));
    assert_eq!(unquoted("a b"), None);
}

#[test]
fn a_text_that_doubles_itself_is_refused() {
    let mut value = "x".repeat(1000);
    for _ in 0..30 {
        let lookup = |_: &str| Some(value.clone());
        match Expander::new('\\').word("$A$A", &lookup) {
            Ok(expanded) => value = expanded.text,
            Err(error) => {
                assert_eq!(error.to_string(), "it expands to more than 1048576 bytes");
                return;
            }
        }
    }
    panic!("{} bytes were taken", value.len());
}

#[test]
fn deep_nesting_is_refused() {
    let word = format!("{}x{}", "${A:-".repeat(100_000), "}".repeat(100_000));
    let error = Expander::new('\\').word(&word, &|_| None).unwrap_err();
    assert_eq!(error.to_string(), "variables are nested deeper than 200 levels");
}
