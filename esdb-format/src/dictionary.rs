//! The zstd dictionary of a file: trained, kept if it wins, stored before and after the blocks (spec §3.3).

use std::panic::resume_unwind;

use crate::checksum::{check, checksum, checksum_of_both, checksum_of_both_and_second, compare};
use crate::codec::{Decoder, Encode};
use crate::compression::{Codec, Compressor, unpack};
use crate::error::{Error, Result, Section};
use crate::limits;
use crate::source::{Source, read};

pub(crate) const MARKER: [u8; 8] = *b"\x89ESDBD\r\n";

/// How much data a dictionary is trained on, in bytes.
pub(crate) const SAMPLE: usize = 2 << 20;

/// Events with little data are not waited for beyond this much of keys, in bytes, …
pub(crate) const SAMPLE_KEYS: usize = 16 << 20;

/// … or this many blocks.
pub(crate) const SAMPLE_BLOCKS: usize = 32;

/// The dictionaries that are tried: of at most so many bytes, and never more than one in so many of the sample.
const SIZES: [usize; 2] = [32 << 10, 64 << 10];
const PART_OF_SAMPLE: usize = 16;

/// Smaller ones are not worth their sections, in bytes.
const SMALLEST: usize = 256;

/// How often a full sample counts, as more data is likely to follow.
const MORE_FOLLOWS: usize = 4;

/// None is trained unless so many bytes at the beginning of the sample help to compress …
const PROBE: usize = 16 << 10;

/// … so many behind them.
const PROBED: usize = 256 << 10;

/// The level that is left to the writer is the first of these, or the second one if a sample of so many bytes grows by at most one part in
/// so many with it.
const LEVELS: [i32; 2] = [3, 1];
const ENOUGH: usize = 1 << 20;
const MOST_GROWTH: usize = 100;

/// How hard the dictionary itself is compressed.
const LEVEL: i32 = 12;

/// From this offset on a section is stored as it is: a file so long hardly grows by it, and whoever opens it waits less.
pub(crate) const AS_IT_IS: u64 = 16 << 20;

/// A dictionary that was trained.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dictionary {
    bytes: Vec<u8>,
    checksum: u32,
    stored: Vec<u8>,
}

impl Dictionary {
    /// Bytes of the section before the dictionary itself.
    pub(crate) const HEAD: usize = 32;

    fn new(bytes: Vec<u8>) -> Result<Self> {
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

    /// The dictionary that makes most of `sample`, frames of these lengths, if one wins (spec §10).
    ///
    /// `is_full`: the sample ended because it was large enough, not because the file did. With `parallel`, the candidates are
    /// trained side by side.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "lengths of a sample in memory, and a few times those"
    )]
    pub(crate) fn train(
        codec: Codec,
        sample: &[u8],
        frames: &[usize],
        is_full: bool,
        parallel: bool,
    ) -> Result<Option<Self>> {
        if !matches!(codec, Codec::Zstd { .. }) || !may_win(codec, sample, frames) {
            return Ok(None);
        }
        let mut sizes = SIZES.map(|size| size.min(sample.len() / PART_OF_SAMPLE)).to_vec();
        sizes.dedup();
        sizes.retain(|&size| size >= SMALLEST);
        let weight = if is_full { MORE_FOLLOWS } else { 1 };
        let cost = |size: Option<usize>| -> Result<Option<(usize, Option<Self>)>> {
            let Some(size) = size else {
                return Ok(Some((weight * compressed_len(codec, &[], sample, frames)?, None)));
            };
            // zstd refuses samples that are too few or too alike: there is nothing to win from them.
            let Ok(bytes) = zstd::dict::from_continuous(sample, frames, size) else { return Ok(None) };
            let dictionary = Self::new(bytes)?;
            let frames = weight * compressed_len(codec, &dictionary.bytes, sample, frames)?;
            Ok(Some((frames + 2 * dictionary.section_len(), Some(dictionary))))
        };
        let candidates = std::iter::once(None).chain(sizes.into_iter().map(Some));
        let costs: Vec<_> = if parallel {
            std::thread::scope(|scope| {
                let start = |size| {
                    let thread = std::thread::Builder::new().spawn_scoped(scope, move || cost(size));
                    thread.map_err(Error::io("cannot start a thread"))
                };
                let started: Vec<_> = candidates.map(start).collect();
                let end = |thread: Result<std::thread::ScopedJoinHandle<'_, _>>| {
                    thread?.join().unwrap_or_else(|panic| resume_unwind(panic))
                };
                started.into_iter().map(end).collect()
            })
        } else {
            candidates.map(cost).collect()
        };
        let mut best: Option<(usize, Option<Self>)> = None;
        for candidate in costs {
            if let Some(candidate) = candidate?
                && best.as_ref().is_none_or(|best| candidate.0 < best.0)
            {
                best = Some(candidate);
            }
        }
        Ok(best.and_then(|(_, dictionary)| dictionary))
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

/// Whether a dictionary may win: training takes long, so what stands before some frames is tried as it is.
fn may_win(codec: Codec, sample: &[u8], frames: &[usize]) -> bool {
    let (first, behind) = frames.split_at(count_of(frames, PROBE));
    let behind = behind.get(..count_of(behind, PROBED)).unwrap_or_default();
    let (prefix, rest) = sample.split_at(first.iter().sum::<usize>().min(sample.len()));
    let (with, without) =
        (compressed_len(codec, prefix, rest, behind), compressed_len(codec, &[], rest, behind));
    // zstd refuses what begins like a trained dictionary and is none: nothing can be told then.
    behind.is_empty() || with.is_err() || without.is_err() || with.ok() < without.ok()
}

/// The codec with the level that is used, where it is left to the writer (spec §10).
///
/// `dictionary` is the file's.
pub(crate) fn with_level(codec: Codec, dictionary: &[u8], sample: &[u8], frames: &[usize]) -> Result<Codec> {
    if codec != (Codec::Zstd { level: 0 }) {
        return Ok(codec);
    }
    let [usual, fast] = LEVELS.map(|level| Codec::Zstd { level });
    let len = |codec| compressed_len(codec, dictionary, sample, frames);
    let most = |len: usize| len.saturating_add(len / MOST_GROWTH);
    let is_as_good = sample.len() >= ENOUGH && len(fast)? <= most(len(usual)?);
    Ok(if is_as_good { fast } else { usual })
}

/// How many frames hold the first `bytes`.
fn count_of(frames: &[usize], bytes: usize) -> usize {
    let mut sum = 0_usize;
    let starts = frames.iter().map(|len| {
        let start = sum;
        sum = sum.saturating_add(*len);
        start
    });
    starts.take_while(|start| *start < bytes).count()
}

#[expect(clippy::arithmetic_side_effects, reason = "at most the length of a sample in memory")]
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

    #[test]
    fn the_level_suits_the_sample() {
        let random = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24;
        let digits: Vec<u8> = (0..150_000).flat_map(|i| format!("{:010}", random(i)).into_bytes()).collect();
        let words = ["lamp", "chair", "garden", "light", "delivery", "broken", "thank", "please"];
        let word =
            |i: u64| format!("{} ", words[(random(i / 5) ^ (random(i) % 5)) as usize % 8]).into_bytes();
        let text: Vec<u8> = (0..250_000).flat_map(word).collect();
        let level = |codec, sample: &[u8]| {
            with_level(codec, &[], sample, &vec![8_192; sample.len() / 8_192]).unwrap().level()
        };
        let left = Codec::default();
        assert_eq!((level(left, &digits), level(left, &text)), (1, 3));
        // Of less too little is at stake, and who says a level gets it.
        assert_eq!(level(left, &digits[..ENOUGH - 1]), 3);
        assert_eq!(level(Codec::Zstd { level: 3 }, &digits), 3);
        assert_eq!(with_level(Codec::Lz4, &[], &digits, &[8_192]).unwrap(), Codec::Lz4);
    }

    /// Text that looks like a dictionary, and is none, is no reason to give up.
    #[test]
    fn a_sample_may_begin_like_a_dictionary() {
        let mut sample = vec![0x37, 0xA4, 0x30, 0xEC, 1, 2, 3, 4];
        for i in 0..20_000_u32 {
            sample.extend(format!("event {} of many, like {}; ", i % 771, i % 63).bytes());
        }
        let frames = vec![8_000; sample.len() / 8_000];
        sample.truncate(8_000 * frames.len());
        assert!(compressed_len(Codec::default(), &sample[..16_000], &sample, &frames).is_err());
        assert!(may_win(Codec::default(), &sample, &frames));
        assert!(Dictionary::train(Codec::default(), &sample, &frames, true, false).is_ok());
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
        assert!(!may_win(Codec::default(), &noise, &[4000; 25]));
        let kept = Dictionary::train(Codec::default(), &noise, &[4000; 25], false, false).unwrap();
        assert_eq!(kept, None);
    }
}
