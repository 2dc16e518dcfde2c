//! Files of a container: asked of its supervisor while it runs, of a sandbox of one's own else.

use super::client::Client;
use super::frames::{End, Listener, Message, Request, kind, receive as receive_frame};
use super::store::{Container, Containers};
use crate::Error;
use runtime::{ContainerId, CopyRequest, PathStat, Sandbox, Settings};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// Bytes that are sent at once.
const BLOCK: usize = 64 * 1024;

/// The files of a container.
pub struct ContainerFiles<'c> {
    container: &'c Container,
    id: ContainerId,
    /// The lock of a container that does not run, and a sandbox in which its files are found.
    ended: Option<(File, Sandbox)>,
}

impl<'c> ContainerFiles<'c> {
    /// Opens the files of a container, which is not started meanwhile if it does not run.
    pub fn open(
        containers: &Containers,
        container: &'c Container,
        settings: &Settings,
    ) -> Result<ContainerFiles<'c>, Error> {
        let id = ContainerId::new(&container.record.id)?;
        let ended = match container.is_running() {
            true => None,
            false => {
                let lock = containers.hold(container)?;
                Some((lock, Sandbox::start(settings, &format!("cp-{}", std::process::id()))?))
            }
        };
        Ok(ContainerFiles { container, id, ended })
    }

    /// Returns what is at a path; a link is followed if `follow` is set.
    pub fn stat(&self, path: &str, follow: bool) -> Result<PathStat, Error> {
        let request = CopyRequest { stat_only: true, ..self.request(path, follow) };
        Ok(self.send(&request)?.0)
    }

    /// Returns what is at a path, and its tar.
    pub fn read(&self, path: &str, follow: bool) -> Result<(PathStat, Box<dyn Read>), Error> {
        self.send(&self.request(path, follow))
    }

    fn send(&self, request: &CopyRequest) -> Result<(PathStat, Box<dyn Read>), Error> {
        if let Some((_, sandbox)) = &self.ended {
            let (stat, tar) = sandbox.copy_from_container(&self.id, request).map_err(|error| self.named(error))?;
            return Ok((stat, Box::new(tar)));
        }
        let client = Client::connect(self.container)?;
        let stat = client.answer(&Request::CopyOut(request.clone())).map_err(|error| self.named(error))?;
        let stat = serde_json::from_value(stat).map_err(|_| Error::Damaged("a message of a supervisor".to_owned()))?;
        Ok((stat, Box::new(Printed { client, block: Vec::new(), at: 0, is_ended: false })))
    }

    /// Unpacks a tar into a directory.
    pub fn write(&self, path: &str, tar: &mut dyn Read) -> Result<(), Error> {
        let request = self.request(path, true);
        if let Some((_, sandbox)) = &self.ended {
            return sandbox.copy_to_container(&self.id, &request, tar).map_err(|error| self.named(error));
        }
        let client = Client::connect(self.container)?;
        client.ask(&Request::CopyIn(request))?;
        let (input, mut block) = (client.input()?, vec![0; BLOCK]);
        loop {
            let got = tar.read(&mut block).map_err(|error| Error::Invalid(format!("reading the tar: {error}")))?;
            // The other side may have given up; its answer says why.
            if got == 0 || input.write(&block[..got]).is_err() {
                break;
            }
        }
        let _ = input.end();
        client.receive_answer().map(drop).map_err(|error| self.named(error))
    }

    fn request(&self, path: &str, follow: bool) -> CopyRequest {
        let layers = self.ended.as_ref().map(|_| self.container.record.layers.clone());
        CopyRequest { layers, path: path.to_owned(), follow, stat_only: false, bytes: 0, entries: 0 }
    }

    /// Says of which container a file is missing.
    fn named(&self, error: impl std::error::Error) -> Error {
        let text = crate::error::chain(&error);
        match text.ends_with(" in container") {
            true => Error::NotFound(format!("{text} {}", self.container.record.name)),
            false => Error::Invalid(text),
        }
    }
}

/// A tar that a supervisor sends.
struct Printed {
    client: Client,
    block: Vec<u8>,
    at: usize,
    is_ended: bool,
}

impl Read for Printed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.block.len() && !self.is_ended {
            match self.client.receive().map_err(io::Error::other)? {
                Some(Message::Stdout(block)) => (self.block, self.at) = (block, 0),
                Some(Message::Exit(end)) if end.error.is_empty() => self.is_ended = true,
                Some(Message::Exit(end)) => return Err(io::Error::other(end.error)),
                Some(_) => {}
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let got = (&self.block[self.at..]).read(buffer)?;
        self.at += got;
        Ok(got)
    }
}

/// A tar that a command types.
struct Typed<'s>(&'s UnixStream, Vec<u8>, usize);

impl Read for Typed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.2 == self.1.len() {
            match receive_frame(self.0)? {
                Some((kind::INPUT, block)) => (self.1, self.2) = (block, 0),
                Some((kind::END, _)) => return Ok(0),
                Some(_) => {}
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let got = (&self.1[self.2..]).read(buffer)?;
        self.2 += got;
        Ok(got)
    }
}

/// Sends what is at a path of a container that runs, and its tar.
pub(crate) fn send(
    sandbox: Result<Arc<Sandbox>, runtime::Error>,
    id: &ContainerId,
    copy: &CopyRequest,
    stream: UnixStream,
) {
    let listener = Listener::new(stream);
    let answered = sandbox.and_then(|sandbox| sandbox.copy_from_container(id, copy));
    let (stat, mut tar) = match answered {
        Ok(answered) => answered,
        Err(error) => {
            let answer: Result<serde_json::Value, String> = Err(crate::error::chain(&error));
            return drop(listener.send_value(kind::ANSWER, &answer));
        }
    };
    let answer: Result<PathStat, String> = Ok(stat);
    let (mut sent, mut block) = (listener.send_value(kind::ANSWER, &answer), vec![0; BLOCK]);
    let mut error = String::new();
    while sent.is_ok() {
        match tar.read(&mut block) {
            Ok(0) => break,
            Ok(got) => sent = listener.send(kind::STDOUT, &block[..got]),
            Err(cause) => {
                error = cause.to_string();
                break;
            }
        }
    }
    let _ = listener.send_value(kind::EXIT, &End { code: 0, error });
}

/// Unpacks the tar that `stream` types into a directory of a container that runs.
pub(crate) fn receive(
    sandbox: Result<Arc<Sandbox>, runtime::Error>,
    id: &ContainerId,
    copy: &CopyRequest,
    stream: &UnixStream,
) -> Result<serde_json::Value, String> {
    let copied = sandbox.and_then(|sandbox| sandbox.copy_to_container(id, copy, &mut Typed(stream, Vec::new(), 0)));
    copied.map(|()| serde_json::Value::Null).map_err(|error| crate::error::chain(&error))
}
