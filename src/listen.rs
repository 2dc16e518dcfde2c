//! Connections of HTTP servers: heads that are too slow or too large end them, and so does the end of the program.

use crate::wire::Wire;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch::Receiver;
use tower::Service;

/// How long the head of a request may take to arrive; bodies have limits of their own.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Largest head of a request; up to as much again may have been read when that is noticed.
const MAX_HEAD: usize = 32 * 1024;
/// How long requests under way have when the program ends; streams would stay open for ever.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long to wait when no connection can be accepted, for want of file descriptors.
const BREATH: Duration = Duration::from_millis(50);

/// Serves `router` until `stopped` says so.
pub async fn listen(listener: TcpListener, router: Router, mut stopped: Receiver<bool>) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => drop(tokio::spawn(serve(stream, peer, (router.clone(), stopped.clone())))),
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(BREATH).await;
                }
            },
            () = asked_to_end(&mut stopped) => break,
        }
    }
    // Requests under way are answered meanwhile.
    tokio::time::sleep(BREATH * 4).await;
}

async fn asked_to_end(stopped: &mut Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn serve(stream: TcpStream, peer: SocketAddr, (router, mut stopped): (Router, Receiver<bool>)) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(MAX_HEAD);
    let connection = http.serve_connection(TokioIo::new(Wire::new(stream)), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that goes away or sends nonsense is no event of ours.
        _ = connection.as_mut() => return,
        () = asked_to_end(&mut stopped) => connection.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(LAST_WORDS, connection).await;
}
