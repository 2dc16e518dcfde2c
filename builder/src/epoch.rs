//! `SOURCE_DATE_EPOCH`: the time that what is made gets, as a number, or as the place to take it from.

use crate::context::{Context, NamedContext};
use crate::error::Code;
use crate::execute::{BuildResources, Cancellable, download};
use crate::git::{Checkout, Fetching, GitContext};
use crate::layer::tar_in;
use crate::{Error, Request, Services};
use dockerfile::Dockerfile;
use dockerfile::plan::{self, Action, Base, BaseImages, Copy, Given, Plan, Planned, Scope, Settings, Source};
use files::tar::{EntryKind, Reader};
use runtime::CancellationToken;

/// The time of files that come from a commit or are made for it: the second day of 1980.
///
/// It is the same for all commits, so that a layer is the same whichever commit it was made for first: layers are shared
/// by commits, and one commit must become one image whatever the cache holds. Archives know no time before 1980.
pub const COMMIT_FILES: i64 = 315_619_200;

/// The argument.
pub(crate) const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Gives what is made the time that the build arguments or the Dockerfile ask for; steps see it as a number.
///
/// A Dockerfile that cannot be read asks for nothing: the build says what is wrong with it. Of several platforms the first
/// decides: the argument is one for all.
pub fn settle_epoch(request: &mut Request, services: &Services, cancel: &CancellationToken) -> Result<(), Error> {
    let Ok(file) = Dockerfile::parse(&request.dockerfile.text) else { return Ok(()) };
    let settings = request.settings(&request.platform());
    let Some(value) = plan::global(&file, &settings, SOURCE_DATE_EPOCH).filter(|value| !value.is_empty()) else {
        return Ok(());
    };
    let time = match value.parse() {
        Ok(seconds) => Some(seconds),
        Err(_) => Finder { request, services, cancel, settings: &settings }.time(&file, &value)?,
    };
    if let Some(time) = time {
        request.options.now = time;
        request.options.latest = Some(time);
        request.options.created = Some(time);
    }
    request.build_args.insert(SOURCE_DATE_EPOCH.to_owned(), time.map_or_else(String::new, |time| time.to_string()));
    Ok(())
}

/// Finds the time that the argument names.
struct Finder<'f> {
    request: &'f Request,
    services: &'f Services,
    cancel: &'f CancellationToken,
    settings: &'f Settings,
}

impl Finder<'_> {
    fn time(&self, file: &Dockerfile, place: &str) -> Result<Option<i64>, Error> {
        if place == "context" {
            return Ok(time_of(&self.request.context));
        }
        match self.settings.given(place, &self.settings.platform) {
            Some(Given::Files(name)) => return Ok(self.request.named.get(&name).and_then(time_of)),
            Some(Given::Image(_)) => return Ok(None),
            None => {}
        }
        let named =
            file.stages.iter().find(|stage| stage.name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(place)));
        let Some(stage) = named else {
            return Err(invalid(format!(
                "invalid {SOURCE_DATE_EPOCH}: {place}: a number of seconds, `context`, the name of a context or of a stage is expected"
            )));
        };
        let lines = (stage.span.first_line, stage.span.last_line);
        let source = self.source(file, place);
        source.and_then(|copy| self.time_of_source(&copy)).map_err(|error| error.at_step(0, lines, &stage.original))
    }

    /// Returns the one `ADD` of the stage `name`.
    fn source(&self, file: &Dockerfile, name: &str) -> Result<Copy, Error> {
        let mut settings = Settings { target: Some(name.to_owned()), ..self.settings.clone() };
        settings.build_args.remove(SOURCE_DATE_EPOCH);
        let planned = Plan::for_file(file, &settings, &BaseImages::new(), Scope::Target, &plan::Lint::default())?;
        let Planned::Ready(plan) = planned else { return Err(not_from_scratch()) };
        let stage = &plan.stages[plan.target];
        if stage.base != Base::Scratch {
            return Err(not_from_scratch());
        }
        let mut only = None;
        for step in &stage.steps {
            match &step.action {
                Action::Configure if step.created_by.starts_with("ARG ") => {}
                Action::Copy(copy) if copy.add && only.is_none() => only = Some((**copy).clone()),
                Action::Copy(copy) if copy.add => {
                    return Err(invalid(format!("{SOURCE_DATE_EPOCH} stage must contain exactly one remote ADD")));
                }
                _ => {
                    let keyword = step.created_by.split(' ').next().unwrap_or_default();
                    return Err(invalid(format!(
                        "{SOURCE_DATE_EPOCH} stage does not meet source-only requirements: unsupported {keyword} instruction"
                    )));
                }
            }
        }
        only.ok_or_else(|| invalid(format!("{SOURCE_DATE_EPOCH} stage must contain exactly one remote ADD")))
    }

    fn time_of_source(&self, copy: &Copy) -> Result<Option<i64>, Error> {
        let options = &self.request.options;
        match (copy.sources.as_slice(), copy.files.as_slice()) {
            ([Source::Git(url)], []) => {
                let located = Error::source;
                let git = GitContext::parse(url).map_err(located)?;
                let mut git = git.ok_or_else(|| invalid(format!("`{url}` is not a git repository")))?;
                if let Some(checksum) = &copy.flags.checksum {
                    git.checksum = Some(checksum.clone());
                }
                let mut settings = options.fetching.settings.clone();
                settings.credentials = git.token(&options.secrets);
                let fetching = Fetching { settings, ..options.fetching.clone() };
                Checkout::fetch(&git, &fetching, false).map(|checkout| Some(checkout.commit_time())).map_err(located)
            }
            ([Source::Url(url)], []) => {
                let attempt = format!("{}-epoch", self.request.attempt);
                let trace = self.request.trace.clone();
                let resources = BuildResources::new(self.services, &attempt, self.cancel.clone(), trace)?;
                let reach = options.fetching.settings.reach;
                let file = download(&resources, url, reach, copy.flags.checksum.as_deref())?;
                match file.selection.node.mtime {
                    0 => self.latest_in_archive(&file.digest),
                    modified => Ok(Some(modified)),
                }
            }
            _ => Err(invalid(format!("{SOURCE_DATE_EPOCH} stage source must be a single HTTP(S) or Git ADD"))),
        }
    }

    /// Returns the time of the last file of a download that is an archive.
    fn latest_in_archive(&self, digest: &registry_client::Digest) -> Result<Option<i64>, Error> {
        let blob = self.services.store.open_blob(digest);
        let blob = blob.map_err(|error| Error::store("reading a download", error))?;
        let Ok(Some(tar)) = tar_in(Box::new(blob)) else { return Ok(None) };
        let (mut reader, mut latest) = (Reader::new(Cancellable::new(tar, self.cancel)), None);
        // A file that is not an archive has no time; unpacking it reports the error.
        while let Ok(Some(entry)) = reader.next_entry() {
            if matches!(entry.kind, EntryKind::File { .. }) {
                latest = latest.max(Some(entry.mtime));
            }
        }
        if self.cancel.is_cancelled() { Err(Error::cancelled()) } else { Ok(latest) }
    }
}

/// Returns the time of a context: that of its commit, or of the last file of its tar. A directory has none.
fn time_of(named: &NamedContext) -> Option<i64> {
    match &named.context {
        Context::Commit(tree) => Some(tree.commit_time()),
        Context::Checkout(checkout) => Some(checkout.commit_time()),
        Context::Tarball(tarball) => tarball.latest_time(),
        Context::Directory(_) | Context::Image(_) | Context::Empty => None,
    }
}

fn not_from_scratch() -> Error {
    invalid(format!("{SOURCE_DATE_EPOCH} stage must use FROM scratch"))
}

fn invalid(text: String) -> Error {
    Error::new(Code::InvalidEpoch, text)
}
