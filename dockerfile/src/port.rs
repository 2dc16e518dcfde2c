//! Ports of `EXPOSE`.

use std::net::IpAddr;

/// A word of `EXPOSE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Port {
    /// The ports it stands for, each as `number/protocol`.
    pub ports: Vec<String>,
    /// Whether the protocol is not in lower case.
    pub odd_case: bool,
    /// Whether it names an address or a port of the host too, which mean nothing here.
    pub names_host: bool,
}

/// Parses a word of `EXPOSE`: `[ip:][host port:]port[-port][/protocol]`.
pub(crate) fn parse_port(word: &str) -> Result<Port, String> {
    let (front, container) = word.rsplit_once(':').map_or((None, word), |(front, last)| (Some(front), last));
    let (address, host) = front.map(|front| front.rsplit_once(':').unwrap_or(("", front))).unwrap_or_default();
    let (ports, protocol) = container.split_once('/').unwrap_or((container, ""));
    if ports.is_empty() {
        return Err(format!("invalid port: {word:?}: no port specified"));
    }
    let lower = if protocol.is_empty() { "tcp".to_owned() } else { protocol.to_lowercase() };
    if !matches!(lower.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("invalid port: {word:?}: invalid proto: {protocol}"));
    }
    check_address(address)?;
    let (first, last) = range(ports).ok_or_else(|| format!("invalid containerPort: {ports}"))?;
    if !host.is_empty() {
        let (host_first, host_last) = range(host).ok_or_else(|| format!("invalid hostPort: {host}"))?;
        if last - first != host_last - host_first && first != last {
            return Err(format!("invalid ranges specified for container and host Ports: {ports} and {host}"));
        }
    }
    Ok(Port {
        ports: (first..=last).map(|port| format!("{port}/{lower}")).collect(),
        odd_case: protocol.to_lowercase() != protocol,
        names_host: !address.is_empty() || !host.is_empty(),
    })
}

fn check_address(address: &str) -> Result<(), String> {
    let bare = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    if address.is_empty() || bare.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    Err(format!("invalid IP address: {address}"))
}

/// Parses `8000` or `8000-8010`.
fn range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    match text.split_once('-') {
        None => number(text).map(|port| (port, port)),
        Some((first, last)) => Some((number(first)?, number(last)?)).filter(|(first, last)| first <= last),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // DF-211
    #[test]
    fn ports_and_ranges() {
        let ports = |word: &str| parse_port(word).map(|port| port.ports.join(" "));
        for (word, expected) in [
            ("80", "80/tcp"),
            ("53-55/UDP", "53/udp 54/udp 55/udp"),
            ("9/sctp", "9/sctp"),
            ("80/", "80/tcp"),
            ("127.0.0.1:80:8080", "8080/tcp"),
            ("[::1]:80:8080", "8080/tcp"),
            ("3000-3001:80", "80/tcp"),
            ("0", "0/tcp"),
        ] {
            assert_eq!(ports(word), Ok(expected.to_owned()), "{word}");
        }
        // DF-11
        for (word, expected) in [
            ("99999", "invalid containerPort: 99999"),
            ("x", "invalid containerPort: x"),
            ("", "invalid port: \"\": no port specified"),
            ("80/foo", "invalid port: \"80/foo\": invalid proto: foo"),
            ("9-8", "invalid containerPort: 9-8"),
            ("+1", "invalid containerPort: +1"),
            ("x:80:80", "invalid IP address: x"),
            ("y:80", "invalid hostPort: y"),
            ("1-2:80-85", "invalid ranges specified for container and host Ports: 80-85 and 1-2"),
        ] {
            assert_eq!(ports(word), Err(expected.to_owned()), "{word}");
        }
    }

    // DF-300, DF-301
    #[test]
    fn what_is_odd_is_told() {
        let odd = |word: &str| parse_port(word).map(|port| (port.odd_case, port.names_host)).unwrap();
        assert_eq!((odd("80"), odd("80/TCP"), odd("1:80")), ((false, false), (true, false), (false, true)));
    }
}
