//! `[sandbox]` of `slipway.toml`: what the steps of builds may use and reach.

use schemars::JsonSchema;
use serde::Deserialize;

/// `[sandbox]`. A key that is missing leaves the sandbox's own default.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Sandbox {
    /// Mebibytes of memory for all steps of a build together.
    pub memory_mib: Option<u64>,
    /// Processes and threads of all steps of a build together.
    pub processes: Option<u32>,
    /// Processors that all steps of a build together may keep busy.
    pub cpus: Option<f64>,
    /// Mebibytes that one step may leave on disk.
    pub disk_mib: Option<u64>,
    /// Mebibytes of the disk that stay free whatever steps write.
    pub reserve_mib: Option<u64>,
    /// Whether 32-bit x86 programs run in all stages, not only in those for linux/386.
    pub allow_32bit: bool,
    /// Whether steps may reach all private networks.
    pub private_networks: bool,
    /// Private networks, addresses and hosts that steps may reach: `10.1.0.0/16`, `mirror.example`.
    pub allow: Vec<String>,
    /// Protections that may be missing, by the names that the worker logs when it starts.
    pub allow_unprotected: Vec<String>,
}

impl Sandbox {
    /// Returns the key whose limit no step could stay below.
    pub(crate) fn zero_limit(&self) -> Option<&'static str> {
        let limits = [
            ("memory_mib", self.memory_mib == Some(0)),
            ("processes", self.processes == Some(0)),
            ("cpus", self.cpus.is_some_and(|cpus| cpus <= 0.0)),
            ("disk_mib", self.disk_mib == Some(0)),
        ];
        limits.iter().find(|(_, is_zero)| *is_zero).map(|(key, _)| *key)
    }
}
