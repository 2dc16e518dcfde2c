//! Gives any bytes to the terminal sanitiser, whole and in pieces.
#![no_main]

use webhook::{Sanitizer, sanitize, sanitize_output};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((length, output)) = data.split_first() else { return };
    let mut whole = Sanitizer::default();
    let shown = whole.push(output) + &whole.finish();
    let mut parts = Sanitizer::default();
    let pieces = output.chunks(usize::from(*length).max(1));
    let in_pieces = pieces.map(|piece| parts.push(piece)).collect::<String>() + &parts.finish();
    assert_eq!(shown, in_pieces);
    check(&shown);
    assert_eq!(sanitize_output(shown.as_bytes()), shown);
    let plain = sanitize(&String::from_utf8_lossy(output));
    assert!(!plain.contains('\x1b'));
    assert_eq!(sanitize(&plain), plain);
});

/// Checks that nothing but colours steers a terminal.
fn check(shown: &str) {
    let mut rest = shown;
    while let Some(at) = rest.find(|char: char| char.is_control() && !matches!(char, '\n' | '\t')) {
        let sequence = rest[at..].strip_prefix("\x1b[").expect("a control character that is not a sequence");
        let end = sequence.find(|char: char| !matches!(char, '0'..='9' | ';' | ':')).unwrap_or(sequence.len());
        assert!(sequence[end..].starts_with('m'), "{sequence:?}");
        rest = &sequence[end..];
    }
}
