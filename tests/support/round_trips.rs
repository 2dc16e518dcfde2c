//! A network that is far away: it holds back what is sent until nothing else is sent, and counts how often.
//!
//! All that is sent without waiting for an answer arrives in one round. The number of rounds is that of the round trips
//! which a build makes one after the other, whatever the machine's speed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

/// How long nothing may be sent before a round is over: work between two round trips takes less.
const QUIET: Duration = Duration::from_millis(250);

/// Proxies whose rounds are counted together.
#[derive(Clone)]
pub(crate) struct RoundTrips {
    sent: Arc<Notify>,
    held: Arc<AtomicUsize>,
    rounds: watch::Sender<usize>,
}

impl RoundTrips {
    /// Starts to count.
    pub(crate) fn start(tokio: &tokio::runtime::Handle) -> RoundTrips {
        let all = RoundTrips { sent: Arc::default(), held: Arc::default(), rounds: watch::Sender::new(0) };
        let counting = all.clone();
        tokio.spawn(async move { counting.count().await });
        all
    }

    /// Returns how many rounds there were.
    pub(crate) fn rounds(&self) -> usize {
        *self.rounds.borrow()
    }

    /// Ends a round each time that something is held and nothing more comes.
    async fn count(&self) {
        loop {
            self.sent.notified().await;
            while tokio::time::timeout(QUIET, self.sent.notified()).await.is_ok() {}
            if self.held.load(Ordering::SeqCst) > 0 {
                self.rounds.send_modify(|rounds| *rounds += 1);
            }
        }
    }

    /// Waits for the end of the round.
    async fn hold(&self) {
        let mut rounds = self.rounds.subscribe();
        self.held.fetch_add(1, Ordering::SeqCst);
        self.sent.notify_one();
        let _ = rounds.changed().await;
        self.held.fetch_sub(1, Ordering::SeqCst);
    }

    /// Returns the address at which `address` is far away.
    pub(crate) fn before(&self, tokio: &tokio::runtime::Handle, address: &str) -> String {
        let listener = tokio.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (here, there, all) = (listener.local_addr().unwrap().to_string(), address.to_owned(), self.clone());
        tokio.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (all, there) = (all.clone(), there.clone());
                tokio::spawn(async move { all.pass(client, &there).await });
            }
        });
        here
    }

    /// Passes one connection on; its handshake is a round trip, and each request is.
    async fn pass(&self, mut client: TcpStream, there: &str) -> std::io::Result<()> {
        self.hold().await;
        let mut server = TcpStream::connect(there).await?;
        let (mut request, mut answer) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
        let mut is_answered = true;
        loop {
            tokio::select! {
                read = client.read(&mut request) => {
                    let size = read?;
                    if size == 0 {
                        return Ok(());
                    }
                    if std::mem::take(&mut is_answered) {
                        self.hold().await;
                    }
                    server.write_all(&request[..size]).await?;
                }
                read = server.read(&mut answer) => {
                    let size = read?;
                    if size == 0 {
                        return Ok(());
                    }
                    is_answered = true;
                    client.write_all(&answer[..size]).await?;
                }
            }
        }
    }
}
