//! Writes tar streams whose bytes depend on nothing but the entries.

use super::entry::{BLOCK, Entry};
use crate::entry_kind::EntryKind;
use std::io::{self, Read, Write};

/// Largest number that seven octal digits hold (owners, device numbers).
const OCTAL_7: u64 = 0o7_777_777;
/// Largest number that eleven octal digits hold (sizes, times).
const OCTAL_11: u64 = 0o77_777_777_777;
/// Bytes that a name or link target may have in the header itself.
const NAME: usize = 100;

/// Writes entries to `W`.
pub struct Writer<W: Write> {
    out: W,
    pax: Vec<u8>,
    buffer: Vec<u8>,
    /// Times after this one are written as this one.
    latest: Option<i64>,
}

impl<W: Write> Writer<W> {
    /// Starts a tar.
    pub fn new(out: W) -> Self {
        Writer { out, pax: Vec::new(), buffer: vec![0; 64 * 1024], latest: None }
    }

    /// Writes times after `latest` as `latest`, so that what was made later than it does not tell when.
    #[must_use]
    pub fn until(mut self, latest: Option<i64>) -> Self {
        self.latest = latest;
        self
    }

    /// Writes `entry` and, for a file, exactly its `size` bytes from `content`.
    ///
    /// Fails with `UnexpectedEof` if the content is shorter; more than `size` bytes are not read.
    pub fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        self.header(entry)?;
        self.content(entry.size(), content)
    }

    /// Writes an entry that has no content.
    pub fn bare(&mut self, entry: &Entry) -> io::Result<()> {
        self.entry(entry, &mut io::empty())
    }

    /// Ends the tar with its two zero blocks and returns the output, not flushed.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }

    fn header(&mut self, entry: &Entry) -> io::Result<()> {
        if let Some(mtime) = self.latest.filter(|latest| entry.mtime > *latest) {
            return self.header_as_it_is(&Entry { mtime, ..entry.clone() });
        }
        self.header_as_it_is(entry)
    }

    fn header_as_it_is(&mut self, entry: &Entry) -> io::Result<()> {
        let mut name = entry.path.clone();
        if entry.kind == EntryKind::Directory {
            name.push(b'/');
        }
        let (flag, target, device): (u8, &[u8], (u32, u32)) = match &entry.kind {
            EntryKind::File { .. } => (b'0', b"", (0, 0)),
            EntryKind::HardLink { target } => (b'1', target, (0, 0)),
            EntryKind::Symlink { target } => (b'2', target, (0, 0)),
            EntryKind::Character { major, minor } => (b'3', b"", (*major, *minor)),
            EntryKind::Block { major, minor } => (b'4', b"", (*major, *minor)),
            EntryKind::Directory => (b'5', b"", (0, 0)),
            EntryKind::Fifo => (b'6', b"", (0, 0)),
            EntryKind::Socket => {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "a tar cannot hold a socket"));
            }
        };
        self.extended_header(entry, &name, target)?;

        let mut block = [0u8; BLOCK];
        put_bytes(&mut block[..NAME], &name);
        put_octal(&mut block[100..108], u64::from(entry.mode & 0o7777));
        put_octal(&mut block[108..116], u64::from(entry.uid));
        put_octal(&mut block[116..124], u64::from(entry.gid));
        put_octal(&mut block[124..136], entry.size());
        put_octal(&mut block[136..148], u64::try_from(entry.mtime).unwrap_or(0));
        block[156] = flag;
        put_bytes(&mut block[157..257], target);
        block[257..265].copy_from_slice(b"ustar\x0000");
        put_octal(&mut block[329..337], u64::from(device.0));
        put_octal(&mut block[337..345], u64::from(device.1));
        self.checked(block)
    }

    /// Writes a pax header if something of the entry does not fit the plain one.
    fn extended_header(&mut self, entry: &Entry, name: &[u8], target: &[u8]) -> io::Result<()> {
        self.pax.clear();
        let mut record = |key: &[u8], value: &[u8]| push_record(&mut self.pax, key, value);
        if u64::from(entry.gid) > OCTAL_7 {
            record(b"gid", entry.gid.to_string().as_bytes());
        }
        if target.len() > NAME {
            record(b"linkpath", target);
        }
        if u64::try_from(entry.mtime).map_or(true, |seconds| seconds > OCTAL_11) {
            record(b"mtime", entry.mtime.to_string().as_bytes());
        }
        if name.len() > NAME {
            record(b"path", name);
        }
        if entry.size() > OCTAL_11 {
            record(b"size", entry.size().to_string().as_bytes());
        }
        if u64::from(entry.uid) > OCTAL_7 {
            record(b"uid", entry.uid.to_string().as_bytes());
        }
        for (key, value) in &entry.xattrs {
            record(&[b"SCHILY.xattr.", key.as_slice()].concat(), value);
        }
        if self.pax.is_empty() {
            return Ok(());
        }
        let mut block = [0u8; BLOCK];
        put_bytes(&mut block[..NAME], b"PaxHeaders.0/entry");
        for field in [100..108, 108..116, 116..124] {
            put_octal(&mut block[field], 0);
        }
        put_octal(&mut block[124..136], self.pax.len() as u64);
        put_octal(&mut block[136..148], 0);
        block[156] = b'x';
        block[257..265].copy_from_slice(b"ustar\x0000");
        self.checked(block)?;
        let records = std::mem::take(&mut self.pax);
        self.content(records.len() as u64, &mut records.as_slice())?;
        self.pax = records;
        Ok(())
    }

    /// Writes a header block with its checksum filled in.
    fn checked(&mut self, mut block: [u8; BLOCK]) -> io::Result<()> {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.out.write_all(&block)
    }

    fn content(&mut self, size: u64, content: &mut dyn Read) -> io::Result<()> {
        let mut left = size;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let got = match content.read(&mut self.buffer[..want]) {
                Ok(0) => {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "file became shorter while it was read"));
                }
                Ok(got) => got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.out.write_all(&self.buffer[..got])?;
            left -= got as u64;
        }
        let padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
        self.out.write_all(&[0; BLOCK][..padding as usize])
    }
}

/// Copies as much of `value` as fits; what does not fit stands in the pax header.
fn put_bytes(field: &mut [u8], value: &[u8]) {
    let length = value.len().min(field.len());
    field[..length].copy_from_slice(&value[..length]);
}

/// Writes octal digits and a NUL, or zero where the number does not fit and stands in the pax header.
fn put_octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let fits = value < 1 << (3 * digits);
    let text = format!("{:0digits$o}\0", if fits { value } else { 0 });
    field.copy_from_slice(text.as_bytes());
}

/// Appends `LENGTH KEY=VALUE\n`, where the length counts its own digits too.
fn push_record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}
