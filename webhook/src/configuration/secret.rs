//! Secrets in the configuration: the text itself, or a file that holds it. Never shown.

use schemars::JsonSchema;
use serde::Deserialize;
use std::fmt;
use std::path::Path;

/// A secret as it stands in the configuration.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub enum Secret {
    /// The secret itself.
    Text(String),
    /// A file that holds it; one line break at its end does not count.
    File {
        /// The file, relative to the configuration's directory.
        file: String,
    },
}

impl Secret {
    /// Returns the secret, read from `directory` if it is in a file.
    pub fn read(&self, directory: &Path) -> Result<String, String> {
        let text = match self {
            Secret::Text(text) => text.clone(),
            Secret::File { file } => {
                let path = directory.join(file);
                let text =
                    std::fs::read_to_string(&path).map_err(|error| format!("reading `{}`: {error}", path.display()))?;
                text.strip_suffix('\n').unwrap_or(&text).to_owned()
            }
        };
        if text.is_empty() { Err("a secret is empty".to_owned()) } else { Ok(text) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}
