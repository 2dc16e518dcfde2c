//! Texts of others in Markdown: they are shown as code, so that nothing in them is markup.

/// Returns a text as code in a sentence: nothing in it is markup, names nobody and links nowhere.
pub(crate) fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    format!("{fence} {} {fence}", text.replace('\n', " "))
}

/// Returns a text as code in a cell of a table.
pub(crate) fn cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Returns a text as a block of code.
pub(crate) fn block(text: &str) -> String {
    let fence = "`".repeat((longest_run(text) + 1).max(3));
    format!("{fence}text\n{text}\n{fence}")
}

fn longest_run(text: &str) -> usize {
    text.split(|char| char != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays_code() {
        // SEC-30
        assert_eq!(code("RUN `x` @everyone"), "`` RUN `x` @everyone ``");
        assert_eq!(cell("a | b"), "` a \\| b `");
        let fenced = block("one\n```\n**two**");
        assert!(fenced.starts_with("````text\n") && fenced.ends_with("\n````"), "{fenced}");
    }
}
