//! `RUN --mount`: one CSV record of options.

use super::instruction::{Mount, MountKind};
use super::suggest::hint;
use runtime::Sharing;

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
pub fn parse_mount(text: &str, expand: &dyn Fn(&str) -> Result<String, String>) -> Result<Mount, String> {
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
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(other) => Err(format!("invalid value for '{key}': {other}")),
        };
        match key {
            "readonly" | "ro" => self.read_only = Some(truth(&value)?),
            "readwrite" | "rw" => self.read_only = Some(!truth(&value)?),
            "required" => self.required = truth(&value)?,
            _ if !OPTIONS.contains(&key) => {
                return Err(format!("unexpected key '{key}' in '{field}'{}", hint(key, OPTIONS)));
            }
            _ => {
                let value = value.ok_or_else(|| format!("invalid field '{field}' must be a key=value pair"))?;
                self.set_value(key, value)?;
            }
        }
        Ok(())
    }

    fn set_value(&mut self, key: &str, value: String) -> Result<(), String> {
        let number = |value: &str| value.parse::<u32>().map_err(|_| format!("invalid value {value} for {key}"));
        match key {
            "type" => {
                let kind = value.to_lowercase();
                if !KINDS.contains(&kind.as_str()) {
                    return Err(format!("unsupported mount type {value:?}{}", hint(&kind, KINDS)));
                }
                self.kind = Some(kind);
            }
            "from" if value.contains('$') => {
                return Err("'from' doesn't support variable expansion, define alias stage instead".to_owned());
            }
            "from" => self.from = Some(value),
            "source" | "src" => self.source = Some(value),
            "target" | "dst" | "destination" => self.target = Some(value),
            "id" => self.id = Some(value),
            "sharing" => self.sharing = Some(value.to_lowercase()),
            "size" => self.size = Some(size(&value)?),
            "mode" => {
                self.mode = Some(u32::from_str_radix(&value, 8).map_err(|_| format!("invalid value {value} for mode"))?)
            }
            "uid" => self.uid = Some(number(&value)?),
            "gid" => self.gid = Some(number(&value)?),
            _ => self.env = Some(value),
        }
        Ok(())
    }

    fn finish(self) -> Result<Mount, String> {
        let name = self.kind.as_deref().unwrap_or("bind");
        let only = |set: bool, key: &str, kinds: &[&str]| match set && !kinds.contains(&name) {
            true => Err(format!("{key} not allowed for {name:?} type mounts")),
            false => Ok(()),
        };
        let owners = ["cache", "secret", "ssh"];
        only(self.mode.is_some(), "mode", &owners)?;
        only(self.uid.is_some(), "uid", &owners)?;
        only(self.gid.is_some(), "gid", &owners)?;
        only(self.size.is_some(), "size", &["tmpfs"])?;
        only(self.env.is_some(), "env", &["secret"])?;
        only(self.from.is_some(), "from", &["bind", "cache"])?;
        only(self.id.is_some(), "id", &owners)?;
        only(self.required, "required", &["secret", "ssh"])?;
        only(self.source.is_some(), "source", &["bind", "cache", "secret"])?;
        let sharing = match self.sharing.as_deref() {
            None => Sharing::Shared,
            Some(sharing) if name != "cache" => {
                return Err(format!("invalid cache sharing set for {name} mount: {sharing}"));
            }
            Some("shared") => Sharing::Shared,
            Some("locked") => Sharing::Locked,
            Some("private") => Sharing::Private,
            Some(other) => {
                return Err(format!(
                    "unsupported sharing value {other:?}{}",
                    hint(other, ["shared", "locked", "private"])
                ));
            }
        };
        let kind = match name {
            "cache" => MountKind::Cache { id: self.id, sharing },
            "tmpfs" => MountKind::Tmpfs { size: self.size },
            "secret" => {
                if self.id.is_some() && self.source.is_some() {
                    return Err("both id and source can't be set".to_owned());
                }
                MountKind::Secret { id: self.id.or(self.source.clone()), required: self.required, env: self.env }
            }
            "ssh" => MountKind::Ssh { id: self.id, required: self.required },
            _ => MountKind::Bind,
        };
        let source = self.source.filter(|_| name != "secret");
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
}

/// Parses `64m`, `1g`, `100`: bytes.
fn size(text: &str) -> Result<u64, String> {
    let invalid = || format!("invalid value for size: {text}");
    let lower = text.to_lowercase();
    let lower = lower.strip_suffix("ib").or(lower.strip_suffix('b')).unwrap_or(&lower);
    let (digits, shift) = match lower.chars().last() {
        Some('k') => (&lower[..lower.len() - 1], 10),
        Some('m') => (&lower[..lower.len() - 1], 20),
        Some('g') => (&lower[..lower.len() - 1], 30),
        _ => (lower, 0),
    };
    let number: u64 = digits.parse().map_err(|_| invalid())?;
    number.checked_mul(1 << shift).ok_or_else(invalid)
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
