//! The packages of an rpm database in a SQLite file: its table `Packages` holds a header of rpm in each row.
//!
//! The file comes from an image and is read as bytes: no library that would also execute what such a file says opens it.

use std::collections::HashSet;

/// The beginning of every SQLite file.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Page types of tables.
const INTERIOR: u8 = 0x05;
const LEAF: u8 = 0x0d;
/// Tags of rpm headers.
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;

/// Returns names and versions of the packages; `None` if the file is not such a database.
pub(super) fn packages(file: &[u8]) -> Option<Vec<(String, String)>> {
    let pages = Pages::open(file)?;
    let mut root = None;
    pages.rows(1, &mut |record| {
        let columns = columns(record)?;
        let is_packages = columns.first()?.1 == b"table" && columns.get(1)?.1 == b"Packages";
        if is_packages {
            root = columns.get(3).map(|(_, bytes)| number(bytes));
        }
        Some(())
    })?;
    let mut found = Vec::new();
    pages.rows(root?, &mut |record| {
        let columns = columns(record)?;
        found.extend(columns.last().and_then(|(_, blob)| package(blob)));
        Some(())
    })?;
    Some(found)
}

struct Pages<'f> {
    file: &'f [u8],
    size: usize,
    /// Bytes of a page that are used.
    usable: usize,
}

impl<'f> Pages<'f> {
    fn open(file: &'f [u8]) -> Option<Pages<'f>> {
        file.starts_with(MAGIC).then_some(())?;
        let size = match number(file.get(16..18)?) {
            1 => 65_536,
            size => size,
        };
        let usable = size.checked_sub(usize::from(*file.get(20)?))?;
        (size >= 512 && usable >= 480).then_some(Pages { file, size, usable })
    }

    fn page(&self, number: usize) -> Option<&'f [u8]> {
        let start = number.checked_sub(1)?.checked_mul(self.size)?;
        self.file.get(start..start.checked_add(self.size)?)
    }

    /// Gives the record of each row of the table at page `root` to `take`.
    fn rows(&self, root: usize, take: &mut dyn FnMut(&[u8]) -> Option<()>) -> Option<()> {
        let (mut open, mut seen) = (vec![root], HashSet::new());
        while let Some(at) = open.pop() {
            // A damaged file may lead in a circle.
            seen.insert(at).then_some(())?;
            let page = self.page(at)?;
            let header = page.get(if at == 1 { 100 } else { 0 }..)?;
            let count = number(header.get(3..5)?);
            let cells = match *header.first()? {
                INTERIOR => {
                    open.push(number(header.get(8..12)?));
                    header.get(12..)?
                }
                LEAF => header.get(8..)?,
                _ => return None,
            };
            for cell in 0..count {
                let offset = number(cells.get(2 * cell..2 * cell + 2)?);
                let cell = page.get(offset..)?;
                match header[0] {
                    INTERIOR => open.push(number(cell.get(..4)?)),
                    _ => take(&self.record(cell)?)?,
                }
            }
        }
        Some(())
    }

    /// Returns the record of a leaf's cell, which may go on in other pages.
    fn record(&self, cell: &[u8]) -> Option<Vec<u8>> {
        let (length, after) = varint(cell)?;
        let (_, start) = varint(cell.get(after..)?)?;
        let rest = cell.get(after + start..)?;
        let (length, most) = (usize::try_from(length).ok()?, self.usable - 35);
        if length > self.file.len() {
            return None;
        }
        if length <= most {
            return rest.get(..length).map(<[u8]>::to_vec);
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let here = least + (length - least) % (self.usable - 4);
        let here = if here <= most { here } else { least };
        let mut record = rest.get(..here)?.to_vec();
        let mut next = number(rest.get(here..here + 4)?);
        while record.len() < length {
            let page = self.page(next)?;
            let part = (length - record.len()).min(self.usable - 4);
            record.extend_from_slice(page.get(4..4 + part)?);
            next = number(page.get(..4)?);
        }
        Some(record)
    }
}

/// Returns types and bytes of the columns of a record.
fn columns(record: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let (header, mut at) = varint(record)?;
    let header = usize::try_from(header).ok()?;
    let (mut columns, mut data) = (Vec::new(), header);
    while at < header {
        let (kind, length) = varint(record.get(at..)?)?;
        at += length;
        let size = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            _ => usize::try_from((kind - 12) / 2).ok()?,
        };
        columns.push((kind, record.get(data..data.checked_add(size)?)?));
        data += size;
    }
    Some(columns)
}

/// Returns name and version of a header of rpm.
fn package(blob: &[u8]) -> Option<(String, String)> {
    let (entries, length) = (number(blob.get(..4)?), number(blob.get(4..8)?));
    let index = blob.get(8..8usize.checked_add(entries.checked_mul(16)?)?)?;
    let data = blob.get(8 + index.len()..)?.get(..length)?;
    let text = |tag: u32| {
        let entry = index.chunks_exact(16).find(|entry| number(&entry[..4]) == tag as usize)?;
        let text = data.get(number(&entry[8..12])..)?.split(|&byte| byte == 0).next()?;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    let release = text(RELEASE).map(|release| format!("-{release}")).unwrap_or_default();
    Some((text(NAME)?, format!("{}{release}", text(VERSION)?)))
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, &byte| number << 8 | usize::from(byte))
}

/// Reads a number of SQLite's; returns it and its length.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (at, &byte) in bytes.iter().enumerate().take(9) {
        if at == 8 {
            return Some((value << 8 | u64::from(byte), 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_database_is_not_read() {
        assert_eq!(packages(b""), None);
        assert_eq!(packages(&[MAGIC, &[0; 400]].concat()), None);
        let mut circle = [MAGIC, &[2, 0, 1, 1, 0]].concat();
        circle.resize(1024, 0);
        circle[100] = INTERIOR;
        circle[111] = 1;
        assert_eq!(packages(&circle), None);
    }

    #[test]
    fn a_header_names_its_package() {
        let data = b"bash\x005.2\x001.fc40\0";
        let entry = |tag: u32, offset: u32| [tag, 6, offset, 1].map(u32::to_be_bytes).concat();
        let index = [entry(NAME, 0), entry(VERSION, 5), entry(RELEASE, 9)].concat();
        let blob = [&3u32.to_be_bytes()[..], &(data.len() as u32).to_be_bytes(), &index, data].concat();
        assert_eq!(package(&blob), Some(("bash".to_owned(), "5.2-1.fc40".to_owned())));
        assert_eq!((varint(&[0x81, 0x00]), varint(&[0x7f])), (Some((128, 2)), Some((127, 1))));
    }
}
