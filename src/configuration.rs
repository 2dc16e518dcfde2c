//! Finds and reads `slipway.toml`; its meaning lives with the crates that use it.

use crate::state::{DataDir, Registries, xdg_directory};
use builder::worker::Reading;
use registry_client::{Credentials, HostSettings, ImagePattern, TlsSettings};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use webhook::{Configuration, Registry};

/// The last place in which the configuration is looked for without `--config`.
const SYSTEM: &str = "/etc/slipway/slipway.toml";

/// Reads the configuration from `asked`, the data directory, the account's configuration directory or the system's place.
pub(crate) fn read(asked: Option<&Path>, data: &DataDir) -> Result<Configuration, String> {
    let candidates = candidates(data);
    let found = asked.or_else(|| candidates.iter().map(PathBuf::as_path).find(|path| path.exists()));
    let Some(path) = found else {
        return Ok(Configuration::default());
    };
    let text = std::fs::read_to_string(path).map_err(|error| format!("reading `{}`: {error}", path.display()))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    let wrong = |problem: String| format!("`{}`: {problem}", path.display());
    let configuration =
        Configuration::parse(&text, directory).map_err(|error| wrong(registry_client::report(&error)))?;
    check_protections(&configuration.sandbox.allow_unprotected).map_err(wrong)?;
    Ok(configuration)
}

/// Returns the places in which the configuration is looked for.
fn candidates(data: &DataDir) -> Vec<PathBuf> {
    let own = xdg_directory("XDG_CONFIG_HOME", ".config").map(|directory| directory.join("slipway/slipway.toml"));
    [data.join("slipway.toml")].into_iter().chain(own).chain([PathBuf::from(SYSTEM)]).collect()
}

/// Reads the configuration that a command by hand finds, if it has a table of that name: most need none.
pub(crate) fn read_if_mentioned(table: &str, data: &DataDir) -> Result<Option<Configuration>, String> {
    let Some(path) = candidates(data).into_iter().find(|path| path.exists()) else { return Ok(None) };
    let text = std::fs::read_to_string(&path).map_err(|error| format!("reading `{}`: {error}", path.display()));
    // Those that are another account's say nothing to this one.
    let is_mentioned = text.as_ref().is_ok_and(|text| text.contains(&format!("[{table}.")));
    if is_mentioned { read(Some(&path), data).map(Some) } else { Ok(None) }
}

/// Refuses names of unknown protections, so that a typo waives nothing.
fn check_protections(waived: &[String]) -> Result<(), String> {
    match waived.iter().find(|name| !runtime::PROTECTIONS.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => {
            let meant = webhook::nearest(name, &runtime::PROTECTIONS);
            let meant = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
            let known = runtime::PROTECTIONS.join(", ");
            Err(format!("sandbox.allow_unprotected: there is no protection `{name}`{meant} (there are {known})"))
        }
    }
}

/// Returns the settings of registries.
pub(crate) fn registries(configuration: &Configuration) -> Registries {
    let host = |registry: &Registry| HostSettings {
        plain_http: registry.plain_http,
        tls: TlsSettings { insecure: registry.insecure, ca: registry.ca.clone(), identity: registry.identity.clone() },
    };
    let hosts = configuration.registries.iter().map(|(name, registry)| (name.clone(), host(registry)));
    let hosts = hosts.filter(|(_, settings)| *settings != HostSettings::default()).collect();
    Registries { credentials: credentials(configuration), hosts, own_port: own_port(configuration) }
}

/// Returns what the operator allows all builds to read.
pub(crate) fn reading(configuration: &Configuration) -> Reading {
    let with_login = configuration.registries.iter().flat_map(|(host, registry)| {
        registry.read.iter().filter_map(move |path| ImagePattern::parse(&format!("{host}/{path}")).ok())
    });
    Reading { with_login: with_login.collect(), shared: configuration.server.shared_images.clone() }
}

fn own_port(configuration: &Configuration) -> Option<u16> {
    configuration.server.registry_listen.rsplit_once(':').and_then(|(_, port)| port.parse().ok())
}

/// Returns the credentials for registries: those of the configuration, or docker's where it names none; for the embedded
/// registry those of its first user.
fn credentials(configuration: &Configuration) -> Credentials {
    let mut known = HashMap::new();
    if let Some(login) = configuration.registry_users.first() {
        let listen = &configuration.server.registry_listen;
        let port = own_port(configuration).unwrap_or_default();
        for host in [listen.clone(), format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("[::1]:{port}")]
        {
            known.insert(host, (login.username.clone(), login.password.clone()));
        }
    }
    let logins = configuration.registries.iter().filter_map(|(host, registry)| Some((host, registry.login.as_ref()?)));
    let mut has_logins = false;
    for (host, login) in logins {
        known.insert(host.clone(), (login.username.clone(), login.password.clone()));
        has_logins = true;
    }
    match has_logins {
        true => Credentials::Fixed(known),
        false => Credentials::Docker { by_host: known, config: docker_config() },
    }
}

/// Returns the path of docker's `config.json`, which may not exist; `None` if nothing says where it would be.
pub(crate) fn docker_config() -> Option<PathBuf> {
    let directory = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let directory = directory.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker")));
    Some(directory?.join("config.json"))
}
