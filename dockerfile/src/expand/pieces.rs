//! The result of an expansion so far: its text, and the same text split into words.

/// A text that is built up and split at the same time.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    /// The text.
    pub text: String,
    /// The words that are complete.
    words: Vec<String>,
    word: String,
}

impl Pieces {
    /// Adds a character that separates words if it is white space.
    pub(crate) fn add(&mut self, letter: char) {
        self.text.push(letter);
        self.split(letter);
    }

    /// Adds the value of a variable: white space in it separates words.
    pub(crate) fn add_value(&mut self, value: &str) {
        self.text.push_str(value);
        value.chars().for_each(|letter| self.split(letter));
    }

    /// Adds a character that is part of a word whatever it is.
    pub(crate) fn add_protected(&mut self, letter: char) {
        self.text.push(letter);
        self.word.push(letter);
    }

    /// Adds what stood in quotes.
    pub(crate) fn add_quoted(&mut self, text: &str) {
        self.text.push_str(text);
        self.word.push_str(text);
    }

    /// Returns the words.
    pub(crate) fn into_parts(mut self) -> (String, Vec<String>) {
        self.end_word();
        (self.text, self.words)
    }

    fn split(&mut self, letter: char) {
        if letter.is_whitespace() {
            self.end_word();
        } else {
            self.word.push(letter);
        }
    }

    fn end_word(&mut self) {
        if !self.word.is_empty() {
            self.words.push(std::mem::take(&mut self.word));
        }
    }
}
