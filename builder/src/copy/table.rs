//! The rules of `COPY` and `ADD`, one row each, by the numbers they have in the description of Dockerfiles.

use super::tests::{Asked, Expected, copied, paths, request, tree};
use super::*;
use files::tree::Tree;

/// Rule, files of the source, files of the destination, sources, destination, what the layer names.
type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
    &'static str,
    Expected,
);

use Expected::{Fails, Makes};

const F: &[(&str, &str)] = &[("f", "1")];
const D: &[(&str, &str)] = &[("d", "dir"), ("d/a", "1"), ("d/s", "dir"), ("d/s/b", "2")];
const EMPTY: &[(&str, &str)] = &[];

const ROWS: &[Row] = &[
    // Paths are cleaned against the root of the source and never lead out of it.
    ("DF-145", F, EMPTY, &["../f"], "/x", Makes(&["x"])),
    ("DF-145", F, EMPTY, &["/f"], "/x", Makes(&["x"])),
    ("DF-145", F, EMPTY, &["a/../../../f"], "/x", Makes(&["x"])),
    ("DF-145", F, EMPTY, &["./f"], "/x", Makes(&["x"])),
    // Destinations are absolute or start at the working directory; a slash at the end means a directory.
    ("DF-146", F, EMPTY, &["f"], "x", Makes(&["work", "work/x"])),
    ("DF-146", F, EMPTY, &["f"], ".", Makes(&["work", "work/f"])),
    ("DF-146", F, EMPTY, &["f"], "", Makes(&["work", "work/f"])),
    ("DF-146", F, EMPTY, &["f"], "x/", Makes(&["work", "work/x", "work/x/f"])),
    ("DF-146", F, EMPTY, &["f"], "x/.", Makes(&["work", "work/x", "work/x/f"])),
    ("DF-146", F, EMPTY, &["f"], "../x", Makes(&["x"])),
    ("DF-146", F, EMPTY, &["f"], "/a/../../b", Makes(&["b"])),
    // A file gets the destination's name, or its own in a directory.
    ("DF-147", F, &[("x", "dir")], &["f"], "/x", Makes(&["x", "x/f"])),
    ("DF-147", F, &[("x", "old")], &["f"], "/x", Makes(&["x"])),
    ("DF-147", F, EMPTY, &["f"], "/p/q/x", Makes(&["p", "p/q", "p/q/x"])),
    ("DF-147", F, &[("x", "old")], &["f"], "/x/", Fails("cannot copy to non-directory: /x")),
    // The contents of a directory are copied, however it is written.
    ("DF-148", D, EMPTY, &["d"], "/x", Makes(&["x", "x/a", "x/s", "x/s/b"])),
    ("DF-148", D, EMPTY, &["d/"], "/x", Makes(&["x", "x/a", "x/s", "x/s/b"])),
    ("DF-148", D, EMPTY, &["d/."], "/x/", Makes(&["x", "x/a", "x/s", "x/s/b"])),
    ("DF-148", D, &[("x", "file")], &["d"], "/x", Fails("cannot copy to non-directory: /x")),
    // Several sources to one name overwrite each other.
    ("DF-149", D, EMPTY, &["d/a", "d/s/b"], "/x", Makes(&["x"])),
    ("DF-149", D, &[("x", "dir")], &["d/a", "d/s/b"], "/x", Makes(&["x", "x/a", "x/b"])),
    // Files and directories do not take each other's place; files and links are replaced.
    ("DF-150", D, &[("a", "dir")], &["d"], "/", Fails("cannot replace to directory /a with file")),
    ("DF-150", D, &[("s", "file")], &["d"], "/", Fails("cannot copy to non-directory: /s")),
    ("DF-150", D, &[("a", "-> /elsewhere"), ("s", "dir")], &["d"], "/", Makes(&["a", "s", "s/b"])),
    // Links at the destination are followed within it.
    ("DF-151", F, &[("l", "-> /r"), ("r", "dir")], &["f"], "/l", Makes(&["r", "r/f"])),
    ("DF-151", F, &[("l", "-> ../../r"), ("r", "dir")], &["f"], "/l/x", Makes(&["r", "r/x"])),
    ("DF-151", F, &[("l", "-> nowhere")], &["f"], "/l", Makes(&["nowhere"])),
    ("DF-151", F, &[("a", "-> b"), ("b", "-> a")], &["f"], "/a/x", Fails("too many levels of symbolic links")),
    // A directory does not follow a link that is in its way below the destination.
    ("DF-152", D, &[("s", "-> /r"), ("r", "dir")], &["d"], "/", Fails("cannot copy to non-directory: /s")),
    // Links that are named or matched are followed within the source, links in directories are copied.
    ("DF-153", &[("l", "-> m"), ("m", "-> /f"), ("f", "1")], EMPTY, &["l"], "/x/", Makes(&["x", "x/l"])),
    ("DF-153", &[("l", "-> ../../../f"), ("f", "1")], EMPTY, &["l"], "/x", Makes(&["x"])),
    ("DF-153", &[("l1", "-> d"), ("d/a", "1")], EMPTY, &["l*"], "/x", Makes(&["x", "x/a"])),
    ("DF-153", &[("p", "-> d"), ("d/a", "1")], EMPTY, &["p/a"], "/x", Makes(&["x"])),
    ("DF-153", &[("l", "-> nowhere")], EMPTY, &["l"], "/x", Fails("\"/l\": not found")),
    ("DF-154", &[("d/l", "-> nowhere"), ("d/m", "-> /f")], EMPTY, &["d"], "/x", Makes(&["x", "x/l", "x/m"])),
    // Wildcards are Go's: they do not cross directories, dots are letters.
    ("DF-155", &[(".h", "1"), ("d/g", "2")], EMPTY, &["*h"], "/x/", Makes(&["x", "x/.h"])),
    ("DF-155", D, EMPTY, &["d/?"], "/x/", Makes(&["x", "x/a", "x/b"])),
    ("DF-155", D, EMPTY, &["*/s/*"], "/x/", Makes(&["x", "x/b"])),
    ("DF-155", D, EMPTY, &["d/[^a]"], "/x/", Makes(&["x", "x/b"])),
    ("DF-155", D, EMPTY, &["d/["], "/x/", Fails("syntax error in pattern")),
    ("DF-155", D, EMPTY, &["**/b"], "/x/", Makes(&[])),
    ("DF-156", D, EMPTY, &["n*"], "/x/", Makes(&[])),
    ("DF-157", D, EMPTY, &["n"], "/x/", Fails("\"/n\": not found")),
    ("DF-157", D, EMPTY, &["d/n/o"], "/x/", Fails("\"/d/n/o\": not found")),
    ("DF-158", &[("[x", "1")], EMPTY, &["[[]x"], "/x/", Makes(&["x", "x/[x"])),
    ("DF-158", &[("*", "1"), ("a", "2")], EMPTY, &["\\**"], "/x/", Makes(&["x", "x/*"])),
    ("DF-158", &[("%2e+ü", "1")], EMPTY, &["%2e+ü"], "/x/", Makes(&["x", "x/%2e+ü"])),
    ("DF-159", F, EMPTY, &[""], "/x/", Makes(&["x", "x/f"])),
    ("DF-159", F, EMPTY, &["/"], "/x", Makes(&["x", "x/f"])),
];

#[test]
fn every_rule_of_paths_holds() {
    for (rule, from, to, sources, destination, expected) in ROWS {
        let (from, to) = (tree(from), tree(to));
        let asked = request(sources, destination);
        expected.check(&format!("{rule}: {sources:?} to {destination}"), copied(&from, &to, &asked));
    }
}

fn with(change: impl FnOnce(&mut CopyRequest), sources: &[&'static str], destination: &str) -> Asked<'static> {
    let mut asked = request(sources, destination);
    change(&mut asked.1);
    asked
}

/// Returns mode, owner and time of each entry.
fn metadata(from: &Tree, to: &Tree, asked: &Asked<'_>) -> Vec<String> {
    let planned = copied(from, to, asked).unwrap();
    let shown = planned.iter().map(|planned| {
        let entry = &planned.entry;
        format!("{} {:o} {}:{} {}", String::from_utf8_lossy(&entry.path), entry.mode, entry.uid, entry.gid, entry.mtime)
    });
    shown.collect()
}

#[test]
fn metadata_are_those_of_the_source_and_of_the_flags() {
    // Files of the test have mode 640, directories 700, owner 7:8 and time 9; what is made is made at 100.
    let (from, empty) = (tree(D), Tree::default());
    let plain = request(&["d"], "/p/x");
    assert_eq!(
        metadata(&from, &empty, &plain),
        ["p 755 0:0 100", "p/x 755 0:0 9", "p/x/a 640 7:8 9", "p/x/s 700 7:8 9", "p/x/s/b 640 7:8 9"],
        "DF-162, DF-163, DF-164: parents are new, the destination is new but for its time"
    );
    let owned = with(|request| request.chown = Some(Owner { uid: 1, gid: 2 }), &["d/a"], "/p/x");
    assert_eq!(metadata(&from, &empty, &owned), ["p 755 1:2 100", "p/x 640 1:2 9"], "DF-160, DF-164");
    let octal = with(|request| request.chmod = Chmod::parse("2755").ok(), &["d"], "/x");
    assert_eq!(
        metadata(&from, &empty, &octal),
        ["x 755 0:0 9", "x/a 2755 7:8 9", "x/s 2755 7:8 9", "x/s/b 2755 7:8 9"],
        "DF-166"
    );
    let symbolic = with(|request| request.chmod = Chmod::parse("g+w,o+X").ok(), &["d"], "/x");
    assert_eq!(
        metadata(&from, &empty, &symbolic),
        ["x 755 0:0 9", "x/a 660 7:8 9", "x/s 721 7:8 9", "x/s/b 660 7:8 9"],
        "DF-166"
    );
    let existing = tree(&[("x", "dir"), ("x/s", "dir")]);
    let over = with(|request| request.chown = Some(Owner { uid: 1, gid: 2 }), &["d"], "/x");
    assert_eq!(
        metadata(&from, &existing, &over),
        ["x 700 7:8 9", "x/a 640 1:2 9", "x/s 700 1:2 9", "x/s/b 640 1:2 9"],
        "DF-162"
    );
    assert_eq!(
        metadata(&from, &existing, &request(&["d/a"], "/x/s/")),
        ["x 700 7:8 9", "x/s 700 7:8 100", "x/s/a 640 7:8 9"],
        "a new name is a change of its directory"
    );
}

#[test]
fn parents_and_exclusions_follow_the_patterns_of_ignore_files() {
    let from = tree(&[("a", "dir"), ("a/b", "dir"), ("a/b/c.txt", "1"), ("a/d.md", "2"), ("e.txt", "3")]);
    let parents = |sources: &[&'static str]| {
        paths(&from, &Tree::default(), &with(|request| request.parents = true, sources, "/o"))
    };
    assert_eq!(parents(&["a/b/c.txt"]), ["o", "o/a", "o/a/b", "o/a/b/c.txt"], "DF-175");
    assert_eq!(parents(&["a/./b"]), ["o", "o/b", "o/b/c.txt"], "DF-175");
    assert_eq!(parents(&["**/*.txt"]), ["o", "o/a", "o/a/b", "o/a/b/c.txt", "o/e.txt"], "DF-175");
    assert_eq!(parents(&["none*"]), ["o"], "DF-175: the root is what is copied, so there is a place for it");
    let missing = copied(&from, &Tree::default(), &with(|request| request.parents = true, &["a/none"], "/o"));
    assert!(matches!(missing, Err(CopyError::NotFound(_))), "DF-175");
    let excluding = |excludes: &[&str], sources: &[&'static str]| {
        let excludes = excludes.iter().map(|exclude| (*exclude).to_owned()).collect();
        paths(&from, &Tree::default(), &with(|request| request.excludes = excludes, sources, "/o"))
    };
    assert_eq!(excluding(&["*.md"], &["a"]), ["o", "o/b", "o/b/c.txt"], "DF-176");
    assert_eq!(excluding(&["a/d.md"], &["a"]), ["o", "o/b", "o/b/c.txt", "o/d.md"], "DF-176: relative to the source");
    assert_eq!(excluding(&["**"], &["a"]), ["o"], "DF-176: the destination is there");
    assert_eq!(excluding(&["**", "!b/c.txt"], &["a"]), ["o", "o/b", "o/b/c.txt"], "DF-176");
    let all = ["o", "o/b", "o/b/c.txt", "o/d.md", "o/e.txt"];
    assert_eq!(excluding(&["e.txt"], &["*"]), all, "DF-176: a match is a root, which no pattern excludes");
}

#[test]
fn what_does_not_change_is_not_in_the_layer() {
    // DF-245, DF-246, DF-247, DF-255
    let (from, to) = (tree(D), tree(D));
    assert_eq!(paths(&from, &to, &request(&["d/s"], "/d/s")).len(), 3, "contents are not known to be the same");
    let same = |_: usize, _: &[u8], _: &[u8]| true;
    let asked = request(&["d"], "/d");
    let selected = select(&from, "d", &asked.1).unwrap();
    let planned = plan_copy(
        Destination { tree: &to, same: &same, walk: &super::tests::walk() },
        &[CopyInput::Files(0, &selected[0])],
        &asked.1,
    )
    .unwrap();
    assert!(planned.is_empty(), "{planned:?}");
}

#[test]
fn an_archive_of_millions_of_entries_is_refused_early() {
    // CTX-07
    struct Endless(Vec<u8>, usize);
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let rest = &self.0[self.1 % self.0.len()..];
            let got = rest.len().min(buffer.len());
            buffer[..got].copy_from_slice(&rest[..got]);
            self.1 += got;
            Ok(got)
        }
    }
    let mut writer = files::tar::Writer::new(Vec::new());
    writer.bare(&super::tests::entry("f", files::tar::EntryKind::File { size: 0 })).unwrap();
    let header = writer.finish().unwrap()[..512].to_vec();
    let error = Archive::read("bomb", &mut Endless(header, 0)).unwrap_err();
    assert!(error.to_string().contains("more than 400000 entries"), "{error}");
    // One file that claims more than all may have needs no reading at all.
    let mut writer = files::tar::Writer::new(Vec::new());
    let huge = super::tests::entry("f", files::tar::EntryKind::File { size: 1 << 40 });
    assert!(writer.entry(&huge, &mut std::io::empty()).is_err());
}
