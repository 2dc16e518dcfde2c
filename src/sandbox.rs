//! Sandbox setup: applies the configuration and refuses to start when a protection is missing that was not waived.

use runtime::{Calls, Settings};
use url::Url;
use webhook::Sandbox;

const MIB: u64 = 1024 * 1024;
/// Variables that name proxies: steps are sent through them, so they must be able to reach them.
const PROXIES: [&str; 6] = ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// Puts the configuration's settings in the place of the sandbox's own.
pub(crate) fn configure(settings: &mut Settings, configuration: &Sandbox) {
    let limits = &mut settings.limits;
    limits.memory_bytes = configuration.memory_mib.map(|mebibytes| mebibytes * MIB).or(limits.memory_bytes);
    limits.pids = configuration.processes.or(limits.pids);
    limits.cpus = configuration.cpus.or(limits.cpus);
    limits.disk_bytes = configuration.disk_mib.map_or(limits.disk_bytes, |mebibytes| mebibytes * MIB);
    limits.reserve_bytes = configuration.reserve_mib.map_or(limits.reserve_bytes, |mebibytes| mebibytes * MIB);
    settings.calls = if configuration.allow_32bit { Calls::With32Bit } else { Calls::Native };
    settings.network.private = configuration.private_networks;
    settings.network.allowed = configuration.allow.clone();
    settings.network.allowed.extend(proxy_hosts());
}

/// Returns the hosts of the proxies that the environment names.
pub(crate) fn proxy_hosts() -> Vec<String> {
    PROXIES.iter().filter_map(|name| proxy_host(&std::env::var(name).ok()?)).collect()
}

/// Returns the host of a proxy's address.
fn proxy_host(address: &str) -> Option<String> {
    let whole = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let url = Url::parse(&whole).ok()?;
    url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned())
}

/// Tries the protections out and logs them; fails if one is missing that is not in `waived`. Returns the names of those that
/// are missing.
pub(crate) fn check(settings: &Settings, waived: &[String]) -> Result<Vec<String>, String> {
    let table = runtime::self_test(settings).map_err(|error| registry_client::report(&error))?;
    debug_assert!(table.iter().all(|known| runtime::PROTECTIONS.contains(&known.name.as_str())), "{table:?}");
    let there: Vec<_> = table.iter().filter(|known| known.missing.is_none()).map(|known| known.name.as_str()).collect();
    tracing::info!(protections = there.join(" "), "builds are confined");
    let mut refused = Vec::new();
    for known in &table {
        let Some(missing) = &known.missing else { continue };
        if known.needed && !waived.contains(&known.name) {
            refused.push(format!("`{}`: {missing}", known.name));
        } else {
            tracing::warn!(protection = known.name, reason = missing, "a protection of builds is missing");
        }
    }
    if refused.is_empty() {
        let missing = table.iter().filter(|known| known.missing.is_some());
        return Ok(missing.map(|known| known.name.clone()).collect());
    }
    Err(format!(
        "builds would not be confined on this machine: {}. To accept that, name it in `sandbox.allow_unprotected` of slipway.toml",
        refused.join("; ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_takes_the_place_of_defaults() {
        let text = "[sandbox]\nmemory_mib = 512\nallow_32bit = true\ndisk_mib = 1\nallow = [\"10.1.0.0/16\"]\n";
        let configuration = webhook::Configuration::parse(text, std::path::Path::new(".")).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut settings = Settings::new(directory.path()).unwrap();
        let processes = settings.limits.pids;
        configure(&mut settings, &configuration.sandbox);
        assert_eq!((settings.limits.memory_bytes, settings.limits.disk_bytes), (Some(512 * MIB), MIB));
        assert_eq!(settings.limits.pids, processes, "what is not given stays");
        assert_eq!(settings.calls, Calls::With32Bit, "EN-90");
        assert!(settings.network.allowed.contains(&"10.1.0.0/16".to_owned()) && !settings.network.private);
        let unknown = webhook::Configuration::parse("[sandbox]\nmemory = 1\n", std::path::Path::new("."));
        assert!(unknown.unwrap_err().to_string().contains("memory"));
    }

    #[test]
    fn hosts_of_proxies_are_found() {
        let hosts = ["http://me:secret@10.0.0.7:8080/", "10.0.0.8:3128", "http://[fd00::7]:80", "proxy.lan", ""];
        let found: Vec<_> = hosts.iter().filter_map(|address| proxy_host(address)).collect();
        assert_eq!(found, ["10.0.0.7", "10.0.0.8", "fd00::7", "proxy.lan"]);
    }
}
