//! `slipway.toml`: every key as it is written, and the settings that the service works with.

pub mod checks;
pub mod document;
mod file;
pub mod forges;
mod limits;
mod logins;
pub mod network;
pub mod proxies;
pub mod registries;
mod registry_section;
pub mod retention;
mod sandbox;
pub mod secret;
pub mod settings;

pub use file::{Configuration, ConfigurationError, Server};
pub use limits::Limits;
pub use logins::Login;
pub use registries::Registry;
pub use registry_section::{QuotaSection, RegistrySection, RetentionSection};
pub use retention::Retention;
pub use sandbox::Sandbox;
pub use settings::{Scope, Settings, Token};
