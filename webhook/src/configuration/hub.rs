//! `[hub]` of `slipway.toml`: what Docker Hub's hooks run in.

use schemars::JsonSchema;
use serde::Deserialize;

/// `[hub]`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hub {
    /// The image that hooks run in: it needs `/bin/bash`, git and curl; `docker` is added to it.
    pub image: String,
}

impl Default for Hub {
    fn default() -> Self {
        Hub { image: "docker.io/library/buildpack-deps:bookworm-scm".to_owned() }
    }
}

impl Hub {
    /// Checks the name of the image.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@[]".contains(&byte);
        match !self.image.is_empty() && self.image.bytes().all(is_name) {
            true => Ok(()),
            false => Err(format!("image `{}`: a name as `FROM` takes it is expected", self.image)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_one_that_could_be_pulled() {
        assert!(Hub::default().check().is_ok());
        assert!(Hub { image: "Not An Image".to_owned() }.check().is_err());
    }
}
