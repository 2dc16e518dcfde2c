//! Helpers that tests with a scripted registry share.

use super::Server;
use registry_client::{
    BlobSource, Client, Credentials, Descriptor, Digest, Error, MinimumRate, Reference, RetryPolicy, Settings,
    media_type,
};
use std::collections::HashMap;
use std::time::Duration;

pub(crate) fn settings(credentials: Credentials) -> Settings {
    let retry = RetryPolicy {
        initial_backoff: Duration::from_millis(5),
        max_backoff: Duration::from_millis(60),
        max_attempts: 4,
        max_elapsed: Duration::from_millis(400),
    };
    let minimum_rate = MinimumRate { bytes: 100, window: Duration::from_millis(200) };
    Settings { credentials, retry, minimum_rate, ..Settings::default() }
}

pub(crate) fn client(credentials: Credentials) -> Client {
    Client::new(settings(credentials)).unwrap()
}

pub(crate) fn login(server: &Server) -> Credentials {
    Credentials::Fixed(HashMap::from([(server.address.to_string(), ("user".to_owned(), "s3cret-pass".to_owned()))]))
}

pub(crate) fn reference(server: &Server) -> Reference {
    Reference::parse(&format!("{}/team/app:1", server.address)).unwrap()
}

pub(crate) fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor::new(media_type::OCI_LAYER_GZIP, Digest::of(bytes), bytes.len() as u64)
}

pub(crate) async fn push(client: &Client, server: &Server) -> Result<(), Error> {
    client.push_blob(&reference(server), &blob(b"x"), BlobSource::Bytes("x".into())).await.map(drop)
}
