//! The packages of two images: what dpkg, apk, rpm, npm and pip have written down, where that differs.

use super::items::Item;
use super::opened::Opened;
use super::rpm;
use crate::Error;
use database::{FileKind, PackageDifference};
use std::collections::{BTreeMap, BTreeSet};

/// `package.json` files that are read.
const MAX_MANIFESTS: usize = 20_000;

/// A kind of package: the manager's name, and the package's.
type Key = (&'static str, String);

/// Where package managers keep what they have installed, as far as the other image has something else there.
#[derive(Debug, Default)]
pub(super) struct Databases {
    paths: BTreeMap<Vec<u8>, &'static str>,
    /// Packages that a path alone tells of.
    told: BTreeSet<(Key, String)>,
}

/// The packages that differ, with their versions.
#[derive(Debug, Default)]
pub(super) struct Packages {
    versions: BTreeMap<Key, BTreeSet<String>>,
    /// Notes on databases that could not be read.
    pub notes: Vec<String>,
}

impl Databases {
    /// Finds what is to be read of one image.
    pub(super) fn find(of: &BTreeMap<&[u8], &Item>, other: &BTreeMap<&[u8], &Item>) -> Databases {
        let mut found = Databases::default();
        for (path, item) in of.iter().filter(|(_, item)| item.kind == FileKind::File) {
            let is_same = other.get(path).is_some_and(|known| known.content == item.content && known.size == item.size);
            if is_same {
                continue;
            }
            if let Some((name, version)) = distribution(path) {
                found.told.insert((("pip", name), version));
            } else if let Some(manager) = manager(path)
                && (manager != "npm" || found.paths.len() < MAX_MANIFESTS)
            {
                found.paths.insert(path.to_vec(), manager);
            }
        }
        found
    }

    /// Reads it.
    pub(super) fn read(&self, image: &Opened<'_>) -> Result<Packages, Error> {
        let contents = image.read(self.paths.keys().cloned())?;
        let mut packages = Packages::default();
        for ((manager, name), version) in &self.told {
            packages.add(manager, name, version);
        }
        for (path, manager) in &self.paths {
            let shown = String::from_utf8_lossy(path);
            match contents.get(path) {
                Some(content) => packages.parse(manager, content, &shown),
                None => packages.notes.push(format!("/{shown} is too large to be read")),
            }
        }
        Ok(packages)
    }
}

impl Packages {
    fn add(&mut self, manager: &'static str, name: &str, version: &str) {
        if !name.is_empty() {
            self.versions.entry((manager, name.to_owned())).or_default().insert(version.to_owned());
        }
    }

    fn parse(&mut self, manager: &'static str, content: &[u8], path: &str) {
        match manager {
            "dpkg" => self.paragraphs("dpkg", content, ("Package: ", "Version: ")),
            "apk" => self.paragraphs("apk", content, ("P:", "V:")),
            "npm" => self.manifest(content),
            _ => match rpm::packages(content) {
                Some(found) => found.iter().for_each(|(name, version)| self.add("rpm", name, version)),
                None => self.notes.push(format!("/{path} is an rpm database of a format that is not read")),
            },
        }
    }

    /// Reads paragraphs with a line for the name and one for the version.
    fn paragraphs(&mut self, manager: &'static str, content: &[u8], keys: (&str, &str)) {
        for paragraph in String::from_utf8_lossy(content).split("\n\n") {
            let value = |key: &str| paragraph.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
            // A package that was removed but for its configuration stays in dpkg's file.
            let is_gone = value("Status: ").is_some_and(|status| !status.ends_with(" installed"));
            if let (Some(name), Some(version), false) = (value(keys.0), value(keys.1), is_gone) {
                self.add(manager, name, version);
            }
        }
    }

    fn manifest(&mut self, content: &[u8]) {
        let Ok(manifest) = serde_json::from_slice::<serde_json::Value>(content) else { return };
        let text = |key: &str| manifest.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        if let (Some(name), Some(version)) = (text("name"), text("version")) {
            self.add("npm", &name, &version);
        }
    }
}

/// Returns the packages whose versions differ.
pub(super) fn difference(new: &Packages, old: &Packages) -> Vec<PackageDifference> {
    let keys: BTreeSet<&Key> = new.versions.keys().chain(old.versions.keys()).collect();
    let shown = |packages: &Packages, key: &Key| {
        packages.versions.get(key).map(|versions| versions.iter().cloned().collect::<Vec<_>>().join(", "))
    };
    let told = keys.into_iter().filter(|key| new.versions.get(*key) != old.versions.get(*key));
    let told = told.map(|key| PackageDifference {
        manager: key.0.to_owned(),
        name: key.1.clone(),
        new: shown(new, key),
        old: shown(old, key),
    });
    told.collect()
}

/// Returns which manager's file a path is.
fn manager(path: &[u8]) -> Option<&'static str> {
    let path = std::str::from_utf8(path).ok()?;
    match path {
        "var/lib/dpkg/status" => return Some("dpkg"),
        "lib/apk/db/installed" | "usr/lib/apk/db/installed" => return Some("apk"),
        _ if path.starts_with("var/lib/dpkg/status.d/") && !path.ends_with(".md5sums") => return Some("dpkg"),
        _ => {}
    }
    let name = path.strip_prefix("var/lib/rpm/").or_else(|| path.strip_prefix("usr/lib/sysimage/rpm/"));
    if matches!(name, Some("rpmdb.sqlite" | "Packages" | "Packages.db")) {
        return Some("rpm");
    }
    let (_, below) = path.strip_suffix("/package.json")?.rsplit_once("node_modules/")?;
    let is_package = if below.starts_with('@') { below.matches('/').count() == 1 } else { !below.contains('/') };
    is_package.then_some("npm")
}

/// Returns name and version of a Python distribution by the path of its metadata.
fn distribution(path: &[u8]) -> Option<(String, String)> {
    let path = std::str::from_utf8(path).ok()?;
    let directory = path.strip_suffix(".dist-info/METADATA").or_else(|| path.strip_suffix(".egg-info/PKG-INFO"))?;
    let (name, rest) = directory.rsplit('/').next()?.split_once('-')?;
    let version = rest.split("-py").next().unwrap_or(rest);
    Some((name.to_owned(), version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_manager_keeps_its_packages_somewhere() {
        let of = |path: &str| manager(path.as_bytes());
        assert_eq!((of("var/lib/dpkg/status"), of("lib/apk/db/installed")), (Some("dpkg"), Some("apk")));
        assert_eq!(of("var/lib/dpkg/status.d/libc6"), Some("dpkg"));
        assert_eq!(of("usr/lib/sysimage/rpm/rpmdb.sqlite"), Some("rpm"));
        assert_eq!(of("app/node_modules/left-pad/package.json"), Some("npm"));
        assert_eq!(of("app/node_modules/@a/b/package.json"), Some("npm"));
        assert_eq!(of("app/node_modules/a/lib/package.json"), None);
        let python = distribution(b"usr/lib/python3/site-packages/requests-2.32.3.dist-info/METADATA");
        assert_eq!(python, Some(("requests".to_owned(), "2.32.3".to_owned())));
        let egg = distribution(b"usr/lib/x/six-1.0-py3.12.egg-info/PKG-INFO");
        assert_eq!(egg, Some(("six".to_owned(), "1.0".to_owned())));
    }

    #[test]
    fn versions_that_differ_are_told() {
        let of = |dpkg: &str, apk: &str| {
            let mut packages = Packages::default();
            packages.parse("dpkg", dpkg.as_bytes(), "");
            packages.parse("apk", apk.as_bytes(), "");
            packages.parse("npm", br#"{"name": "a", "version": "1.0.0"}"#, "");
            packages
        };
        let status = "Package: libc6\nStatus: install ok installed\nVersion: 2.41\n\n";
        let gone = "Package: old\nStatus: deinstall ok config-files\nVersion: 1\n\n";
        let new = of(&format!("{status}{gone}"), "C:Q1\nP:busybox\nV:1.37-r2\n\nP:git\nV:2\n");
        let old = of(status, "P:busybox\nV:1.37-r1\n");
        let told = difference(&new, &old);
        let told: Vec<_> = told.iter().map(|it| (it.name.as_str(), it.new.as_deref(), it.old.as_deref())).collect();
        assert_eq!(told, [("busybox", Some("1.37-r2"), Some("1.37-r1")), ("git", Some("2"), None)]);
    }
}
