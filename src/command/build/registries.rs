//! `--registry`: how a registry is spoken to that is not spoken to as docker does by default.

use super::Arguments;
use crate::state::Registries;
use registry_client::{Credentials, HostSettings};
use std::collections::HashMap;

impl Arguments {
    /// Returns how registries are spoken to: with docker's logins, and as the flags say.
    pub(super) fn registries(&self) -> Result<Registries, String> {
        parse_all(&self.registries)
    }
}

/// Reads the values of `--registry`; other registries are spoken to as docker does.
pub(crate) fn parse_all(texts: &[String]) -> Result<Registries, String> {
    let mut hosts = HashMap::new();
    for text in texts {
        let (host, settings) = parse(text)?;
        hosts.insert(host.to_owned(), settings);
    }
    Ok(Registries { credentials: Credentials::docker(crate::configuration::docker_config()), hosts, own_port: None })
}

fn parse(text: &str) -> Result<(&str, HostSettings), String> {
    let wrong = |problem: String| {
        format!(
            "--registry `{text}`: {problem}; write HOST=plain-http, HOST=tls, HOST=insecure or HOST=ca=FILE,cert=FILE,key=FILE"
        )
    };
    let (host, options) = text.split_once('=').ok_or_else(|| wrong("it says nothing of the host".to_owned()))?;
    if host.is_empty() || host.contains('/') {
        return Err(wrong(format!("`{host}` is not a host")));
    }
    let mut settings = HostSettings::default();
    let (mut certificate, mut key) = (None, None);
    for option in options.split(',') {
        let file = |name: &str| std::fs::read(name).map_err(|error| wrong(format!("reading `{name}`: {error}")));
        match option.split_once('=').unwrap_or((option, "")) {
            ("plain-http", "") => settings.plain_http = Some(true),
            ("tls", "") => settings.plain_http = Some(false),
            ("insecure", "") => settings.tls.insecure = true,
            ("ca", name) => settings.tls.ca = Some(file(name)?),
            ("cert", name) => certificate = Some(file(name)?),
            ("key", name) => key = Some(file(name)?),
            _ => return Err(wrong(format!("`{option}` is unknown"))),
        }
    }
    settings.tls.identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some([certificate, b"\n".to_vec(), key].concat()),
        (None, None) => None,
        _ => return Err(wrong("`cert` and `key` go together".to_owned())),
    };
    let uses_tls = settings.tls != HostSettings::default().tls;
    if uses_tls && settings.plain_http == Some(true) {
        return Err(wrong("plain HTTP has no certificates".to_owned()));
    }
    settings.plain_http = settings.plain_http.or(uses_tls.then_some(false));
    Ok((host, settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_spoken_to_as_flags_say() {
        // US-26
        let of =
            |text: &'static str| parse(text).map(|(host, settings)| (host, settings.plain_http, settings.tls.insecure));
        assert_eq!(of("10.0.0.5:5000=plain-http").unwrap(), ("10.0.0.5:5000", Some(true), false));
        assert_eq!(of("127.0.0.1:5000=tls").unwrap(), ("127.0.0.1:5000", Some(false), false));
        assert_eq!(of("127.0.0.1:5000=insecure").unwrap(), ("127.0.0.1:5000", Some(false), true));
        for bad in [
            "x",
            "=tls",
            "https://x=tls",
            "x=",
            "x=tsl",
            "x=plain-http,insecure",
            "x=ca=/nonexistent",
            "x=cert=/dev/null",
        ] {
            let error = of(bad).unwrap_err();
            assert!(error.contains("HOST=plain-http"), "{error}");
        }
    }
}
