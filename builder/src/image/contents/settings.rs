//! The settings of an image, and in which of them two images differ.

use database::{ImageSettings, SettingDifference};
use registry_client::ContainerConfig;
use std::collections::BTreeMap;

/// Returns the settings of a configuration.
pub(super) fn of(config: &ContainerConfig) -> ImageSettings {
    let pair = |text: &String| text.split_once('=').map_or_else(|| (text.clone(), String::new()), owned);
    ImageSettings {
        user: config.user.clone(),
        working_dir: config.working_dir.clone(),
        entrypoint: config.entrypoint.clone(),
        command: config.cmd.clone(),
        environment: config.env.iter().map(pair).collect(),
        ports: config.exposed_ports.keys().cloned().collect(),
        volumes: config.volumes.keys().cloned().collect(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone(),
        healthcheck: config.healthcheck.as_ref().map(|check| check.test.clone()).unwrap_or_default(),
    }
}

/// Returns the settings that differ, by name.
pub(super) fn difference(new: &ImageSettings, old: &ImageSettings) -> Vec<SettingDifference> {
    let (new, old) = (named(new), named(old));
    let names = new.keys().chain(old.keys().filter(|name| !new.contains_key(*name)));
    let differs = names.filter(|name| new.get(*name) != old.get(*name));
    let told = differs.map(|name| SettingDifference {
        name: name.clone(),
        new: new.get(name).cloned(),
        old: old.get(name).cloned(),
    });
    told.collect()
}

fn owned(pair: (&str, &str)) -> (String, String) {
    (pair.0.to_owned(), pair.1.to_owned())
}

fn named(settings: &ImageSettings) -> BTreeMap<String, String> {
    let list = |words: &[String]| serde_json::to_string(words).unwrap_or_default();
    let mut named = BTreeMap::new();
    let texts = [
        ("USER", settings.user.clone()),
        ("WORKDIR", settings.working_dir.clone()),
        ("STOPSIGNAL", settings.stop_signal.clone()),
        ("EXPOSE", settings.ports.join(" ")),
        ("VOLUME", settings.volumes.join(" ")),
        ("HEALTHCHECK", if settings.healthcheck.is_empty() { String::new() } else { list(&settings.healthcheck) }),
        ("ENTRYPOINT", settings.entrypoint.as_deref().map(list).unwrap_or_default()),
        ("CMD", settings.command.as_deref().map(list).unwrap_or_default()),
    ];
    named.extend(texts.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name.to_owned(), text)));
    named.extend(settings.environment.iter().map(|(name, value)| (format!("ENV {name}"), value.clone())));
    named.extend(settings.labels.iter().map(|(name, value)| (format!("LABEL {name}"), value.clone())));
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_that_differ_are_told() {
        let env = |pairs: &[&str]| ContainerConfig {
            env: pairs.iter().map(ToString::to_string).collect(),
            user: "app".to_owned(),
            ..ContainerConfig::default()
        };
        let mut new = of(&env(&["A=1", "B=2=3"]));
        new.entrypoint = Some(vec!["/app".to_owned()]);
        let told = difference(&new, &of(&env(&["A=1", "C="])));
        let told: Vec<_> = told.iter().map(|it| (it.name.as_str(), it.new.as_deref(), it.old.as_deref())).collect();
        let expected =
            [("ENTRYPOINT", Some("[\"/app\"]"), None), ("ENV B", Some("2=3"), None), ("ENV C", None, Some(""))];
        assert_eq!(told, expected);
    }
}
