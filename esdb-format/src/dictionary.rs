//! The zstd dictionary of a file: stored before and after the blocks (spec §3.3).

use crate::checksum::{check, checksum, checksum_of_both, checksum_of_both_and_second, compare};
use crate::codec::{Decoder, Encode};
use crate::compression::{Codec, Compressor, unpack};
use crate::error::{Error, Result, Section};
use crate::limits;
use crate::source::{Source, read};

pub(crate) const MARKER: [u8; 8] = *b"\x89ESDBD\r\n";

/// How hard the dictionary itself is compressed.
const LEVEL: i32 = 12;

/// From this offset on a section is stored as it is: a file so long hardly grows by it, and whoever opens it waits less.
pub(crate) const AS_IT_IS: u64 = 16 << 20;

/// A dictionary and its section.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dictionary {
    bytes: Vec<u8>,
    checksum: u32,
    stored: Vec<u8>,
}

impl Dictionary {
    /// Bytes of the section before the dictionary itself.
    pub(crate) const HEAD: usize = 32;

    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self> {
        let mut stored = Vec::new();
        Compressor::new(Codec::Zstd { level: LEVEL }, &[])?.append(&bytes, &mut stored)?;
        Ok(Self { checksum: checksum(&bytes), bytes, stored })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn checksum(&self) -> u32 {
        self.checksum
    }

    /// The length of a compressed section.
    pub(crate) fn section_len(&self) -> usize {
        self.stored.len().saturating_add(Self::HEAD)
    }

    /// The section as it stands at `offset` of the file.
    pub(crate) fn encode(&self, offset: u64) -> Vec<u8> {
        let stored = if offset < AS_IT_IS { &self.stored } else { &self.bytes };
        let mut out = Vec::with_capacity(stored.len().saturating_add(Self::HEAD));
        out.extend_from_slice(&MARKER);
        out.put_u64(offset);
        out.put_u32(self.bytes.len() as u32);
        out.put_u32(stored.len() as u32);
        out.put_u32(self.checksum);
        out.put_u32(checksum_of_both(&out, stored));
        out.extend_from_slice(stored);
        out
    }
}

/// The length that the head at `offset` states for a section, whether or not the section is whole.
pub(crate) fn stated_section_len(source: &(impl Source + ?Sized), offset: u64) -> Result<u64> {
    let head = read(source, offset, Dictionary::HEAD as u64, Section::Dictionary, "D2")?;
    let mut head = Decoder::new(&head, offset, Section::Dictionary);
    head.take(20, "D2")?;
    Ok(most_of_section(head.u32("D2")?))
}

/// The most bytes that the section of a dictionary of `len` bytes has: what is stored is not longer than the dictionary itself.
fn most_of_section(len: u32) -> u64 {
    u64::from(len).min(limits::DICTIONARY as u64).saturating_add(Dictionary::HEAD as u64)
}

/// Reads the section that stands at `offset`, of the dictionary with this length and checksum; returns the dictionary and
/// the length of the section.
///
/// # Errors
///
/// Corrupt if marker, offset, a length or a checksum is wrong.
pub(crate) fn read_section(
    source: &(impl Source + ?Sized),
    offset: u64,
    expected: (u32, u32),
) -> Result<(Vec<u8>, u64)> {
    let (bytes, sum, section_len) = read_any_section(source, offset, expected.0)?;
    if (bytes.len(), sum) != (expected.0 as usize, expected.1) {
        let reason = "it is not the one that the footer states";
        return Err(Error::corrupt(Section::Dictionary, offset, "D2", reason));
    }
    Ok((bytes, section_len))
}

/// Reads the section that stands at `offset`, of a dictionary of probably `len` bytes; returns the dictionary, its checksum and the
/// length of the section.
///
/// # Errors
///
/// Those of [`read_section`].
pub(crate) fn read_any_section(
    source: &(impl Source + ?Sized),
    offset: u64,
    len: u32,
) -> Result<(Vec<u8>, u32, u64)> {
    let corrupt = |rule, reason: String| Error::corrupt(Section::Dictionary, offset, rule, reason);
    // One read for all of it.
    let len = most_of_section(len).min(source.len().saturating_sub(offset));
    let mut section = read(source, offset, len.max(Dictionary::HEAD as u64), Section::Dictionary, "D2")?;
    let (head, rest) = section.split_at(Dictionary::HEAD);
    let mut fields = Decoder::new(head, offset, Section::Dictionary);
    if fields.take(8, "D2")? != MARKER {
        return Err(corrupt("D1", "it is missing: another marker is here".into()));
    }
    let own = fields.u64("D2")?;
    let (len, stored_len) = (fields.u32("D2")?, fields.u32("D2")? as usize);
    let (sum, section_sum) = (fields.u32("D2")?, fields.u32("D2")?);
    if len as usize > limits::DICTIONARY || stored_len > len as usize {
        return Err(corrupt("L1", format!("dictionary of {len} bytes, stored in {stored_len}")));
    }
    let content = offset.saturating_add(Dictionary::HEAD as u64);
    let stored = Decoder::new(rest, content, Section::Dictionary).take(stored_len, "D2")?;
    let (sealed, _) = head.split_at(Dictionary::HEAD - 4);
    let (found, sum_stored) = checksum_of_both_and_second(sealed, stored);
    compare(section_sum, found, Section::Dictionary, offset, "D2")?;
    if own != offset {
        return Err(corrupt("D2", format!("offset is {own}, {offset} expected")));
    }
    let bytes = if stored_len == len as usize {
        compare(sum, sum_stored, Section::Dictionary, offset, "D2")?;
        section.truncate(Dictionary::HEAD.saturating_add(stored_len));
        section.drain(..Dictionary::HEAD);
        section
    } else {
        let (codec, mut bytes) = (Codec::Zstd { level: LEVEL }, Vec::new());
        unpack(codec, stored, len as usize, None, &mut bytes, Section::Dictionary, content)?;
        check(sum, &bytes, Section::Dictionary, offset, "D2")?;
        bytes
    };
    Ok((bytes, sum, Dictionary::HEAD.saturating_add(stored_len) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: &[u8] = b"some dictionary, some of it again: dictionary, dictionary, dictionary";

    /// A file that has the section at byte 64, and what to expect of it.
    fn section() -> (Vec<u8>, (u32, u32)) {
        let dictionary = Dictionary::new(CONTENT.to_vec()).unwrap();
        ([vec![0; 64], dictionary.encode(64)].concat(), (CONTENT.len() as u32, dictionary.checksum()))
    }

    #[test]
    fn sections_round_trip_at_their_own_offset_only() {
        let (file, expected) = section();
        let (bytes, len) = read_section(&file, 64, expected).unwrap();
        assert_eq!((&bytes[..], len), (CONTENT, file.len() as u64 - 64));
        assert!(read_section(&file[1..].to_vec(), 63, expected).is_err());
        assert!(read_section(&file, 64, (expected.0, expected.1 ^ 1)).is_err());
    }

    #[test]
    fn every_flip_and_truncation_is_rejected() {
        let (file, expected) = section();
        for at in 64..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x10;
            assert!(read_section(&damaged, 64, expected).is_err(), "byte {at}");
            assert!(read_section(&file[..at].to_vec(), 64, expected).is_err(), "cut at {at}");
        }
    }
}
