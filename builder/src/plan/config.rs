//! The image configuration a stage builds up, and the rules by which instructions change it.

use super::environment::{DEFAULT_PATH, Variables};
use registry_client::{ImageConfig, Platform};

/// Returns the configuration that a stage `FROM scratch` starts with.
pub fn scratch(platform: &Platform) -> ImageConfig {
    let mut config = ImageConfig::default();
    config.config.working_dir = "/".to_owned();
    config.config.env = vec![DEFAULT_PATH.to_owned()];
    set_platform(&mut config, platform);
    config
}

/// Returns the configuration that a stage starts with on top of an image: all but what belongs to the image alone.
pub fn on_top_of(base: &ImageConfig) -> ImageConfig {
    let mut config = base.clone();
    config.history = Vec::new();
    config.created = None;
    config.config.on_build = Vec::new();
    if !config.config.env.iter().any(|pair| pair.starts_with("PATH=")) {
        config.config.env.push(DEFAULT_PATH.to_owned());
    }
    if !config.config.working_dir.is_empty() && !config.config.working_dir.starts_with('/') {
        config.config.working_dir = absolute("/", &config.config.working_dir);
    }
    config
}

/// Writes the platform into a configuration.
pub fn set_platform(config: &mut ImageConfig, platform: &Platform) {
    config.os.clone_from(&platform.os);
    config.architecture.clone_from(&platform.architecture);
    config.variant.clone_from(&platform.variant);
}

/// Sets a variable of the image: in the place it has, or at the end.
pub fn set_env(config: &mut ImageConfig, name: &str, value: &str) {
    let mut variables = Variables::from_env(&config.config.env);
    variables.set(name, value);
    config.config.env = variables.pairs();
}

/// Returns `path` made absolute with the working directory `workdir`, without `.`, `..` and doubled slashes.
pub fn absolute(workdir: &str, path: &str) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{workdir}/{path}") };
    let clean = runtime::tar::clean_path(joined.as_bytes());
    format!("/{}", String::from_utf8_lossy(&clean))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_and_cleaned() {
        for (workdir, path, expected) in [
            ("/", "app", "/app"),
            ("/app", "../x/", "/x"),
            ("/app", "/y//z/.", "/y/z"),
            ("/app", ".", "/app"),
            ("", "a", "/a"),
        ] {
            assert_eq!(absolute(workdir, path), expected);
        }
    }
}
