//! A connection that speaks HTTP by hand, for what no well-behaved client sends, and for many requests at once.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A connection to a server.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

/// Answer to a request.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// Status code.
    pub status: u16,
    /// Lines of the head, in lower case.
    pub head: Vec<String>,
    /// Body.
    pub body: String,
}

impl Reply {
    /// Returns the value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Connection {
    /// Connects to the server at `url`.
    pub(crate) fn open(url: &str) -> Connection {
        let stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection { stream: BufReader::new(stream) }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Reads an answer with a length.
    pub(crate) fn reply(&mut self) -> Option<Reply> {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_lowercase()),
            }
        }
        let status = head.first()?.split(' ').nth(1)?.parse().ok()?;
        let mut reply = Reply { status, head, body: String::new() };
        let length = reply.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        reply.body = String::from_utf8_lossy(&body).into_owned();
        Some(reply)
    }

    /// Asks and returns the answer with the time that it took.
    pub(crate) fn ask(&mut self, request: &[u8]) -> (Reply, Duration) {
        let began = Instant::now();
        self.send(request).unwrap();
        let reply = self.reply().expect("an answer");
        (reply, began.elapsed())
    }
}

/// Returns a GitHub delivery as it is sent.
pub(crate) fn delivery(event: &str, id: &str, body: &[u8], secret: &str) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let signature = hex::encode(mac.finalize().into_bytes());
    let head = format!(
        "POST /hooks/github HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-GitHub-Event: {event}\r\n\
         X-GitHub-Delivery: {id}\r\nX-Hub-Signature-256: sha256={signature}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Returns the body of a push to the test's repository.
pub(crate) fn push(git_ref: &str, commit: &str, message: &str) -> String {
    serde_json::json!({
        "ref": git_ref, "after": commit, "head_commit": { "id": commit, "message": message },
        "repository": { "full_name": "Codertocat/Hello-World", "default_branch": "main" }, "pusher": { "name": "octocat" },
    })
    .to_string()
}

/// Returns the value that `percent` of the sorted durations do not exceed.
pub(crate) fn percentile(durations: &mut [Duration], percent: usize) -> Duration {
    durations.sort();
    durations[(durations.len() * percent / 100).min(durations.len() - 1)]
}

/// Returns the resident memory of a process in kB.
pub(crate) fn resident(process: u32) -> u64 {
    memory(process, "VmRSS:")
}

/// Returns the most resident memory that a process ever had, in kB.
pub(crate) fn peak(process: u32) -> u64 {
    memory(process, "VmHWM:")
}

fn memory(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
