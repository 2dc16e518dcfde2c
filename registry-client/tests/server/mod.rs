//! A scripted server on a free port of this machine: each request is answered by a function, and kept.
#![allow(dead_code)]

pub(crate) mod help;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers by lower-case name.
    pub headers: HashMap<String, String>,
    /// Body.
    pub body: Vec<u8>,
}

/// The answer.
#[derive(Default)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Sends so many bytes of the body and then closes the connection.
    pub cut_at: Option<usize>,
    /// Sends the body byte by byte with this pause.
    pub pause: Option<Duration>,
}

impl Answer {
    pub(crate) fn new(status: u16) -> Self {
        Answer { status, ..Answer::default() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// A running server; it ends with the process.
pub(crate) struct Server {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Starts a server whose answers `script` gives.
    pub(crate) fn start(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Server {
        Server::start_slow("127.0.0.1:0", Duration::ZERO, script)
    }

    /// Starts one at an address.
    pub(crate) fn start_at(at: &str, script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Server {
        Server::start_slow(at, Duration::ZERO, script)
    }

    /// Starts one that waits for `pause` after each 64 KiB of a body.
    pub(crate) fn start_slow(
        at: &str,
        pause: Duration,
        script: impl Fn(&Asked) -> Answer + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind(at).unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (kept, script) = (asked.clone(), Arc::new(script));
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = connections.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::SeqCst);
                let (kept, script) = (kept.clone(), script.clone());
                std::thread::spawn(move || {
                    let _ = serve(stream, pause, &kept, &*script);
                });
            }
        });
        Server { address, asked, connections }
    }

    /// Returns the requests so far whose method and path begin like this.
    pub(crate) fn asked(&self, method: &str, path: &str) -> Vec<Asked> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|asked| asked.method == method && asked.path.starts_with(path)).cloned().collect()
    }

    /// Returns the number of connections so far.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Returns the number of all requests so far.
    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }
}

fn serve(
    stream: TcpStream,
    pause: Duration,
    kept: &Mutex<Vec<Asked>>,
    script: &dyn Fn(&Asked) -> Answer,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    while let Some(asked) = read(&mut reader, pause)? {
        kept.lock().unwrap().push(asked.clone());
        let answer = script(&asked);
        let mut head = format!("HTTP/1.1 {} X\r\n", answer.status);
        for (name, value) in &answer.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !answer.headers.iter().any(|(name, _)| *name == "Content-Length") {
            head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
        }
        out.write_all(format!("{head}\r\n").as_bytes())?;
        let body = if asked.method == "HEAD" { &[][..] } else { &answer.body[..] };
        if let Some(cut) = answer.cut_at {
            out.write_all(&body[..cut])?;
            return Ok(());
        }
        match answer.pause {
            None => out.write_all(body)?,
            Some(pause) => {
                for byte in body {
                    out.write_all(&[*byte])?;
                    std::thread::sleep(pause);
                }
            }
        }
    }
    Ok(())
}

fn read(reader: &mut BufReader<TcpStream>, pause: Duration) -> std::io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut asked =
        Asked { method: words.next().unwrap_or_default(), path: words.next().unwrap_or_default(), ..Asked::default() };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        asked.headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    if let Some(length) = asked.headers.get("content-length").and_then(|length| length.parse().ok()) {
        read_bytes(reader, length, pause, &mut asked.body)?;
    }
    if asked.headers.get("transfer-encoding").is_some_and(|encoding| encoding == "chunked") {
        loop {
            let (mut size, mut end) = (String::new(), String::new());
            reader.read_line(&mut size)?;
            let length = usize::from_str_radix(size.trim(), 16).map_err(std::io::Error::other)?;
            read_bytes(reader, length, pause, &mut asked.body)?;
            reader.read_line(&mut end)?;
            if length == 0 {
                break;
            }
        }
    }
    Ok(Some(asked))
}

fn read_bytes(
    reader: &mut BufReader<TcpStream>,
    length: usize,
    pause: Duration,
    body: &mut Vec<u8>,
) -> std::io::Result<()> {
    let mut left = length;
    while left > 0 {
        let (at, piece) = (body.len(), left.min(64 * 1024));
        body.resize(at + piece, 0);
        reader.read_exact(&mut body[at..])?;
        left -= piece;
        std::thread::sleep(pause);
    }
    Ok(())
}
