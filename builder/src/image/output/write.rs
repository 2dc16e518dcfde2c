//! Writes an image to standard output, to a file, or into a directory.

use super::format::{Destination, Format, Output};
use super::source::Source;
use super::{docker, layout, local, rootfs, tarball};
use crate::error::Code;
use crate::execute::BuildResources;
use crate::{Error, Image, Services};
use registry_client::Reference;
use runtime::CancellationToken;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Links that are followed before a path is taken to lead nowhere, as the kernel does.
const MAX_LINKS: usize = 40;

/// Writes an image that is in the store; returns a note for the requester, if there is one.
pub fn write(
    services: &Services,
    image: &Image,
    output: &Output,
    names: &[Reference],
    cancel: &CancellationToken,
) -> Result<Option<String>, Error> {
    let resources = BuildResources::aside(services, "output", cancel)?;
    let images = image.parts();
    for part in &images {
        part.layers.iter().try_for_each(|layer| resources.blob(layer))?;
    }
    let failed = |cause: io::Error| {
        Error::new(Code::OutputFailed, format!("writing {}", output.destination.shown())).with_cause(cause)
    };
    let source = Source { resources: &resources, image, names };
    match (&output.destination, output.format) {
        (Destination::Directory(path), Format::Files) => return local::write(&source, path).map_err(failed),
        (Destination::Directory(path), Format::Oci) => layout::write(&source, &mut layout::Directory::new(path)),
        (Destination::Directory(_), Format::Docker) => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "type=docker is one file: dest=FILE is expected"))
        }
        (Destination::Stdout, format) => tar(&source, format, io::stdout().lock()),
        (Destination::File(path), format) => to_file(path, |file| tar(&source, format, file)),
    }
    .map(|()| None)
    .map_err(failed)
}

fn tar(source: &Source<'_>, format: Format, out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1024 * 1024, out);
    match format {
        Format::Files => rootfs::tar(source, &mut out)?,
        Format::Oci => {
            let mut tar = tarball::Tarball::new(&mut out);
            layout::write(source, &mut tar)?;
            tar.finish()?;
        }
        Format::Docker => docker::write(source, &mut out)?,
    }
    out.flush()
}

/// Writes a file that others see whole or not at all.
fn to_file(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    // A pipe or a device is written to, not replaced.
    if std::fs::metadata(path).is_ok_and(|known| !known.is_file()) {
        return write(&mut File::options().write(true).open(path)?);
    }
    let path = &followed(path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(directory)?;
    write(file.as_file_mut())?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Follows symbolic links to the file that is written: it need not be there, and the link stays.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = std::fs::read_link(&path) else { return Ok(path) };
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(io::Error::other("too many levels of symbolic links"))
}
