//! Files from the web, for `ADD` and for contexts: bounded, revalidated, and only from where the caller may reach.

use crate::retry::{Backoff, RetryPolicy};
use crate::shown_url::{refused, without_credentials};
use crate::web::{WebAnswer, WebRequest};
use crate::{Client, Error, Reach};
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// When a download that failed is tried again.
const RETRY: RetryPolicy = RetryPolicy {
    initial_backoff: Duration::from_millis(300),
    max_backoff: Duration::from_secs(10),
    max_attempts: 3,
    max_elapsed: Duration::from_secs(60),
};

/// A file to be downloaded.
#[derive(Debug, Clone)]
pub struct Download {
    /// Its address, http or https.
    pub url: String,
    /// Addresses that may be connected to.
    pub reach: Reach,
    /// The entity tag of the copy that is here already.
    pub known: Option<String>,
    /// The value of the `Authorization` header, sent to the URL's own host only.
    pub authorization: Option<String>,
    /// Bytes that it may have.
    pub limit: u64,
}

/// The result of a download.
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
                return Err(Error::Status {
                    registry,
                    status,
                    message: String::new(),
                    retry_after: None,
                    asked: String::new(),
                });
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

    /// Asks for the file; transient failures are retried.
    async fn get(&self, download: &Download) -> Result<WebAnswer, Error> {
        let request = WebRequest {
            url: download.url.clone(),
            reach: download.reach,
            elsewhere: download.reach,
            headers: download.known.iter().map(|known| ("if-none-match", known.clone())).collect(),
            private_headers: Vec::new(),
            authorization: download.authorization.clone(),
            body: None,
        };
        let mut backoff = Backoff::new(&RETRY);
        loop {
            let answer = self.ask(&request).await;
            let may_pass = match &answer {
                Ok(answer) => answer.status() >= 500 || answer.status() == 429,
                Err(error) => error.is_transient(),
            };
            if !may_pass || !backoff.next(&without_credentials(&download.url), None).await {
                return answer;
            }
        }
    }
}
