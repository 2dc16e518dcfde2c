//! Uploads that take long: slow registries, and blobs that are sent while they are being written.
#![allow(missing_docs, clippy::unwrap_used)]

mod server;

use registry_client::{
    BlobSource, Client, Credentials, Digest, Error, GrowingBlob, Growth, MinimumRate, RetryPolicy, Settings,
};
use server::help::{blob, reference, settings};
use server::{Answer, Asked, Server};
use std::io::Write;
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

const MIB: usize = 1024 * 1024;

/// A client that gives a registry 300 ms to answer, and asks once.
fn client() -> Client {
    let once = RetryPolicy { max_attempts: 1, ..settings(Credentials::None).retry };
    let read_timeout = Duration::from_millis(300);
    let minimum_rate = MinimumRate { bytes: 100, window: Duration::from_millis(500) };
    Client::new(Settings { read_timeout, minimum_rate, retry: once, ..settings(Credentials::None) }).unwrap()
}

/// Begins uploads, takes everything, and has `has`.
fn registry(has: Option<Digest>) -> impl Fn(&Asked) -> Answer + Send + Sync + 'static {
    move |asked| match asked.method.as_str() {
        "POST" => Answer::new(202).header("Location", "/v2/team/app/blobs/uploads/1?state=a"),
        "PATCH" => Answer::new(202).header("Location", "/v2/team/app/blobs/uploads/1?state=b"),
        "PUT" => Answer::new(201),
        "DELETE" => Answer::new(204),
        _ => Answer::new(if has.as_ref().is_some_and(|has| asked.path.ends_with(has.as_str())) { 200 } else { 404 }),
    }
}

fn file_of(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// A blob of which one MiB is there.
struct Writing {
    file: NamedTempFile,
    written: Vec<u8>,
    growth: Option<Growth>,
    blob: GrowingBlob,
}

impl Writing {
    fn begin() -> Writing {
        let written = vec![7; MIB];
        let file = file_of(&written);
        let (growth, blob) = GrowingBlob::new(file.reopen().unwrap(), MIB as u64);
        Writing { file, written, growth: Some(growth), blob }
    }

    fn write(&mut self, byte: u8) {
        let piece = vec![byte; MIB];
        self.file.write_all(&piece).unwrap();
        self.written.extend(piece);
        self.growth.as_ref().unwrap().set_size(self.written.len() as u64);
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.written)
    }

    fn end(&mut self) {
        self.growth.take().unwrap().end(self.digest());
    }
}

#[tokio::test]
async fn an_upload_may_take_longer_than_an_answer() {
    let server = Server::start_slow("127.0.0.1:0", Duration::from_millis(5), registry(None));
    let bytes = vec![1; 16 * MIB];
    let (file, began) = (file_of(&bytes), Instant::now());
    let source = BlobSource::File(file.path().to_owned());
    let taken = client().push_blob(&reference(&server), &blob(&bytes), source).await.unwrap();
    assert!(taken && began.elapsed() > Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(server.asked("PUT", "/")[0].body.len(), bytes.len());
}

#[tokio::test]
async fn an_upload_that_stalls_is_given_up() {
    let server = Server::start_slow("127.0.0.1:0", Duration::from_secs(20), registry(None));
    let bytes = vec![1; 64 * MIB];
    let (file, began) = (file_of(&bytes), Instant::now());
    let source = BlobSource::File(file.path().to_owned());
    let error = client().push_blob(&reference(&server), &blob(&bytes), source).await.unwrap_err();
    assert!(matches!(&error, Error::Broken { problem, .. } if problem.contains("too slowly")), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_blob_is_uploaded_while_it_grows() {
    let server = Server::start(registry(None));
    let mut writing = Writing::begin();
    let (client, reference, blob) = (client(), reference(&server), writing.blob.clone());
    let uploading = tokio::spawn(async move { client.push_growing_blob(&reference, blob).await });
    for byte in 0..4 {
        // Longer than a registry may be silent: it is the writer that is slow.
        tokio::time::sleep(Duration::from_millis(400)).await;
        writing.write(byte);
    }
    writing.end();
    assert_eq!(uploading.await.unwrap().unwrap(), Some(writing.digest()));
    let sent = server.asked("PATCH", "/v2/team/app/blobs/uploads/1?state=a");
    assert!(sent.len() == 1 && sent[0].body == writing.written);
    let ended = server.asked("PUT", "/v2/team/app/blobs/uploads/1?state=b&digest=");
    assert!(ended.len() == 1 && ended[0].path.ends_with(writing.digest().as_str()), "{ended:?}");
    assert!(server.asked("DELETE", "/").is_empty());
}

#[tokio::test]
async fn the_rest_of_a_blob_that_the_registry_has_is_not_sent() {
    let mut writing = Writing::begin();
    (0..63).for_each(|byte| writing.write(byte));
    let server = Server::start_slow("127.0.0.1:0", Duration::from_millis(20), registry(Some(writing.digest())));
    writing.end();
    let began = Instant::now();
    let pushed = client().push_growing_blob(&reference(&server), writing.blob.clone()).await.unwrap();
    assert_eq!(pushed, None);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!((server.asked("DELETE", "/").len(), server.asked("PUT", "/").len()), (1, 0));
}

#[tokio::test]
async fn a_blob_that_is_given_up_leaves_nothing() {
    let server = Server::start(registry(None));
    let mut writing = Writing::begin();
    let (client, reference, blob) = (client(), reference(&server), writing.blob.clone());
    let uploading = tokio::spawn(async move { client.push_growing_blob(&reference, blob).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    writing.growth.take();
    assert!(!matches!(uploading.await.unwrap(), Ok(Some(_))));
    assert_eq!((server.asked("DELETE", "/").len(), server.asked("PUT", "/").len()), (1, 0));
}

#[tokio::test]
async fn a_registry_that_takes_no_pieces_keeps_nothing_of_them() {
    let server = Server::start(|asked| match asked.method.as_str() {
        "PATCH" => Answer::new(405),
        _ => registry(None)(asked),
    });
    let mut writing = Writing::begin();
    writing.end();
    client().push_growing_blob(&reference(&server), writing.blob.clone()).await.unwrap_err();
    assert_eq!((server.asked("DELETE", "/").len(), server.asked("PUT", "/").len()), (1, 0));
}
