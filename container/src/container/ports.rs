//! Ports of this machine's loopback that lead into a container.

use super::record::Port;
use crate::Error;
use runtime::{ContainerId, Sandbox};
use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections of a container that are open at once.
const MAX_CONNECTIONS: usize = 512;

/// A listener on loopback, and the port of the container behind it.
pub(crate) type Listener = (TcpListener, u16);

/// Opens the ports; returns the listeners, and the ports as they are now.
pub(crate) fn open(ports: &[Port]) -> Result<(Vec<Listener>, Vec<Port>), Error> {
    let (mut listeners, mut opened) = (Vec::new(), Vec::new());
    for port in ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.host)).map_err(|error| {
            let problem = match error.kind() {
                io::ErrorKind::AddrInUse => "port is already allocated".to_owned(),
                _ => error.to_string(),
            };
            Error::Conflict(format!("Bind for 127.0.0.1:{} failed: {problem}", port.host))
        })?;
        let host = listener.local_addr().map_or(port.host, |address| address.port());
        opened.push(Port { host, container: port.container });
        listeners.push((listener, port.container));
    }
    Ok((listeners, opened))
}

/// Passes connections on until the process ends.
pub(crate) fn serve(listener: TcpListener, port: u16, sandbox: &Arc<Sandbox>, id: &ContainerId) {
    let (sandbox, id, open) = (Arc::downgrade(sandbox), id.clone(), Arc::new(AtomicUsize::new(0)));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if open.fetch_add(1, Ordering::SeqCst) >= MAX_CONNECTIONS {
                open.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let (sandbox, id, open) = (sandbox.clone(), id.clone(), open.clone());
            std::thread::spawn(move || {
                // The sandbox is let go before the connection ends, which may outlive the container.
                let inner = sandbox.upgrade().map(|sandbox| sandbox.connect_container(&id, port));
                if let Some(Ok(inner)) = inner {
                    pass_both(&stream, &inner);
                }
                open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
}

fn pass_both(outer: &TcpStream, inner: &TcpStream) {
    std::thread::scope(|scope| {
        scope.spawn(|| pass(outer, inner));
        pass(inner, outer);
    });
}

fn pass(mut from: &TcpStream, mut to: &TcpStream) {
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}
