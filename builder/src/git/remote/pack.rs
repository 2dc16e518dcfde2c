//! Packs: the objects of commits that are not here, in one request.

use super::connection::{Dialect, Remote};
use super::error::{RemoteError, said};
use super::packet::{Packet, Packets, delimiter, flush, line, text};
use git2::Oid;
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Bytes of progress messages after which a server is not listened to any longer.
const MAX_CHATTER: usize = 1024 * 1024;
/// Capabilities requested of a server of version 0 that has them. Some take no request without `multi_ack`.
const CAPABILITIES: [&str; 5] = ["side-band-64k", "thin-pack", "ofs-delta", "shallow", "no-progress"];
/// How a server answers what is known, the best first; one of them is asked for.
const ACKNOWLEDGEMENTS: [&str; 2] = ["multi_ack_detailed", "multi_ack"];

/// The objects that are requested.
pub(crate) struct Want<'a> {
    /// Commits or annotated tags.
    pub ids: &'a [Oid],
    /// Commits that are here with all their files, though without their history.
    pub known: &'a [Oid],
    /// Whether the history is wanted, too.
    pub history: bool,
}

impl Remote<'_> {
    /// Receives a pack of what is wanted into `sink`; returns the commits whose parents are not in it.
    pub(crate) async fn pack(
        &mut self,
        want: &Want<'_>,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Vec<String>, RemoteError> {
        if matches!(self.dialect, Dialect::Two { .. }) {
            match self.pack_in_two(want, sink).await {
                Err(error) if error.may_be_dialect() => self.discover(error).await?,
                result => return result,
            }
        }
        let Dialect::Zero { capabilities, .. } = &self.dialect else { return self.pack_in_two(want, sink).await };
        let banded = capabilities.iter().any(|known| known.starts_with("side-band"));
        let request = want.in_zero(capabilities);
        let packets = self.post(request).await?;
        if banded { receive(packets, sink).await } else { receive_bare(packets, sink).await }
    }

    async fn pack_in_two(
        &mut self,
        want: &Want<'_>,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Vec<String>, RemoteError> {
        let shallow = !matches!(self.dialect, Dialect::Two { shallow: false });
        receive(self.post(want.in_two(shallow)).await?, sink).await
    }
}

impl Want<'_> {
    fn in_two(&self, shallow: bool) -> Vec<u8> {
        let mut request = Vec::new();
        line(&mut request, "command=fetch");
        delimiter(&mut request);
        // Without it git takes what is known for what is wanted, too, as long as the history is cut.
        line(&mut request, "thin-pack");
        line(&mut request, "ofs-delta");
        line(&mut request, "no-progress");
        // A server that cannot send a part of the history sends all of it.
        let known = if shallow { self.known } else { &[] };
        known.iter().for_each(|id| line(&mut request, &format!("shallow {id}")));
        if shallow && !self.history {
            line(&mut request, "deepen 1");
        }
        self.ids.iter().for_each(|id| line(&mut request, &format!("want {id}")));
        known.iter().for_each(|id| line(&mut request, &format!("have {id}")));
        line(&mut request, "done");
        flush(&mut request);
        request
    }

    fn in_zero(&self, capabilities: &[String]) -> Vec<u8> {
        let mut request = Vec::new();
        let known = |name: &&&str| capabilities.iter().any(|known| known == **name);
        let acknowledgement = ACKNOWLEDGEMENTS.iter().find(|name| known(name)).copied();
        let mut chosen: Vec<_> =
            acknowledgement.into_iter().chain(CAPABILITIES.iter().filter(known).copied()).collect();
        if !chosen.contains(&"side-band-64k") && known(&&"side-band") {
            chosen.push("side-band");
        }
        for (number, id) in self.ids.iter().enumerate() {
            let chosen = if number == 0 { format!(" {}", chosen.join(" ")) } else { String::new() };
            line(&mut request, &format!("want {id}{chosen}"));
        }
        // A server that cannot send a part of the history sends all of it.
        let shallow = chosen.contains(&"shallow");
        if shallow {
            self.known.iter().for_each(|id| line(&mut request, &format!("shallow {id}")));
        }
        if shallow && !self.history {
            line(&mut request, "deepen 1");
        }
        flush(&mut request);
        if shallow {
            self.known.iter().for_each(|id| line(&mut request, &format!("have {id}")));
        }
        line(&mut request, "done");
        request
    }
}

/// Passes on a pack that comes as it is, after lines that say what is known; of a server without `side-band`.
pub(crate) async fn receive_bare(
    mut packets: Packets,
    sink: &mut (impl AsyncWrite + Unpin),
) -> Result<Vec<String>, RemoteError> {
    let mut shallow = Vec::new();
    while !packets.begins_with(b"PACK").await? {
        match packets.next().await? {
            Some(Packet::Data(data)) => {
                let line = text(&data);
                if let Some(message) = line.strip_prefix("ERR ") {
                    return Err(said(message.as_bytes()));
                }
                shallow.extend(line.strip_prefix("shallow ").map(str::to_owned));
            }
            Some(_) => {}
            None => return Err(RemoteError::Malformed("its answer ends before the pack")),
        }
    }
    while let Some(bytes) = packets.rest().await? {
        sink.write_all(&bytes).await.map_err(RemoteError::Sink)?;
    }
    Ok(shallow)
}

/// Passes the pack on; the same for both versions, whose lines before the pack differ in what need not be known.
pub(crate) async fn receive(
    mut packets: Packets,
    sink: &mut (impl AsyncWrite + Unpin),
) -> Result<Vec<String>, RemoteError> {
    let (mut shallow, mut begun, mut chatter) = (Vec::new(), false, 0);
    loop {
        let data = match packets.next().await? {
            Some(Packet::Data(data)) => data,
            Some(Packet::Flush) | None if begun => return Ok(shallow),
            None => return Err(RemoteError::Malformed("its answer ends before the pack")),
            Some(_) => continue,
        };
        match data.first() {
            Some(1) => {
                begun = true;
                sink.write_all(&data[1..]).await.map_err(RemoteError::Sink)?;
            }
            Some(2) => {
                chatter += data.len();
                if chatter > MAX_CHATTER {
                    return Err(RemoteError::TooTalkative);
                }
            }
            Some(3) => return Err(said(&data[1..])),
            _ => {
                let line = text(&data);
                if let Some(message) = line.strip_prefix("ERR ") {
                    return Err(said(message.as_bytes()));
                }
                shallow.extend(line.strip_prefix("shallow ").map(str::to_owned));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_says_what_is_here_and_what_is_wanted() {
        let (wanted, known) = (Oid::from_str(&"1".repeat(40)).unwrap(), Oid::from_str(&"2".repeat(40)).unwrap());
        let mut want = Want { ids: &[wanted], known: &[known], history: false };
        let two = String::from_utf8(want.in_two(true)).unwrap();
        let lines = ["command=fetch\n0001", &format!("shallow {known}\n"), "deepen 1\n", &format!("want {wanted}\n")];
        for line in lines.iter().chain(&[format!("have {known}\n").as_str(), "0009done\n0000"]) {
            assert!(two.contains(line), "{line}: {two}");
        }
        let capabilities = ["shallow", "side-band-64k", "thin-pack"].map(str::to_owned);
        let zero = String::from_utf8(want.in_zero(&capabilities)).unwrap();
        assert!(zero.contains(&format!("want {wanted} side-band-64k thin-pack shallow\n")), "{zero}");
        assert!(zero.contains("deepen 1\n0000") && zero.ends_with("0009done\n"), "{zero}");
        want.history = true;
        want.known = &[];
        assert!(!String::from_utf8(want.in_two(true)).unwrap().contains("deepen"));
        // SV-31
        let first = |known: &[&str]| {
            let known: Vec<_> = known.iter().map(ToString::to_string).collect();
            String::from_utf8(want.in_zero(&known))
                .unwrap()
                .lines()
                .next()
                .unwrap()
                .split_once(' ')
                .unwrap()
                .1
                .to_owned()
        };
        assert_eq!(first(&["multi_ack", "multi_ack_detailed"]), format!("{wanted} multi_ack_detailed"));
        assert_eq!(first(&["multi_ack", "side-band"]), format!("{wanted} multi_ack side-band"));
        assert_eq!(first(&["side-band", "side-band-64k"]), format!("{wanted} side-band-64k"));
        assert!(!String::from_utf8(want.in_two(false)).unwrap().contains("deepen"));
        let old = String::from_utf8(want.in_zero(&["side-band-64k".to_owned()])).unwrap();
        assert!(!old.contains("shallow") && old.contains("\n00000009done\n"), "{old}");
    }
}
