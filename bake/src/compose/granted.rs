//! The files that a service of a test is given: `secrets` and `configs`, each of which the whole file defines.

use crate::Error;
use crate::yaml::{Content, Node};

/// A file that a container gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedFile {
    /// Its path from the directory of the compose file.
    pub source: String,
    /// Its path in the container.
    pub target: String,
    /// Its mode.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// The role in which a file is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Secret,
    Config,
}

impl Kind {
    fn key(self) -> &'static str {
        match self {
            Kind::Secret => "secrets",
            Kind::Config => "configs",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Secret => "secret",
            Kind::Config => "config",
        }
    }

    /// Returns the directory that names are in which are no paths.
    fn directory(self) -> &'static str {
        match self {
            Kind::Secret => "/run/secrets/",
            Kind::Config => "/",
        }
    }
}

/// Reads the files that a service of `document` is given.
pub(super) fn granted(kind: Kind, service: &Node, document: &Node, file: &str) -> Result<Vec<GrantedFile>, Error> {
    let Some(listed) = service.get(kind.key()).filter(|node| node.content != Content::Null) else {
        return Ok(Vec::new());
    };
    let at = |error: Error, node: &Node| error.at(file, Some(node.line));
    let Content::List(list) = &listed.content else {
        let text = format!("`{}` of a service is a list, not {}", kind.key(), listed.kind());
        return Err(at(Error::new(text), listed));
    };
    list.iter().map(|node| one(kind, node, document).map_err(|error| at(error, node))).collect()
}

fn one(kind: Kind, node: &Node, document: &Node) -> Result<GrantedFile, Error> {
    const KEYS: [&str; 5] = ["source", "target", "mode", "uid", "gid"];
    if let Some((key, _)) = node.pairs().iter().find(|(key, _)| !KEYS.contains(&key.as_str())) {
        return Err(Error::new(format!("`{key}` is not known of a {}", kind.name())));
    }
    let source = node.get("source").unwrap_or(node).scalar();
    let name = source.ok_or_else(|| Error::new(format!("the name of a {} is expected", kind.name())))?;
    let defined = document
        .get(kind.key())
        .and_then(|all| all.get(&name))
        .ok_or_else(|| Error::new(format!("the {} `{name}` is not among `{}` of the file", kind.name(), kind.key())))?;
    let source = defined.get("file").and_then(Node::scalar).ok_or_else(|| {
        Error::new(format!("the {} `{name}` has no `file`: in a test it is a file of the repository", kind.name()))
    })?;
    let target = node.get("target").and_then(Node::scalar).unwrap_or(name);
    let target = if target.starts_with('/') { target } else { format!("{}{target}", kind.directory()) };
    let number = |key: &str, usual: u32, radix: u32| match node.get(key).and_then(Node::written) {
        None => Ok(usual),
        Some(text) => u32::from_str_radix(text.strip_prefix("0o").unwrap_or(text), radix)
            .map_err(|_| Error::new(format!("`{key}: {text}` of a {}: a number is expected", kind.name()))),
    };
    let (uid, gid) = (number("uid", 0, 10)?, number("gid", 0, 10)?);
    Ok(GrantedFile { source, target, mode: number("mode", 0o444, 8)? & 0o777, uid, gid })
}

#[cfg(test)]
mod tests {
    use super::super::services;
    use super::*;

    fn read(text: &str) -> Result<Vec<GrantedFile>, String> {
        let read = services(("docker-compose.test.yml", text), &[].into(), None);
        Ok(read.map_err(|error| error.to_string())?.remove(0).granted)
    }

    #[test]
    fn secrets_and_configs_are_files_of_the_repository() {
        let text = r#"
services:
  sut:
    image: x
    secrets:
      - token
      - { source: token, target: other, mode: 0400, uid: "1000", gid: "1001" }
    configs: [web, { source: web, target: /etc/web.conf }]
secrets:
  token: { file: ./token.txt }
configs:
  web: { file: web.conf }
"#;
        let file = |source: &str, target: &str| GrantedFile {
            source: source.to_owned(),
            target: target.to_owned(),
            mode: 0o444,
            uid: 0,
            gid: 0,
        };
        let other = GrantedFile { mode: 0o400, uid: 1000, gid: 1001, ..file("./token.txt", "/run/secrets/other") };
        let expected = [
            file("./token.txt", "/run/secrets/token"),
            other,
            file("web.conf", "/web"),
            file("web.conf", "/etc/web.conf"),
        ];
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn a_file_that_is_none_of_the_repository_is_refused() {
        for (of_service, defined, expected) in [
            ("secrets: [t]", "", "the secret `t` is not among `secrets` of the file"),
            ("configs: [t]", "configs: { t: { content: x } }", "the config `t` has no `file`"),
            ("secrets: [t]", "secrets: { t: { external: true } }", "the secret `t` has no `file`"),
            ("secrets: { t: {} }", "", "`secrets` of a service is a list"),
            ("secrets: [{ source: t, mode: rw }]", "secrets: { t: { file: t } }", "`mode: rw` of a secret"),
            ("secrets: [{ source: t, where: x }]", "secrets: { t: { file: t } }", "`where` is not known of a secret"),
        ] {
            let error = read(&format!("services:\n  sut:\n    image: x\n    {of_service}\n{defined}\n")).unwrap_err();
            assert!(error.contains(expected) && error.contains("docker-compose.test.yml:4"), "{error}");
        }
    }
}
