//! Git URLs as `docker build` and `ADD` take them: `https://host/repository.git#ref:directory`, or the same as a query.

use super::error::SourceError;
use super::ssh::SshAddress;
use super::without_credentials;
use std::collections::BTreeMap;

/// A repository, what of it, and which directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GitContext {
    /// Where to fetch from.
    pub url: String,
    /// Branch, tag or commit; `None` for the default branch.
    pub reference: Option<String>,
    /// The directory that is the context; empty for the whole tree.
    pub subdir: String,
    /// The commit that the reference must name: its hash or the beginning of it.
    pub checksum: Option<String>,
    /// Whether `.git` is kept, if the URL says so.
    pub keep_git_dir: Option<bool>,
    /// Whether submodules are left out.
    pub without_submodules: bool,
}

impl GitContext {
    /// Reads `text`; `None` if it names no git repository.
    pub fn parse(text: &str) -> Result<Option<Self>, SourceError> {
        let (location, fragment) = text.split_once('#').unwrap_or((text, ""));
        let (location, query) = location.split_once('?').unwrap_or((location, ""));
        let web = ["http://", "https://"].iter().any(|start| location.starts_with(start));
        let other = ["git://", "ssh://", "git@"].iter().any(|start| location.starts_with(start));
        let url = match location {
            // A fragment means nothing to a web server: a URL with one means a repository.
            _ if other || web && (location.ends_with(".git") || !fragment.is_empty()) => location.to_owned(),
            host if host.starts_with("github.com/") => format!("https://{host}"),
            _ => return Ok(None),
        };
        let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
        let reference = Some(reference.to_owned()).filter(|reference| !reference.is_empty());
        let mut git = GitContext { url, reference, subdir: subdir.to_owned(), ..GitContext::default() };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            git.set(key, &decoded(value)).map_err(|problem| SourceError::GitUrl { url: text.to_owned(), problem })?;
        }
        Ok(Some(git))
    }

    /// Takes a pair of the query.
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "ref" => set_once(&mut self.reference, key, value.to_owned()),
            "branch" => set_once(&mut self.reference, key, format!("refs/heads/{value}")),
            "tag" => set_once(&mut self.reference, key, format!("refs/tags/{value}")),
            "subdir" if !self.subdir.is_empty() => Err("names its directory twice: `subdir` and after `#`".to_owned()),
            "subdir" => {
                value.clone_into(&mut self.subdir);
                Ok(())
            }
            "checksum" | "commit" => set_once(&mut self.checksum, key, value.to_owned()),
            "keep-git-dir" => boolean(key, value).map(|keep| self.keep_git_dir = Some(keep)),
            "submodules" => boolean(key, value).map(|with| self.without_submodules = !with),
            // Both ask for what is done anyway: the commit's time, and fetching a commit by its hash.
            "mtime" if matches!(value, "commit" | "checkout") => Ok(()),
            "fetch-by-commit" => boolean(key, value).map(drop),
            _ => Err(format!(
                "has an unexpected query parameter `{key}`: ref, tag, branch, subdir, checksum, commit, keep-git-dir, \
                 submodules, mtime and fetch-by-commit are known"
            )),
        }
    }

    /// Returns the login that secrets have for the repository, by the names that BuildKit gave them.
    pub fn token(&self, secrets: &BTreeMap<String, Vec<u8>>) -> Option<(String, String)> {
        let url = url::Url::parse(&self.url).ok()?;
        let (host, port) = (url.host_str()?, url.port_or_known_default()?);
        let names =
            [format!("GIT_AUTH_TOKEN.{host}:{port}"), format!("GIT_AUTH_TOKEN.{host}"), "GIT_AUTH_TOKEN".to_owned()];
        let secret = names.iter().find_map(|name| secrets.get(name))?;
        Some(("x-access-token".to_owned(), String::from_utf8_lossy(secret).trim().to_owned()))
    }

    /// Checks that `commit` is the one that the URL or `--checksum` asked for.
    pub fn check_commit(&self, commit: &str) -> Result<(), SourceError> {
        match &self.checksum {
            Some(expected) if !commit.starts_with(expected.as_str()) => Err(SourceError::GitUrl {
                url: without_credentials(&self.url),
                problem: format!("expected checksum to match {expected}, got {commit}"),
            }),
            _ => Ok(()),
        }
    }
}

fn set_once(slot: &mut Option<String>, key: &str, value: String) -> Result<(), String> {
    match slot {
        Some(known) if *known != value => Err(format!("says what to take twice: `{known}` and `{key}={value}`")),
        _ => {
            *slot = Some(value);
            Ok(())
        }
    }
}

fn boolean(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "" | "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        _ => Err(format!("has an invalid value for `{key}`: `{value}`; true or false is expected")),
    }
}

/// Returns the value of a query's pair without its escapes.
fn decoded(value: &str) -> String {
    let mut pairs = url::form_urlencoded::parse(value.as_bytes());
    pairs.next().map_or_else(String::new, |(text, _)| text.into_owned())
}

/// Checks that `url` is one that may be fetched from: http, https or ssh, with a host, without tricks.
pub(crate) fn check(url: &str) -> Result<(), SourceError> {
    let refused = |problem| Err(SourceError::Url { url: without_credentials(url), problem });
    match SshAddress::parse(url) {
        Some(Ok(_)) => return Ok(()),
        Some(Err(problem)) => return refused(problem),
        None => {}
    }
    let Ok(parsed) = url::Url::parse(url) else {
        return refused("is not a URL: https://host/path.git is expected");
    };
    match parsed.scheme() {
        "http" | "https" if parsed.host_str().is_some_and(|host| !host.is_empty()) => Ok(()),
        "http" | "https" => refused("has no host: https://host/path.git is expected"),
        "git" => refused("git:// is not supported: use the https URL with a token"),
        _ => refused("only http, https and ssh are fetched from: https://host/path.git is expected"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> GitContext {
        GitContext::parse(text).unwrap().unwrap()
    }

    #[test]
    fn fragments_and_queries_say_the_same() {
        // DF-192
        let plain = parsed("https://h/r.git#v1:dir");
        assert_eq!((plain.reference.as_deref(), plain.subdir.as_str()), (Some("v1"), "dir"));
        assert_eq!(parsed("https://h/r.git?ref=v1&subdir=dir"), plain);
        assert_eq!(parsed("https://h/r.git?branch=a%2Fb").reference.as_deref(), Some("refs/heads/a/b"));
        assert_eq!(parsed("https://h/r.git?tag=v2").reference.as_deref(), Some("refs/tags/v2"));
        let all = parsed("https://h/r.git?keep-git-dir=true&submodules=false&commit=abc#:sub");
        assert_eq!((all.keep_git_dir, all.without_submodules, all.subdir.as_str()), (Some(true), true, "sub"));
        assert_eq!((all.reference, all.checksum.as_deref()), (None, Some("abc")));
        for (text, problem) in [
            ("https://h/r.git?ref=a#b", "twice"),
            ("https://h/r.git?subdir=a#b:c", "twice"),
            ("https://h/r.git?bogus=1", "unexpected query parameter `bogus`"),
            ("https://h/r.git?submodules=maybe", "invalid value"),
        ] {
            let error = GitContext::parse(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn only_git_urls_are_repositories() {
        // DF-194, DF-196
        for text in ["./dir", "github", "https://h/file.tar.gz", "https://h/r", "/abs"] {
            assert_eq!(GitContext::parse(text).unwrap(), None, "{text}");
        }
        assert_eq!(parsed("github.com/a/b").url, "https://github.com/a/b");
        assert_eq!(parsed("git@h:a/b.git").url, "git@h:a/b.git");
        assert_eq!(parsed("http://h/r#main").reference.as_deref(), Some("main"));
    }

    #[test]
    fn a_commit_is_compared_with_what_was_asked_for() {
        // DF-191
        let git = parsed("https://h/r.git?checksum=0123");
        assert!(git.check_commit("0123456789").is_ok());
        assert!(git.check_commit("1123456789").unwrap_err().to_string().contains("expected checksum"));
    }
}
