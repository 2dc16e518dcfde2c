//! URLs as they may be shown: without credentials, or only their host.

use crate::Error;
use url::Url;

/// Returns the error of an address that is not asked.
pub(crate) fn refused(url: &str, problem: &str) -> Error {
    Error::NotAllowed(format!("`{}` {problem}", without_credentials(url)))
}

/// Returns `url` as it may be shown.
pub fn without_credentials(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            parsed.into()
        }
        _ => url.to_owned(),
    }
}

/// Returns the host of a URL, with its port if that is not the usual one.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
