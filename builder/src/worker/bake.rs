//! Groups: the file of a rule is read at the commit, and its targets are found that are to be built.

use super::bake_target::{Bakeware, Refused};
use crate::Error;
use crate::error::Code;
use crate::git::CommitTree;
use bake::{Facts, File, Request, Resolved, Settings};
use database::{BakeFile, BakedTarget, BuildRequest};
use files::path::clean_path;
use files::view::{EntryKind, View, ViewError};
use registry_client::Platform;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;

/// Largest file that is read.
const MAX_FILE: u64 = 1024 * 1024;
/// Targets that one rule builds, at most.
const MAX_TARGETS: usize = 200;

/// The targets of a group, and lines about them.
pub(crate) struct Found {
    /// The targets.
    pub targets: Vec<BakedTarget>,
    /// A line for each, and for what has no effect.
    pub lines: String,
}

/// Returns the targets that `request` is to build, by its file at the commit `tree`; its templates are filled in.
pub(crate) fn find(tree: &CommitTree, request: &BuildRequest, file: &BakeFile) -> Result<Found, Error> {
    let name = &request.spec.dockerfile;
    let invalid = |problem: String| Error::new(Code::BakeInvalid, format!("`{name}`: {problem}"));
    let text = read(tree, name)?.ok_or_else(|| {
        let text = format!("`{name}` is not in commit {}: `bake` or `compose` of the rule names it", tree.id());
        Error::new(Code::BakeNotFound, text)
    })?;
    let resolved = resolve(tree, request, file, text).map_err(|error| invalid(error.to_string()))?;
    let wanted = resolved.targets.values().filter(|target| !target.linked).count();
    if wanted == 0 {
        return Err(invalid("it names no target to build".to_owned()));
    }
    if resolved.targets.len() > MAX_TARGETS {
        return Err(invalid(format!("{} targets are to be built, at most {MAX_TARGETS} are", resolved.targets.len())));
    }
    let bakeware = Bakeware { request, file, targets: &resolved.targets, left: Cell::new(0) };
    let (mut found, mut lines, mut noted) = (Vec::new(), String::new(), Vec::new());
    for (name, target) in resolved.targets.iter().filter(|(_, target)| !target.linked) {
        let refused = |Refused(problem)| invalid(format!("the target `{name}`: {problem}"));
        let baked = bakeware.baked(name, target, &mut noted).map_err(refused)?;
        let tags = if baked.spec.push { baked.spec.tags.join(", ") } else { "not pushed".to_owned() };
        let _ = writeln!(lines, "target {name}: {tags}");
        found.push(baked);
    }
    refuse_doubles(&found).map_err(invalid)?;
    noted.iter().for_each(|note| lines.push_str(&format!("NOTE: {note}\n")));
    Ok(Found { targets: found, lines })
}

fn resolve(tree: &CommitTree, request: &BuildRequest, file: &BakeFile, text: String) -> Result<Resolved, bake::Error> {
    let spec = &request.spec;
    let dot_env = match spec.context.as_str() {
        "" => ".env".to_owned(),
        context => format!("{context}/.env"),
    };
    let dot_env = read(tree, &dot_env).map_err(|error| bake::Error::new(error.report()))?;
    let built_in = [("BAKE_CMD_CONTEXT", "cwd://".to_owned()), ("BAKE_LOCAL_PLATFORM", Platform::host().to_string())];
    // One commit has one meaning: neither the clock nor chance has a part in it.
    let mut seed = [0; 16];
    seed.iter_mut().zip(tree.id().bytes()).for_each(|(to, from)| *to = from);
    let facts = Facts { now: tree.commit_time(), seed, ..Facts::default() };
    bake::resolve(&Request {
        files: vec![File { name: spec.dockerfile.clone(), text }],
        dot_env,
        targets: file.targets.clone(),
        overrides: Vec::new(),
        settings: Settings {
            environment: spec.build_args.clone(),
            built_in: built_in.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            facts,
        },
    })
}

/// Returns the text of a regular file of the commit, if it is there; links are not followed.
fn read(tree: &CommitTree, name: &str) -> Result<Option<String>, Error> {
    let path = clean_path(name.as_bytes());
    let invalid =
        |problem: String| Error::new(Code::BakeInvalid, format!("reading `{name}` of commit {}: {problem}", tree.id()));
    let unreadable = |error: ViewError| Error::view(format!("reading `{name}`"), error);
    match tree.lookup(&path).map_err(unreadable)?.map(|node| node.kind) {
        None => return Ok(None),
        Some(EntryKind::File { size }) if size <= MAX_FILE => {}
        Some(EntryKind::File { size }) => {
            return Err(invalid(format!("the file has {size} bytes, at most {MAX_FILE} are read")));
        }
        Some(_) => return Err(invalid("it is not a regular file".to_owned())),
    }
    let mut text = String::new();
    let mut content = tree.open_file(&path).map_err(unreadable)?;
    content.read_to_string(&mut text).map_err(|_| invalid("it is not UTF-8 text".to_owned()))?;
    Ok(Some(text))
}

/// Refuses two targets of one name in a registry: which of them it names would be left to chance.
fn refuse_doubles(targets: &[BakedTarget]) -> Result<(), String> {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for target in targets.iter().filter(|target| target.spec.push) {
        for tag in &target.spec.tags {
            if let Some(other) = owners.insert(tag, &target.name) {
                return Err(format!(
                    "the targets `{other}` and `{}` both have the tag `{tag}`: each needs one of its own",
                    target.name
                ));
            }
        }
    }
    Ok(())
}
