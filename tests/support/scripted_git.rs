//! A git server that says what a test wants, over plain sockets.

use sha1::{Digest, Sha1};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The answer to one request.
pub(crate) enum Reply {
    /// These bytes.
    Whole(Vec<u8>),
    /// These bytes, then one more of them every now and then, for ever.
    Trickle(Vec<u8>),
    /// These bytes, then those, again and again.
    Endless(Vec<u8>, Vec<u8>),
}

/// The server; it answers until the test's process ends.
pub(crate) struct Hostile {
    /// Where it listens.
    pub address: String,
    asked: Arc<Mutex<String>>,
}

impl Hostile {
    /// Starts a server that answers as `reply` says to a request, headers and body.
    pub(crate) fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Hostile {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(Mutex::new(String::new()));
        let (reply, seen) = (Arc::new(reply), asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (reply, seen) = (reply.clone(), seen.clone());
                std::thread::spawn(move || while answer(&stream, reply.as_ref(), &seen).is_some() {});
            }
        });
        Hostile { address, asked }
    }

    /// Returns the headers of all requests so far.
    pub(crate) fn asked(&self) -> String {
        self.asked.lock().unwrap().clone()
    }
}

/// Answers one request; `None` when the connection is over.
fn answer(mut stream: &TcpStream, reply: &dyn Fn(&str) -> Reply, seen: &Mutex<String>) -> Option<()> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        request.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&request).into_owned();
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    seen.lock().unwrap().push_str(&head);
    match reply(&(head + &String::from_utf8_lossy(&body))) {
        Reply::Whole(bytes) => stream.write_all(&bytes).ok(),
        Reply::Trickle(bytes) => {
            stream.write_all(&bytes).ok()?;
            loop {
                std::thread::sleep(Duration::from_millis(200));
                stream.write_all(&chunk(&band(1, b"P"))).ok()?;
            }
        }
        Reply::Endless(bytes, more) => {
            stream.write_all(&bytes).ok()?;
            loop {
                stream.write_all(&more).ok()?;
            }
        }
    }
}

impl Reply {
    /// Answers with a status and no body.
    pub(crate) fn status(code: u16, headers: &str) -> Reply {
        Reply::Whole(format!("HTTP/1.1 {code} X\r\n{headers}Content-Length: 0\r\n\r\n").into_bytes())
    }

    /// Announces a main branch at `commit`.
    fn refs_of(commit: &str) -> Reply {
        let capabilities = "multi_ack_detailed side-band-64k ofs-delta shallow no-progress allow-tip-sha1-in-want";
        let mut body = packet(b"# service=git-upload-pack\n");
        body.extend(b"0000");
        body.extend(packet(format!("{commit} refs/heads/main\0{capabilities}\n").as_bytes()));
        body.extend(b"0000");
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Reply::Whole([head.into_bytes(), body].concat())
    }

    /// Answers a client as git does: refs, then where the history of `commit` is cut, then what `pack` says.
    pub(crate) fn to(request: &str, commit: &str, pack: impl FnOnce() -> Reply) -> Reply {
        if request.starts_with("GET") {
            return Reply::refs_of(commit);
        }
        if request.contains("done") {
            return pack();
        }
        let body = [packet(format!("shallow {commit}").as_bytes()), b"0000".to_vec()].concat();
        let kind = "Content-Type: application/x-git-upload-pack-result";
        let head = format!("HTTP/1.1 200 OK\r\n{kind}\r\nContent-Length: {}\r\n\r\n", body.len());
        Reply::Whole([head.into_bytes(), body].concat())
    }

    /// Sends a pack a byte at a time.
    pub(crate) fn slow_pack() -> Reply {
        Reply::Trickle(result(&"1".repeat(40)))
    }

    /// Sends progress messages with control sequences, for ever.
    pub(crate) fn chatter() -> Reply {
        let line = format!("\x1b[2J\x1b]0;title\x07{}\r", "x".repeat(900));
        Reply::Endless(result(&"1".repeat(40)), chunk(&band(2, line.as_bytes())))
    }

    /// Sends a pack.
    pub(crate) fn pack(commit: &str, pack: &[u8]) -> Reply {
        let mut bytes = result(commit);
        pack.chunks(60_000).for_each(|part| bytes.extend(chunk(&band(1, part))));
        bytes.extend(chunk(b"0000"));
        bytes.extend(chunk(b""));
        Reply::Whole(bytes)
    }
}

/// Returns the beginning of an answer in chunks.
fn result(commit: &str) -> Vec<u8> {
    let kind = "Content-Type: application/x-git-upload-pack-result";
    let mut bytes = format!("HTTP/1.1 200 OK\r\n{kind}\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    let shallow = packet(format!("shallow {commit}").as_bytes());
    bytes.extend(chunk(&[shallow, b"0000".to_vec(), packet(b"NAK\n")].concat()));
    bytes
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn packet(bytes: &[u8]) -> Vec<u8> {
    [format!("{:04x}", bytes.len() + 4).as_bytes(), bytes].concat()
}

fn band(number: u8, bytes: &[u8]) -> Vec<u8> {
    packet(&[&[number], bytes].concat())
}

/// Returns a pack whose last object is `copies` times 16 MiB, made of a delta of a few bytes a time, and its commit.
pub(crate) fn pack_bomb(copies: usize) -> (Vec<u8>, String) {
    const PIECE: usize = 0xff_ffff;
    let base = vec![0; PIECE];
    let base_id = id("blob", &base);
    let mut delta = Vec::new();
    varint(&mut delta, PIECE);
    varint(&mut delta, PIECE * copies);
    // Copy from offset 0, with three bytes of size.
    (0..copies).for_each(|_| delta.extend([0xf0, 0xff, 0xff, 0xff]));
    // The tree names the base under the name of the Dockerfile: the commit is complete without the large object.
    let mut tree = b"100644 Dockerfile\0".to_vec();
    tree.extend(base_id);
    let commit = format!(
        "tree {}\nauthor t <t@example.com> 1700000000 +0000\ncommitter t <t@example.com> 1700000000 +0000\n\nx\n",
        hex::encode(id("tree", &tree))
    );
    let commit_id = hex::encode(id("commit", commit.as_bytes()));
    let mut pack = b"PACK\0\0\0\x02\0\0\0\x04".to_vec();
    add(&mut pack, 1, &[], commit.as_bytes());
    add(&mut pack, 2, &[], &tree);
    add(&mut pack, 3, &[], &base);
    add(&mut pack, 7, &base_id, &delta);
    let sum = Sha1::digest(&pack);
    pack.extend(sum);
    (pack, commit_id)
}

fn id(kind: &str, content: &[u8]) -> [u8; 20] {
    let mut hash = Sha1::new_with_prefix(format!("{kind} {}\0", content.len()));
    hash.update(content);
    hash.finalize().into()
}

fn varint(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Adds an object of a pack: its kind and size, what it is a delta of, its content deflated.
fn add(pack: &mut Vec<u8>, kind: u8, base: &[u8], content: &[u8]) {
    let mut size = content.len();
    let mut byte = (kind << 4) | (size as u8 & 0x0f);
    size >>= 4;
    while size > 0 {
        pack.push(byte | 0x80);
        byte = size as u8 & 0x7f;
        size >>= 7;
    }
    pack.push(byte);
    pack.extend_from_slice(base);
    let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    deflated.write_all(content).unwrap();
    pack.extend(deflated.finish().unwrap());
}
