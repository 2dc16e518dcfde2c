//! `RUN --mount`: one CSV record of options.

use crate::ast::{Mount, MountKind, Sharing};
use crate::check::truth;
use crate::suggest::hint;

/// The kinds of mounts.
const KINDS: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];
/// The options there are.
const OPTIONS: [&str; 19] = [
    "type",
    "from",
    "source",
    "src",
    "target",
    "dst",
    "destination",
    "readonly",
    "ro",
    "readwrite",
    "rw",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "env",
];

/// Parses the value of a `--mount`; `expand` is applied to every value but that of `from`.
pub(crate) fn parse_mount(text: &str, expand: &dyn Fn(&str) -> Result<String, String>) -> Result<Mount, String> {
    let fields = csv(text)?;
    let mut options = Options::default();
    for field in &fields {
        let (key, value) = field.split_once('=').map_or((field.as_str(), None), |(key, value)| (key, Some(value)));
        let key = key.to_lowercase();
        let value = match value {
            Some(value) if key != "from" => Some(expand(value)?),
            value => value.map(str::to_owned),
        };
        options.set(&key, value, field)?;
    }
    options.finish()
}

#[derive(Default)]
struct Options {
    kind: Option<String>,
    from: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: Option<bool>,
    id: Option<String>,
    sharing: Option<String>,
    required: bool,
    size: Option<u64>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
    env: Option<String>,
}

impl Options {
    fn set(&mut self, key: &str, value: Option<String>, field: &str) -> Result<(), String> {
        let truth = |value: &Option<String>| match value.as_deref() {
            None => Ok(true),
            Some(text) => truth(text).ok_or_else(|| format!("invalid value for '{key}': {text}")),
        };
        match key {
            "readonly" | "ro" => self.read_only = Some(truth(&value)?),
            "readwrite" | "rw" => self.read_only = Some(!truth(&value)?),
            "required" => {
                self.only(key, &["secret", "ssh"])?;
                self.required = truth(&value)?;
            }
            _ if !OPTIONS.contains(&key) && value.is_some() => {
                return Err(format!("unexpected key '{key}' in '{field}'{}", hint(key, OPTIONS)));
            }
            _ => {
                let value = value.ok_or_else(|| format!("invalid field '{field}' must be a key=value pair"))?;
                self.set_value(key, value)?;
            }
        }
        Ok(())
    }

    /// Refuses an option that only some kinds have; the kind must stand before it.
    fn only(&self, key: &str, kinds: &[&str]) -> Result<(), String> {
        let kind = self.name();
        if kinds.contains(&kind) { Ok(()) } else { Err(format!("unexpected key '{key}' for mount type '{kind}'")) }
    }

    fn name(&self) -> &str {
        self.kind.as_deref().unwrap_or("bind")
    }

    fn set_value(&mut self, key: &str, value: String) -> Result<(), String> {
        let number = |value: &str| match value.parse::<u32>() {
            Ok(u32::MAX) => Err(format!("invalid value {value} for {key}: the largest id is {}", u32::MAX - 1)),
            Ok(id) => Ok(id),
            Err(_) => Err(format!("invalid value {value} for {key}")),
        };
        match key {
            "type" => {
                let kind = value.to_lowercase();
                if !KINDS.contains(&kind.as_str()) {
                    return Err(format!("unsupported mount type {value:?}{}", hint(&kind, KINDS)));
                }
                self.kind = Some(kind);
            }
            "from" if is_variable(&value) => {
                return Err("'from' doesn't support variable expansion, define alias stage instead".to_owned());
            }
            "from" => self.from = Some(value).filter(|from| !from.is_empty()),
            "source" | "src" => self.source = Some(value),
            "target" | "dst" | "destination" => self.target = Some(value),
            "id" => self.id = Some(value),
            "sharing" => self.sharing = Some(value.to_lowercase()),
            "size" => {
                self.only(key, &["tmpfs"])?;
                self.size = Some(size(&value)?);
            }
            "mode" => {
                self.mode = Some(u32::from_str_radix(&value, 8).map_err(|_| format!("invalid value {value} for mode"))?)
            }
            "uid" => self.uid = Some(number(&value)?),
            "gid" => self.gid = Some(number(&value)?),
            _ => {
                self.only(key, &["secret"])?;
                self.env = Some(value);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Mount, String> {
        let sharing = self.sharing()?;
        self.check()?;
        let kind = match self.name() {
            "cache" => MountKind::Cache { id: self.id, sharing },
            "tmpfs" => MountKind::Tmpfs { size: self.size },
            "secret" => {
                let id = self.id.or(self.source.clone());
                MountKind::Secret { id, required: self.required, env: self.env }
            }
            "ssh" => MountKind::Ssh { id: self.id, required: self.required },
            _ => MountKind::Bind,
        };
        let source = self.source.filter(|_| !matches!(kind, MountKind::Secret { .. }));
        let needs_target = matches!(kind, MountKind::Cache { .. } | MountKind::Tmpfs { .. });
        let target = self.target.or_else(|| needs_target.then(String::new));
        Ok(Mount {
            target,
            from: self.from,
            source,
            read_only: self.read_only,
            kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
        })
    }

    fn sharing(&self) -> Result<Sharing, String> {
        match self.sharing.as_deref() {
            None => Ok(Sharing::Shared),
            Some(_) if self.name() != "cache" => Err(format!("invalid cache sharing set for {} mount", self.name())),
            Some("shared") => Ok(Sharing::Shared),
            Some("locked") => Ok(Sharing::Locked),
            Some("private") => Ok(Sharing::Private),
            Some(other) => {
                Err(format!("unsupported sharing value {other:?}{}", hint(other, ["shared", "locked", "private"])))
            }
        }
    }

    /// Refuses what the kind does not have.
    fn check(&self) -> Result<(), String> {
        let name = self.name();
        let owned = [("mode", self.mode), ("uid", self.uid), ("gid", self.gid)];
        if let Some((key, _)) = owned.iter().find(|(_, value)| value.is_some() && ["bind", "tmpfs"].contains(&name)) {
            return Err(format!("{key} not allowed for {name:?} type mounts"));
        }
        match name {
            "secret" | "ssh" if self.from.is_some() => Err(format!("{name} mount should not have a from")),
            "ssh" if self.source.is_some() => Err("ssh mount should not have a source".to_owned()),
            "secret" if self.id.is_some() && self.source.is_some() => Err("both source and id can't be set".to_owned()),
            "secret" if self.id.is_none() && self.source.is_none() && self.target.is_none() => {
                Err("invalid secret mount. one of source, target required".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// Checks what must be right even where the mount is not needed: that `from` needs no expansion.
pub(crate) fn check_from(text: &str) -> Result<(), String> {
    for field in csv(text)? {
        match field.split_once('=') {
            Some((key, value)) if key.eq_ignore_ascii_case("from") && is_variable(value) => {
                return Err("'from' doesn't support variable expansion, define alias stage instead".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns the value of `from=`, whatever else the text holds.
pub(crate) fn mount_from(text: &str) -> Option<String> {
    let fields = csv(text).ok()?;
    let mut values = fields.iter().filter_map(|field| field.split_once('='));
    let (_, from) = values.rfind(|(key, _)| key.eq_ignore_ascii_case("from"))?;
    (!from.is_empty()).then(|| from.to_owned())
}

/// Tells whether a `$` stands before something else.
fn is_variable(text: &str) -> bool {
    text.find('$').is_some_and(|at| at + 1 < text.len())
}

/// Parses `64m`, `1.5g`, `100`: bytes.
fn size(text: &str) -> Result<u64, String> {
    let invalid = || format!("invalid value for size: {text}");
    let lower = text.to_lowercase();
    let lower = lower.strip_suffix("ib").or(lower.strip_suffix('b')).unwrap_or(&lower).trim_end();
    let units = [('k', 10), ('m', 20), ('g', 30), ('t', 40), ('p', 50)];
    let unit = units.iter().find(|(unit, _)| lower.ends_with(*unit));
    let (digits, shift) = unit.map_or((lower, 0), |(unit, shift)| (lower.trim_end_matches(*unit).trim_end(), *shift));
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let number: f64 = digits.parse().ok().filter(|_| plain).ok_or_else(invalid)?;
    let bytes = number * f64::from(2).powi(shift);
    if bytes < 9.0e18 { Ok(bytes as u64) } else { Err(invalid()) }
}

/// Splits one CSV record: fields may be quoted, a quote in a quoted field is doubled.
fn csv(text: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut letters = text.chars().peekable();
    loop {
        let mut field = String::new();
        if letters.next_if_eq(&'"').is_some() {
            loop {
                match letters.next() {
                    Some('"') if letters.next_if_eq(&'"').is_some() => field.push('"'),
                    Some('"') => break,
                    Some(letter) => field.push(letter),
                    None => return Err("failed to parse csv mounts: a quote is not closed".to_owned()),
                }
            }
        }
        while let Some(letter) = letters.next_if(|letter| *letter != ',') {
            field.push(letter);
        }
        fields.push(field);
        if letters.next().is_none() {
            return Ok(fields);
        }
    }
}
