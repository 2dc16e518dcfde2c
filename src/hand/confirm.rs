//! Questions on the terminal.

/// Asks a question that is answered with `y` or `n`; without a terminal the answer is no.
pub(crate) fn confirmed(question: &str) -> bool {
    use std::io::Write;
    print!("{question}\nAre you sure you want to continue? [y/N] ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    matches!(answer.trim(), "y" | "Y")
}
