//! Reads tar streams of unknown origin: every number is checked, every length is bounded, nothing is guessed.

use super::entry::{BLOCK, Entry};
use crate::entry_kind::EntryKind;
use std::io::{self, Read};

/// Largest pax header that is read; real ones are below a few kilobytes.
const MAX_PAX: u64 = 1024 * 1024;
/// Largest GNU long name that is read.
const MAX_LONG_NAME: u64 = 64 * 1024;

/// Errors of an owner or a group out of range.
const BAD_OWNER: &str = "its owner is not a number between 0 and 4294967294";
const BAD_GROUP: &str = "its group is not a number between 0 and 4294967294";

/// A tar could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// The input failed or ended within an entry.
    #[error("reading the tar")]
    Read(#[from] io::Error),
    /// A header is not what the format allows.
    #[error("entry `{name}` of the tar: {problem}")]
    Malformed {
        /// Name of the entry as far as it is known.
        name: String,
        /// The problem with the header.
        problem: &'static str,
    },
}

/// Reads entries from `R`; between two calls of [`Reader::next_entry`] it reads as the content of the current one.
pub struct Reader<R: Read> {
    input: R,
    left: u64,
    padding: u64,
}

/// The values that extended headers gave for the next entry.
#[derive(Default)]
struct Overrides {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    mtime: Option<i64>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: Read> Reader<R> {
    /// Reads a tar from its first byte.
    pub fn new(input: R) -> Self {
        Reader { input, left: 0, padding: 0 }
    }

    /// Returns the input, which stands wherever reading stopped.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// Returns the input, of which nothing beyond the current header, or what was read of the content, has been taken.
    pub fn input(&mut self) -> &mut R {
        &mut self.input
    }

    /// Skips what is left of the current entry and returns the next one, or `None` at the end of the tar.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        let mut overrides = Overrides::default();
        loop {
            self.skip()?;
            let Some(block) = self.block()? else { return Ok(None) };
            let name = header_name(&block);
            let size = number(&block[124..136]).ok_or_else(|| malformed(&name, "its size is not a number"))?;
            match block[156] {
                b'x' => {
                    let records = self.extension(size, MAX_PAX, &name)?;
                    parse_records(&records, &mut overrides).map_err(|problem| malformed(&name, problem))?;
                }
                // Global headers carry comments (git archive writes the commit there); nothing else in them is honoured.
                b'g' => drop(self.extension(size, MAX_PAX, &name)?),
                b'L' => overrides.path = Some(without_nul(self.extension(size, MAX_LONG_NAME, &name)?)),
                b'K' => overrides.target = Some(without_nul(self.extension(size, MAX_LONG_NAME, &name)?)),
                _ => return self.entry(&block, size, overrides).map(Some),
            }
        }
    }

    fn entry(&mut self, block: &[u8; BLOCK], size: u64, overrides: Overrides) -> Result<Entry, TarError> {
        let name = overrides.path.clone().unwrap_or_else(|| header_name(block));
        let bad = |problem| malformed(&name, problem);
        let field = |range: std::ops::Range<usize>, problem| number(&block[range]).ok_or_else(|| bad(problem));
        let device = |range, problem| field(range, problem).and_then(|id| u32::try_from(id).map_err(|_| bad(problem)));
        let owner = |range, problem| number(&block[range]).and_then(id).ok_or_else(|| bad(problem));
        let target = overrides.target.clone().unwrap_or_else(|| until_nul(&block[157..257]).to_vec());
        // The size in a pax header is the one that counts: taking the other one would let an entry hide further ones.
        let size = overrides.size.unwrap_or(size);
        let kind = match block[156] {
            // As GNU tar and libarchive have it: old archives, and some libraries, know directories by the slash alone.
            0 | b'0' if name.last() == Some(&b'/') && size == 0 => EntryKind::Directory,
            0 | b'0' if name.last() == Some(&b'/') => return Err(bad("its name is a directory's, and it has content")),
            0 | b'0' | b'7' => EntryKind::File { size },
            b'1' => EntryKind::HardLink { target },
            b'2' => EntryKind::Symlink { target },
            b'3' | b'4' => {
                let major = device(329..337, "its device number is not a number")?;
                let minor = device(337..345, "its device number is not a number")?;
                if block[156] == b'3' {
                    EntryKind::Character { major, minor }
                } else {
                    EntryKind::Block { major, minor }
                }
            }
            b'5' => EntryKind::Directory,
            b'6' => EntryKind::Fifo,
            b'S' => return Err(bad("sparse files are not supported")),
            _ => return Err(bad("its type is unknown")),
        };
        self.left = if matches!(kind, EntryKind::File { .. }) { size } else { self.ignored_size(block[156], size) };
        self.padding = padding(self.left);
        let mut path = name.clone();
        while path.len() > 1 && path.last() == Some(&b'/') {
            path.pop();
        }
        Ok(Entry {
            kind,
            mode: (field(100..108, "its mode is not a number")? & 0o7777) as u32,
            uid: overrides.uid.map_or_else(|| owner(108..116, BAD_OWNER), Ok)?,
            gid: overrides.gid.map_or_else(|| owner(116..124, BAD_GROUP), Ok)?,
            mtime: match overrides.mtime {
                Some(seconds) => seconds,
                None => signed(&block[136..148]).ok_or_else(|| bad("its time is not a number"))?,
            },
            xattrs: overrides.xattrs,
            path,
        })
    }

    /// Returns how much content follows an entry that should have none: old writers give links a size without content.
    fn ignored_size(&self, flag: u8, size: u64) -> u64 {
        if flag == b'5' { size } else { 0 }
    }

    /// Reads the content of an extension entry.
    fn extension(&mut self, size: u64, limit: u64, name: &[u8]) -> Result<Vec<u8>, TarError> {
        if size > limit {
            return Err(malformed(name, "its extended header is too long"));
        }
        let mut content = vec![0; size as usize];
        self.input.read_exact(&mut content)?;
        self.padding = padding(size);
        Ok(content)
    }

    fn skip(&mut self) -> io::Result<()> {
        let length = self.left + self.padding;
        (self.left, self.padding) = (0, 0);
        let skipped = io::copy(&mut (&mut self.input).take(length), &mut io::sink())?;
        if skipped == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Reads a header block; `None` at a zero block or at the end of the input.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            match self.input.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(TarError::Read(io::ErrorKind::UnexpectedEof.into())),
                Ok(got) => filled += got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if block.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let stored = number(&block[148..156]);
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { u64::from(byte) })
            .sum();
        if stored == Some(sum) {
            Ok(Some(block))
        } else {
            Err(malformed(&header_name(&block), "its checksum is wrong"))
        }
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if want == 0 {
            return Ok(0);
        }
        let got = self.input.read(&mut buffer[..want])?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= got as u64;
        Ok(got)
    }
}

fn malformed(name: &[u8], problem: &'static str) -> TarError {
    TarError::Malformed { name: String::from_utf8_lossy(name).into_owned(), problem }
}

fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

fn until_nul(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or(field)
}

fn without_nul(mut name: Vec<u8>) -> Vec<u8> {
    name.truncate(until_nul(&name).len());
    name
}

/// Returns the name in the header itself, with the ustar prefix where there is one.
fn header_name(block: &[u8; BLOCK]) -> Vec<u8> {
    let name = until_nul(&block[..100]);
    let prefix = if &block[257..263] == b"ustar\0" { until_nul(&block[345..500]) } else { b"" };
    if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
}

/// Returns the number as an id of a user or group: the largest of 32 bits means none.
fn id(number: u64) -> Option<u32> {
    u32::try_from(number).ok().filter(|&id| id != u32::MAX)
}

/// Reads an octal number, or a positive base-256 one as GNU tar writes it.
fn number(field: &[u8]) -> Option<u64> {
    signed(field).and_then(|value| u64::try_from(value).ok())
}

fn signed(field: &[u8]) -> Option<i64> {
    if field[0] & 0x80 != 0 {
        return base_256(field);
    }
    let text = until_nul(field).trim_ascii();
    if text.is_empty() {
        return Some(0);
    }
    text.iter().try_fold(0i64, |value, &digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

/// Reads a two's complement number whose top bit is a mark.
fn base_256(field: &[u8]) -> Option<i64> {
    let negative = field[0] & 0x40 != 0;
    let start: i128 = i128::from(field[0] & 0x3f) - if negative { 0x40 } else { 0 };
    let value =
        field[1..].iter().try_fold(start, |value, &byte| value.checked_mul(256)?.checked_add(i128::from(byte)))?;
    i64::try_from(value).ok()
}

/// Reads `LENGTH KEY=VALUE\n` records; anything else is an error, never skipped.
fn parse_records(mut records: &[u8], overrides: &mut Overrides) -> Result<(), &'static str> {
    const BAD: &str = "its pax header is malformed";
    while !records.is_empty() {
        let space = records.iter().position(|&byte| byte == b' ').ok_or(BAD)?;
        let length: usize = decimal(&records[..space]).and_then(|length| usize::try_from(length).ok()).ok_or(BAD)?;
        if length <= space + 1 || length > records.len() || records[length - 1] != b'\n' {
            return Err(BAD);
        }
        let record = &records[space + 1..length - 1];
        let equals = record.iter().position(|&byte| byte == b'=').ok_or(BAD)?;
        apply_record(&record[..equals], &record[equals + 1..], overrides)?;
        records = &records[length..];
    }
    Ok(())
}

fn apply_record(key: &[u8], value: &[u8], overrides: &mut Overrides) -> Result<(), &'static str> {
    let owner = |problem| decimal(value).and_then(id).ok_or(problem);
    match key {
        b"path" => overrides.path = Some(name_value(value)?),
        b"linkpath" => overrides.target = Some(name_value(value)?),
        // A larger one would overflow together with its padding, and hide what follows.
        b"size" => {
            let size = decimal(value).filter(|size| i64::try_from(*size).is_ok());
            overrides.size = Some(size.ok_or("its pax size is not a number of bytes that a file can have")?);
        }
        b"uid" => overrides.uid = Some(owner(BAD_OWNER)?),
        b"gid" => overrides.gid = Some(owner(BAD_GROUP)?),
        b"mtime" => overrides.mtime = Some(seconds(value).ok_or("its pax time is not a number")?),
        key if key.starts_with(b"GNU.sparse.") => return Err("sparse files are not supported"),
        key => {
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                overrides.xattrs.push((name.to_vec(), value.to_vec()));
            }
        }
    }
    Ok(())
}

fn name_value(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    if value.contains(&0) { Err("its pax name holds a NUL") } else { Ok(value.to_vec()) }
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Returns the whole seconds of a pax time such as `1700000000.123` or `-1.5`, rounded down.
fn seconds(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let below = whole.starts_with('-') && fraction.bytes().any(|byte| byte != b'0');
    Some(if below { seconds - 1 } else { seconds })
}
