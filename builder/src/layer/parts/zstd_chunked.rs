//! The end of a zstd:chunked layer: frames that decompressors skip, and the annotations that lead to them.

use registry_client::Digest;
use std::collections::BTreeMap;

/// The first frame type that decompressors skip.
const SKIPPABLE: u32 = 0x184d_2a50;
/// Bytes of a skippable frame before its content.
const HEADER: u64 = 8;
/// The last bytes of the layer.
const MAGIC: &[u8; 8] = b"GNUlInUx";
/// The kind of table, the only one that there is.
const TABLE_KIND: u64 = 1;
/// Annotations start with it.
const PREFIX: &str = "io.github.containers.zstd-chunked";

/// Something compressed that is written behind the files.
pub(super) struct Section {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// How many it has uncompressed.
    pub size: u64,
}

/// Returns what follows the files, which end at `at`, and the annotations of the layer.
pub(super) fn end(at: u64, table: &Section, split: &Section) -> (Vec<u8>, BTreeMap<String, String>) {
    let table_at = at + HEADER;
    let split_at = table_at + table.bytes.len() as u64 + HEADER;
    let lengths = |section: &Section| [section.bytes.len() as u64, section.size];
    let ([table_length, table_size], [split_length, split_size]) = (lengths(table), lengths(split));
    let numbers = [table_at, table_length, table_size, TABLE_KIND, split_at, split_length, split_size];
    let mut footer: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    footer.extend_from_slice(MAGIC);
    let mut end = Vec::with_capacity(table.bytes.len() + split.bytes.len() + footer.len() + 3 * HEADER as usize);
    for content in [&table.bytes, &split.bytes, &footer] {
        end.extend_from_slice(&SKIPPABLE.to_le_bytes());
        end.extend_from_slice(&(content.len() as u32).to_le_bytes());
        end.extend_from_slice(content);
    }
    let annotations = [
        ("manifest-checksum", Digest::of(&table.bytes).to_string()),
        ("manifest-position", format!("{table_at}:{table_length}:{table_size}:{TABLE_KIND}")),
        ("tarsplit-position", format!("{split_at}:{split_length}:{split_size}")),
    ];
    (end, annotations.into_iter().map(|(name, value)| (format!("{PREFIX}.{name}"), value)).collect())
}
