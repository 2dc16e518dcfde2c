//! The model: what each repository has, and what becomes of it with each step.

use super::step::Step;
use super::universe::{BLOBS, DOCUMENTS, REPOSITORIES, reach};
use std::collections::{BTreeMap, BTreeSet};

/// Something that is so; the first number is the repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    /// It has a blob.
    Blob(usize, usize),
    /// It has a document as a blob.
    Content(usize, usize),
    /// It has a document as a manifest.
    Manifest(usize, usize),
    /// A document is among the referrers of its subject.
    Referrer(usize, usize),
    /// A name is there, for a document.
    Name(usize, String),
    /// A name was deleted and is kept, for a document.
    Deleted(usize, String),
}

/// All facts, each with the document of its name, else 0.
pub(super) type Facts = BTreeMap<Fact, usize>;

/// The facts that are expected.
#[derive(Clone)]
pub(super) struct Model {
    pub facts: Facts,
    /// Repository and blob of the uploads that were begun.
    pub begun: Vec<(usize, usize)>,
    has_grace: bool,
}

impl Model {
    pub(super) fn new(has_grace: bool) -> Model {
        Model { facts: Facts::new(), begun: Vec::new(), has_grace }
    }

    pub(super) fn has(&self, fact: &Fact) -> bool {
        self.facts.contains_key(fact)
    }

    pub(super) fn name(&self, at: usize, name: &str) -> Option<usize> {
        self.facts.get(&Fact::Name(at, name.to_owned())).copied()
    }

    fn set(&mut self, fact: Fact) {
        self.facts.insert(fact, 0);
    }

    /// Changes what is expected as a step does; returns the status of the answer to it.
    pub(super) fn apply(&mut self, step: &Step) -> u16 {
        match step {
            Step::Upload { at, blob } => self.upload(*at, *blob),
            Step::Begin { at, blob, .. } => {
                self.begun.push((*at, *blob));
                202
            }
            Step::Finish { which } if self.begun.is_empty() => u16::from(*which > 100),
            Step::Finish { which } => {
                let (at, blob) = self.begun.remove(which % self.begun.len());
                self.upload(at, blob)
            }
            Step::Break { .. } | Step::Lie { .. } => 400,
            Step::Mount { at, from, blob } => self.mount(*at, *from, *blob),
            Step::Put { at, tag, document } => self.put(*at, *tag, *document),
            Step::DeleteTag { at, tag } => self.delete_name(*at, tag),
            Step::DeleteManifest { at, document } => self.delete_manifest(*at, *document),
            Step::DeleteBlob { at, blob } => match self.facts.remove(&Fact::Blob(*at, *blob)) {
                Some(_) => 202,
                None => 404,
            },
            Step::RestoreTag { at, tag } => self.restore(*at, tag),
            Step::RestoreManifest { at, document } => self.restore(*at, DOCUMENTS[*document].digest.as_str()),
            Step::Expire => self.retain(|fact| !matches!(fact, Fact::Deleted(..))),
            Step::Collect => self.collect(),
            Step::Readmit => (0..REPOSITORIES.len()).map(|at| self.readmit(at)).sum(),
            Step::Reopen => {
                self.begun.clear();
                0
            }
        }
    }

    fn retain(&mut self, keep: impl Fn(&Fact) -> bool) -> u16 {
        self.facts.retain(|fact, _| keep(fact));
        0
    }

    fn upload(&mut self, at: usize, blob: usize) -> u16 {
        self.set(Fact::Blob(at, blob));
        201
    }

    /// A blob that is there already is mounted from itself; without `from` it comes from any.
    fn mount(&mut self, at: usize, from: Option<usize>, blob: usize) -> u16 {
        let mut sources =
            (0..REPOSITORIES.len()).filter(|source| from.is_none_or(|from| from == *source) || *source == at);
        if !sources.any(|source| self.has(&Fact::Blob(source, blob))) {
            return 202;
        }
        self.upload(at, blob)
    }

    fn put(&mut self, at: usize, tag: Option<&str>, number: usize) -> u16 {
        let document = &DOCUMENTS[number];
        let has_blobs = document.blobs.iter().all(|blob| self.has(&Fact::Blob(at, *blob)));
        let has_child = |child: &usize| self.has(&Fact::Manifest(at, *child)) || self.has(&Fact::Content(at, *child));
        if !has_blobs || !document.manifests.iter().all(has_child) {
            return 404;
        }
        self.admit(at, number);
        self.facts.insert(Fact::Name(at, tag.unwrap_or(document.digest.as_str()).to_owned()), number);
        201
    }

    fn admit(&mut self, at: usize, document: usize) {
        self.set(Fact::Manifest(at, document));
        if DOCUMENTS[document].subject.is_some() {
            self.set(Fact::Referrer(at, document));
        }
    }

    fn delete_name(&mut self, at: usize, name: &str) -> u16 {
        let Some(document) = self.facts.remove(&Fact::Name(at, name.to_owned())) else { return 404 };
        if self.has_grace {
            self.facts.insert(Fact::Deleted(at, name.to_owned()), document);
        }
        202
    }

    fn delete_manifest(&mut self, at: usize, document: usize) -> u16 {
        let names: Vec<String> =
            self.names(at).into_iter().filter(|named| named.1 == document).map(|named| named.0).collect();
        let was_named = !names.is_empty();
        for name in names {
            self.delete_name(at, &name);
        }
        let was_there = self.facts.remove(&Fact::Manifest(at, document)).is_some();
        self.facts.remove(&Fact::Referrer(at, document));
        if was_named || was_there { 202 } else { 404 }
    }

    fn names(&self, at: usize) -> Vec<(String, usize)> {
        let of = |fact: &Fact| matches!(fact, Fact::Name(place, _) if *place == at);
        self.texts(of)
    }

    fn deleted(&self, at: usize) -> Vec<(String, usize)> {
        let of = |fact: &Fact| matches!(fact, Fact::Deleted(place, _) if *place == at);
        self.texts(of)
    }

    fn texts(&self, of: impl Fn(&Fact) -> bool) -> Vec<(String, usize)> {
        let text = |fact: &Fact| match fact {
            Fact::Name(_, text) | Fact::Deleted(_, text) => text.clone(),
            _ => String::new(),
        };
        self.facts.iter().filter(|known| of(known.0)).map(|known| (text(known.0), *known.1)).collect()
    }

    /// A name comes back with the manifests of its index and with what is about them, unless they were set again.
    fn restore(&mut self, at: usize, name: &str) -> u16 {
        let Some(document) = self.facts.get(&Fact::Deleted(at, name.to_owned())).copied() else { return 404 };
        if self.name(at, name).is_some() {
            return 409;
        }
        let mut documents = reach(document, |_| true).0;
        let mut found = vec![(name.to_owned(), document)];
        loop {
            let before = found.len();
            for (other, number) in self.deleted(at) {
                let is_by_digest = other == DOCUMENTS[number].digest.as_str();
                let is_about = DOCUMENTS[number].subject.is_some_and(|subject| documents.contains(&subject));
                let is_new = !found.iter().any(|known| known.0 == other) && self.name(at, &other).is_none();
                if is_new && is_by_digest && (is_about || documents.contains(&number)) {
                    documents.extend(reach(number, |_| true).0);
                    found.push((other, number));
                }
            }
            if found.len() == before {
                break;
            }
        }
        for (name, document) in found {
            self.admit(at, document);
            self.facts.remove(&Fact::Deleted(at, name.clone()));
            self.facts.insert(Fact::Name(at, name), document);
        }
        self.readmit(at)
    }

    /// A repository has what its names lead to, whatever was deleted of that; a manifest that was deleted is a blob then.
    fn readmit(&mut self, at: usize) -> u16 {
        let named: BTreeSet<usize> = self.names(at).into_iter().map(|named| named.1).collect();
        let put: BTreeSet<usize> = (0..DOCUMENTS.len())
            .filter(|number| named.contains(number) || self.has(&Fact::Manifest(at, *number)))
            .collect();
        for document in named {
            let (documents, contents, blobs) = reach(document, |child| put.contains(&child));
            documents.into_iter().for_each(|number| self.admit(at, number));
            contents.into_iter().for_each(|number| self.set(Fact::Content(at, number)));
            blobs.into_iter().for_each(|blob| self.set(Fact::Blob(at, blob)));
        }
        0
    }

    fn collect(&mut self) -> u16 {
        let names = self.facts.iter().filter(|known| matches!(known.0, Fact::Name(..) | Fact::Deleted(..)));
        let (mut documents, mut blobs) = (BTreeSet::new(), BTreeSet::new());
        for document in names.map(|known| *known.1) {
            let reached = reach(document, |_| true);
            documents.extend(reached.0);
            blobs.extend(reached.2);
        }
        self.retain(|fact| match fact {
            Fact::Blob(_, blob) => blobs.contains(blob),
            Fact::Content(_, document) | Fact::Manifest(_, document) | Fact::Referrer(_, document) => {
                documents.contains(document)
            }
            Fact::Name(..) | Fact::Deleted(..) => true,
        })
    }

    /// Returns the blobs that a repository has.
    pub(super) fn blobs(&self, at: usize) -> Vec<bool> {
        (0..BLOBS.len()).map(|blob| self.has(&Fact::Blob(at, blob))).collect()
    }
}
