//! References, digests, image documents, registry authentication, pull and push.
//!
//! Knows no containers and no builds.
#![forbid(unsafe_code)]

mod address;
mod asked;
mod auth;
mod blob;
mod body;
mod certificate;
mod client;
mod digest;
mod document;
mod download;
mod error;
mod fault;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod go_json;
mod growing;
mod http;
mod list;
mod login;
pub mod media_type;
mod mirror;
mod pace;
mod pauses;
mod permit;
mod platform;
mod prepare;
mod public_address;
mod pull;
mod push;
mod push_growing;
mod reach;
mod reference;
mod refusal;
mod remove_tag;
mod response;
mod retry;
mod rights;
mod search;
mod send;
mod server_message;
mod settings;
mod shown_url;
mod token;
mod transport;
mod upload;
mod web;

pub use auth::Credentials;
pub use certificate::CertificateError;
pub use client::Client;
pub use digest::{Algorithm, DiffId, Digest, DigestError, Hasher};
pub use document::{ContainerConfig, Descriptor, Empty, Healthcheck, History, ImageConfig, Index, Manifest, RootFs};
pub use download::{Download, Downloaded};
pub use error::{Error, Login, Refusal, report};
pub use fault::Fault;
pub use growing::{GrowingBlob, Growth};
pub use http::{HostSettings, TlsSettings};
pub use list::Listed;
pub use mirror::{MirrorAnswer, Mirrored, PullThrough, Reader};
pub use pace::MinimumRate;
pub use platform::{Platform, PlatformError};
pub use public_address::is_public;
pub use pull::{Known, Resolved};
pub use push::PROOF_HEADER;
pub use reach::{Allowed, Reach};
pub use reference::{Reference, ReferenceError};
pub use retry::{Backoff, RetryPolicy};
pub use rights::{Home, ImagePattern, Rights, path_matches};
pub use search::FoundRepository;
pub use settings::Settings;
pub use shown_url::without_credentials;
pub use transport::STORE_HEADER;
pub use upload::BlobSource;
pub use web::{WebAnswer, WebRequest, is_same_server, may_be_told};
