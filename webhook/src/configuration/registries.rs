//! `[registries."host"]` of `slipway.toml`: logins, what they may be used for, and how a registry is spoken to.

use super::file::{ConfigurationError, wrong};
use super::logins::Login;
use crate::configuration::document::check_host;
use crate::configuration::secret::Secret;
use crate::rules::check_image;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Names of Docker Hub's registry.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// A registry as it is written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RegistryText {
    username: Option<String>,
    password: Option<Secret>,
    /// Paths whose images every trusted build may read with the login.
    read: Vec<String>,
    plain_http: Option<bool>,
    insecure: bool,
    ca_file: Option<String>,
    client_cert_file: Option<String>,
    client_key_file: Option<String>,
}

/// A registry, files read.
#[derive(Debug, Clone)]
pub struct Registry {
    /// The login to send.
    pub login: Option<Login>,
    /// Patterns of paths whose images every trusted build may read with the login.
    pub read: Vec<String>,
    /// Whether it speaks plain HTTP, if that is said.
    pub plain_http: Option<bool>,
    /// Whether any certificate will do.
    pub insecure: bool,
    /// Certificates in PEM that vouch for it.
    pub ca: Option<Vec<u8>>,
    /// A certificate and its key in PEM that are shown to it.
    pub identity: Option<Vec<u8>>,
}

/// Checks the registries of the configuration; files are looked for in `directory`.
pub(crate) fn registries(
    texts: &BTreeMap<String, RegistryText>,
    directory: &Path,
) -> Result<BTreeMap<String, Registry>, ConfigurationError> {
    let mut known = BTreeMap::new();
    for (host, text) in texts {
        if host.contains('@') {
            return Err(wrong(
                "registries",
                "a key holds a login: it is a host; write `username` and `password` below it",
            ));
        }
        let place = || format!("registries `{host}`");
        let name = if DOCKER_HUB.contains(&host.as_str()) { DOCKER_HUB[0] } else { host };
        check_host(name).map_err(|problem| wrong(place(), problem))?;
        let registry = text.read(directory).map_err(|problem| wrong(place(), problem))?;
        if known.insert(name.to_owned(), registry).is_some() {
            return Err(wrong(place(), format!("{name} stands there under two names")));
        }
    }
    Ok(known)
}

impl RegistryText {
    fn read(&self, directory: &Path) -> Result<Registry, String> {
        let login = match (&self.username, &self.password) {
            (Some(username), Some(password)) => {
                Some(Login { username: username.clone(), password: password.read(directory)? })
            }
            (None, None) => None,
            _ => return Err("a login is a `username` and a `password`".to_owned()),
        };
        if !self.read.is_empty() && login.is_none() {
            return Err(
                "`read` says what the login is used for, and there is none: give a `username` and a `password`"
                    .to_owned(),
            );
        }
        self.read.iter().try_for_each(|path| check_path_pattern(path)).map_err(|problem| format!("read: {problem}"))?;
        let file = |name: &Option<String>, key: &str| {
            let Some(name) = name else { return Ok(None) };
            let path = directory.join(name);
            let bytes =
                std::fs::read(&path).map_err(|error| format!("{key}: reading `{}`: {error}", path.display()))?;
            let is_pem = String::from_utf8_lossy(&bytes).contains("-----BEGIN ");
            if is_pem { Ok(Some(bytes)) } else { Err(format!("{key}: `{}` holds no PEM", path.display())) }
        };
        let ca = file(&self.ca_file, "ca_file")?;
        let identity = match (
            file(&self.client_cert_file, "client_cert_file")?,
            file(&self.client_key_file, "client_key_file")?,
        ) {
            (Some(certificate), Some(key)) => Some([certificate, b"\n".to_vec(), key].concat()),
            (None, None) => None,
            _ => return Err("`client_cert_file` and `client_key_file` go together".to_owned()),
        };
        let uses_tls = self.insecure || ca.is_some() || identity.is_some();
        if self.plain_http == Some(true) && uses_tls {
            return Err("`plain_http` has no certificates: leave out `insecure`, `ca_file` and the client's".to_owned());
        }
        // Certificates mean TLS, also on this machine.
        let plain_http = self.plain_http.or(uses_tls.then_some(false));
        Ok(Registry { login, read: self.read.clone(), plain_http, insecure: self.insecure, ca, identity })
    }
}

/// Checks a pattern of images, `host/path` with `*` and `**`.
pub(crate) fn check_image_pattern(key: &str, text: &str) -> Result<(), String> {
    let wrong = |problem: &str| Err(format!("{key}: `{text}` {problem}: registry.example.com/team/*"));
    match text.split_once('/') {
        Some((host, _)) if host.contains('*') => wrong("has a `*` in its host"),
        Some((host, _)) if !host.contains(['.', ':']) && host != "localhost" => {
            wrong("does not begin with a registry's host")
        }
        Some((_, path)) if check_image(&text.replace('*', "x")).is_ok() && !path.contains("***") => Ok(()),
        _ => wrong("must be a registry's host and a path in lower case, with `*` for a part of it and no tag"),
    }
}

/// Checks a pattern of paths in one registry.
pub(crate) fn check_path_pattern(text: &str) -> Result<(), String> {
    let plain = format!("registry.invalid/{}", text.replace('*', "x"));
    if check_image(&plain).is_ok() && !text.contains("***") {
        return Ok(());
    }
    Err(format!("`{text}` must be a path in lower case without a host and a tag, with `*` for a part of it: team/*"))
}

#[cfg(test)]
mod tests {
    use crate::Configuration;
    use std::path::Path;

    fn parse(text: &str) -> Result<Configuration, String> {
        Configuration::parse(text, Path::new(".")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_registry_needs_no_login_to_have_settings() {
        // US-26
        let parsed = parse("[registries.\"10.0.0.5:5000\"]\nplain_http = true\n[registries.\"index.docker.io\"]\nusername = \"me\"\npassword = \"hush\"\nread = [\"library/*\"]\n").unwrap();
        let plain = &parsed.registries["10.0.0.5:5000"];
        assert!(plain.login.is_none() && plain.plain_http == Some(true));
        assert_eq!(parsed.registries["docker.io"].read, ["library/*"]);
        let insecure = parse("[registries.\"localhost:5000\"]\ninsecure = true\n").unwrap();
        assert_eq!(insecure.registries["localhost:5000"].plain_http, Some(false));
    }

    #[test]
    fn mistakes_are_named() {
        // SEC-M1, US-26
        for (host, keys, expected) in [
            ("x.example.com", "username = \"me\"", "a `username` and a `password`"),
            ("x.example.com", "password = \"me\"", "a `username` and a `password`"),
            ("x.example.com", "read = [\"a\"]", "there is none"),
            ("x.example.com", "username = \"me\"\npassword = \"x\"\nread = [\"a:1\"]", "`a:1` must be a path"),
            ("x.example.com", "ca_file = \"missing.pem\"", "ca_file: reading"),
            ("x.example.com", "ca_file = \"Cargo.toml\"", "holds no PEM"),
            ("x.example.com", "plain_http = true\ninsecure = true", "has no certificates"),
            ("x.example.com", "plain_htp = true", "did you mean `plain_http`?"),
            ("https://x.example.com", "insecure = true", "is not a host"),
            ("x.example.com/team", "insecure = true", "is not a host"),
        ] {
            let error = parse(&format!("[registries.\"{host}\"]\n{keys}\n")).unwrap_err();
            assert!(error.contains(expected), "{keys}: {error}");
        }
        // SEC-m8
        let error = parse("[registries.\"me:hush@x.example.com\"]\ninsecure = true\n").unwrap_err();
        assert!(error.contains("a key holds a login") && !error.contains("hush"), "{error}");
        let repository = |images: &str| {
            let text = format!(
                "[[repositories]]\nname = \"a/b\"\nclone_url = \"https://x/y\"\nsecret = \"a secret\"\nimage = \"x.example.com/a/b\"\nmay_read = [{images}]\n"
            );
            parse(&text).map(drop)
        };
        repository("\"x.example.com/base/*\", \"127.0.0.1:5000/other/**\", \"docker.io/library/debian\"").unwrap();
        for bad in
            ["other/app", "x.example.com/a:1", "*.example.com/a", "x.example.com/A", "https://x.example.com/a", ""]
        {
            let error = repository(&format!("\"{bad}\"")).unwrap_err();
            assert!(error.contains("may_read: `"), "{bad}: {error}");
        }
        assert!(
            parse("[server]\nshared_images = [\"127.0.0.1:5000/base\"]\n")
                .unwrap_err()
                .contains("server.shared_images")
        );
    }
}
