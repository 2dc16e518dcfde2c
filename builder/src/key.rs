//! Cache keys: BLAKE3 over fields with their lengths, so that no two different steps can spell the same bytes.

/// A value that is part of cache keys.
///
/// Implementations destructure all fields by name, without `..`, so that a new field does not compile until its part in
/// the key is decided, and a renamed one leaves the keys as they are. `Debug` output is never part of a key.
pub(crate) trait CacheKey {
    /// Adds the value to a key.
    fn add_to(&self, key: &mut KeyBuilder);
}

/// Collects the fields of a key.
pub(crate) struct KeyBuilder(blake3::Hasher);

impl KeyBuilder {
    /// Starts a key; `kind` separates keys of different meaning and carries a version (`run.1`).
    pub(crate) fn new(kind: &str) -> Self {
        let mut builder = KeyBuilder(blake3::Hasher::new());
        builder.field(kind.as_bytes());
        builder
    }

    /// Adds a field.
    pub(crate) fn field(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a text field.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.field(text.as_bytes())
    }

    /// Adds `true` or `false`.
    pub(crate) fn flag(&mut self, flag: bool) -> &mut Self {
        self.field(&[u8::from(flag)])
    }

    /// Adds numbers.
    pub(crate) fn numbers<const COUNT: usize>(&mut self, numbers: [u32; COUNT]) -> &mut Self {
        for number in numbers {
            self.field(&number.to_le_bytes());
        }
        self
    }

    /// Adds a text that may be missing: a missing one differs from an empty one.
    pub(crate) fn optional<T: AsRef<str>>(&mut self, text: Option<T>) -> &mut Self {
        let text: Option<&str> = text.as_ref().map(AsRef::as_ref);
        self.list(text.as_slice())
    }

    /// Adds a value.
    pub(crate) fn add(&mut self, value: &(impl CacheKey + ?Sized)) -> &mut Self {
        value.add_to(self);
        self
    }

    /// Adds values: their number, then each.
    pub(crate) fn each<'v, T: CacheKey + 'v>(
        &mut self,
        values: impl IntoIterator<Item = &'v T, IntoIter: ExactSizeIterator>,
    ) -> &mut Self {
        let values = values.into_iter();
        self.0.update(&(values.len() as u64).to_le_bytes());
        values.for_each(|value| value.add_to(self));
        self
    }

    /// Adds a list: its length, then its items.
    pub(crate) fn list<T: AsRef<[u8]>>(
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
    pub(crate) fn finish(&self) -> String {
        self.0.finalize().to_hex().to_string()
    }
}

/// Returns the key of a base image: its layers alone decide what steps on top of it see.
pub(crate) fn image_key<'d>(diff_ids: impl IntoIterator<Item = &'d str, IntoIter: ExactSizeIterator>) -> String {
    KeyBuilder::new("image.1").list(diff_ids).finish()
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
