//! Files that pages load. Their addresses name their content, so browsers keep them for ever and never show an old one
//! after an upgrade.

use crate::http::answer;
use crate::http::problem::{Problem, no_such_page};
use axum::extract::Path;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// Digits of the content's hash in an address.
const DIGITS: usize = 12;

/// The style of the pages.
pub(crate) const STYLE: Asset = Asset {
    name: "style",
    extension: "css",
    media_type: "text/css; charset=utf-8",
    content: include_str!("style.css"),
};
/// The script of the pages, which all work without it.
pub(crate) const SCRIPT: Asset = Asset {
    name: "live",
    extension: "js",
    media_type: "text/javascript; charset=utf-8",
    content: include_str!("live.js"),
};
/// The icon of the pages.
pub(crate) const ICON: Asset = icon_of("icon", include_str!("icon.svg"));
/// The icon of a page that shows a failure.
pub(crate) const ICON_FAILED: Asset = icon_of("icon-failed", include_str!("icon-failed.svg"));
/// The icon of a page that shows something under way.
pub(crate) const ICON_RUNNING: Asset = icon_of("icon-running", include_str!("icon-running.svg"));

const fn icon_of(name: &'static str, content: &'static str) -> Asset {
    Asset { name, extension: "svg", media_type: "image/svg+xml", content }
}

/// A file that is part of the program.
pub(crate) struct Asset {
    name: &'static str,
    extension: &'static str,
    media_type: &'static str,
    content: &'static str,
}

impl Asset {
    /// Returns the address that stands for this content.
    pub(crate) fn path(&self) -> String {
        format!("/assets/{}", self.file())
    }

    fn file(&self) -> String {
        let hash = hex::encode(Sha256::digest(self.content));
        format!("{}-{}.{}", self.name, &hash[..DIGITS], self.extension)
    }
}

/// Sends a file. Files of earlier versions are not served.
pub(crate) async fn show(Path(file): Path<String>) -> Result<Response, Problem> {
    let assets = [STYLE, SCRIPT, ICON, ICON_FAILED, ICON_RUNNING];
    let Some(asset) = assets.iter().find(|asset| asset.file() == file) else { return Err(no_such_page().await) };
    let headers =
        [(header::CONTENT_TYPE, asset.media_type), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")];
    Ok((headers, asset.content).into_response())
}

/// Sends the icon to browsers that ask for it by the name that they all know.
pub(crate) async fn icon(headers: HeaderMap) -> Response {
    let content = ICON.content.as_bytes().to_vec();
    let etag = answer::etag(&content);
    answer::tagged(&headers, content, ICON.media_type, &etag)
}
