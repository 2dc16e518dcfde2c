//! The text of a Dockerfile.

/// A Dockerfile as it was found.
#[derive(Debug, Clone)]
pub struct DockerfileText {
    /// What it is called in messages.
    pub name: String,
    /// Its bytes.
    pub text: Vec<u8>,
}
