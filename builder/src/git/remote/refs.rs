//! Lists the refs of a repository (`ls-remote`).

use super::advertised::{Announced, announced};
use super::connection::{Dialect, Remote};
use super::error::RemoteError;
use super::packet::{Packet, Packets, delimiter, flush, line, text};

impl Remote<'_> {
    /// Returns the refs whose names begin with one of `prefixes`.
    pub(crate) async fn refs(&mut self, prefixes: &[String]) -> Result<Vec<Announced>, RemoteError> {
        if matches!(self.dialect, Dialect::Two { .. }) {
            match self.listed(prefixes).await {
                Err(error) if error.may_be_dialect() => self.discover(error).await?,
                result => return result,
            }
        }
        if matches!(self.dialect, Dialect::Two { .. }) {
            return self.listed(prefixes).await;
        }
        let Dialect::Zero { refs, .. } = &self.dialect else { return Ok(Vec::new()) };
        let wanted = |known: &&Announced| prefixes.iter().any(|prefix| known.name.starts_with(prefix.as_str()));
        Ok(refs.iter().filter(wanted).cloned().collect())
    }

    /// Asks in version 2 of the protocol.
    async fn listed(&mut self, prefixes: &[String]) -> Result<Vec<Announced>, RemoteError> {
        let mut request = Vec::new();
        line(&mut request, "command=ls-refs");
        delimiter(&mut request);
        for prefix in prefixes {
            line(&mut request, &format!("ref-prefix {prefix}"));
        }
        flush(&mut request);
        list(self.post(request).await?).await
    }
}

/// Reads a list of refs in version 2 of the protocol.
pub(crate) async fn list(mut packets: Packets) -> Result<Vec<Announced>, RemoteError> {
    let mut refs = Vec::new();
    loop {
        match packets.next().await? {
            Some(Packet::Data(data)) => refs.extend(announced(&text(&data))?),
            Some(Packet::Flush) => return Ok(refs),
            Some(Packet::Delimiter) => {}
            None => return Err(RemoteError::Malformed("its list of refs has no end")),
        }
    }
}
