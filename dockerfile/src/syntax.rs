//! `# syntax=…`: which frontend a Dockerfile asks for. It is never run; what is not the usual one is told.

use crate::ast::Dockerfile;
use std::collections::BTreeMap;

/// The build argument that names another frontend than the file does.
const OVERRIDE: &str = "BUILDKIT_SYNTAX";
/// Names of the frontend whose language slipway reads itself.
const KNOWN: [&str; 2] = ["docker/dockerfile", "docker/dockerfile-upstream"];

/// Returns the frontend that is asked for, if it is another than the one slipway stands in for.
pub(crate) fn foreign_syntax<'f>(file: &'f Dockerfile, build_args: &'f BTreeMap<String, String>) -> Option<&'f str> {
    let asked = build_args.get(OVERRIDE).map(String::as_str).or(file.directives.syntax.as_deref())?;
    // Options may follow the name.
    let name = asked.split_whitespace().next().unwrap_or_default();
    let path = name.split('@').next().unwrap_or(name);
    let path = match path.rsplit_once(':') {
        Some((path, tag)) if !tag.contains('/') => path,
        _ => path,
    };
    let is_known = |known: &str| path == known || path.ends_with(&format!("/{known}"));
    (!name.is_empty() && name != "dockerfile.v0" && !KNOWN.iter().any(|known| is_known(known))).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    // DF-016, DF-02
    #[test]
    fn only_other_frontends_are_told() {
        let foreign = |syntax: &str, args: &[(&str, &str)]| {
            let file = Dockerfile::parse(format!("# syntax={syntax}\nFROM a\n").as_bytes()).unwrap();
            let args = args.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            foreign_syntax(&file, &args).map(str::to_owned)
        };
        for usual in [
            "docker/dockerfile:1",
            "docker.io/docker/dockerfile:1.7-labs",
            "docker/dockerfile-upstream:master",
            "mirror.example:5000/docker/dockerfile",
            "docker/dockerfile:1@sha256:0000",
            "dockerfile.v0",
        ] {
            assert_eq!(foreign(usual, &[]), None, "{usual}");
        }
        for other in ["evil/frontend", "example.com/mydocker/dockerfile:1", "dockerfile"] {
            assert_eq!(foreign(other, &[]).as_deref(), Some(other));
        }
        assert_eq!(foreign("docker/dockerfile:1", &[("BUILDKIT_SYNTAX", "a/b")]).as_deref(), Some("a/b"));
        assert_eq!(foreign("a/b", &[("BUILDKIT_SYNTAX", "dockerfile.v0")]), None);
    }
}
