//! CRC-64 of ISO 3309, which tar-split keeps of each file.

/// The polynomial, its bits reversed.
const POLYNOMIAL: u64 = 0xd800_0000_0000_0000;
/// Tables for sixteen bytes at a time.
static TABLES: [[u64; 256]; 16] = tables();

/// A checksum in progress.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Crc64(u64);

impl Crc64 {
    /// Takes more bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        let mut crc = !self.0;
        let mut words = bytes.chunks_exact(16);
        for word in &mut words {
            let word = u128::from(crc) ^ u128::from_le_bytes(word.try_into().unwrap_or_default());
            crc = (0..16).fold(0, |crc, at| crc ^ TABLES[15 - at][usize::from((word >> (8 * at)) as u8)]);
        }
        for &byte in words.remainder() {
            crc = TABLES[0][usize::from(crc as u8 ^ byte)] ^ (crc >> 8);
        }
        self.0 = !crc;
    }

    /// Returns the checksum as it is written: its highest byte first.
    pub(super) fn bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

const fn tables() -> [[u64; 256]; 16] {
    let mut tables = [[0; 256]; 16];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut table = 1;
    while table < 16 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = tables[0][(before & 0xff) as usize] ^ (before >> 8);
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        // The check value of CRC-64/GO-ISO.
        let mut crc = Crc64::default();
        crc.update(b"123456789");
        assert_eq!(u64::from_be_bytes(crc.bytes()), 0xb909_56c7_75a4_1001);
        let text: Vec<u8> = (0..1000u32).map(|at| (at * 7) as u8).collect();
        let (mut whole, mut parts) = (Crc64::default(), Crc64::default());
        whole.update(&text);
        text.chunks(13).for_each(|part| parts.update(part));
        assert_eq!(whole.bytes(), parts.bytes());
    }
}
