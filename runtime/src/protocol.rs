//! How the caller and the helper talk: one socket to ask, and a socket of its own for each conversation.
//!
//! A request is a message with the conversation's socket attached. A conversation is a sequence of frames: a kind, a
//! length, bytes. Neither side trusts a length: the caller because hostile work happens in the helper.

use crate::container::{ContainerId, Freeze};
use crate::error::HelperError;
use crate::{ContainerRun, DiskFull, SnapshotId, Step};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Name of the program when it is the helper of a sandbox.
pub(crate) const HELPER: &str = "slipway-sandbox";
/// Largest request.
const MAX_REQUEST: usize = 64 * 1024;
/// Bytes that a frame may carry.
pub(crate) const MAX_FRAME: usize = 256 * 1024;

/// Paths that are sent in one frame, at most 4 KiB each and four times as long when they are written out.
pub(crate) const PATHS: usize = 15;

/// A request to the helper; details that may be long follow as the first frame of the conversation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Unpacks the tar that follows as a snapshot; answers which directories the tar does not describe.
    Unpack {
        /// The snapshot.
        id: SnapshotId,
        /// Bytes that it may have.
        bytes: u64,
        /// Entries that it may have.
        entries: u64,
    },
    /// Runs the step that follows as run `number`.
    Run(u64),
    /// Runs the step that follows in the container's own directory, which stays.
    RunContainer(ContainerId),
    /// Runs the step that follows among the processes of a container that runs.
    Exec(ContainerId),
    /// Sends a signal to the first process of a container.
    Signal(ContainerId, i32),
    /// Stops every process of a container, or lets all go on.
    Freeze(ContainerId, Freeze),
    /// Connects to a port on the loopback of a container; the socket is sent through the descriptor that came along.
    Connect(ContainerId, u16),
    /// Sends the changes of a container as a tar.
    WriteContainer(ContainerId),
    /// Sends all files of a container as a tar.
    ExportContainer(ContainerId),
    /// Answers what the processes of a container use.
    Usage(ContainerId),
    /// Answers how many bytes a container has on disk.
    MeasureContainer(ContainerId),
    /// Sends the paths of what a container changed.
    ListChanges(ContainerId),
    /// Answers what is at the path of a container that follows, and sends it as a tar.
    CopyOut(ContainerId),
    /// Unpacks the tar that follows into the directory of a container that follows before it.
    CopyIn(ContainerId),
    /// Answers the command lines of a container's processes.
    Processes(ContainerId),
    /// Removes the directory of a container.
    RemoveContainer(ContainerId),
    /// Answers how many bytes a volume has on disk.
    MeasureVolume(String),
    /// Removes a volume.
    RemoveVolume(String),
    /// Sends the changes of run `number` as a tar.
    WriteTar(u64, Option<i64>),
    /// Gives a snapshot another name; if that is taken, the snapshot is removed.
    Rename(SnapshotId, SnapshotId),
    /// Removes what is left of a run.
    Discard(u64),
    /// Sends the contents of the files that follow.
    ReadFiles,
    /// Removes snapshots, and the content of caches that were used last within these seconds since 1970.
    Evict(Vec<SnapshotId>, std::ops::Range<u64>),
    /// Removes what attempts left behind whose helper is gone.
    Sweep,
    /// Tries out what steps are confined by.
    SelfTest,
}

/// The step and what was found out about it outside.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RunRequest {
    /// The step.
    pub step: Step,
    /// Content of `/etc/resolv.conf`.
    pub resolv_conf: String,
    /// Limits of the disk space that it uses.
    pub disk: DiskLimits,
    /// How many processes each of its users may have, where no control group counts them.
    pub processes: Option<u32>,
    /// How it differs from a step of a build, for a container.
    pub container: Option<ContainerRun>,
}

/// Limits of the disk space that a step uses.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct DiskLimits {
    /// Bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
    /// Bytes that stay free.
    pub reserve: u64,
}

/// How a run ended, as the helper saw it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Ended {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// By a process outside its PID namespace.
    Killed,
    /// Too late.
    TimedOut,
    /// With too much on disk.
    DiskFull(DiskFull),
}

/// Kinds of frames.
pub(crate) mod kind {
    /// Bytes of a stream.
    pub(crate) const DATA: u8 = b'd';
    /// The end of a stream: all of it was sent.
    pub(crate) const END: u8 = b'e';
    /// A result, as JSON.
    pub(crate) const RESULT: u8 = b'r';
}

/// Returns two ends of a socket for requests.
pub(crate) fn control_pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Sends a message with descriptors.
pub(crate) fn send_with(socket: &OwnedFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let fds: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], &rights, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives a message into `buffer`; returns its length and the descriptors that came with it, at most four.
pub(crate) fn receive_with(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = nix::cmsg_space!([i32; 4]);
    let mut slices = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = part {
            // SAFETY: the kernel just made these descriptors for us; nobody else owns them.
            descriptors.extend(fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok((message.bytes, descriptors))
}

/// A request with the other end of its conversation, and of the socket for agents if there are any.
pub(crate) struct Asked {
    /// The request.
    pub request: Request,
    /// The conversation.
    pub conversation: Conversation,
    /// Socket to which listening sockets for agents are sent.
    pub agents: Option<OwnedFd>,
}

/// Receives a request; `None` when the other side is gone.
pub(crate) fn receive_request(control: &OwnedFd) -> io::Result<Option<Asked>> {
    let mut buffer = vec![0; MAX_REQUEST];
    let (length, descriptors) = receive_with(control, &mut buffer)?;
    let mut descriptors = descriptors.into_iter();
    let Some(conversation) = descriptors.next().filter(|_| length > 0) else { return Ok(None) };
    let (request, agents) = (serde_json::from_slice(&buffer[..length])?, descriptors.next());
    Ok(Some(Asked { request, conversation: Conversation::new(conversation), agents }))
}

/// One side of a conversation.
#[derive(Debug)]
pub(crate) struct Conversation {
    stream: UnixStream,
}

impl Conversation {
    /// Takes one end of a stream socket.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Conversation { stream: UnixStream::from(socket) }
    }

    /// Returns both ends of a new conversation.
    pub(crate) fn pair() -> io::Result<(Conversation, OwnedFd)> {
        let (here, there) = UnixStream::pair()?;
        Ok((Conversation { stream: here }, OwnedFd::from(there)))
    }

    /// Returns the same side of the conversation again, so that one thread can send while another receives.
    pub(crate) fn try_clone(&self) -> io::Result<Conversation> {
        Ok(Conversation { stream: self.stream.try_clone()? })
    }

    /// Waits until something can be received, which it returns, or `wake` is readable.
    pub(crate) fn is_ready_before(&self, wake: BorrowedFd<'_>) -> io::Result<bool> {
        let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN), PollFd::new(wake, PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => Ok(fds[0].any().unwrap_or(true)),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the socket, to wait for it.
    pub(crate) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Sends one frame.
    pub(crate) fn send(&mut self, kind: u8, bytes: &[u8]) -> io::Result<()> {
        let mut head = [0; 5];
        head[0] = kind;
        head[1..].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        self.stream.write_all(&head)?;
        self.stream.write_all(bytes)
    }

    /// Receives one frame into `buffer` and returns its kind.
    pub(crate) fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<u8> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if length > MAX_FRAME && head[0] == kind::DATA || length > 64 * MAX_FRAME {
            return Err(io::Error::other("a frame of the sandbox is too long"));
        }
        buffer.resize(length, 0);
        self.stream.read_exact(buffer)?;
        Ok(head[0])
    }

    /// Sends a value as one frame.
    pub(crate) fn send_value<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        self.send(kind::RESULT, &serde_json::to_vec(value)?)
    }

    /// Receives a value that is one frame.
    pub(crate) fn receive_value<T: for<'d> Deserialize<'d>>(&mut self) -> io::Result<T> {
        let mut buffer = Vec::new();
        match self.receive(&mut buffer)? {
            kind::RESULT => Ok(serde_json::from_slice(&buffer)?),
            _ => Err(io::Error::other("a result was expected")),
        }
    }
}

/// Result of a conversation.
pub(crate) type Answer<T> = Result<T, HelperError>;

/// Writes a stream as frames.
pub(crate) struct FrameWriter<'c> {
    conversation: &'c mut Conversation,
    buffer: Vec<u8>,
}

impl<'c> FrameWriter<'c> {
    /// Starts a stream.
    pub(crate) fn new(conversation: &'c mut Conversation) -> Self {
        FrameWriter { conversation, buffer: Vec::with_capacity(MAX_FRAME) }
    }

    /// Ends the stream: the reader knows that nothing is missing.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.conversation.send(kind::END, &[])
    }
}

impl Write for FrameWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == MAX_FRAME {
            self.flush()?;
        }
        let taken = bytes.len().min(MAX_FRAME - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.conversation.send(kind::DATA, &self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

/// Reads a stream of frames; its end is an error if the writer did not say that it is the end.
pub(crate) struct FrameReader<C> {
    conversation: C,
    frame: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<C: AsMut<Conversation>> FrameReader<C> {
    /// Starts to read.
    pub(crate) fn new(conversation: C) -> Self {
        FrameReader { conversation, frame: Vec::new(), at: 0, ended: false }
    }
}

impl AsMut<Conversation> for Conversation {
    fn as_mut(&mut self) -> &mut Conversation {
        self
    }
}

impl<C: AsMut<Conversation>> Read for FrameReader<C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.frame.len() {
            if self.ended {
                return Ok(0);
            }
            self.at = 0;
            match self.conversation.as_mut().receive(&mut self.frame)? {
                kind::DATA => {}
                kind::END => self.ended = true,
                _ => {
                    let error: Answer<()> = serde_json::from_slice(&self.frame)?;
                    self.frame.clear();
                    return Err(io::Error::other(match error {
                        Err(
                            HelperError::Step(text)
                            | HelperError::NotExecuted(text, _)
                            | HelperError::Layer(text)
                            | HelperError::Inside(text),
                        ) => text,
                        Ok(()) => "a result stands where a stream is expected".to_owned(),
                    }));
                }
            }
        }
        let taken = buffer.len().min(self.frame.len() - self.at);
        buffer[..taken].copy_from_slice(&self.frame[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}
