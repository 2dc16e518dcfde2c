//! Turns unsuccessful answers into errors: registry, repository, operation, the registry's message, and the remedy.

use crate::asked::as_remedy;
use crate::error::{Login, Refusal};
use crate::response::not_plain;
use crate::retry::retry_after;
use crate::server_message::as_suffix;
use crate::transport::Transport;
use crate::{Error, Reference};
use reqwest::Response;

impl Transport {
    /// Turns an unsuccessful answer into an error with the registry's own message.
    pub(crate) async fn failed(&self, reference: &Reference, operation: &'static str, response: Response) -> Error {
        let login = self.login_state(reference);
        self.refusal(reference, operation, response, login).await
    }

    /// Does the same where it is known what became of the login.
    pub(crate) async fn refusal(
        &self,
        reference: &Reference,
        operation: &'static str,
        response: Response,
        login: Login,
    ) -> Error {
        let (status, is_plain) = (response.status().as_u16(), response.url().scheme() == "http");
        let retry_after = retry_after(&response);
        let words = self.said(reference, response).await;
        let (registry, repository) = (reference.registry().to_owned(), reference.repository().to_owned());
        if status == 400 && is_plain && speaks_tls(&words) {
            return Error::Speech { problem: not_plain(&registry), registry, asked: String::new() };
        }
        let refusal = Refusal { registry, repository, operation, status, login, said: words };
        match status {
            401 | 403 => Error::Denied(Box::new(refusal)),
            404 => {
                let (login, remedy) = match login {
                    Login::Sent => ("with the configured login", String::new()),
                    _ => ("without a login", format!("; if it is private: `slipway login {}`", refusal.registry)),
                };
                let said = as_suffix(&refusal.said);
                Error::NotFound(format!("`{reference}` not found ({operation}, {login}){said}; check its name{remedy}"))
            }
            _ => {
                let mut message = format!("{operation} in `{}`{}", refusal.repository, as_suffix(&refusal.said));
                if matches!(status, 301..=303) {
                    message.push_str(": only 307 and 308 say that a request is sent on as it is");
                }
                let asked = format!("; {}{}", login.told(), as_remedy(Error::status_remedy(status)));
                Error::Status { registry: refusal.registry, status, message, retry_after, asked }
            }
        }
    }
}

/// Recognises what servers that speak TLS say to plain HTTP.
fn speaks_tls(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    words.contains("http request") && (words.contains("https") || words.contains("tls"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tls_servers_say_to_plain_http_is_known() {
        // US-26
        assert!(speaks_tls("Client sent an HTTP request to an HTTPS server."));
        assert!(speaks_tls("400 The plain HTTP request was sent to HTTPS port"));
        assert!(!speaks_tls("bad request"));
    }
}
