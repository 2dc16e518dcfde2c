//! Answers of git servers that are written down, read as those that come over the network.

use super::packet::Packets;
use super::{advertised, pack, refs};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Returns what an advertisement that arrives in `pieces` says, or why it is refused.
pub fn read_advertisement(pieces: &[&[u8]]) -> String {
    format!("{:?}", finished(advertised::advertised(&mut Packets::of_pieces(pieces))))
}

/// Returns what a list of refs says, or why it is refused.
pub fn read_refs(pieces: &[&[u8]]) -> String {
    format!("{:?}", finished(refs::list(Packets::of_pieces(pieces))))
}

/// Returns what stands before a pack, or why the answer is refused, and the pack as far as it was passed on.
pub fn read_pack(pieces: &[&[u8]], is_banded: bool) -> (String, Vec<u8>) {
    let (packets, mut sink) = (Packets::of_pieces(pieces), Vec::new());
    let said = match is_banded {
        true => finished(pack::receive(packets, &mut sink)),
        false => finished(pack::receive_bare(packets, &mut sink)),
    };
    (format!("{said:?}"), sink)
}

/// Returns the result of what never has to wait.
fn finished<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("an answer in memory is not waited for"),
    }
}
