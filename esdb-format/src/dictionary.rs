//! The zstd dictionary of a file: trained, kept if it wins, stored before and after the blocks (spec §3.3).

use crate::checksum::{check, checksum};
use crate::codec::{Decoder, Encode};
use crate::compression::{Codec, Compressor};
use crate::error::{Result, Section};
use crate::limits;

const MARKER: [u8; 8] = *b"\x89ESDBD\r\n";

/// How much data a dictionary is trained on, in bytes.
pub(crate) const SAMPLE: usize = 1 << 20;

/// How large a trained dictionary may become, in bytes.
const SIZE: usize = 16 << 10;

/// A dictionary and its checksum.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dictionary {
    bytes: Vec<u8>,
    checksum: u32,
}

impl Dictionary {
    /// Bytes of the section beside the dictionary itself.
    pub(crate) const HEAD: usize = 28;

    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let checksum = checksum(&bytes);
        Self { bytes, checksum }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn checksum(&self) -> u32 {
        self.checksum
    }

    /// Trains a dictionary on `sample`, events of `lens` bytes, and keeps it if it wins on the `frames` of the sample.
    pub(crate) fn train(codec: Codec, sample: &[u8], lens: &[usize], frames: &[usize]) -> Result<Option<Self>> {
        if !matches!(codec, Codec::Zstd { .. }) {
            return Ok(None);
        }
        // zstd refuses samples that are too few or too alike: there is nothing to win from them.
        let Ok(bytes) = zstd::dict::from_continuous(sample, lens, SIZE) else { return Ok(None) };
        let dictionary = Self::new(bytes);
        let with = compressed_len(codec, Some(&dictionary), sample, frames)?;
        let without = compressed_len(codec, None, sample, frames)?;
        let cost = 2 * (dictionary.bytes.len() + Self::HEAD);
        Ok((with + cost < without).then_some(dictionary))
    }

    /// The section as it stands at `offset` of the file.
    pub(crate) fn encode(&self, offset: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::HEAD + self.bytes.len());
        out.extend_from_slice(&MARKER);
        out.put_u64(offset);
        out.put_u32(self.bytes.len() as u32);
        out.put_u32(self.checksum);
        out.put_u32(checksum(&out));
        out.extend_from_slice(&self.bytes);
        out
    }

    /// Decodes a section that stands at `offset`.
    ///
    /// # Errors
    ///
    /// Corrupt if marker, offset, length or a checksum is wrong.
    pub(crate) fn decode(bytes: &[u8], offset: u64) -> Result<Self> {
        let mut decoder = Decoder::new(bytes, offset, Section::Dictionary);
        let head = decoder.take(Self::HEAD, "D2")?;
        check(Decoder::new(&head[24..], 0, Section::Dictionary).u32("D2")?, &head[..24], Section::Dictionary, offset, "D2")?;
        let mut fields = Decoder::new(head, offset, Section::Dictionary);
        if fields.take(8, "D2")? != MARKER {
            return Err(fields.corrupt("D2", "marker is missing"));
        }
        let own = fields.u64("D2")?;
        if own != offset {
            return Err(fields.corrupt("D2", format!("offset is {own}, {offset} expected")));
        }
        let len = fields.u32("D2")? as usize;
        if len > limits::DICTIONARY {
            return Err(fields.corrupt("L1", format!("dictionary of {len} bytes")));
        }
        let sum = fields.u32("D2")?;
        let content = decoder.take(len, "D2")?;
        decoder.finish("D2")?;
        check(sum, content, Section::Dictionary, offset, "D2")?;
        Ok(Self { bytes: content.to_vec(), checksum: sum })
    }
}

fn compressed_len(codec: Codec, dictionary: Option<&Dictionary>, sample: &[u8], frames: &[usize]) -> Result<usize> {
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

    #[test]
    fn sections_round_trip_at_their_own_offset_only() {
        let dictionary = Dictionary::new(b"some dictionary".to_vec());
        let bytes = dictionary.encode(64);
        assert_eq!(Dictionary::decode(&bytes, 64).unwrap(), dictionary);
        assert!(Dictionary::decode(&bytes, 65).is_err());
    }

    #[test]
    fn every_flip_and_truncation_is_rejected() {
        let bytes = Dictionary::new(b"some dictionary".to_vec()).encode(64);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Dictionary::decode(&damaged, 64).is_err(), "byte {at}");
            assert!(Dictionary::decode(&bytes[..at], 64).is_err(), "cut at {at}");
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
        let kept = Dictionary::train(Codec::default(), &noise, &[100; 1000], &[4000; 25]).unwrap();
        assert_eq!(kept, None);
    }
}
