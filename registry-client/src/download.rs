//! Files from the web, for `ADD` and for contexts: bounded, revalidated, and only from where the caller may reach.

use crate::web::{WebAnswer, WebRequest};
use crate::{Client, Error, Reach};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use url::Url;

/// How often a request is tried before a passing fault is an error.
const TRIES: u32 = 3;

/// A file to be downloaded.
#[derive(Debug, Clone)]
pub struct Download {
    /// Its address, http or https.
    pub url: String,
    /// What may be connected to.
    pub reach: Reach,
    /// The entity tag of the copy that is here already.
    pub known: Option<String>,
    /// The value of the `Authorization` header, sent to the URL's own host only.
    pub authorization: Option<String>,
    /// Bytes that it may have.
    pub limit: u64,
}

/// What a server said of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downloaded {
    /// The copy that is here is the current one.
    Unchanged,
    /// The file is in the sink.
    File {
        /// Its entity tag, if it has a strong or weak one.
        etag: Option<String>,
        /// The text of its `Last-Modified` header.
        last_modified: Option<String>,
    },
}

impl Client {
    /// Downloads a file into `sink`, which gets nothing if the known copy is current.
    pub async fn download(
        &self,
        download: &Download,
        sink: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<Downloaded, Error> {
        let mut answer = self.get(download).await?;
        let (etag, last_modified) = (answer.header("etag"), answer.header("last-modified"));
        match answer.status() {
            304 if download.known.is_some() => return Ok(Downloaded::Unchanged),
            200 => {}
            status => {
                let registry = without_credentials(&download.url);
                return Err(Error::Status { registry, status, message: String::new() });
            }
        }
        let too_large = || refused(&download.url, &format!("is larger than {} bytes", download.limit));
        let announced = answer.header("content-length").and_then(|length| length.parse::<u64>().ok());
        if announced.is_some_and(|length| length > download.limit) {
            return Err(too_large());
        }
        let mut done = 0;
        while let Some(chunk) = answer.chunk().await? {
            done += chunk.len() as u64;
            if done > download.limit {
                return Err(too_large());
            }
            sink.write_all(&chunk).await?;
        }
        sink.flush().await?;
        Ok(Downloaded::File { etag, last_modified })
    }

    /// Asks for the file; passing faults are tried again.
    async fn get(&self, download: &Download) -> Result<WebAnswer, Error> {
        let request = WebRequest {
            url: download.url.clone(),
            reach: download.reach,
            elsewhere: download.reach,
            headers: download.known.iter().map(|known| ("if-none-match", known.clone())).collect(),
            authorization: download.authorization.clone(),
            body: None,
        };
        let mut wait = Duration::from_millis(300);
        for _ in 1..TRIES {
            match self.ask(&request).await {
                Ok(answer) if !(answer.status() >= 500 || answer.status() == 429) => return Ok(answer),
                Err(error) if !error.is_transient() => return Err(error),
                _ => tokio::time::sleep(wait).await,
            }
            wait *= 3;
        }
        self.ask(&request).await
    }
}

/// Returns the error of an address that is not asked.
pub fn refused(url: &str, problem: &str) -> Error {
    Error::NotAllowed(format!("`{}` {problem}", without_credentials(url)))
}

/// Returns `url` as it may be shown.
pub fn without_credentials(url: &str) -> String {
    match Url::parse(url) {
        Ok(mut parsed) if !parsed.username().is_empty() || parsed.password().is_some() => {
            let _ = parsed.set_username("");
            let _ = parsed.set_password(None);
            parsed.into()
        }
        _ => url.to_owned(),
    }
}

/// Tells apart an address that is not connected to from one that does not answer.
pub fn failed(url: &str, cause: reqwest::Error) -> Error {
    match crate::reach::refusal(&cause) {
        Some(problem) => refused(url, problem),
        None => Error::Transport { registry: without_credentials(url), cause: cause.without_url() },
    }
}

/// Tells whether an address belongs to the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => {
            if let Some(inner) = address.to_ipv4_mapped().or_else(|| embedded(address.segments())) {
                return is_public_v4(inner);
            }
            let first = address.segments()[0];
            // Only 2000::/3 is given out; documentation and benchmarking lie in it.
            first & 0xe000 == 0x2000 && !is_special(first, address.segments()[1])
        }
    }
}

/// Tells whether addresses that begin like this are given out for protocols, not for networks: Teredo and its relatives,
/// and documentation.
fn is_special(first: u16, second: u16) -> bool {
    (first == 0x2001 && (second < 0x0200 || second == 0x0db8)) || (first == 0x3fff && second < 0x1000)
}

/// Returns the IPv4 address that 6to4 and NAT64 addresses carry.
fn embedded(segments: [u16; 8]) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match segments {
        [0x2002, high, low, ..] => Some(of(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        _ => None,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let benchmarking = a == 198 && (18..20).contains(&b);
    let reserved = a == 0 || a >= 224 || (a, b, c) == (192, 0, 0);
    !(address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_documentation()
        || shared
        || benchmarking
        || reserved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_addresses_are_not_public() {
        // DF-23
        for inner in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fc00::1",
            "::ffff:10.0.0.1",
            "2002:7f00:1::",
            "64:ff9b::a9fe:a9fe",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "3fff::1",
        ] {
            assert!(!is_public(inner.parse().unwrap()), "{inner}");
        }
        for public in ["1.1.1.1", "151.101.0.204", "2606:4700::1111", "2a04:4e42::644"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
