//! `[retention]` of `slipway.toml`, and what a repository says instead.

use database::{Limit, Limits};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Forges deliver again for so many days: what comes again must be recognised.
const MIN_DELIVERY_DAYS: u32 = 3;
const MIB: u64 = 1024 * 1024;

/// `[retention]`: what is kept. 0 stands for no limit.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Days after their end that builds are kept.
    pub build_days: u32,
    /// Days after the end of their builds that logs are kept.
    pub log_days: u32,
    /// Days that deliveries are kept.
    pub delivery_days: u32,
    /// Builds of one repository.
    pub builds: u32,
    /// Deliveries of one repository.
    pub deliveries: u32,
    /// Mebibytes of logs of one repository.
    pub log_mib: u32,
    /// Mebibytes of bodies of deliveries of one repository.
    pub delivery_mib: u32,
    /// Builds of all repositories.
    pub total_builds: u32,
    /// Deliveries of all repositories.
    pub total_deliveries: u32,
    /// Mebibytes of logs of all repositories.
    pub total_log_mib: u32,
    /// Mebibytes of bodies of deliveries of all repositories.
    pub total_delivery_mib: u32,
    /// Days that entries of the audit log are kept.
    pub audit_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            build_days: 365,
            log_days: 90,
            delivery_days: 90,
            builds: 5_000,
            deliveries: 10_000,
            log_mib: 2_048,
            delivery_mib: 512,
            total_builds: 50_000,
            total_deliveries: 100_000,
            total_log_mib: 8_192,
            total_delivery_mib: 2_048,
            audit_days: 365,
        }
    }
}

/// `retention` of a repository: what it has instead of `[retention]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    build_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    builds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliveries: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_mib: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_mib: Option<u32>,
}

impl Retention {
    /// Checks what makes sense.
    pub(crate) fn check(&self) -> Result<(), String> {
        check_delivery_days(self.delivery_days)
    }

    pub(crate) fn limits(&self, own: &RetentionDocument) -> Limits {
        Limits {
            builds: Limit {
                days: number(own.build_days.unwrap_or(self.build_days)),
                number: number(own.builds.unwrap_or(self.builds)),
                bytes: bytes(own.log_mib.unwrap_or(self.log_mib)),
            },
            log_days: number(own.log_days.unwrap_or(self.log_days)),
            deliveries: Limit {
                days: number(own.delivery_days.unwrap_or(self.delivery_days)),
                number: number(own.deliveries.unwrap_or(self.deliveries)),
                bytes: bytes(own.delivery_mib.unwrap_or(self.delivery_mib)),
            },
        }
    }

    /// Returns the days that entries of the audit log are kept.
    pub(crate) fn audit_days(&self) -> Option<u32> {
        number(self.audit_days)
    }

    pub(crate) fn total(&self) -> Limits {
        Limits {
            builds: Limit { days: None, number: number(self.total_builds), bytes: bytes(self.total_log_mib) },
            log_days: None,
            deliveries: Limit {
                days: None,
                number: number(self.total_deliveries),
                bytes: bytes(self.total_delivery_mib),
            },
        }
    }
}

impl RetentionDocument {
    /// Checks what makes sense.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.delivery_days.map_or(Ok(()), check_delivery_days)
    }
}

fn check_delivery_days(days: u32) -> Result<(), String> {
    if days == 0 || days >= MIN_DELIVERY_DAYS {
        return Ok(());
    }
    Err(format!(
        "delivery_days = {days}: at least {MIN_DELIVERY_DAYS} are needed (or 0 for no limit), because forges deliver again for \
         so long and what comes again must be recognised"
    ))
}

fn number(limit: u32) -> Option<u32> {
    (limit > 0).then_some(limit)
}

fn bytes(mebibytes: u32) -> Option<u64> {
    number(mebibytes).map(|mebibytes| u64::from(mebibytes) * MIB)
}

#[cfg(test)]
mod tests {
    use crate::Configuration;
    use std::path::Path;

    const REPOSITORY: &str =
        "[[repositories]]\nname = \"a/b\"\nclone_url = \"https://x/y.git\"\nimage = \"r/a\"\nsecret = \"a secret\"\n";

    #[test]
    fn limits_are_read_and_mistakes_are_named() {
        let parse = |text: &str| Configuration::parse(text, Path::new(".")).map_err(|error| error.to_string());
        let parsed =
            parse(&format!("[retention]\nbuilds = 7\nlog_mib = 0\n{REPOSITORY}retention = {{ log_days = 3 }}\n"))
                .unwrap();
        let own = parsed.settings(([127, 0, 0, 1], 1).into()).unwrap().repositories[0].0.retention.clone().unwrap();
        let (usual, own) = (parsed.retention.limits(&Default::default()), parsed.retention.limits(&own));
        assert_eq!((usual.builds.number, usual.builds.bytes, usual.log_days), (Some(7), None, Some(90)));
        assert_eq!((own.builds.number, own.log_days), (Some(7), Some(3)));
        let cases = [
            ("[retention]\nbuild = 1\n".to_owned(), "did you mean `builds`?"),
            ("[retention]\nbuilds = -1\n".to_owned(), "line 2"),
            ("[retention]\ndelivery_days = 1\n".to_owned(), "retention: delivery_days = 1: at least 3"),
            (
                format!("{REPOSITORY}retention = {{ delivery_days = 2 }}\n"),
                "repositories `a/b`: retention: delivery_days = 2",
            ),
            (format!("{REPOSITORY}retention = {{ total_builds = 2 }}\n"), "unknown key `total_builds`"),
        ];
        for (text, expected) in cases {
            let refused = parse(&text).unwrap_err();
            assert!(refused.contains(expected), "{text}: {refused}");
        }
    }

    #[test]
    fn the_defaults_keep_a_busy_server_small() {
        let total = super::Retention::default().total();
        let bytes = total.builds.bytes.unwrap() + total.deliveries.bytes.unwrap();
        // A record of a build with its steps and its trace takes some 100 KiB.
        let records = u64::from(total.builds.number.unwrap()) * 100 * 1024;
        assert!(bytes + records < 20 << 30, "{} GiB", (bytes + records) >> 30);
    }
}
