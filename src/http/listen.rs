//! Serves HTTP: ends connections whose heads are too slow or too large, and all of them when the program ends.

use super::connection::Connection;
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
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head of a request; up to as much again may have been read when that is noticed.
const MAX_HEAD: usize = 32 * 1024;
/// How long requests under way have when the program ends; streams would stay open for ever.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait when no connection can be accepted, for want of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Serves `router` until `stopped` says so.
pub(crate) async fn listen(listener: TcpListener, router: Router, mut stopped: Receiver<bool>) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => drop(tokio::spawn(serve(stream, peer, router.clone(), stopped.clone()))),
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            },
            () = asked_to_end(&mut stopped) => break,
        }
    }
    // Requests under way are answered meanwhile.
    tokio::time::sleep(ACCEPT_BACKOFF * 4).await;
}

async fn asked_to_end(stopped: &mut Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn serve(stream: TcpStream, peer: SocketAddr, router: Router, mut stopped: Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD);
    let connection = http.serve_connection(TokioIo::new(Connection::new(stream)), service);
    tokio::pin!(connection);
    tokio::select! {
        // A client that goes away or sends nonsense is not logged.
        _ = connection.as_mut() => return,
        () = asked_to_end(&mut stopped) => connection.as_mut().graceful_shutdown(),
    }
    let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, connection).await;
}
