//! The text of a Dockerfile.

/// A Dockerfile as it was found.
#[derive(Debug, Clone)]
pub struct DockerfileText {
    /// Its name in messages.
    pub name: String,
    /// Its bytes.
    pub text: Vec<u8>,
}
