//! Texts from elsewhere without what a URL in them may hold that nobody is to see: logins and tokens. Errors of git servers
//! and registries repeat URLs, and what is stored is shown.

use std::borrow::Cow;

/// Replaces a secret that is left out.
const GONE: &str = "***";
/// Parameters of queries that are secrets by their names.
const SECRETS: [&str; 22] = [
    "access_token",
    "api_key",
    "apikey",
    "auth",
    "auth_token",
    "client_secret",
    "code",
    "job_token",
    "jwt",
    "key",
    "passwd",
    "password",
    "private_token",
    "refresh_token",
    "secret",
    "sig",
    "signature",
    "token",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-signature",
];

/// Returns a text without logins and tokens in its URLs.
pub fn redact(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.find("://") {
        let (before, after) = rest.split_at(position + 3);
        shown.push_str(before);
        let end = after.find(ends_url).unwrap_or(after.len());
        push_url(&after[..end], &mut shown);
        rest = &after[end..];
    }
    shown.push_str(rest);
    if shown == text { Cow::Borrowed(text) } else { Cow::Owned(shown) }
}

/// Tells whether a character ends a URL in a sentence.
fn ends_url(char: char) -> bool {
    char.is_whitespace() || char.is_control() || "\"'<>`(){}|".contains(char)
}

/// Adds what follows a scheme.
fn push_url(url: &str, shown: &mut String) {
    let authority = url.find(['/', '?', '#']).unwrap_or(url.len());
    let (authority, path) = url.split_at(authority);
    match authority.rsplit_once('@') {
        Some((_, host)) => {
            shown.push_str(GONE);
            shown.push('@');
            shown.push_str(host);
        }
        None => shown.push_str(authority),
    }
    let Some((path, query)) = path.split_once('?') else { return shown.push_str(path) };
    shown.push_str(path);
    if query.is_empty() {
        shown.push('?');
    }
    let mut joint = '?';
    for parameter in query.split_inclusive(['&', ';', '#']) {
        let (parameter, next) = match parameter.char_indices().next_back() {
            Some((at, last @ ('&' | ';' | '#'))) => (&parameter[..at], last),
            _ => (parameter, ' '),
        };
        shown.push(joint);
        let secret =
            parameter.split_once('=').filter(|(name, _)| SECRETS.contains(&name.to_ascii_lowercase().as_str()));
        match secret {
            Some((name, _)) => [name, "=", GONE].into_iter().for_each(|text| shown.push_str(text)),
            None => shown.push_str(parameter),
        }
        joint = next;
    }
    if joint != ' ' && joint != '?' {
        shown.push(joint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_and_tokens_of_urls_are_left_out() {
        // SV-37, SEC-m8
        let cases = [
            ("fetching `https://bot:pw@host/app.git`: 401", "fetching `https://***@host/app.git`: 401"),
            ("https://pw@host:8443/x and http://a:b@[::1]/y", "https://***@host:8443/x and http://***@[::1]/y"),
            ("https://a:p@ss@host/x", "https://***@host/x"),
            ("GET https://host/x?a=1&access_token=abc&b=2", "GET https://host/x?a=1&access_token=***&b=2"),
            ("https://host/x?TOKEN=abc#f", "https://host/x?TOKEN=***#f"),
            ("https://host/me@example.com", "https://host/me@example.com"),
            ("mail me@example.com", "mail me@example.com"),
            ("ssh://git:pw@host", "ssh://***@host"),
            ("https://host/x?", "https://host/x?"),
            ("https://host/x?a&b;", "https://host/x?a&b;"),
        ];
        for (text, expected) in cases {
            assert_eq!(redact(text), expected, "{text}");
        }
    }
}
