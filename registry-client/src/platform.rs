//! Platforms: operating system, architecture and variant, in one spelling.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The operating system and architecture that an image runs on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system, as Go calls it: `linux`.
    #[serde(default, deserialize_with = "crate::go_json::or_default")]
    pub os: String,
    /// Architecture, as Go calls it: `amd64`, `arm64`.
    #[serde(default, deserialize_with = "crate::go_json::or_default")]
    pub architecture: String,
    /// Variant of the architecture: `v7` of `arm`; none for `amd64` and for `v8` of `arm64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// A text that is not a platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\": unknown operating system or architecture: `os/architecture[/variant]` is expected, as in `linux/amd64`"
)]
pub struct PlatformError(String);

impl Platform {
    /// Returns the platform of this machine.
    pub fn host() -> Self {
        Platform {
            os: "linux".to_owned(),
            architecture: normal_architecture(std::env::consts::ARCH).0.to_owned(),
            variant: None,
        }
    }

    /// Returns whether an image for `self` is acceptable where `wanted` is asked for.
    pub fn satisfies(&self, wanted: &Platform) -> bool {
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && self.normal_variant() == wanted.normal_variant()
    }

    fn normal_variant(&self) -> Option<&str> {
        match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", Some("v8" | "8")) | ("amd64", Some("v1")) | (_, Some("")) => None,
            ("arm", None) => Some("v7"),
            (_, variant) => variant,
        }
    }
}

/// Returns Go's name of an architecture and the variant that its other name implies.
fn normal_architecture(name: &str) -> (&str, Option<&'static str>) {
    match name {
        "x86_64" | "x86-64" => ("amd64", None),
        "aarch64" => ("arm64", None),
        "i386" | "i486" | "i586" | "i686" | "x86" => ("386", None),
        "armhf" => ("arm", Some("v7")),
        "armel" => ("arm", Some("v6")),
        other => (other, None),
    }
}

const OPERATING_SYSTEMS: [&str; 6] = ["linux", "windows", "darwin", "freebsd", "netbsd", "openbsd"];
const ARCHITECTURES: [&str; 11] =
    ["amd64", "386", "arm", "arm64", "ppc64le", "s390x", "riscv64", "mips64le", "mips64", "loong64", "wasm"];

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let error = || PlatformError(text.to_owned());
        let lower = text.to_lowercase();
        let parts: Vec<&str> = lower.split('/').collect();
        let (os, architecture, variant) = match parts.as_slice() {
            [only] if OPERATING_SYSTEMS.contains(only) => (*only, std::env::consts::ARCH, None),
            [only] => ("linux", *only, None),
            [os, architecture] => (*os, *architecture, None),
            [os, architecture, variant] => (*os, *architecture, Some((*variant).to_owned())),
            _ => return Err(error()),
        };
        let (architecture, implied) = normal_architecture(architecture);
        if !OPERATING_SYSTEMS.contains(&os) || !ARCHITECTURES.contains(&architecture) {
            return Err(error());
        }
        let variant = variant.or(implied.map(str::to_owned));
        let platform = Platform { os: os.to_owned(), architecture: architecture.to_owned(), variant };
        let variant = platform.normal_variant().filter(|_| platform.variant.is_some()).map(str::to_owned);
        Ok(Platform { variant, ..platform })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) if !variant.is_empty() => write!(formatter, "/{variant}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_have_one_spelling() {
        for (text, spelling) in [
            ("linux/amd64", "linux/amd64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/arm64/v8", "linux/arm64"),
            ("aarch64", "linux/arm64"),
            ("linux/arm/v6", "linux/arm/v6"),
            ("Linux/ARMHF", "linux/arm/v7"),
        ] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), spelling);
        }
        for bad in ["", "linux/", "linux/amd64/v1/x", "bogus/amd64", "linux/pentium"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
