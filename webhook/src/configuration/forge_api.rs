//! Where the API of a forge is.

use super::forges::{ForgeKind, GITHUB};
use crate::configuration::network::repository_url;

/// Returns the URL of the API of a forge.
pub(super) fn api(kind: ForgeKind, host: &str, url: Option<&str>) -> String {
    let Some(url) = url else {
        return match kind {
            ForgeKind::Bitbucket => "https://api.bitbucket.org/2.0".to_owned(),
            ForgeKind::Github if host == GITHUB || host.ends_with(".ghe.com") => format!("https://api.{host}"),
            _ => format!("https://{host}{}", kind.api_path()),
        };
    };
    let base = url.trim_end_matches('/');
    let is_api = base.ends_with(kind.api_path()) || kind == ForgeKind::Github && host_of(base).starts_with("api.");
    if is_api { base.to_owned() } else { format!("{base}{}", kind.api_path()) }
}

/// Returns the host of a URL; empty if it has none.
pub(super) fn host_of(url: &str) -> String {
    repository_url(url)
        .and_then(|url| url.host_str().map(|host| host.trim_end_matches('.').to_ascii_lowercase()))
        .unwrap_or_default()
}
