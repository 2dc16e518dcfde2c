//! `config.json`: the logins that docker and slipway share, and the helpers that keep passwords elsewhere.

use crate::Error;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The name under which docker keeps the login of Docker Hub.
const HUB: &str = "https://index.docker.io/v1/";

/// A login of one registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The registry's host; `docker.io` for Docker Hub.
    pub registry: String,
    /// The user.
    pub user: String,
    /// The password or token.
    pub password: String,
}

/// Docker's `config.json`, whose other content is left as it is.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    content: Map<String, Value>,
}

impl ConfigFile {
    /// Reads the file `path`; one that is not there is empty.
    pub fn open(path: &Path) -> Result<ConfigFile, Error> {
        let content = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| Error::Invalid(format!("reading `{}`: {error}", path.display())))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Map::new(),
            Err(error) => return Err(Error::file("reading", path)(error)),
        };
        Ok(ConfigFile { path: path.to_owned(), content })
    }

    /// Returns where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the name of the helper that keeps the login of `registry`, if one does.
    pub fn helper(&self, registry: &str) -> Option<&str> {
        let of_registry = self.content.get("credHelpers").and_then(|helpers| helpers.get(key(registry)));
        let helper = of_registry.or_else(|| self.content.get("credsStore"))?.as_str()?;
        Some(helper).filter(|helper| !helper.is_empty())
    }

    /// Keeps a login: with the helper if there is one, else in the file.
    pub fn store(&mut self, account: &Account) -> Result<(), Error> {
        let server = key(&account.registry);
        let entry = match self.helper(&account.registry) {
            Some(helper) => {
                let asked = json!({ "ServerURL": server, "Username": account.user, "Secret": account.password });
                call(helper, "store", &asked.to_string())?;
                json!({})
            }
            None => json!({ "auth": STANDARD.encode(format!("{}:{}", account.user, account.password)) }),
        };
        self.auths().insert(server.to_owned(), entry);
        self.write()
    }

    /// Forgets the login of `registry`; tells whether there was one.
    pub fn erase(&mut self, registry: &str) -> Result<bool, Error> {
        if let Some(helper) = self.helper(registry) {
            // A helper that does not know the registry says so with an error.
            let _ = call(helper, "erase", key(registry));
        }
        let is_known = self.content.get("auths").is_some_and(|auths| auths.get(key(registry)).is_some());
        if is_known {
            self.auths().remove(key(registry));
            self.write()?;
        }
        Ok(is_known)
    }

    fn auths(&mut self) -> &mut Map<String, Value> {
        let auths = self.content.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        auths.as_object_mut().unwrap_or_else(|| unreachable!("it was just made an object"))
    }

    /// Writes the file so that nobody sees half of it, readable by its owner only.
    fn write(&self) -> Result<(), Error> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory).map_err(Error::file("creating", directory))?;
        let mut file =
            tempfile::NamedTempFile::new_in(directory).map_err(Error::file("creating a file in", directory))?;
        let text = indented(&self.content, "\t").map_err(|_| Error::Damaged("config.json".into()))?;
        file.write_all(text.as_bytes()).map_err(Error::file("writing", &self.path))?;
        let private = std::fs::Permissions::from_mode(0o600);
        file.as_file().set_permissions(private).map_err(Error::file("writing", &self.path))?;
        file.as_file().sync_data().map_err(Error::file("syncing", &self.path))?;
        // A link stays a link: what it leads to is replaced.
        let target = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        file.persist(&target).map_err(|error| Error::file("renaming to", &target)(error.error))?;
        Ok(())
    }
}

/// Returns a document with `indent` for each level.
pub fn indented(document: &impl Serialize, indent: &str) -> serde_json::Result<String> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    document.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns the name under which docker keeps the login of `registry`.
fn key(registry: &str) -> &str {
    if registry == "docker.io" { HUB } else { registry }
}

/// Runs a credential helper with `input`.
fn call(helper: &str, verb: &str, input: &str) -> Result<(), Error> {
    let program = format!("docker-credential-{helper}");
    let failed = |problem: String| Error::Invalid(format!("error storing credentials - {program} {verb}: {problem}"));
    let mut child = Command::new(&program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that reads nothing says why with its exit code.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(String::from_utf8_lossy(&output.stdout).trim().to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_kept_as_docker_keeps_them_and_the_rest_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sub/config.json");
        let mut config = ConfigFile::open(&path).unwrap();
        let account = |registry: &str| Account { registry: registry.into(), user: "me".into(), password: "s".into() };
        config.store(&account("docker.io")).unwrap();
        std::fs::write(&path, std::fs::read_to_string(&path).unwrap().replacen('{', "{\"psFormat\":\"x\",", 1))
            .unwrap();
        let mut config = ConfigFile::open(&path).unwrap();
        config.store(&account("localhost:5000")).unwrap();
        let written: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(written["auths"][HUB]["auth"], "bWU6cw==");
        assert_eq!(written["psFormat"], "x");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(config.erase("localhost:5000").unwrap() && !config.erase("localhost:5000").unwrap());
    }

    #[test]
    fn what_is_not_a_login_is_not_touched() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        let account = Account { registry: "a.test".into(), user: "me".into(), password: "s".into() };
        let before = "{\"psFormat\": \"table  {{.ID}}  {{.Names}}\"}";
        std::fs::write(&path, before).unwrap();
        let mut config = ConfigFile::open(&path).unwrap();
        assert!(!config.erase("a.test").unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before, "nothing was there to be removed");
        config.store(&account).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written.starts_with("{\n\t\"psFormat\": \"table  {{.ID}}  {{.Names}}\",\n\t\"auths\""), "{written}");
    }
}
