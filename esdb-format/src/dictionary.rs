//! The zstd dictionary of a file: trained, kept if it wins, stored before and after the blocks (spec §3.3).

use std::sync::Arc;

use crate::checksum::{check, checksum, checksum_of_both, compare};
use crate::codec::{Decoder, Encode};
use crate::compression::{Codec, Compressor, unpack};
use crate::error::{Error, Result, Section};
use crate::limits;
use crate::source::{Source, read};

const MARKER: [u8; 8] = *b"\x89ESDBD\r\n";

/// How much data a dictionary is trained on, in bytes.
pub(crate) const SAMPLE: usize = 1 << 20;

/// Events with little data are not waited for beyond this much of keys, in bytes, …
pub(crate) const SAMPLE_KEYS: usize = 16 << 20;

/// … or this many blocks.
pub(crate) const SAMPLE_BLOCKS: usize = 32;

/// The sizes of dictionaries that are tried, in bytes.
const SIZES: [usize; 2] = [16 << 10, 32 << 10];

/// How often a full sample counts, as more data is likely to follow.
const MORE_FOLLOWS: usize = 4;

/// How hard the dictionary itself is compressed.
const LEVEL: i32 = 19;

/// A dictionary, its checksum, and its stored form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dictionary {
    bytes: Arc<[u8]>,
    checksum: u32,
    stored: Vec<u8>,
}

impl Dictionary {
    /// Bytes of the section before the dictionary itself.
    pub(crate) const HEAD: usize = 32;

    pub(crate) fn new(bytes: Vec<u8>) -> Result<Self> {
        let mut stored = Vec::new();
        Compressor::new(Codec::Zstd { level: LEVEL }, &[])?.append(&bytes, &mut stored)?;
        Ok(Self { checksum: checksum(&bytes), bytes: bytes.into(), stored })
    }

    pub(crate) fn bytes(&self) -> &Arc<[u8]> {
        &self.bytes
    }

    pub(crate) fn checksum(&self) -> u32 {
        self.checksum
    }

    /// The length of the section.
    pub(crate) fn section_len(&self) -> usize {
        Self::HEAD + self.stored.len()
    }

    /// The dictionary that makes most of `sample`, frames of these lengths, if one wins (spec §10).
    ///
    /// `is_full`: the sample ended because it was large enough, not because the file did.
    pub(crate) fn train(
        codec: Codec,
        sample: &[u8],
        frames: &[usize],
        is_full: bool,
    ) -> Result<Option<Self>> {
        if !matches!(codec, Codec::Zstd { .. }) {
            return Ok(None);
        }
        let weight = if is_full { MORE_FOLLOWS } else { 1 };
        let mut best = (weight * compressed_len(codec, &[], sample, frames)?, None);
        for size in SIZES {
            // zstd refuses samples that are too few or too alike: there is nothing to win from them.
            let Ok(bytes) = zstd::dict::from_continuous(sample, frames, size) else { continue };
            let dictionary = Self::new(bytes)?;
            let len = weight * compressed_len(codec, &dictionary.bytes, sample, frames)?
                + 2 * dictionary.section_len();
            if len < best.0 {
                best = (len, Some(dictionary));
            }
        }
        Ok(best.1)
    }

    /// The section as it stands at `offset` of the file.
    pub(crate) fn encode(&self, offset: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.section_len());
        out.extend_from_slice(&MARKER);
        out.put_u64(offset);
        out.put_u32(self.bytes.len() as u32);
        out.put_u32(self.stored.len() as u32);
        out.put_u32(self.checksum);
        out.put_u32(checksum_of_both(&out, &self.stored));
        out.extend_from_slice(&self.stored);
        out
    }

    /// The length that the head at `offset` states for the section, whether or not the section is whole.
    pub(crate) fn stored_len(source: &(impl Source + ?Sized), offset: u64) -> Result<u64> {
        let head = read(source, offset, Self::HEAD as u64, Section::Dictionary, "D2")?;
        let len = Decoder::new(&head[20..], offset, Section::Dictionary).u32("D2")?;
        Ok(Self::HEAD as u64 + u64::from(len).min(limits::DICTIONARY as u64))
    }

    /// Reads the section that stands at `offset`, of a dictionary of at most `most` bytes.
    ///
    /// # Errors
    ///
    /// Corrupt if marker, offset, a length or a checksum is wrong.
    pub(crate) fn read(source: &(impl Source + ?Sized), offset: u64, most: u32) -> Result<Self> {
        // One read for all of it: what is stored is not longer than the dictionary itself.
        let len = (Self::HEAD as u64 + u64::from(most).min(limits::DICTIONARY as u64))
            .min(source.len().saturating_sub(offset));
        let bytes = read(source, offset, len.max(Self::HEAD as u64), Section::Dictionary, "D2")?;
        let (head, rest) = bytes.split_at(Self::HEAD);
        let mut fields = Decoder::new(head, offset, Section::Dictionary);
        if fields.take(8, "D2")? != MARKER {
            return Err(Error::corrupt(
                Section::Dictionary,
                offset,
                "D1",
                "it is missing: another marker is here",
            ));
        }
        let own = fields.u64("D2")?;
        let (len, stored_len) = (fields.u32("D2")? as usize, fields.u32("D2")? as usize);
        let (sum, section_sum) = (fields.u32("D2")?, fields.u32("D2")?);
        if len > limits::DICTIONARY || stored_len > len {
            let reason = format!("dictionary of {len} bytes, stored in {stored_len}");
            return Err(Error::corrupt(Section::Dictionary, offset, "L1", reason));
        }
        let content = offset.saturating_add(Self::HEAD as u64);
        let stored = Decoder::new(rest, content, Section::Dictionary).take(stored_len, "D2")?.to_vec();
        let found = checksum_of_both(&head[..Self::HEAD - 4], &stored);
        compare(section_sum, found, Section::Dictionary, offset, "D2")?;
        if own != offset {
            let reason = format!("offset is {own}, {offset} expected");
            return Err(Error::corrupt(Section::Dictionary, offset, "D2", reason));
        }
        let mut bytes = Vec::new();
        unpack(Codec::Zstd { level: LEVEL }, &stored, len, None, &mut bytes, Section::Dictionary, content)?;
        check(sum, &bytes, Section::Dictionary, offset, "D2")?;
        Ok(Self { bytes: bytes.into(), checksum: sum, stored })
    }
}

fn compressed_len(codec: Codec, dictionary: &[u8], sample: &[u8], frames: &[usize]) -> Result<usize> {
    let mut compressor = Compressor::new(codec, dictionary)?;
    let (mut total, mut rest, mut out) = (0, sample, Vec::new());
    for &len in frames {
        let (frame, after) = rest.split_at(len.min(rest.len()));
        out.clear();
        total += compressor.append(frame, &mut out)?;
        rest = after;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that has the section at byte 64.
    fn section() -> Vec<u8> {
        let dictionary = Dictionary::new(b"some dictionary".repeat(9)).unwrap();
        [vec![0; 64], dictionary.encode(64)].concat()
    }

    #[test]
    fn sections_round_trip_at_their_own_offset_only() {
        let file = section();
        assert_eq!(Dictionary::read(&file, 64, 1000).unwrap().bytes()[..], b"some dictionary".repeat(9));
        assert!(Dictionary::read(&file[1..].to_vec(), 63, 1000).is_err());
    }

    #[test]
    fn every_flip_and_truncation_is_rejected() {
        let file = section();
        for at in 64..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0x10;
            assert!(Dictionary::read(&damaged, 64, 1000).is_err(), "byte {at}");
            assert!(Dictionary::read(&file[..at].to_vec(), 64, 1000).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn noise_trains_no_dictionary() {
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(100_000)
        .collect();
        let kept = Dictionary::train(Codec::default(), &noise, &[4000; 25], false).unwrap();
        assert_eq!(kept, None);
    }
}
