//! Finds the build context and the Dockerfile: a directory, a repository, a tar from wherever it comes.

use super::Arguments;
use crate::state::DataDir;
use builder::context::{self, Context, Directory, NamedContext, Tarball};
use builder::git::{Checkout, Fetching, GitContext};
use builder::{NamedImage, Services};
use dockerfile::DockerfileText;
use files::ignore::Ignore;
use registry_client::report;
use registry_client::{Descriptor, Download, Reach};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Bytes of a context that are read from a stream or the web.
const MAX_STREAM: u64 = 16 * 1024 * 1024 * 1024;
/// Bytes of a Dockerfile that are read; the builder says what is too large.
const MAX_DOCKERFILE: u64 = 16 * 1024 * 1024;

/// Bytes of an ignore file beside a Dockerfile that are read.
const MAX_IGNORE: u64 = 1024 * 1024;

/// A context, the Dockerfile found for it, and the commit's time if it is one.
pub(crate) struct Found {
    /// The files.
    pub context: NamedContext,
    /// The Dockerfile.
    pub dockerfile: DockerfileText,
    /// Seconds since 1970.
    pub time: Option<i64>,
}

/// The inputs to find contexts.
pub(crate) struct Finder<'f> {
    /// Directory of mirrors and other files.
    pub data: &'f DataDir,
    /// Downloads.
    pub services: &'f Services,
    /// How repositories are fetched.
    pub fetching: &'f Fetching,
    /// Logins for repositories are among them.
    pub secrets: &'f BTreeMap<String, Vec<u8>>,
}

impl Finder<'_> {
    /// Finds the context and the Dockerfile that the arguments name.
    pub(crate) fn find(&self, arguments: &Arguments) -> Result<Found, String> {
        let (place, file) = (arguments.context.as_str(), arguments.file.as_deref());
        if let Some(text) = &arguments.dockerfile_text {
            return self.with_dockerfile(place, text.clone().into_bytes());
        }
        if file == Some("-") {
            return self.with_dockerfile_from_input(place);
        }
        if place == "-" {
            return self.streamed("standard input", io::stdin().lock(), file);
        }
        if let Some(git) = GitContext::parse(place).map_err(|error| report(&error))? {
            let checkout = self.checkout(&git)?;
            let time = Some(checkout.commit_time());
            return found(Context::Checkout(checkout), file, time);
        }
        if is_web(place) {
            return self.streamed(place, self.download(place)?, file);
        }
        if Path::new(place).is_file() {
            let tar = File::open(place).map_err(|error| format!("opening `{place}`: {error}"))?;
            return self.streamed(place, tar, file);
        }
        self.in_directory(place, file)
    }

    /// Takes the Dockerfile from standard input and the files from `place`.
    fn with_dockerfile_from_input(&self, place: &str) -> Result<Found, String> {
        if place == "-" {
            return Err("can't use stdin for both build context and dockerfile".to_owned());
        }
        let mut text = Vec::new();
        let read = io::stdin().lock().take(MAX_DOCKERFILE).read_to_end(&mut text);
        read.map_err(|error| format!("reading the Dockerfile from standard input: {error}"))?;
        self.with_dockerfile(place, text)
    }

    /// Takes the files from `place` and the Dockerfile from elsewhere.
    fn with_dockerfile(&self, place: &str, text: Vec<u8>) -> Result<Found, String> {
        let dockerfile = DockerfileText { name: "Dockerfile".to_owned(), text };
        let (context, time) = self.files(place)?;
        Ok(Found { context: main_context(context, "")?, dockerfile, time })
    }

    /// Returns the files at `place`, and the commit's time if it is one.
    fn files(&self, place: &str) -> Result<(Context, Option<i64>), String> {
        if let Some(git) = GitContext::parse(place).map_err(|error| report(&error))? {
            let checkout = self.checkout(&git)?;
            let time = checkout.commit_time();
            return Ok((Context::Checkout(checkout), Some(time)));
        }
        let file = match (is_web(place), Path::new(place).is_file()) {
            (true, _) => self.download(place)?,
            (_, true) => File::open(place).map_err(|error| format!("opening `{place}`: {error}"))?,
            _ => return Ok((Context::Directory(self.directory(Path::new(place))?), None)),
        };
        match self.tarball(place, file)? {
            Ok(tarball) => Ok((Context::Tarball(tarball), None)),
            Err(_) => Err(format!("`{place}` is not a tar archive: a context is a directory, a repository or a tar")),
        }
    }

    fn checkout(&self, git: &GitContext) -> Result<Checkout, String> {
        let mut fetching = self.fetching.clone();
        fetching.settings.credentials = git.token(self.secrets);
        Checkout::fetch(git, &fetching, git.keep_git_dir == Some(true)).map_err(|error| report(&error))
    }

    fn directory(&self, path: &Path) -> Result<Directory, String> {
        Directory::open(path, Some(&self.data.join("stat-cache"))).map_err(|error| report(&error))
    }

    /// A local Dockerfile may lie outside the context; its own ignore file lies beside it.
    fn in_directory(&self, place: &str, file: Option<&str>) -> Result<Found, String> {
        let root = Path::new(place);
        let context = Context::Directory(self.directory(root)?);
        let (dockerfile, ignore) = match file {
            None => {
                let dockerfile = context::find_dockerfile(&context, "Dockerfile").map_err(|error| error.report())?;
                (dockerfile, context::find_ignore(&context, "Dockerfile", ""))
            }
            Some(file) => {
                let beside = local_ignore(Path::new(&format!("{file}.dockerignore")))?;
                (local_dockerfile(file)?, beside.map_or_else(|| context::find_ignore(&context, "", ""), Ok))
            }
        };
        let ignore = ignore.map_err(|error| error.report())?;
        Ok(Found { context: NamedContext { context, ignore }, dockerfile, time: None })
    }

    /// Takes a tar as the context, or anything else as a Dockerfile without one.
    fn streamed(&self, name: &str, stream: impl Read, file: Option<&str>) -> Result<Found, String> {
        let kept = self.keep(name, stream)?;
        match self.tarball(name, kept)? {
            Ok(tarball) => found(Context::Tarball(tarball), file, None),
            Err(other) => {
                if let Some(file) = file {
                    return Err(format!("`{name}` is not a tar archive, so `{file}` cannot be in it"));
                }
                let mut text = Vec::new();
                let read = Read::take(other, MAX_DOCKERFILE).read_to_end(&mut text);
                read.map_err(|error| format!("reading `{name}`: {error}"))?;
                let dockerfile = DockerfileText { name: "Dockerfile".to_owned(), text };
                Ok(Found { context: main_context(Context::Empty, "")?, dockerfile, time: None })
            }
        }
    }

    /// Reads a tar, compressed or not; gives anything else back.
    fn tarball(&self, name: &str, mut file: File) -> Result<Result<Tarball, File>, String> {
        let failed = |error: io::Error| format!("reading `{name}`: {error}");
        let copy = file.try_clone().map_err(failed)?;
        match builder::layer::tar_in(Box::new(copy)).map_err(failed)? {
            Some(mut tar) => {
                let tarball = Tarball::read(name, &mut tar, &self.data.join("tmp"));
                tarball.map(Ok).map_err(|error| report(&error))
            }
            None => {
                file.rewind().map_err(failed)?;
                Ok(Err(file))
            }
        }
    }

    /// Copies a stream to a file without a name: whether it is a tar is only known when it was looked at.
    fn keep(&self, name: &str, stream: impl Read) -> Result<File, String> {
        let failed = |error: io::Error| format!("reading `{name}`: {error}");
        let mut file = self.temporary()?;
        let size = io::copy(&mut stream.take(MAX_STREAM + 1), &mut file).map_err(failed)?;
        if size > MAX_STREAM {
            return Err(format!("`{name}` is larger than {MAX_STREAM} bytes"));
        }
        file.rewind().map_err(failed)?;
        Ok(file)
    }

    fn temporary(&self) -> Result<File, String> {
        let directory = self.data.join("tmp");
        std::fs::create_dir_all(&directory)
            .and_then(|()| tempfile::tempfile_in(&directory))
            .map_err(|error| format!("creating a file in `{}`: {error}", directory.display()))
    }

    fn download(&self, url: &str) -> Result<File, String> {
        let download = Download {
            url: url.to_owned(),
            reach: Reach::Anywhere,
            known: None,
            authorization: None,
            limit: MAX_STREAM,
        };
        let mut file = tokio::fs::File::from_std(self.temporary()?);
        let downloaded = self.services.tokio.block_on(self.services.client.download(&download, &mut file));
        downloaded.map_err(|error| format!("downloading `{url}`: {}", report(&error)))?;
        let mut file = self.services.tokio.block_on(file.into_std());
        file.flush().and_then(|()| file.rewind()).map_err(|error| format!("reading `{url}`: {error}"))?;
        Ok(file)
    }

    /// Finds the contexts that are given names: directories, repositories, tars, images.
    pub(crate) fn named(&self, contexts: &[String]) -> Result<HashMap<String, NamedContext>, String> {
        let mut named = HashMap::new();
        for pair in contexts {
            let (name, place) = pair
                .split_once('=')
                .filter(|(name, place)| !name.is_empty() && !place.is_empty())
                .ok_or_else(|| format!("--build-context `{pair}`: NAME=PATH is expected"))?;
            let context = match image(place) {
                Some(NamedImage::Reference(nothing)) if nothing == "scratch" => Context::Empty,
                Some(image) => Context::Image(image),
                None => self.files(place).map_err(|error| format!("--build-context `{name}`: {error}"))?.0,
            };
            named.insert(name.to_lowercase(), named_context(context)?);
        }
        Ok(named)
    }
}

/// Returns an image of the store as a context with a name.
pub(crate) fn stored(name: &str, image: &Descriptor) -> (String, NamedContext) {
    let context = Context::Image(NamedImage::Stored(image.clone()));
    (name.to_lowercase(), NamedContext { context, ignore: Ignore::default() })
}

fn is_web(place: &str) -> bool {
    place.starts_with("http://") || place.starts_with("https://")
}

/// Returns the image that a named context is, if it is one.
fn image(place: &str) -> Option<NamedImage> {
    if let Some(reference) = place.strip_prefix("docker-image://") {
        return Some(NamedImage::Reference(reference.to_owned()));
    }
    let layout = place.strip_prefix("oci-layout://")?;
    let (path, selector) = match layout.split_once('@') {
        Some((path, digest)) => (path, Some(digest.to_owned())),
        None => match layout.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((path, tag)) => (path, Some(tag.to_owned())),
            None => (layout, None),
        },
    };
    Some(NamedImage::Layout(PathBuf::from(path), selector))
}

/// Returns the context of a build as `COPY` sees it, with the ignore file of the Dockerfile `dockerfile`, if it is in it.
///
/// One commit is one image, whether its directory, a push or its URL is built. A tar was made to be a context: what is in
/// it is what its author wants to be there.
fn main_context(context: Context, dockerfile: &str) -> Result<NamedContext, String> {
    let ignore = match &context {
        Context::Directory(_) | Context::Checkout(_) => context::find_ignore(&context, dockerfile, ""),
        _ => Ok(Ignore::default()),
    };
    Ok(NamedContext { ignore: ignore.map_err(|error| error.report())?, context })
}

/// Returns a context with a name as `COPY` sees it: only a directory has an ignore file, as for BuildKit.
fn named_context(context: Context) -> Result<NamedContext, String> {
    match context {
        Context::Directory(_) => main_context(context, ""),
        _ => Ok(NamedContext { context, ignore: Ignore::default() }),
    }
}

/// Finds the Dockerfile in a repository or a tar.
fn found(context: Context, file: Option<&str>, time: Option<i64>) -> Result<Found, String> {
    let name = file.unwrap_or("Dockerfile");
    let dockerfile = context::find_dockerfile(&context, name).map_err(|error| error.report())?;
    Ok(Found { context: main_context(context, name)?, dockerfile, time })
}

/// Reads the ignore file beside a local Dockerfile, if it is there.
fn local_ignore(path: &Path) -> Result<Option<Ignore>, String> {
    let name = path.display().to_string();
    let unusable = |problem: &dyn std::fmt::Display| context::unusable(&name, problem).report();
    match std::fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(unusable(&format!("it cannot be read: {error}"))),
        Ok(_) => {}
    }
    // In a local build a link may lead anywhere, but only to a file.
    let known =
        std::fs::metadata(path).map_err(|error| unusable(&format!("where it leads cannot be read: {error}")))?;
    if !known.is_file() {
        return Err(unusable(&if known.is_dir() { "it is a directory" } else { "it is not a regular file" }));
    }
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_IGNORE + 1).read_to_end(&mut text));
    read.map_err(|error| unusable(&format!("it cannot be read: {error}")))?;
    if text.len() as u64 > MAX_IGNORE {
        return Err(unusable(&format!("it has {} bytes, {MAX_IGNORE} are read", known.len())));
    }
    context::parse_ignore(&text, &name).map(Some).map_err(|error| error.report())
}

fn local_dockerfile(file: &str) -> Result<DockerfileText, String> {
    let text = std::fs::read(file).map_err(|error| format!("reading the Dockerfile `{file}`: {error}"))?;
    let name = Path::new(file).file_name().map_or_else(|| file.to_owned(), |name| name.to_string_lossy().into_owned());
    Ok(DockerfileText { name, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_images_are_told_from_paths() {
        assert_eq!(image("docker-image://alpine:3"), Some(NamedImage::Reference("alpine:3".into())));
        let layout = |path: &str, selector: Option<&str>| {
            Some(NamedImage::Layout(PathBuf::from(path), selector.map(str::to_owned)))
        };
        assert_eq!(image("oci-layout:///a/b"), layout("/a/b", None));
        assert_eq!(image("oci-layout://b:v1"), layout("b", Some("v1")));
        assert_eq!(image("oci-layout://b@sha256:0"), layout("b", Some("sha256:0")));
        assert_eq!(image("./dir"), None);
    }
}
