//! Path filters: a push that cannot change the image is not built.
//!
//! Two commits are compared by the ids of their trees, so the cost grows with what changed, and a rewritten branch is
//! compared as exactly as any other.

use crate::error::Code;
use crate::git::{Change, CommitId, CommitTree, FetchSettings, Mirror, Revision};
use crate::walk::{WalkError, Walked};
use crate::{Earlier, Error, Platforms, Request, Services};
use database::{Build, BuildFilter, BuildRequest, BuildState, MergedPull, PathFilter, Reason};
use files::ignore::Ignore;
use files::view::ViewError;
use registry_client::Reference;
use std::fmt::Write;

/// Changed paths that a reason names.
const MAX_LISTED: usize = 5;

/// The image that the rule of a build published last for the same ref.
struct Last {
    commit: String,
    inputs_key: Option<String>,
    tags: Vec<String>,
}

/// Compares a push with the last image of its rule.
pub(crate) struct Filter<'a> {
    /// Where builds are known.
    pub services: &'a Services,
    /// The build.
    pub request: &'a BuildRequest,
    /// Where its commits are.
    pub mirror: &'a Mirror,
    /// How an earlier commit is fetched that is not here.
    pub fetch: &'a FetchSettings,
}

impl Filter<'_> {
    /// Applies the patterns of the rule; tells why nothing is to be built, if so.
    pub(crate) fn by_paths(&self, tree: &CommitTree) -> Result<Option<Reason>, Error> {
        let options = &self.request.spec.options;
        if options.path_filter != PathFilter::Paths || options.paths.is_empty() || !self.is_push() {
            return Ok(None);
        }
        let patterns = Ignore::new(&options.paths)
            .map_err(|error| Error::new(Code::InvalidPattern, "reading the rule's `paths`").with_cause(error))?;
        let Some(last) = self.last()? else { return Ok(None) };
        let Some(older) = self.older(&last) else { return Ok(None) };
        let Some(changes) = changes(tree, &older)? else { return Ok(None) };
        let matches = |change: &Change| !change.is_directory && patterns.ignores(&change.path);
        let is_inside =
            |change: &Change| is_submodule(change, tree, &older) && may_match_below(&options.paths, &change.path);
        if changes.iter().any(|change| matches(change) || is_inside(change)) {
            return Ok(None);
        }
        let text = format!("no path that the rule names ({}) changed", options.paths.join(", "));
        Ok(Some(unchanged(&text, &last, &changes)))
    }

    /// Looks whether what `platforms` read is what the last image was made from; tells why nothing is to be built, if so.
    pub(crate) fn by_inputs(
        &self,
        platforms: &Platforms<'_>,
        inputs_key: &str,
        root: &CommitTree,
    ) -> Result<Option<Reason>, Error> {
        let spec = &self.request.spec;
        let wanted = spec.options.path_filter == PathFilter::Automatic && spec.use_cache && spec.push;
        let on_network = platforms.each().iter().any(|prepared| prepared.plan().reads_the_network());
        // Files of named contexts lie beside the context, and images of other targets are not of the commit.
        let has_contexts = spec.options.baked.as_ref().is_some_and(|baked| !baked.contexts.is_empty());
        if !wanted || !self.is_push() || on_network || has_contexts {
            return Ok(None);
        }
        let Some(last) = self.last()? else { return Ok(None) };
        // A tag that is new (`{sha7}`) must be pushed: then the build is one whose steps are all cached.
        if last.inputs_key.as_deref() != Some(inputs_key) || !spec.tags.iter().all(|tag| last.tags.contains(tag)) {
            return Ok(None);
        }
        let Some(older) = self.older(&last) else { return Ok(None) };
        // A context that lies in a submodule is not in the commit itself.
        let subtree = |tree: &CommitTree| tree.subtree(&spec.context).ok();
        let (Some(older), Some(newer)) = (subtree(&older), subtree(root)) else { return Ok(None) };
        let Some(changes) = changes(&newer, &older)? else { return Ok(None) };
        if spec.options.submodules && changes.iter().any(|change| is_submodule(change, &newer, &older)) {
            return Ok(None);
        }
        for prepared in platforms.each() {
            let walk = prepared.request().options.fetching.walk();
            let mut reads = prepared.plan().reads(&Walked::new(&newer, &walk)).map_err(unreadable)?;
            reads.extend(prepared.plan().reads(&Walked::new(&older, &walk)).map_err(unreadable)?);
            let ignore = &prepared.request().context.ignore;
            if changes.iter().any(|change| reads.touch(&change.path, ignore)) {
                return Ok(None);
            }
        }
        Ok(Some(unchanged("nothing that the image is made from changed", &last, &changes)))
    }

    /// Returns whether a push asked for the build: builds that were asked for by hand are never skipped.
    fn is_push(&self) -> bool {
        self.request.trigger.is_push()
    }

    /// Returns images by their digests, for a build that may turn out to make one of them again: those of pull requests that
    /// had the same files, and the last one.
    pub(crate) fn previous(&self, request: &Request, tree: &CommitTree) -> Result<Vec<Earlier>, Error> {
        // A time that somebody asked for is part of the image.
        let may_be_same =
            request.push && request.options.use_cache && !request.build_args.contains_key(crate::SOURCE_DATE_EPOCH);
        let Some(tag) = request.tags.first().filter(|_| may_be_same) else { return Ok(Vec::new()) };
        let mut found = self.merged(request, tag, &tree.tree())?;
        let last = self.last_build()?.and_then(|build| build.image?.digest.parse().ok());
        let last = last.map(|digest| Earlier { image: tag.with_digest(digest), is_pushed: false, merged: None });
        found.extend(last);
        Ok(found)
    }

    /// Returns the images of the branch's own pull requests that were made of the same files. An image of a fork's
    /// request never becomes that of a branch, whatever it is made of.
    fn merged(&self, request: &Request, tag: &Reference, tree: &str) -> Result<Vec<Earlier>, Error> {
        let spec = &self.request.spec;
        let Some(branch) = spec.git_ref.strip_prefix("refs/heads/").filter(|_| spec.options.trusted) else {
            return Ok(Vec::new());
        };
        let database = &self.services.database;
        let found = database.pull_images(&self.request.repository, &self.request.rule);
        let found = self.services.tokio.block_on(found).map_err(unknown)?;
        Ok(found.into_iter().filter_map(|build| of_pull(build, request, tag, branch, tree)).collect())
    }

    fn last(&self) -> Result<Option<Last>, Error> {
        let Some(last) = self.last_build()? else { return Ok(None) };
        let Some(commit) = last.commit else { return Ok(None) };
        let image = match last.image {
            Some(image) => image,
            // The images of a group are those of its targets.
            None if self.request.spec.options.bake.is_some() => {
                return Ok(Some(Last { commit, inputs_key: None, tags: Vec::new() }));
            }
            None => return Ok(None),
        };
        let filter = BuildFilter {
            repository: Some(self.request.repository.clone()),
            rule: Some(self.request.rule.clone()),
            git_ref: Some(self.request.spec.git_ref.clone()),
            commit: Some(commit.clone()),
            state: Some(BuildState::Succeeded),
            limit: 200,
            ..BuildFilter::default()
        };
        let builds = self.services.tokio.block_on(self.services.database.builds(&filter)).map_err(unknown)?;
        let tags = builds.into_iter().filter_map(|build| build.image).flat_map(|image| image.tags).collect();
        Ok(Some(Last { commit, inputs_key: image.inputs_key, tags }))
    }

    fn last_build(&self) -> Result<Option<Build>, Error> {
        let (request, database) = (self.request, &self.services.database);
        let last = database.last_published(&request.repository, &request.rule, &request.spec.git_ref);
        self.services.tokio.block_on(last).map_err(unknown)
    }

    /// Returns the tree of the last image's commit; `None` if it cannot be had: then everything counts as changed.
    fn older(&self, last: &Last) -> Option<CommitTree> {
        let git_ref = Some(self.request.spec.git_ref.clone());
        let wanted = Revision::Commit { id: last.commit.clone(), git_ref };
        let id = CommitId::parse(&last.commit)?;
        let here = CommitTree::open(self.mirror, &id, "").ok();
        here.or_else(|| {
            self.mirror.fetch(&wanted, self.fetch).ok()?;
            CommitTree::open(self.mirror, &id, "").ok()
        })
    }
}

/// Returns the image of a build if a pull request to `branch` made it from `tree`.
fn of_pull(build: Build, request: &Request, tag: &Reference, branch: &str, tree: &str) -> Option<Earlier> {
    let Build { id, image, request: BuildRequest { spec, .. }, .. } = build;
    let pull = spec.options.pull.filter(|pull| spec.options.trusted && pull.target == branch)?;
    let image = image.filter(|image| image.tree.as_deref() == Some(tree))?;
    // In every repository that the new one goes to: then it needs but another name.
    let is_in = |tag: &Reference| {
        let named = image.tags.iter().filter_map(|name| Reference::parse(name).ok());
        named.into_iter().any(|name| name.registry() == tag.registry() && name.repository() == tag.repository())
    };
    Some(Earlier {
        is_pushed: request.tags.iter().all(is_in),
        image: tag.with_digest(image.digest.parse().ok()?),
        merged: Some(MergedPull { number: pull.number, build: id }),
    })
}

/// Returns what differs; `None` if it is more than anybody wants to look at.
fn changes(newer: &CommitTree, older: &CommitTree) -> Result<Option<Vec<Change>>, Error> {
    match newer.changes_since(older) {
        Err(error) if WalkError::of(&error).is_some() => Ok(None),
        changes => changes.map(Some).map_err(unreadable),
    }
}

/// Returns whether what changed is which commit a submodule is at: then any file below it may have changed.
fn is_submodule(change: &Change, newer: &CommitTree, older: &CommitTree) -> bool {
    newer.submodule(&change.path).or_else(|| older.submodule(&change.path)).is_some()
}

/// Returns whether one of `patterns` may match a path below `directory`.
fn may_match_below(patterns: &[String], directory: &[u8]) -> bool {
    let first = directory.split(|&byte| byte == b'/').next().unwrap_or_default();
    let starts = patterns.iter().filter(|pattern| !pattern.starts_with('!'));
    let mut starts = starts.map(|pattern| pattern.trim_start_matches('/').split('/').next().unwrap_or_default());
    starts.any(|start| start.as_bytes() == first || files::pattern::has_wildcard(start))
}

fn unknown(error: database::Error) -> Error {
    Error::new(Code::Database, "looking up the last image of the rule").with_cause(error)
}

fn unreadable(error: ViewError) -> Error {
    Error::view("comparing two commits", error)
}

/// Says what was compared.
fn unchanged(what: &str, last: &Last, changes: &[Change]) -> Reason {
    let files: Vec<_> = changes.iter().filter(|change| !change.is_directory).collect();
    let commit = &last.commit[..last.commit.len().min(12)];
    let mut message = format!("{what} since commit {commit}, whose image is pushed");
    if files.is_empty() {
        message.push_str(": the files are the same");
    } else {
        let plural = if files.len() == 1 { "path" } else { "paths" };
        let named = files.iter().take(MAX_LISTED).map(|change| String::from_utf8_lossy(&change.path).into_owned());
        let _ = write!(message, ": {} {plural} changed ({}", files.len(), named.collect::<Vec<_>>().join(", "));
        message.push_str(if files.len() > MAX_LISTED { ", …)" } else { ")" });
    }
    Reason { code: Code::PathUnchanged.to_string(), message }
}
