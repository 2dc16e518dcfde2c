//! Limits of single processes, as docker writes them: `nofile=1024:2048`.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Resources that can be limited, by docker's names.
const RESOURCES: [(&str, Resource); 15] = [
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("locks", Resource::RLIMIT_LOCKS),
    ("memlock", Resource::RLIMIT_MEMLOCK),
    ("msgqueue", Resource::RLIMIT_MSGQUEUE),
    ("nice", Resource::RLIMIT_NICE),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("rss", Resource::RLIMIT_RSS),
    ("rtprio", Resource::RLIMIT_RTPRIO),
    ("rttime", Resource::RLIMIT_RTTIME),
    ("sigpending", Resource::RLIMIT_SIGPENDING),
    ("stack", Resource::RLIMIT_STACK),
];

/// A limit of each process of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Which one: an index of the list above, so that it is one that is known.
    resource: usize,
    soft: u64,
    hard: u64,
}

impl Ulimit {
    /// Returns the name of what is limited.
    pub fn name(&self) -> &'static str {
        RESOURCES[self.resource].0
    }

    /// Limits this process and those it starts; never above the limits of the sandbox.
    pub(crate) fn apply(&self) -> Result<(), String> {
        let resource = RESOURCES[self.resource].1;
        let failed = |error: nix::Error| format!("limiting a command with `{self}`: {error}");
        let (_, most) = getrlimit(resource).map_err(failed)?;
        if self.hard > most {
            return Err(format!("limiting a command with `{self}`: {} is the most that is possible here", shown(most)));
        }
        setrlimit(resource, self.soft, self.hard).map_err(failed)
    }
}

impl FromStr for Ulimit {
    type Err = String;

    /// Parses `NAME=SOFT[:HARD]`; -1 means unlimited.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("invalid ulimit argument `{text}`: NAME=SOFT[:HARD] is expected, as in nofile=1024:2048");
        let (name, limits) = text.split_once('=').ok_or_else(bad)?;
        let resource = RESOURCES.iter().position(|(known, _)| *known == name).ok_or_else(|| {
            let known: Vec<_> = RESOURCES.iter().map(|(known, _)| *known).collect();
            format!("invalid ulimit type `{name}`: one of {} is expected", known.join(", "))
        })?;
        let number = |text: &str| match text.parse::<i64>() {
            Ok(-1) => Ok(RLIM_INFINITY),
            Ok(number) => u64::try_from(number).map_err(|_| bad()),
            Err(_) => Err(bad()),
        };
        let (soft, hard) = match limits.split_once(':') {
            Some((soft, hard)) => (number(soft)?, number(hard)?),
            None => (number(limits)?, number(limits)?),
        };
        if soft > hard {
            let (soft, hard) = (shown(soft), shown(hard));
            return Err(format!("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"));
        }
        Ok(Ulimit { resource, soft, hard })
    }
}

impl fmt::Display for Ulimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}:{}", self.name(), shown(self.soft), shown(self.hard))
    }
}

fn shown(limit: u64) -> String {
    if limit == RLIM_INFINITY { "-1".to_owned() } else { limit.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    // DF-115
    #[test]
    fn limits_are_read_as_docker_reads_them() {
        let read = |text: &str| text.parse::<Ulimit>().map(|ulimit| ulimit.to_string());
        assert_eq!(read("nofile=1024:2048").as_deref(), Ok("nofile=1024:2048"));
        assert_eq!(read("nproc=5").as_deref(), Ok("nproc=5:5"));
        assert_eq!(read("memlock=0:-1").as_deref(), Ok("memlock=0:-1"));
        for bad in
            ["", "nofile", "nofile=", "files=1", "nofile=2:1", "nofile=-1:5", "nofile=-2", "nofile=1:2:3", "cpu=x"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
