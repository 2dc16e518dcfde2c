//! Repositories, people, tokens and secrets, who did what, and how values are sealed at rest.

pub(crate) mod audit_log;
pub(crate) mod deploy_key;
pub(crate) mod device_login;
pub(crate) mod identity;
pub(crate) mod redaction;
pub(crate) mod repository;
pub(crate) mod seal_stored;
pub(crate) mod sealing;
pub(crate) mod secret;
pub(crate) mod secret_key;
pub(crate) mod session;
pub(crate) mod token;
