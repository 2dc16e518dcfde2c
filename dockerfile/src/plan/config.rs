//! The image configuration a stage builds up, and the rules by which instructions change it.

use super::environment::DEFAULT_PATH;
use registry_client::{ImageConfig, Platform};

/// Returns the configuration that a stage `FROM scratch` starts with.
pub(crate) fn scratch(platform: &Platform) -> ImageConfig {
    let mut config = ImageConfig::default();
    config.config.working_dir = "/".to_owned();
    config.config.env = vec![DEFAULT_PATH.to_owned()];
    set_platform(&mut config, platform);
    config
}

/// Returns the configuration that a stage starts with on top of an image: all but what belongs to the image alone.
pub(crate) fn on_top_of(base: &ImageConfig) -> ImageConfig {
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
pub(crate) fn set_platform(config: &mut ImageConfig, platform: &Platform) {
    config.os.clone_from(&platform.os);
    config.architecture.clone_from(&platform.architecture);
    config.variant.clone_from(&platform.variant);
}

/// Returns how many bytes a configuration has, roughly: stages on top of it have them too.
pub(crate) fn size(config: &ImageConfig) -> usize {
    const ENTRY: usize = 32;
    let pairs = |sizes: &mut dyn Iterator<Item = usize>| sizes.map(|size| size + ENTRY).sum::<usize>();
    let config = &config.config;
    pairs(&mut config.env.iter().map(String::len))
        + pairs(&mut config.labels.iter().map(|(key, value)| key.len() + value.len()))
        + pairs(&mut config.exposed_ports.keys().map(String::len))
        + pairs(&mut config.volumes.keys().map(String::len))
        + pairs(&mut config.on_build.iter().map(String::len))
}

/// Returns `path` made absolute with the working directory `workdir`, without `.`, `..` and doubled slashes.
pub(crate) fn absolute(workdir: &str, path: &str) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{workdir}/{path}") };
    let clean = files::path::clean_path(joined.as_bytes());
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
