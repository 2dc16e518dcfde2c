//! `slipway.toml`: every key as it is written, and the settings that the service works with.

pub(crate) mod checks;
pub(crate) mod document;
mod file;
pub(crate) mod forge_api;
mod forge_app;
pub(crate) mod forges;
mod hub;
mod limits;
mod logins;
pub(crate) mod mirror_section;
pub(crate) mod network;
pub(crate) mod notification_section;
pub(crate) mod proxies;
pub(crate) mod registries;
mod registry_section;
pub(crate) mod retention;
mod sandbox;
pub(crate) mod secret;
pub(crate) mod settings;
pub(crate) mod sign_in;

pub use file::{Configuration, ConfigurationError, Server};
pub use hub::Hub;
pub use limits::Limits;
pub use logins::Login;
pub use mirror_section::MirrorSection;
pub use notification_section::{Notification, NotificationEvent};
pub use registries::Registry;
pub use registry_section::{QuotaSection, RegistrySection, RetentionSection};
pub use retention::Retention;
pub use sandbox::Sandbox;
pub use settings::{Scope, Settings, Token};
