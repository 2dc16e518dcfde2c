//! Build arguments by which BuildKit's frontend is told things: those that count here, and what is said of the others.

use super::error::{Code, Error};
use crate::ast::{Dockerfile, InstructionKind};
use std::collections::BTreeMap;

/// Sets the host name that commands see.
pub const HOSTNAME: &str = "BUILDKIT_SANDBOX_HOSTNAME";
/// Longest host name that the kernel takes.
const MAX_HOSTNAME: usize = 64;
/// How the names of all such arguments begin.
const PREFIX: &str = "BUILDKIT_";
/// Arguments that mean here what they mean there.
const FOLLOWED: [&str; 4] = [HOSTNAME, "BUILDKIT_CACHE_MOUNT_NS", "BUILDKIT_DOCKERFILE_CHECK", "BUILDKIT_SYNTAX"];
/// Arguments that ask for something which is done in another way here, or not at all, unless their value says no.
const NOT_FOLLOWED: [(&str, &str); 5] = [
    ("BUILDKIT_CONTEXT_KEEP_GIT_DIR", "a context from git has no `.git` directory: ADD --keep-git-dir copies one"),
    ("BUILDKIT_INLINE_CACHE", "the cache is kept beside the images, not in them"),
    ("BUILDKIT_MULTI_PLATFORM", "an index is made where several platforms are asked for"),
    ("BUILDKIT_SBOM_SCAN_CONTEXT", "no bill of materials is made"),
    ("BUILDKIT_SBOM_SCAN_STAGE", "no bill of materials is made"),
];

/// Returns the host name that commands are to see, if one was given.
pub(crate) fn hostname(build_args: &BTreeMap<String, String>) -> Result<Option<String>, Error> {
    let Some(name) = build_args.get(HOSTNAME).filter(|name| !name.is_empty()) else { return Ok(None) };
    let is_label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        !label.is_empty() && label.bytes().all(known) && !label.starts_with('-') && !label.ends_with('-')
    };
    if name.len() <= MAX_HOSTNAME && name.split('.').all(is_label) {
        return Ok(Some(name.clone()));
    }
    let text = format!(
        "{HOSTNAME}={name:?} is not a host name: letters, digits, `-`, `_` and single dots, at most {MAX_HOSTNAME} of them, are expected"
    );
    Err(Error::new(Code::InvalidHostname, text))
}

/// Returns a sentence for each argument that asks the frontend for something and is not followed here.
pub(crate) fn not_followed(file: &Dockerfile, build_args: &BTreeMap<String, String>) -> Vec<String> {
    let given = build_args.iter().filter(|(name, value)| name.starts_with(PREFIX) && !is_no(value));
    let others = given.filter(|(name, _)| !FOLLOWED.contains(&name.as_str()));
    let said = others.filter_map(|(name, _)| match NOT_FOLLOWED.iter().find(|(known, _)| known == name) {
        Some((_, reason)) => Some(format!("the build argument {name} has no effect: {reason}")),
        // One that the file declares is a variable like any other.
        None if declares(file, name) => None,
        None => Some(format!("the build argument {name} has no effect: slipway does not know it")),
    });
    said.collect()
}

fn is_no(value: &str) -> bool {
    ["", "0", "f", "false", "n", "no", "off"].iter().any(|no| value.trim().eq_ignore_ascii_case(no))
}

fn declares(file: &Dockerfile, name: &str) -> bool {
    let of_stages = file.stages.iter().flat_map(|stage| &stage.instructions);
    let mut declared = file.global_args.iter().chain(of_stages).filter_map(|instruction| match &instruction.kind {
        InstructionKind::Arg(args) => Some(args),
        _ => None,
    });
    declared.any(|args| args.iter().any(|arg| arg.name == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn host_names_are_those_that_machines_can_have() {
        // EN-12
        let longest = "x".repeat(MAX_HOSTNAME);
        for good in ["foo", "a", "build-1.example.com", "under_score", "9", &longest] {
            assert_eq!(hostname(&args(HOSTNAME, good)).unwrap().as_deref(), Some(good));
        }
        assert_eq!(hostname(&args(HOSTNAME, "")).unwrap(), None);
        assert_eq!(hostname(&BTreeMap::new()).unwrap(), None);
        let longer = "x".repeat(MAX_HOSTNAME + 1);
        for bad in ["a b", "a\n1.2.3.4 registry", "-a", "a-", ".", "a..b", "a.", "é", "a/b", "::1", " ", &longer] {
            let error = hostname(&args(HOSTNAME, bad)).unwrap_err();
            assert_eq!(error.code(), Code::InvalidHostname, "{bad}");
            assert!(error.to_string().starts_with("BUILDKIT_SANDBOX_HOSTNAME="), "{error}");
        }
    }

    #[test]
    fn what_is_not_followed_is_said() {
        // EN-12
        let said = |text: &str, name: &str, value: &str| {
            not_followed(&Dockerfile::parse(text.as_bytes()).unwrap(), &args(name, value))
        };
        for (name, _) in NOT_FOLLOWED {
            let told = said("FROM a\n", name, "1");
            assert!(told.len() == 1 && told[0].starts_with(&format!("the build argument {name} has no effect: ")));
            for no in ["", "0", "false", "No"] {
                assert_eq!(said("FROM a\n", name, no), [""; 0], "{name}={no}");
            }
        }
        let unknown = "the build argument BUILDKIT_NEW has no effect: slipway does not know it";
        assert_eq!(said("FROM a\n", "BUILDKIT_NEW", "x"), [unknown]);
        for declared in ["ARG BUILDKIT_NEW\nFROM a\n", "FROM a\nARG BUILDKIT_NEW=y\n"] {
            assert_eq!(said(declared, "BUILDKIT_NEW", "x"), [""; 0]);
        }
        for name in FOLLOWED.iter().chain(&["SOURCE_DATE_EPOCH", "OTHER"]) {
            assert_eq!(said("FROM a\n", name, "x"), [""; 0], "{name}");
        }
    }
}
