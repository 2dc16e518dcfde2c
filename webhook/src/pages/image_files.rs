//! Files of an image as a tree that one walks through: one directory at a time, the largest entries first.

use super::sizes::amount;
use super::words::{count, size};
use crate::view::text::plain;
use database::{Build, FileKind, FileListing, ListedFile};
use maud::{Markup, html};
use url::form_urlencoded::Serializer;

/// The bits of setuid and setgid.
const PRIVILEGED: u32 = 0o6000;

/// The directory that is looked at.
pub(super) struct Place<'p> {
    pub build: &'p Build,
    pub platform: Option<&'p str>,
    pub layer: Option<u64>,
    pub path: &'p str,
    pub skip: u64,
}

impl Place<'_> {
    /// Returns the address of the files of a layer, or of the whole image.
    pub(super) fn of_layer(&self, layer: Option<u64>) -> String {
        self.link(layer, "", 0)
    }

    /// Returns the listing.
    pub(super) fn shown(&self, listing: &FileListing) -> Markup {
        let largest = listing.entries.iter().map(|entry| entry.size).max().unwrap_or(1).max(1);
        let (shown, total) = (listing.entries.len() as u64, listing.total);
        html! {
            (self.way())
            p.hint {
                (size(listing.size)) " in " (count(listing.files as i64, "file")) "."
                @if self.layer.is_some() { " " a href=(self.of_layer(None)) { "Files of the whole image" } }
            }
            @if total == 0 { p.empty { "There is nothing here." } } @else {
                table.files {
                    caption.vh { "Files in /" (plain(self.path.as_bytes())) }
                    thead { tr { th { "Name" } th.opt { "Mode" } th.opt { span.vh { "Share" } } th.num { "Size" } } }
                    tbody { @for entry in &listing.entries { (self.row(entry, largest)) } }
                }
            }
            @if shown < total {
                nav.older aria-label="Files" {
                    span.dim { (self.skip + 1) " to " (self.skip + shown) " of " (total) }
                    @if self.skip > 0 { a.btn href=(self.link(self.layer, self.path, 0)) { "First" } }
                    @if self.skip + shown < total { a.btn rel="next" href=(self.link(self.layer, self.path, self.skip + shown)) { "Next" } }
                }
            }
        }
    }

    /// Returns the way from the root to the directory.
    fn way(&self) -> Markup {
        let parts: Vec<&str> = self.path.split('/').filter(|part| !part.is_empty()).collect();
        html! {
            nav.way aria-label="Folder" {
                a href=(self.link(self.layer, "", 0)) { "/" }
                @for (at, part) in parts.iter().enumerate() {
                    @let path = parts[..=at].join("/");
                    a aria-current=[(at + 1 == parts.len()).then_some("location")] href=(self.link(self.layer, &path, 0)) { (plain(part.as_bytes())) }
                    @if at + 1 < parts.len() { "/" }
                }
            }
        }
    }

    fn row(&self, entry: &ListedFile, largest: u64) -> Markup {
        let name = plain(entry.name.as_bytes());
        let path = if self.path.is_empty() { entry.name.clone() } else { format!("{}/{}", self.path, entry.name) };
        html! {
            tr {
                td.wide {
                    @match entry.kind {
                        // A name that is not UTF-8 cannot be asked for.
                        FileKind::Directory if !entry.name.contains('\u{fffd}') => a.go href=(self.link(self.layer, &path, 0)) { code { (name) "/" } },
                        FileKind::Directory => code { (name) "/" },
                        FileKind::Removed => { del { code { (name) } } span.dim { " removed" } }
                        _ => code { (name) },
                    }
                    @if let Some(target) = &entry.target { span.dim { " → " code { (plain(target.as_bytes())) } } }
                    @if entry.kind == FileKind::Directory { span.dim { " " (count(entry.files as i64, "file")) } }
                    @if entry.mode & PRIVILEGED != 0 && entry.kind == FileKind::File { span.state.hold { " setuid" } }
                }
                td.opt { @if entry.kind != FileKind::Removed { code.dim { (mode(entry)) } } }
                td.barcol.opt { (amount(entry.size, largest)) }
                td.num { @if entry.kind != FileKind::Link && entry.kind != FileKind::Removed { (size(entry.size)) } }
            }
        }
    }

    fn link(&self, layer: Option<u64>, path: &str, skip: u64) -> String {
        let mut query = Serializer::new(String::new());
        if let Some(platform) = self.platform {
            query.append_pair("platform", platform);
        }
        if let Some(layer) = layer {
            query.append_pair("layer", &layer.to_string());
        }
        if !path.is_empty() {
            query.append_pair("path", path);
        }
        if skip > 0 {
            query.append_pair("skip", &skip.to_string());
        }
        format!("/builds/{}/image?{}#files", self.build.id.as_str(), query.finish())
    }
}

/// Returns permissions and owner: `4755 0:0`.
fn mode(entry: &ListedFile) -> String {
    format!("{:04o} {}:{}", entry.mode, entry.owner.0, entry.owner.1)
}
