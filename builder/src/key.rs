//! Cache keys: BLAKE3 over fields with their lengths, so that no two different steps can spell the same bytes.

/// Collects the fields of a key.
pub struct KeyBuilder(blake3::Hasher);

impl KeyBuilder {
    /// Starts a key; `kind` separates keys of different meaning and carries a version (`run.1`).
    pub fn new(kind: &str) -> Self {
        let mut builder = KeyBuilder(blake3::Hasher::new());
        builder.field(kind.as_bytes());
        builder
    }

    /// Adds a field.
    pub fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a text field.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.field(text.as_bytes())
    }

    /// Adds a list: its length, then its items.
    pub fn list<T: AsRef<[u8]>>(
        &mut self,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    ) -> &mut Self {
        let items = items.into_iter();
        self.0.update(&(items.len() as u64).to_le_bytes());
        for item in items {
            self.field(item.as_ref());
        }
        self
    }

    /// Returns the key: 64 hexadecimal digits.
    pub fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_byte_between_fields_changes_the_key() {
        let key = |first: &str, second: &str| KeyBuilder::new("test").text(first).text(second).finish();
        assert_ne!(key("ab", "c"), key("a", "bc"));
        assert_ne!(
            KeyBuilder::new("test").list(["a", "b"]).finish(),
            KeyBuilder::new("test").text("a").text("b").finish()
        );
    }
}
