//! From text to documents: where a mistake stands, and what would be right.

use super::diagnostics::explain;
use super::strict::{Keys, Strict};
use serde::de::DeserializeOwned;

/// A text that is not a document of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub struct ReadError {
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// The mistake, and the remedy.
    pub problem: String,
}

impl ReadError {
    /// Tells whether a key is unknown.
    pub fn is_unknown_key(&self) -> bool {
        self.problem.starts_with("unknown key")
    }
}

/// Reads TOML.
pub(crate) fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, ReadError> {
    let read = toml::Deserializer::parse(text).and_then(|toml| T::deserialize(Strict(toml)));
    read.map_err(|error| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let before = text.get(..start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        ReadError { line, column, problem: explain(error.message()) }
    })
}

/// Reads JSON.
pub(crate) fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, ReadError> {
    let read = serde_json::from_slice::<Keys>(text).and_then(|_| {
        let mut reader = serde_json::Deserializer::from_slice(text);
        let read = T::deserialize(Strict(&mut reader))?;
        reader.end().map(|()| read)
    });
    read.map_err(|error| {
        let message = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let problem = explain(message.strip_suffix(&place).unwrap_or(&message));
        ReadError { line: error.line().max(1), column: error.column().max(1), problem }
    })
}

#[cfg(test)]
mod tests {
    use super::super::RepositoryDocument;
    use super::*;

    #[test]
    fn an_object_is_written_as_one_and_its_keys_once() {
        // SEC-m7
        let read = |text: &str| from_json::<RepositoryDocument>(text.as_bytes()).unwrap_err().to_string();
        for text in ["[]", "null", "\"x\"", "1", "true", "[[]]", "1.5"] {
            assert!(read(text).contains("an object"), "{text}: {}", read(text));
        }
        let start = r#"{"clone_url":"x","image":"y""#;
        assert!(read(&format!("{start},\"image\":\"z\"}}")).contains("`image` comes twice"));
        assert!(read(&format!("{start},\"rules\":[[\"main\"]]}}")).contains("an object"));
        assert!(
            read(&format!("{start},\"rules\":[{{\"branch\":\"a\",\"env\":{{\"A\":\"1\",\"A\":\"2\"}}}}]}}"))
                .contains("`A` comes twice")
        );
        assert!(read(&format!("{start}}} x")).contains("trailing"));
        let deep = format!("{start},\"rules\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(read(&deep).contains("recursion limit"));
        assert!(from_toml::<crate::Configuration>("server = []").unwrap_err().problem.contains("an object"));
    }

    #[test]
    fn mistakes_have_a_place_and_a_remedy() {
        let text = "clone_url = \"x\"\nimage = \"y\"\n[[rules]]\nbranch = \"main\"\n  tgas = [\"latest\"]\n";
        let error = from_toml::<RepositoryDocument>(text).unwrap_err();
        assert_eq!((error.line, error.column), (5, 3), "{error}");
        assert!(error.is_unknown_key() && error.problem.contains("did you mean `tags`?"), "{error}");
        let text = b"{\"clone_url\":\"x\",\n \"image\":\"y\", \"rulse\":[]}";
        let error = from_json::<RepositoryDocument>(text).unwrap_err();
        assert!(error.line == 2 && error.problem.contains("did you mean `rules`?"), "{error}");
        assert!(from_toml::<RepositoryDocument>("image = \"y\"").unwrap_err().problem.contains("clone_url"));
        assert!(from_toml::<RepositoryDocument>("image = ").is_err());
        let text = "clone_url = \"x\"\nimage = \"y\"\npull_requests = true";
        let error = from_toml::<RepositoryDocument>(text).unwrap_err();
        assert!(
            error.line == 3 && error.problem.contains("\"own\"") && error.problem.contains("not boolean true"),
            "{error}"
        );
        assert!(from_toml::<RepositoryDocument>(&text.replace("true", "\"own\"")).is_ok());
        let text = b"{\"clone_url\":\"x\",\"image\":\"y\",\"pull_requests\":\"ow\"}";
        assert!(from_json::<RepositoryDocument>(text).unwrap_err().problem.contains("did you mean `own`?"));
        let text = "clone_url = \"x\"\nimage = \"y\"\nsecret = { files = \"x\" }";
        assert!(from_toml::<RepositoryDocument>(text).unwrap_err().line == 3);
    }
}
