//! Flags of docker that change nothing here: they are taken with a note, so that a command line can stay as it is.

use clap::Args;

/// The title of these flags in the help.
const HEADING: &str = "Taken as docker's, without effect";

/// The flags. Those of docker that are switches may be given a value, as in `--rm=false`.
#[derive(Debug, Default, Args)]
pub(crate) struct Ignored {
    /// Steps leave no containers behind in any case
    #[arg(long, help_heading = HEADING, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    rm: Option<String>,
    /// Steps leave no containers behind in any case
    #[arg(long, help_heading = HEADING, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    force_rm: Option<String>,
    /// A context is read where it lies, and not sent
    #[arg(long, help_heading = HEADING, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    compress: Option<String>,
    /// No attestations are made
    #[arg(long, help_heading = HEADING, value_name = "WHAT")]
    provenance: Option<String>,
    /// No attestations are made
    #[arg(long, help_heading = HEADING, value_name = "WHAT")]
    sbom: Option<String>,
    /// No attestations are made
    #[arg(long, help_heading = HEADING, value_name = "WHAT")]
    attest: Vec<String>,
    /// Steps get no further rights
    #[arg(long, help_heading = HEADING, value_name = "WHAT", value_parser = ["network.host", "security.insecure", "device"])]
    allow: Vec<String>,
    /// The cache lies in the data directory and needs no import
    #[arg(long, help_heading = HEADING, value_name = "WHAT")]
    cache_from: Vec<String>,
    /// The cache lies in the data directory and needs no export
    #[arg(long, help_heading = HEADING, value_name = "WHAT")]
    cache_to: Vec<String>,
    /// slipway builds by itself
    #[arg(long, help_heading = HEADING, value_name = "NAME")]
    builder: Option<String>,
    /// There is one kind of isolation
    #[arg(long, help_heading = HEADING, value_name = "default", value_parser = ["default"])]
    isolation: Option<String>,
}

impl Ignored {
    /// Returns a line for each of the flags that was given.
    pub(crate) fn notes(&self) -> Vec<String> {
        let containers = "steps leave no containers behind in any case";
        let attestations = "slipway makes no attestations";
        let cache = "the cache lies in the data directory and is used in any case";
        let flags = [
            ("--rm", self.rm.is_some(), containers),
            ("--force-rm", self.force_rm.is_some(), containers),
            ("--compress", self.compress.is_some(), "the context is read where it lies"),
            ("--provenance", self.provenance.is_some(), attestations),
            ("--sbom", self.sbom.is_some(), attestations),
            ("--attest", !self.attest.is_empty(), attestations),
            (
                "--allow",
                !self.allow.is_empty(),
                "steps never share the machine's network or devices, nor get more rights than the sandbox gives",
            ),
            ("--cache-from", !self.cache_from.is_empty(), cache),
            ("--cache-to", !self.cache_to.is_empty(), cache),
            ("--builder", self.builder.is_some(), "slipway builds by itself"),
            ("--isolation", self.isolation.is_some(), "there is one kind of isolation"),
        ];
        let given = flags.iter().filter(|(_, given, _)| *given);
        given.map(|(flag, _, why)| format!("NOTE: {flag} changes nothing: {why}")).collect()
    }
}
