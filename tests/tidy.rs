//! How code reads: parameters have names, `mod.rs` only lists, retired words stay away, comments begin with their subject.

use std::path::{Path, PathBuf};
use syn::visit::Visit;
use syn::{FnArg, Item, Pat, Signature, Visibility};

/// Folders that hold our code.
const FOLDERS: [&str; 13] = [
    "src",
    "tests",
    "webhook",
    "builder",
    "bake",
    "dockerfile",
    "files",
    "container",
    "runtime",
    "registry-client",
    "registry",
    "image-store",
    "database",
];

/// Words that another word has replaced, with that word.
const RETIRED: [(&str, &str); 28] = [
    ("LOOK", "POLL_INTERVAL"),
    ("LOOKS", "MAX_ATTEMPTS"),
    ("PATIENCE", "TIMEOUT, POLL_INTERVAL or RETRY_POLICY"),
    ("Patience", "RetryPolicy"),
    ("MOST", "MAX_…"),
    ("USUAL", "DEFAULT_…"),
    ("TROUBLE", "ERROR_BACKOFF"),
    ("Trouble", "HelperError or LayoutError"),
    ("LookClaim", "RefPollClaim"),
    ("SeenLook", "RefSnapshot"),
    ("finish_look", "finish_ref_poll"),
    ("foresee", "dry_run"),
    ("Fate", "StepForecast"),
    ("Kept", "LocalImages"),
    ("is_held", "awaits_approval"),
    ("bring_back", "clamp_future_times"),
    ("Ear", "JobListener"),
    ("has_one_writer", "is_sqlite"),
    ("Teller", "Dispatcher"),
    ("Judged", "RuleMatch"),
    ("Slots", "Semaphore"),
    ("Promise", "OnceValue"),
    ("Materials", "BuildResources"),
    ("Novelty", "CacheStatus"),
    ("NewLookup", "NewRulesFetch"),
    ("LookupClaim", "RulesFetchClaim"),
    ("QuestionClaim", "WorkerQueryClaim"),
    ("Notice", "Notification"),
];

/// Turns of phrase that no engineer says, and what to write instead.
const PHRASES: [(&str, &str); 4] = [
    (" is no ", "is not a"),
    (" shall ", "must, or the plain verb"),
    (" anew", "again"),
    (" any more than", "no more than"),
];

/// Words with which no sentence of a comment or of a document begins.
const HEADLESS: [&str; 3] = ["What ", "Who ", "Whoever "];

/// A file of ours.
struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn parse(&self) -> syn::File {
        syn::parse_file(&self.text).unwrap_or_else(|error| panic!("{:?}: {error}", self.path))
    }
}

fn collect(directory: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            found.push(Source { path, text });
        }
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut found);
    }
    assert!(found.len() > 400, "only {} files were found", found.len());
    found
}

fn assert_none(rule: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{rule}: {} faults\n{}", faults.len(), faults.join("\n"));
}

/// Collects the functions that take a tuple apart in their parameters.
struct TuplePatterns(Vec<String>);

impl Visit<'_> for TuplePatterns {
    fn visit_signature(&mut self, signature: &Signature) {
        let is_tuple = |argument: &FnArg| match argument {
            FnArg::Typed(typed) => match &*typed.pat {
                Pat::Reference(reference) => matches!(&*reference.pat, Pat::Tuple(_)),
                pattern => matches!(pattern, Pat::Tuple(_)),
            },
            FnArg::Receiver(_) => false,
        };
        if signature.inputs.iter().any(is_tuple) {
            self.0.push(signature.ident.to_string());
        }
    }
}

#[test]
fn no_function_takes_a_tuple_apart() {
    let mut faults = Vec::new();
    for source in sources() {
        let mut tuples = TuplePatterns(Vec::new());
        tuples.visit_file(&source.parse());
        faults.extend(tuples.0.iter().map(|name| format!("{}: `{name}`", source.path.display())));
    }
    assert_none("a parameter has a name, not a tuple pattern", &faults);
}

/// Tells whether a `mod.rs` or `lib.rs` may hold the item.
fn is_listing(item: &Item) -> bool {
    match item {
        Item::Mod(module) => module.content.is_none(),
        Item::Use(used) => !matches!(used.vis, Visibility::Inherited),
        _ => false,
    }
}

#[test]
fn mod_files_only_list() {
    let mut faults = Vec::new();
    let of_code = |source: &Source| !source.path.components().any(|part| part.as_os_str() == "tests");
    for source in sources().iter().filter(|source| of_code(source)) {
        let lists = source.path.ends_with("mod.rs") || source.path.ends_with("lib.rs");
        let others = if lists { source.parse().items.iter().filter(|item| !is_listing(item)).count() } else { 0 };
        if others > 0 {
            faults.push(format!("{}: {others} other items", source.path.display()));
        }
    }
    assert_none("`mod.rs` and `lib.rs` hold only `mod` and `pub use`", &faults);
}

/// Returns the words of a line of code that could be names.
fn names(line: &str) -> impl Iterator<Item = &str> {
    line.split(|char: char| !char.is_ascii_alphanumeric() && char != '_')
}

#[test]
fn retired_words_stay_away() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !source.path.ends_with("tidy.rs")) {
        for (number, line) in source.text.lines().enumerate() {
            for (word, instead) in RETIRED.iter().filter(|(word, _)| names(line).any(|name| name == *word)) {
                faults.push(format!("{}:{}: `{word}` is called {instead}", source.path.display(), number + 1));
            }
        }
    }
    assert_none("one word per thing", &faults);
}

/// Returns what a line of a comment says, if it is one.
fn comment(line: &str) -> Option<&str> {
    let line = line.trim_start();
    ["//! ", "/// ", "// "].iter().find_map(|start| line.strip_prefix(start))
}

/// Returns the word with which a sentence begins that has no subject; `begins` tells whether one begins with the text.
fn headless(text: &str, begins: bool) -> Option<&'static str> {
    let inside = |word: &str| [". ", "? ", "; "].iter().any(|end| text.contains(&format!("{end}{word}")));
    HEADLESS.iter().copied().find(|word| begins && text.starts_with(word) || inside(word))
}

#[test]
fn comments_begin_with_their_subject() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !source.path.ends_with("tidy.rs")) {
        let mut begins = true;
        for (number, line) in source.text.lines().enumerate() {
            let place = || format!("{}:{}", source.path.display(), number + 1);
            let said = comment(line);
            if let Some(word) = said.and_then(|said| headless(said, begins)) {
                faults.push(format!("{}: a sentence begins with `{word}`", place()));
            }
            let line = line.replace("here is no ", "here is not any ");
            if let Some((phrase, instead)) = PHRASES.iter().find(|(phrase, _)| line.contains(phrase)) {
                faults.push(format!("{}: instead of `{phrase}` write: {instead}", place()));
            }
            begins = said.is_none_or(|said| said.ends_with('.'));
        }
    }
    assert_none("subject first, then the verb", &faults);
}

#[test]
fn sentences_of_documents_begin_with_their_subject() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<PathBuf> = Vec::new();
    for directory in [root.to_owned(), root.join("docs"), root.join("webhook/src/pages")] {
        pages.extend(std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()));
    }
    pages.retain(|path| {
        path.extension().is_some_and(|extension| ["md", "js", "css"].map(AsRef::as_ref).contains(&extension))
    });
    assert!(pages.len() > 12, "{pages:?}");
    let mut faults = Vec::new();
    for page in pages {
        let mut begins = true;
        for (number, line) in std::fs::read_to_string(&page).unwrap().lines().enumerate() {
            let text = line.trim_start().trim_start_matches("- ").trim_start_matches("**").trim_start_matches("// ");
            let is_new = begins || text.len() < line.len();
            // A heading is not a sentence.
            if let Some(word) = headless(text, is_new).filter(|_| !line.starts_with('#')) {
                faults.push(format!("{}:{}: a sentence begins with `{word}`", page.display(), number + 1));
            }
            begins = line.is_empty() || line.ends_with(['.', ':']);
        }
    }
    assert_none("subject first, then the verb", &faults);
}
