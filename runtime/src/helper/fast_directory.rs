//! Fast directory: places an attempt in a region of an ext4 file system in which files are created quickly.
//!
//! Without a journal, ext4 passes over the numbers of files that were removed within the last minutes, one by one
//! and again for each file that it creates. Where much was just removed, unpacking a base image takes ten times as long; elsewhere on
//! the same disk it does not. A directory below one that is marked as the top of a hierarchy is put into a region of its
//! own, chosen by its name, and what is made in it stays near: so a few names are tried.

use super::remove;
use rustix::fs::IFlags;
use std::fs::{self, File};
use std::io;
use std::time::{Duration, Instant};

/// How many regions are tried.
const TRIES: usize = 8;
/// Files that are made for a measurement.
const FILES: u32 = 8;
/// A file takes less where nothing is in the way: a tenth of it, mostly.
const FAST: Duration = Duration::from_micros(60);

/// Sets the flag `TOPDIR` on `directory`, so that ext4 spreads its subdirectories; other file systems refuse and need none.
pub(crate) fn set_topdir(directory: &str) {
    let Ok(directory) = File::open(directory) else { return };
    if let Ok(flags) = rustix::fs::ioctl_getflags(&directory)
        && !flags.contains(IFlags::TOPDIR)
    {
        let _ = rustix::fs::ioctl_setflags(&directory, flags | IFlags::TOPDIR);
    }
}

/// Creates the directory `work` in the first region that is fast, else in the fastest of those tried.
pub(crate) fn create(work: &str) -> io::Result<()> {
    let mut tried = Vec::new();
    for candidate in candidates(work) {
        fs::create_dir(&candidate)?;
        let took = time_files(&candidate)?;
        tried.push((took, candidate));
        if took <= FAST * FILES {
            break;
        }
    }
    // All stay until one is chosen: an empty region would be chosen again.
    tried.sort();
    let mut tried = tried.into_iter().map(|(_, candidate)| candidate);
    if let Some(best) = tried.next() {
        fs::rename(best, work)?;
    }
    tried.try_for_each(fs::remove_dir)
}

/// Removes the directory `work`, and the candidates that an interrupted [`create`] left.
pub(crate) fn clear(work: &str) -> io::Result<()> {
    std::iter::once(work.to_owned()).chain(candidates(work)).try_for_each(|directory| remove::tree(&directory))
}

fn candidates(work: &str) -> impl Iterator<Item = String> + use<> {
    let work = work.to_owned();
    (1..=TRIES).map(move |number| format!("{work}.{number}"))
}

/// Returns how long it takes to make a few files in `directory`, which are gone afterwards.
fn time_files(directory: &str) -> io::Result<Duration> {
    let names = || (0..FILES).map(|number| format!("{directory}/{number}"));
    let began = Instant::now();
    names().try_for_each(|name| File::create(name).map(drop))?;
    let took = began.elapsed();
    names().try_for_each(fs::remove_file)?;
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_empty_directory_is_left() {
        let place = tempfile::tempdir().unwrap();
        let work = place.path().join("attempt");
        let work = work.to_str().unwrap();
        set_topdir(place.path().to_str().unwrap());
        create(work).unwrap();
        let left: Vec<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["attempt"]);
        assert_eq!(fs::read_dir(work).unwrap().count(), 0);
        // Cut short: a candidate with a file of its measurement.
        fs::create_dir(format!("{work}.3")).unwrap();
        File::create(format!("{work}.3/1")).unwrap();
        clear(work).unwrap();
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }
}
