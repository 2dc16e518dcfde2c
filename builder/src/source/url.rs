//! Git URLs as `docker build` takes them: `https://host/repository.git#ref:directory`.

use super::SourceError;

/// A repository, what of it, and which directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitContext {
    /// Where to fetch from.
    pub url: String,
    /// Branch, tag or commit; `None` for the default branch.
    pub reference: Option<String>,
    /// The directory that is the context; empty for the whole tree.
    pub subdir: String,
}

impl GitContext {
    /// Reads `text`; `None` if it names no git repository.
    pub fn parse(text: &str) -> Option<Self> {
        let (location, fragment) = text.split_once('#').unwrap_or((text, ""));
        let is_git =
            ["http://", "https://", "git://", "ssh://", "git@"].iter().any(|start| location.starts_with(start));
        let url = match location {
            _ if is_git => location.to_owned(),
            host if host.starts_with("github.com/") => format!("https://{host}"),
            _ => return None,
        };
        let (reference, subdir) = fragment.split_once(':').unwrap_or((fragment, ""));
        let reference = Some(reference.to_owned()).filter(|reference| !reference.is_empty());
        Some(GitContext { url, reference, subdir: subdir.to_owned() })
    }
}

/// Checks that `url` is one that may be fetched from: http or https, with a host, without tricks.
pub fn check(url: &str) -> Result<(), SourceError> {
    let refused = |problem| Err(SourceError::Url { url: without_credentials(url), problem });
    let Ok(parsed) = url::Url::parse(url) else {
        return refused("is no URL: https://host/path.git is expected");
    };
    match parsed.scheme() {
        "http" | "https" if parsed.host_str().is_some_and(|host| !host.is_empty()) => Ok(()),
        "http" | "https" => refused("has no host: https://host/path.git is expected"),
        "ssh" | "git" => refused("ssh and git:// are not supported: use the https URL with a token"),
        _ => refused("only http and https are fetched from: https://host/path.git is expected"),
    }
}

/// Returns `url` as it may be shown.
pub fn without_credentials(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            parsed.into()
        }
        _ => url.to_owned(),
    }
}
