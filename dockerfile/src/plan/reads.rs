//! The paths of the build's context that a plan reads: one of them must change for the image to change.

use super::bases::Base;
use super::model::{Action, Copy, From, MountKind, Plan, Source};
use files::ignore::Ignore;
use files::path::{clean_path, join};
use files::pattern;
use files::tree::resolve_in;
use files::view::{EntryKind, View, ViewError};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Places in a context.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// Files, and directories with all they hold; the empty path is everything.
    roots: BTreeSet<Vec<u8>>,
    /// Symbolic links on the way to them.
    links: BTreeSet<Vec<u8>>,
}

impl Plan {
    /// Tells whether the plan reads something that no commit holds, and that may change at any time.
    pub fn reads_the_network(&self) -> bool {
        let remote = |copy: &Copy| copy.sources.iter().any(|source| !matches!(source, Source::Path(_)));
        self.actions().any(|action| matches!(action, Action::Copy(copy) if remote(copy)))
    }

    /// Finds what the plan reads from its context, whose files are those of `view`.
    pub fn reads(&self, view: &dyn View) -> Result<Reads, ViewError> {
        let mut reads = Reads::default();
        for action in self.actions() {
            match action {
                Action::Copy(copy) if copy.from == From::Context => {
                    for source in &copy.sources {
                        if let Source::Path(path) = source {
                            reads.add(view, path, copy.flags.parents)?;
                        }
                    }
                }
                Action::Run(run) => {
                    for mount in &run.mounts {
                        if let MountKind::Bind { from: From::Context, source, .. }
                        | MountKind::Cache { seed: Some((From::Context, source)), .. } = &mount.kind
                        {
                            reads.add_path(view, &clean_path(source.as_bytes()));
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(reads)
    }

    /// Returns the images that stages start from or read from, each once.
    pub fn images(&self) -> BTreeSet<&str> {
        let bases = self.stages.iter().filter_map(|stage| match &stage.base {
            Base::Image(name) => Some(name.as_str()),
            Base::Scratch | Base::Stage(_) => None,
        });
        let mut images: BTreeSet<_> = bases.collect();
        for action in self.actions() {
            match action {
                Action::Copy(copy) => images.extend(image(&copy.from)),
                Action::Run(run) => images.extend(run.mounts.iter().filter_map(|mount| match &mount.kind {
                    MountKind::Bind { from, .. } | MountKind::Cache { seed: Some((from, _)), .. } => image(from),
                    _ => None,
                })),
                Action::Configure | Action::Workdir { .. } => {}
            }
        }
        images
    }

    fn actions(&self) -> impl Iterator<Item = &Action> {
        self.stages.iter().flat_map(|stage| &stage.steps).map(|step| &step.action)
    }
}

impl Reads {
    /// Adds what `other` holds.
    pub fn extend(&mut self, other: Reads) {
        self.roots.extend(other.roots);
        self.links.extend(other.links);
    }

    /// Tells whether a change of `path` changes what is read; `ignore` says what is not seen.
    pub fn touch(&self, path: &[u8], ignore: &Ignore) -> bool {
        self.links.contains(path) || (self.meets_root(path) && !ignore.ignores(path))
    }

    /// Tells whether a root is `path`, or lies above or below it; as fast with many roots as with few.
    fn meets_root(&self, path: &[u8]) -> bool {
        let ends = (0..path.len()).filter(|&at| path[at] == b'/').chain([0, path.len()]);
        let mut above = ends.map(|end| &path[..end]);
        let start = [path, b"/"].concat();
        let below = || self.roots.range(start.clone()..).next().is_some_and(|root| root.starts_with(&start));
        path.is_empty() && !self.roots.is_empty() || above.any(|above| self.roots.contains(above)) || below()
    }

    /// Adds what a source of a `COPY` names; a superset of it where patterns cross directories.
    fn add(&mut self, view: &dyn View, source: &str, parents: bool) -> Result<(), ViewError> {
        let path = clean_path(source.as_bytes());
        if !pattern::has_wildcard(source) {
            self.add_path(view, &path);
            return Ok(());
        }
        let text = String::from_utf8_lossy(&path).into_owned();
        let parts: Vec<&str> = text.split('/').collect();
        let first = parts.iter().position(|part| pattern::has_wildcard(part)).unwrap_or(0);
        let start = parts[..first].join("/").into_bytes();
        if parents {
            self.add_path(view, &start);
            return Ok(());
        }
        self.add_matches(view, &start, &parts[first..])
    }

    fn add_matches(&mut self, view: &dyn View, at: &[u8], parts: &[&str]) -> Result<(), ViewError> {
        let Some((part, rest)) = parts.split_first() else {
            self.add_path(view, at);
            return Ok(());
        };
        let Some(directory) = self.resolve(view, at) else { return Ok(()) };
        for (name, node) in view.children(&directory)? {
            // A pattern that is malformed fails the build; until then it may match anything.
            if pattern::matches(part, &String::from_utf8_lossy(&name)).unwrap_or(true) {
                let path = join(at, &name);
                view.take(&path, &node)?;
                self.add_matches(view, &path, rest)?;
            }
        }
        Ok(())
    }

    fn add_path(&mut self, view: &dyn View, path: &[u8]) {
        let resolved = self.resolve(view, path);
        self.roots.extend(resolved);
        self.roots.insert(path.to_vec());
    }

    /// Follows the links of `path` and takes note of them; `None` if they lead in a circle.
    fn resolve(&mut self, view: &dyn View, path: &[u8]) -> Option<Vec<u8>> {
        let links = RefCell::new(BTreeSet::new());
        let resolved = resolve_in(path, |path| {
            let node = view.lookup(path).ok().flatten();
            if matches!(&node, Some(node) if matches!(node.kind, EntryKind::Symlink { .. })) {
                links.borrow_mut().insert(path.to_vec());
            }
            node
        });
        self.links.extend(links.into_inner());
        resolved.ok()
    }
}

fn image(from: &From) -> Option<&str> {
    match from {
        From::Image(name) => Some(name),
        From::Context | From::Stage(_) | From::Named(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast::Dockerfile;
    use crate::plan::{BaseImages, Lint, Planned, Scope, Settings};
    use files::view::{ContentId, Node};
    use std::collections::BTreeMap;

    /// Files by path; a value that is not empty is a link's target.
    struct Files(BTreeMap<&'static str, &'static str>);

    impl View for Files {
        fn lookup(&self, path: &[u8]) -> Result<Option<Node>, ViewError> {
            let path = std::str::from_utf8(path).unwrap();
            let kind = match self.0.get(path) {
                Some(&"") => EntryKind::File { size: 0 },
                Some(target) => EntryKind::Symlink { target: target.as_bytes().to_vec() },
                None if self.0.keys().any(|file| file.starts_with(&format!("{path}/"))) => EntryKind::Directory,
                None => return Ok(None),
            };
            Ok(Some(Node { kind, mode: 0, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new(), hard_link: None }))
        }

        fn children(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Node)>, ViewError> {
            let path = std::str::from_utf8(path).unwrap();
            let start = if path.is_empty() { String::new() } else { format!("{path}/") };
            let below = self.0.keys().filter_map(|file| file.strip_prefix(&start)?.split('/').next());
            let names: BTreeSet<_> = below.collect();
            let found = names.into_iter().map(|name| {
                let node = self.lookup(format!("{start}{name}").as_bytes()).unwrap().unwrap();
                (name.as_bytes().to_vec(), node)
            });
            Ok(found.collect())
        }

        fn content(&self, _: &[u8]) -> Result<ContentId, ViewError> {
            Ok(ContentId(String::new()))
        }
    }

    fn reads(steps: &str) -> Reads {
        let files = Files(BTreeMap::from([
            ("package.json", ""),
            ("lock.json", ""),
            ("src/a/one", ""),
            ("docs/x.md", ""),
            ("current", "releases/2"),
            ("releases/2/f", ""),
            ("releases/1/f", ""),
        ]));
        let text = format!("FROM scratch\n{steps}\n");
        let settings = Settings::new("linux/amd64".parse().unwrap());
        let file = Dockerfile::parse(text.as_bytes()).unwrap();
        match Plan::for_file(&file, &settings, &BaseImages::new(), Scope::Target, &Lint::default()).unwrap() {
            Planned::Ready(plan) => plan.reads(&files).unwrap(),
            Planned::Needs(needed) => panic!("{needed:?}"),
        }
    }

    #[test]
    fn only_what_is_read_is_touched() {
        let cases: [(&str, &[&str], &[&str]); 6] = [
            ("COPY src /s", &["src/a/one", "src/new", "src"], &["docs/x.md", "srcx", "README"]),
            ("COPY . /", &["anything", "docs/x.md"], &[]),
            ("COPY *.json /", &["package.json", "lock.json"], &["src/a/one", "src/x.json"]),
            ("COPY current/f /", &["releases/2/f", "current"], &["releases/1/f", "docs/x.md"]),
            ("COPY --parents src/**/one /", &["src/a/one"], &["docs/x.md"]),
            ("RUN --mount=type=bind,source=docs,target=/d true", &["docs/x.md", "docs/new"], &["src/a/one"]),
        ];
        for (steps, touched, untouched) in cases {
            let reads = reads(steps);
            for path in touched {
                assert!(reads.touch(path.as_bytes(), &Ignore::default()), "{steps}: {path}");
            }
            for path in untouched {
                assert!(!reads.touch(path.as_bytes(), &Ignore::default()), "{steps}: {path}");
            }
        }
    }

    #[test]
    fn what_is_ignored_is_not_read() {
        let ignore = Ignore::new(["**/*.md", "!docs/kept.md"]).unwrap();
        let reads = reads("COPY . /");
        assert!(!reads.touch(b"docs/x.md", &ignore));
        assert!(reads.touch(b"docs/kept.md", &ignore) && reads.touch(b"docs", &ignore));
    }
}
