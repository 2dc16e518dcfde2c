//! The hosts that this machine's own `apt` talks to: builds install packages from the same places.

use std::fs;
use std::path::{Path, PathBuf};

/// Where sources and proxies are configured.
const FILES: [&str; 2] = ["/etc/apt/sources.list", "/etc/apt/apt.conf"];
const DIRECTORIES: [&str; 2] = ["/etc/apt/sources.list.d", "/etc/apt/apt.conf.d"];
/// Largest file that is looked at.
const MAX_FILE: u64 = 1024 * 1024;

/// Reads the files, where there are any.
pub(crate) fn texts() -> Vec<String> {
    let listed = |directory: &&str| fs::read_dir(Path::new(directory)).into_iter().flatten().flatten();
    let more = DIRECTORIES.iter().flat_map(listed).map(|entry| entry.path());
    let files = FILES.iter().map(PathBuf::from).chain(more);
    let small = files.filter(|file| fs::metadata(file).is_ok_and(|known| known.is_file() && known.len() <= MAX_FILE));
    small.filter_map(|file| fs::read_to_string(file).ok()).collect()
}

/// Returns the hosts of all `http` and `https` addresses that are not in comments.
pub(crate) fn hosts(texts: &[String]) -> Vec<String> {
    let lines = texts.iter().flat_map(|text| text.lines()).map(str::trim_start);
    let active = lines.filter(|line| !line.starts_with(['#', '/']));
    let words = active.flat_map(|line| line.split(|letter: char| letter.is_whitespace() || "\"';".contains(letter)));
    let mut hosts: Vec<String> = words.filter_map(host).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

/// Returns the host of an address such as `http://user@host:3142/debian`.
fn host(word: &str) -> Option<String> {
    let rest = word.strip_prefix("http://").or_else(|| word.strip_prefix("https://"))?;
    let authority = rest.split('/').next()?.rsplit('@').next()?;
    let host = match authority.strip_prefix('[') {
        Some(six) => six.split(']').next()?,
        None => authority.split(':').next()?,
    };
    (!host.is_empty()).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::hosts;

    #[test]
    fn hosts_of_sources_and_proxies_are_found() {
        let sources = "# deb http://old.example/debian x main\ndeb [signed-by=/k] http://mirror.lan:3142/debian stable main\nURIs: https://deb.example.org/debian\n";
        let proxy = "Acquire::http::Proxy \"http://me:secret@10.0.0.7:8080/\";\nAcquire::https::Proxy \"http://[fd00::7]:8080\";\n// \"http://no.example\"\n";
        assert_eq!(
            hosts(&[sources.to_owned(), proxy.to_owned()]),
            ["10.0.0.7", "deb.example.org", "fd00::7", "mirror.lan"]
        );
    }
}
