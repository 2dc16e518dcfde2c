//! Flags of `slipway run` that have a form of their own, and those that are refused with the reason.

use crate::hand::Failure;
use container::{Error, Port};

/// Least memory that a container may be limited to.
const MIN_MEMORY: u64 = 6 * 1024 * 1024;
/// Least processor time that a container may be limited to, in cores.
const MIN_CPUS: f64 = 0.01;

/// Reads `[HOST:][PORT:]PORT[/tcp]`.
pub(crate) fn port(text: &str) -> Result<Port, Failure> {
    let wrong = |problem: &str| Failure::from(format!("invalid publish opts format \"{text}\": {problem}"));
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    if protocol != "tcp" {
        return Err(wrong("only tcp ports are published"));
    }
    let parts: Vec<&str> = ports.split(':').collect();
    let (host, outer, inner) = match parts.as_slice() {
        [inner] => ("127.0.0.1", "0", *inner),
        [outer, inner] => ("127.0.0.1", *outer, *inner),
        [host, outer, inner] => (*host, *outer, *inner),
        _ => return Err(wrong("[127.0.0.1:][PORT:]PORT[/tcp] is expected")),
    };
    if !matches!(host, "127.0.0.1" | "localhost") {
        return Err(wrong(
            "ports are published on this machine's loopback only, 127.0.0.1: put a proxy before it to serve others",
        ));
    }
    let number = |text: &str| text.parse::<u16>().map_err(|_| wrong("a port is a number up to 65535"));
    let outer = if outer.is_empty() { 0 } else { number(outer)? };
    match number(inner)? {
        0 => Err(wrong("the port of the container is missing")),
        container => Ok(Port { host: outer, container }),
    }
}

/// Reads a size such as `64m`.
pub(crate) fn size(flag: &str, text: &str) -> Result<u64, Failure> {
    Ok(crate::command::build::fields::size(flag, text)?)
}

/// Reads the memory that a container may use; 0 for any.
pub(crate) fn memory(text: &str) -> Result<Option<u64>, Failure> {
    match size("--memory", text)? {
        0 => Ok(None),
        1..MIN_MEMORY => Err(Error::Invalid("Minimum memory limit allowed is 6MB".to_owned()).into()),
        bytes => Ok(Some(bytes)),
    }
}

/// Checks the processor time that a container may use; 0 for any.
pub(crate) fn cpus(cpus: f64) -> Result<Option<f64>, Failure> {
    match cpus {
        0.0 => Ok(None),
        _ if cpus.is_finite() && cpus >= MIN_CPUS => Ok(Some(cpus)),
        _ => Err(Error::Invalid(format!("--cpus `{cpus}`: a number of processors from 0.01 is expected, or 0")).into()),
    }
}

/// Checks the number of processes that a container may have; -1 and 0 for any number.
pub(crate) fn pids(pids: i64) -> Result<u32, Failure> {
    match u32::try_from(pids) {
        Ok(pids) => Ok(pids),
        Err(_) if pids == -1 => Ok(container::UNLIMITED),
        Err(_) => {
            Err(Error::Invalid(format!("--pids-limit `{pids}`: a number of processes is expected, or -1")).into())
        }
    }
}

/// Says why a flag is refused.
pub(crate) fn refused(flag: &str, reason: &str) -> Failure {
    Failure { text: format!("slipway: {flag} is refused: {reason}"), code: 125, is_missing: false }
}

/// Returns the variables of `--env-file` files and `-e` flags, in their order.
pub(crate) fn environment(files: &[String], flags: &[String]) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(file).map_err(|error| Failure::from(format!("open {file}: {error}")))?;
        lines.extend(
            text.lines()
                .map(str::trim_start)
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned),
        );
    }
    lines.extend(flags.iter().cloned());
    let mut variables = Vec::new();
    for line in lines {
        match line.split_once('=') {
            Some(("", _)) => return Err(format!("invalid environment variable: {line}").into()),
            Some((name, _)) if name.contains(char::is_whitespace) => {
                return Err(format!("variable '{name}' contains whitespaces").into());
            }
            Some(_) => variables.push(line),
            // A name alone passes on what this process has.
            None => variables.extend(std::env::var(&line).ok().map(|value| format!("{line}={value}"))),
        }
    }
    Ok(variables)
}

/// Puts variables over others of the same name, which keep their place.
pub(crate) fn merge(base: &[String], over: &[String]) -> Vec<String> {
    let name = |variable: &str| variable.split('=').next().unwrap_or_default().to_owned();
    let mut merged = base.to_vec();
    for variable in over {
        match merged.iter_mut().find(|known| name(known) == name(variable)) {
            Some(known) => known.clone_from(variable),
            None => merged.push(variable.clone()),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_published_on_the_loopback_only() {
        let of = |text: &str| port(text).map(|port| (port.host, port.container)).map_err(|failure| failure.text);
        assert_eq!(of("80"), Ok((0, 80)));
        assert_eq!(of("8080:80/tcp"), Ok((8080, 80)));
        assert_eq!(of("127.0.0.1::80"), Ok((0, 80)));
        for bad in ["", "x", "0", "80:", "0.0.0.0:80:80", "80/udp", "1:2:3:4", "70000:1"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_are_read_as_docker_reads_them() {
        assert_eq!(memory("64m").unwrap(), Some(64 << 20));
        assert_eq!(memory("0").unwrap(), None);
        assert!(memory("6291455").is_err() && memory("x").is_err());
        assert_eq!([cpus(0.0).unwrap(), cpus(1.5).unwrap()], [None, Some(1.5)]);
        assert!([-1.0, 0.001, f64::NAN, f64::INFINITY].into_iter().all(|bad| cpus(bad).is_err()));
        assert_eq!([pids(-1).unwrap(), pids(7).unwrap()], [container::UNLIMITED, 7]);
        assert!(pids(-2).is_err() && pids(i64::MAX).is_err());
    }

    #[test]
    fn variables_replace_those_of_the_image_in_their_place() {
        let all = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(merge(&all(&["A=1", "B=2"]), &all(&["A=3", "C=4"])), all(&["A=3", "B=2", "C=4"]));
        assert!(environment(&[], &all(&["=x"])).is_err() && environment(&[], &all(&["a b=x"])).is_err());
    }
}
