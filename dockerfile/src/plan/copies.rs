//! `COPY` and `ADD` expanded; the heredocs of `COPY`, `ADD` and `RUN`.

use super::config::absolute;
use super::environment::Words;
use super::error::Error;
use super::model::{Copy, From, InlineFile, Mount, MountKind, Source};
use crate::ast::{self, Command, CopyFlags};
use crate::heredoc::Heredoc;
use files::ignore::Ignore;

/// Where the script of a `RUN` with a heredoc is seen by its shell.
const PIPES: &str = "/dev/pipes";

/// Expands a `COPY` or `ADD` whose files are in `from`.
pub(crate) fn plan(copy: &ast::Copy, from: From, words: &Words<'_>, workdir: &str) -> Result<Copy, Error> {
    let words_as_sources = words.each(&copy.sources)?;
    let sources: Vec<_> = words_as_sources.into_iter().map(|word| source(word, copy.from.is_some())).collect();
    let refused = sources.iter().find_map(|source| match source {
        _ if copy.add => None,
        Source::Path(_) => None,
        Source::Url(_) => Some("URL"),
        Source::Git(_) => Some("git ref"),
    });
    if let Some(what) = refused {
        return Err(Error::invalid(format!("source can't be a {what} for COPY")));
    }
    check_checksum(copy, &sources)?;
    Ok(Copy {
        add: copy.add,
        from,
        sources,
        files: copy.heredocs.iter().map(|heredoc| inline(heredoc, words)).collect::<Result<_, _>>()?,
        destination: words.one(&copy.destination)?,
        workdir: workdir.to_owned(),
        flags: expanded(&copy.flags, words)?,
    })
}

/// Expands the flags whose values are words; all others are taken as they are written.
fn expanded(flags: &CopyFlags, words: &Words<'_>) -> Result<CopyFlags, Error> {
    let one = |word: &Option<String>| word.as_deref().map(|word| words.one(word)).transpose();
    Ok(CopyFlags {
        chown: one(&flags.chown)?.filter(|chown| !chown.is_empty()),
        chmod: one(&flags.chmod)?.filter(|chmod| !chmod.is_empty()),
        checksum: one(&flags.checksum)?,
        link: flags.link && flags.chmod.is_none(),
        ..flags.clone()
    })
}

/// Returns a copy of all files of `from` to the root directory.
pub(crate) fn everything(from: From) -> Copy {
    Copy {
        add: false,
        from,
        sources: vec![Source::Path("/".to_owned())],
        files: Vec::new(),
        destination: "/".to_owned(),
        workdir: "/".to_owned(),
        flags: CopyFlags::default(),
    }
}

/// Returns what a source word means: with `--from` every word is a path.
fn source(word: String, from: bool) -> Source {
    match word {
        path if from => Source::Path(path),
        git if is_git(&git) => Source::Git(git),
        url if is_url(&url) => Source::Url(url),
        path => Source::Path(path),
    }
}

fn check_checksum(copy: &ast::Copy, sources: &[Source]) -> Result<(), Error> {
    let problem = match (&copy.flags.checksum, sources) {
        (None, _) | (Some(_), [Source::Url(_) | Source::Git(_)]) => return Ok(()),
        (Some(_), [Source::Path(_)]) => "checksum requires HTTP(S) or Git sources",
        _ => "checksum can't be specified for multiple sources",
    };
    Err(Error::invalid(problem))
}

fn is_url(source: &str) -> bool {
    source.starts_with("http://") || source.starts_with("https://")
}

fn is_git(source: &str) -> bool {
    let path = source.split(['#', '?']).next().unwrap_or(source);
    source.starts_with("git@")
        || source.starts_with("git://")
        || source.starts_with("ssh://")
        || (is_url(source) && path.ends_with(".git"))
}

fn inline(heredoc: &Heredoc, words: &Words<'_>) -> Result<InlineFile, Error> {
    let text = heredoc.chomped();
    let content = if heredoc.expand { words.heredoc(&text)? } else { text };
    Ok(InlineFile { name: heredoc.name.clone(), content: content.into_bytes() })
}

/// Returns a warning for each source that the ignore file hides; exceptions in it make that hard to say.
pub(crate) fn ignored(copy: &Copy, ignore: &Ignore) -> Vec<String> {
    if copy.from != From::Context || ignore.has_exceptions() {
        return Vec::new();
    }
    let verb = if copy.add { "Add" } else { "Copy" };
    let paths = copy.sources.iter().filter_map(|source| match source {
        Source::Path(source) => Some(absolute("/", source)[1..].to_owned()),
        Source::Url(_) | Source::Git(_) => None,
    });
    let hidden = paths.filter(|path| !path.is_empty() && ignore.ignores(path.as_bytes()));
    hidden.map(|path| format!("Attempting to {verb} file {path:?} that is excluded by .dockerignore")).collect()
}

/// Returns the history's text of a copy.
pub(crate) fn history(copy: &Copy) -> String {
    let mut parts = vec![if copy.add { "ADD" } else { "COPY" }.to_owned()];
    if copy.flags.parents {
        parts.push("--parents".to_owned());
    }
    parts.extend(copy.flags.chown.iter().map(|chown| format!("--chown={chown}")));
    parts.extend(copy.flags.chmod.iter().map(|chmod| format!("--chmod={chmod}")));
    parts.extend(copy.sources.iter().map(|source| source.text().to_owned()));
    parts.extend(copy.files.iter().map(|file| format!("<<{}", file.name)));
    parts.push(copy.destination.clone());
    parts.push("# buildkit".to_owned());
    parts.join(" ")
}

/// Returns the command of a `RUN` with its heredocs put in, and the script to be mounted if there is one.
pub(crate) fn run_command(run: &ast::Run) -> (Command, Option<Mount>) {
    let Command::Shell(line) = &run.command else { return (run.command.clone(), None) };
    let [only] = run.heredocs.as_slice() else {
        return (Command::Shell(joined(line, &run.heredocs)), None);
    };
    let alone = crate::heredoc::is_alone(line);
    if !alone {
        return (Command::Shell(joined(line, &run.heredocs)), None);
    }
    let content = only.chomped();
    if !content.starts_with("#!") {
        return (Command::Shell(content), None);
    }
    let target = format!("{PIPES}/{}", only.name);
    let script = Mount { target: target.clone(), kind: MountKind::Script { content: content.into_bytes() } };
    (Command::Shell(target), Some(script))
}

/// Returns the line with the bodies after it, for the shell to read.
fn joined(line: &str, heredocs: &[Heredoc]) -> String {
    let mut text = line.to_owned();
    for heredoc in heredocs {
        text.push('\n');
        text.push_str(&heredoc.content);
        text.push_str(&heredoc.name);
    }
    text
}
