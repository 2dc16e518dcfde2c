//! `docker` in a hook: passes its command line to the build that the hook belongs to, and brings back what that prints.
//!
//! Built by `build.rs` without any library, linked statically, and put into the container of a build's hooks. The other
//! end is `src/hub/socket.rs`. A frame is a kind, a length of four bytes, and so many bytes.

use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// Where the build listens unless `DOCKER_HOST` says otherwise.
const SOCKET: &str = "/var/run/docker.sock";
/// The exit code of docker for what it could not even begin.
const NOT_RUN: u8 = 125;
/// Bytes of the input that are sent at once.
const CHUNK: usize = 64 * 1024;

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("docker: {error}");
            ExitCode::from(NOT_RUN)
        }
    }
}

fn run() -> io::Result<u8> {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    let path = host.strip_prefix("unix://").filter(|path| !path.is_empty()).unwrap_or(SOCKET);
    let unreachable = |error: io::Error| {
        let why = "is this a hook of a build, or a process that outlived it?";
        io::Error::other(format!("cannot connect to the build at {path}: {error}; {why}"))
    };
    let mut stream = UnixStream::connect(path).map_err(unreachable)?;
    send(&mut stream, b'c', &call()?)?;
    loop {
        let (kind, bytes) = receive(&mut stream)?;
        match kind {
            b'o' => write(&mut io::stdout(), &bytes)?,
            b'e' => write(&mut io::stderr(), &bytes)?,
            b'i' => {
                let stream = stream.try_clone()?;
                std::thread::spawn(move || type_into(stream));
            }
            b'x' => return Ok(bytes.first().copied().unwrap_or(NOT_RUN)),
            _ => return Err(io::Error::other("the build speaks another language")),
        }
    }
}

/// Returns the command line, the working directory and the environment, parted by zeros: the directory, the number of
/// arguments, these, the variables.
fn call() -> io::Result<Vec<u8>> {
    let arguments: Vec<_> = std::env::args_os().collect();
    let mut call = std::env::current_dir()?.as_os_str().as_bytes().to_vec();
    call.push(0);
    call.extend_from_slice(arguments.len().to_string().as_bytes());
    for argument in &arguments {
        call.push(0);
        call.extend_from_slice(argument.as_bytes());
    }
    for (name, value) in std::env::vars_os() {
        call.push(0);
        call.extend_from_slice(name.as_bytes());
        call.push(b'=');
        call.extend_from_slice(value.as_bytes());
    }
    Ok(call)
}

/// Sends the standard input; an empty frame is its end.
fn type_into(mut stream: UnixStream) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let got = io::stdin().read(&mut buffer).unwrap_or(0);
        if send(&mut stream, b'i', &buffer[..got]).is_err() || got == 0 {
            return;
        }
    }
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(bytes)?;
    out.flush()
}

fn send(stream: &mut UnixStream, kind: u8, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::other("the command line is too long"))?;
    stream.write_all(&[&[kind], length.to_le_bytes().as_slice()].concat())?;
    stream.write_all(bytes)
}

fn receive(stream: &mut UnixStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).map_err(|_| io::Error::other("the build ended"))?;
    let mut bytes = vec![0; u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize];
    stream.read_exact(&mut bytes).map_err(|_| io::Error::other("the build ended"))?;
    Ok((head[0], bytes))
}
