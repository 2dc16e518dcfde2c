//! Ports of `EXPOSE`.

/// Returns the ports that a word names, each as `number/protocol`.
pub fn parse_port(word: &str) -> Result<Vec<String>, String> {
    let (ports, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = if protocol.is_empty() { "tcp".to_owned() } else { protocol.to_lowercase() };
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("invalid port: {word:?}: invalid proto: {protocol}"));
    }
    // `ip:host:container`: only the container's port counts.
    let ports = ports.rsplit(':').next().unwrap_or(ports);
    let invalid = || format!("invalid containerPort: {ports}");
    let number = |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    let (first, last) = match ports.split_once('-') {
        Some((first, last)) => (number(first).ok_or_else(invalid)?, number(last).ok_or_else(invalid)?),
        None => {
            let port = number(ports).ok_or_else(invalid)?;
            (port, port)
        }
    };
    if first > last {
        return Err(invalid());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    // DF-11
    #[test]
    fn ports_and_ranges() {
        assert_eq!(parse_port("80").unwrap(), ["80/tcp"]);
        assert_eq!(parse_port("53-54/UDP").unwrap(), ["53/udp", "54/udp"]);
        assert_eq!(parse_port("127.0.0.1:80:8080").unwrap(), ["8080/tcp"]);
        for bad in ["99999", "x", "", "80/foo", "9-8", "+1"] {
            assert!(parse_port(bad).is_err(), "{bad}");
        }
    }
}
