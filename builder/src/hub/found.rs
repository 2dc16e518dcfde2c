//! Docker Hub's hooks and tests of a repository: which there are, and in which order they run.

use files::view::{EntryKind, View};
use std::collections::BTreeSet;

/// A phase of Docker Hub's builder, in the order in which they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hook {
    /// After the commit was checked out.
    PostCheckout,
    /// Before the image is built.
    PreBuild,
    /// In place of slipway's build.
    Build,
    /// After it.
    PostBuild,
    /// Before the tests.
    PreTest,
    /// In place of the tests of the compose files.
    Test,
    /// After them.
    PostTest,
    /// Before the image is pushed.
    PrePush,
    /// In place of slipway's push.
    Push,
    /// After it.
    PostPush,
}

impl Hook {
    /// All of them, in their order.
    pub(crate) const ALL: [Hook; 10] = [
        Hook::PostCheckout,
        Hook::PreBuild,
        Hook::Build,
        Hook::PostBuild,
        Hook::PreTest,
        Hook::Test,
        Hook::PostTest,
        Hook::PrePush,
        Hook::Push,
        Hook::PostPush,
    ];

    /// Returns the name of its file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Hook::PostCheckout => "post_checkout",
            Hook::PreBuild => "pre_build",
            Hook::Build => "build",
            Hook::PostBuild => "post_build",
            Hook::PreTest => "pre_test",
            Hook::Test => "test",
            Hook::PostTest => "post_test",
            Hook::PrePush => "pre_push",
            Hook::Push => "push",
            Hook::PostPush => "post_push",
        }
    }

    /// Returns whether it belongs to the push, and so runs only where the image is pushed.
    pub(crate) fn is_of_push(self) -> bool {
        self >= Hook::PrePush
    }
}

/// The hooks and tests that lie beside a Dockerfile, where Docker Hub looks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The directory of the Dockerfile; empty for the root.
    pub directory: String,
    /// The hooks.
    pub hooks: BTreeSet<Hook>,
    /// The names of the compose files of tests, in their order.
    pub tests: Vec<String>,
}

impl Found {
    /// Looks beside `dockerfile`, a path from the root of `tree`.
    pub(crate) fn beside(tree: &dyn View, dockerfile: &str) -> Self {
        let directory = dockerfile.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
        let below = |name: &str| if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
        // The build itself fails on files that cannot be read.
        let names = |path: &str| {
            let children = tree.children(path.as_bytes()).unwrap_or_default();
            let files = children.into_iter().filter(|(_, node)| node.kind != EntryKind::Directory);
            files.map(|(name, _)| String::from_utf8_lossy(&name).into_owned()).collect::<Vec<_>>()
        };
        let known = names(&below("hooks"));
        let hooks = Hook::ALL.into_iter().filter(|hook| known.iter().any(|name| name == hook.name())).collect();
        let is_test = |name: &String| name.ends_with(".test.yml") || name.ends_with("-test.yml");
        let tests = names(&directory).into_iter().filter(is_test).collect();
        Found { directory, hooks, tests }
    }

    /// Returns whether there is nothing that slipway does not do by itself.
    pub(crate) fn is_empty(&self) -> bool {
        self.hooks.is_empty() && self.tests.is_empty()
    }

    /// Returns whether a hook may change the files that the image is built from.
    pub(crate) fn changes_files(&self) -> bool {
        self.hooks.iter().any(|hook| *hook < Hook::Build)
    }

    /// Takes the tests out; returns them.
    pub(crate) fn take_tests(&mut self) -> Self {
        let (directory, tests) = (self.directory.clone(), std::mem::take(&mut self.tests));
        Found { directory, hooks: BTreeSet::new(), tests }
    }

    /// Returns the path of a file of the Dockerfile's directory.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.directory.is_empty() { name.to_owned() } else { format!("{}/{name}", self.directory) }
    }

    /// Returns a sentence for the hooks and one for the tests, which say that they are not executed and `why`.
    pub(crate) fn unused(&self, why: &str) -> Vec<String> {
        let hooks = self.hooks.iter().map(|hook| format!("`{}`", self.path(&format!("hooks/{}", hook.name()))));
        let tests = self.tests.iter().map(|name| format!("`{}`", self.path(name)));
        let say = |files: Vec<String>, what: &str| {
            (!files.is_empty()).then(|| format!("{} not executed: {why}; {what}", files.join(", ")))
        };
        let hooks = say(hooks.collect(), "without hooks the image may be another one");
        hooks.into_iter().chain(say(tests.collect(), "the image is pushed without its tests")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Directory;

    #[test]
    fn hooks_and_tests_beside_the_dockerfile_are_named() {
        let directory = tempfile::tempdir().unwrap();
        for path in [
            "hooks/useful.ts",
            "app/hooks/pre_build",
            "app/hooks/push",
            "app/hooks/build/x",
            "app/docker-compose.test.yml",
            "app/a-test.yml",
            "other.test.yaml",
        ] {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let view = Directory::open(directory.path(), None).unwrap();
        assert!(Found::beside(&view, "Dockerfile").is_empty());
        let found = Found::beside(&view, "app/Dockerfile");
        assert_eq!(found.hooks, [Hook::PreBuild, Hook::Push].into());
        assert_eq!(found.tests, ["a-test.yml", "docker-compose.test.yml"]);
        assert!(found.changes_files());
        let warnings = found.unused("they are off");
        assert!(warnings[0].starts_with("`app/hooks/pre_build`, `app/hooks/push` not executed: they"), "{warnings:?}");
        assert!(warnings[1].starts_with("`app/a-test.yml`, `app/docker-compose.test.yml` not"), "{warnings:?}");
    }
}
