//! Failed requests, as errors tell of them: the operation, the repository, the login, and the remedy.

use crate::error::Login;
use crate::{Error, Reference};

impl Login {
    /// Returns whether it was sent, in words.
    pub(crate) fn told(self) -> &'static str {
        if self == Login::Sent { "the login was sent" } else { "no login was sent" }
    }
}

/// Returns a remedy as the end of a sentence; nothing, if there is none.
pub(crate) fn as_remedy(remedy: &str) -> String {
    if remedy.is_empty() { String::new() } else { format!("; {remedy}") }
}

impl Error {
    /// Adds the request that failed, unless it is said already.
    #[must_use]
    pub(crate) fn of_request(mut self, reference: &Reference, operation: &str, login: Login) -> Self {
        let remedy = self.remedy();
        if let Some(asked) = self.asked().filter(|asked| asked.is_empty()) {
            let repository = reference.repository();
            *asked = format!(" ({operation} in `{repository}`; {}{})", login.told(), as_remedy(remedy));
        }
        self
    }

    fn asked(&mut self) -> Option<&mut String> {
        match self {
            Error::Transport { asked, .. }
            | Error::Broken { asked, .. }
            | Error::Speech { asked, .. }
            | Error::TokenServer { asked, .. }
            | Error::InvalidDocument { asked, .. } => Some(asked),
            _ => None,
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Error::Transport { .. } => "check its name, and that this machine may connect to it",
            Error::Broken { .. } | Error::TokenServer { .. } => "try again later; its own log may say more",
            Error::InvalidDocument { .. } => "it is for those who run the registry, or pushed the image, to mend",
            _ => "",
        }
    }

    /// Returns the remedy for an answer with this status.
    pub(crate) fn status_remedy(status: u16) -> &'static str {
        match status {
            429 => "it limits requests: try again later, or with a login that has a higher limit",
            413 => "what was sent is too large for it, or for a proxy in front of it",
            500.. => "try again later; its own log may say more",
            _ => "",
        }
    }
}
