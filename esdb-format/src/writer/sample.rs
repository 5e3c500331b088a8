//! The first events of a file: whether a dictionary is trained on them, which level and which frame size suit them (spec §10).

use std::panic::resume_unwind;

use crate::block::{BlockDraft, FrameCuts};
use crate::compression::{Codec, Compressor};
use crate::dictionary::Dictionary;
use crate::error::{Error, Result};

/// How much data is looked at, in bytes.
pub(super) const DATA: usize = 2 << 20;

/// Events with little data are not waited for beyond this much of keys, in bytes, …
pub(super) const KEYS: usize = 16 << 20;

/// … or this many blocks.
pub(super) const BLOCKS: usize = 32;

/// A dictionary has at most so many bytes if more data follows, …
const SIZE: usize = 64 << 10;

/// … so many if none does, and never more than one in so many of the sample.
const SIZE_OF_ALL: usize = 32 << 10;
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

/// The frame size that is left to the writer, in bytes. Frames of zstd that have no dictionary begin with tables of their own, which small
/// ones do not pay for.
pub(super) const FRAME_SIZE: u32 = 4 << 10;
const FRAME_SIZE_WITH_TABLES: u32 = 8 << 10;

/// The frame size that suits a codec.
pub(super) fn frame_size(codec: Codec, has_dictionary: bool) -> u32 {
    match codec {
        Codec::Zstd { .. } if !has_dictionary => FRAME_SIZE_WITH_TABLES,
        _ => FRAME_SIZE,
    }
}

/// Data of the first events.
pub(super) struct Sample {
    data: Vec<u8>,
    /// The lengths of the frames that it makes.
    frames: Vec<usize>,
    /// It ended because it was large enough, not because the file did.
    is_full: bool,
}

/// A dictionary or none, and how long the sample's frames are with it.
struct Choice {
    dictionary: Option<Dictionary>,
    len: usize,
}

impl Sample {
    /// Of blocks whose frames end as `cuts` says. `giant_follows`: the next event is too large for the sample.
    pub(super) fn new(drafts: &[BlockDraft], cuts: FrameCuts, giant_follows: bool) -> Self {
        let mut sample = Self { data: Vec::new(), frames: Vec::new(), is_full: giant_follows };
        for draft in drafts {
            let mut cuts = cuts;
            let mut data = draft.payload();
            let mut frame = 0;
            for &len in draft.lens() {
                let len = len as usize;
                if sample.data.len() + len > DATA {
                    sample.frames.push(frame);
                    sample.is_full = true;
                    return sample;
                }
                if cuts.add(len).is_some() {
                    sample.frames.push(std::mem::take(&mut frame));
                }
                let (event, rest) = data.split_at(len);
                sample.data.extend_from_slice(event);
                (data, frame) = (rest, frame + len);
            }
            sample.frames.push(frame);
        }
        sample
    }

    /// The dictionary of the file, if one wins, and the codec with its level. With `parallel`, two threads find out.
    pub(super) fn choose(&self, codec: Codec, parallel: bool) -> Result<(Option<Dictionary>, Codec)> {
        let Codec::Zstd { level } = codec else { return Ok((None, codec)) };
        let best = if self.may_win(codec) { Some(self.best(codec, parallel)?) } else { None };
        let (dictionary, len) = best.map_or((None, None), |best| (best.dictionary, Some(best.len)));
        let codec = if level == 0 { self.with_level(dictionary.as_ref(), len)? } else { codec };
        Ok((dictionary, codec))
    }

    /// Whether a dictionary may win: training takes long, so what stands before some frames is tried as it is.
    fn may_win(&self, codec: Codec) -> bool {
        let (first, behind) = self.frames.split_at(count_of(&self.frames, PROBE));
        let behind = &behind[..count_of(behind, PROBED)];
        let (prefix, rest) = self.data.split_at(first.iter().sum());
        let with = compressed_len(codec, prefix, rest, behind);
        let without = compressed_len(codec, &[], rest, behind);
        // zstd refuses what begins like a trained dictionary and is none: nothing can be told then.
        behind.is_empty() || with.is_err() || without.is_err() || with.ok() < without.ok()
    }

    /// Of no dictionary and those that zstd trains, what makes least of the sample.
    fn best(&self, codec: Codec, parallel: bool) -> Result<Choice> {
        let none = || self.with_dictionary(codec, None);
        let (none, trained) = if parallel {
            std::thread::scope(|scope| {
                let thread = std::thread::Builder::new().spawn_scoped(scope, none);
                let thread = thread.map_err(Error::io("cannot start a thread"))?;
                let trained = self.trained(codec);
                let none = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
                Result::Ok((none?, trained?))
            })?
        } else {
            (none()?, self.trained(codec)?)
        };
        let weight = if self.is_full { MORE_FOLLOWS } else { 1 };
        Ok(trained
            .into_iter()
            .fold(none, |best, choice| if choice.cost(weight) < best.cost(weight) { choice } else { best }))
    }

    /// The dictionaries that are worth a try.
    fn trained(&self, codec: Codec) -> Result<Vec<Choice>> {
        let mut tried = Vec::new();
        let sizes = if self.is_full { &[SIZE, SIZE_OF_ALL][..] } else { &[SIZE_OF_ALL] };
        for &size in sizes {
            let size = size.min(self.data.len() / PART_OF_SAMPLE);
            // zstd refuses samples that are too few or too alike: there is nothing to win from them.
            let trained = zstd::dict::from_continuous(&self.data, &self.frames, size);
            let Some(bytes) = trained.ok().filter(|_| size >= SMALLEST) else { break };
            let is_filled = bytes.len() == size;
            tried.push(self.with_dictionary(codec, Some(Dictionary::new(bytes)?))?);
            if is_filled {
                break;
            }
        }
        Ok(tried)
    }

    fn with_dictionary(&self, codec: Codec, dictionary: Option<Dictionary>) -> Result<Choice> {
        let bytes = dictionary.as_ref().map(Dictionary::bytes).unwrap_or_default();
        let len = compressed_len(codec, bytes, &self.data, &self.frames)?;
        Ok(Choice { dictionary, len })
    }

    /// The codec with the level that suits the sample. `usual`: what its frames add up to with the usual level, if that is known.
    fn with_level(&self, dictionary: Option<&Dictionary>, usual: Option<usize>) -> Result<Codec> {
        let [usual_level, fast] = LEVELS.map(|level| Codec::Zstd { level });
        if self.data.len() < ENOUGH {
            return Ok(usual_level);
        }
        let bytes = dictionary.map(Dictionary::bytes).unwrap_or_default();
        let len = |codec| compressed_len(codec, bytes, &self.data, &self.frames);
        let usual = usual.map_or_else(|| len(usual_level), Ok)?;
        let is_as_good = len(fast)? <= usual + usual / MOST_GROWTH;
        Ok(if is_as_good { fast } else { usual_level })
    }
}

impl Choice {
    fn cost(&self, weight: usize) -> usize {
        let sections = self.dictionary.as_ref().map_or(0, |dictionary| 2 * dictionary.section_len());
        weight * self.len + sections
    }
}

/// How many frames hold the first `bytes`.
fn count_of(frames: &[usize], bytes: usize) -> usize {
    let mut sum = 0;
    let starts = frames.iter().map(|len| {
        let start = sum;
        sum += len;
        start
    });
    starts.take_while(|start| *start < bytes).count()
}

fn compressed_len(codec: Codec, dictionary: &[u8], data: &[u8], frames: &[usize]) -> Result<usize> {
    let mut compressor = Compressor::new(codec, dictionary)?;
    let (mut total, mut rest, mut out) = (0, data, Vec::new());
    for &len in frames {
        let (frame, after) = rest.split_at(len);
        out.clear();
        total += compressor.append(frame, &mut out)?;
        rest = after;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(data: impl Into<Vec<u8>>, frame: usize) -> Sample {
        let mut data = data.into();
        let frames = vec![frame; data.len() / frame];
        data.truncate(frame * frames.len());
        Sample { data, frames, is_full: false }
    }

    #[test]
    fn the_level_suits_the_sample() {
        let random = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 24;
        let digits: Vec<u8> = (0..150_000).flat_map(|i| format!("{:010}", random(i)).into_bytes()).collect();
        let words = ["lamp", "chair", "garden", "light", "delivery", "broken", "thank", "please"];
        let word =
            |i: u64| format!("{} ", words[(random(i / 5) ^ (random(i) % 5)) as usize % 8]).into_bytes();
        let text: Vec<u8> = (0..250_000).flat_map(word).collect();
        let level = |codec, data: &[u8]| sample(data, 8_192).choose(codec, false).unwrap().1.level();
        let left = Codec::default();
        assert_eq!((level(left, &digits), level(left, &text)), (1, 3));
        // Of less too little is at stake, and who says a level gets it.
        assert_eq!(level(left, &digits[..ENOUGH - 1]), 3);
        assert_eq!(level(Codec::Zstd { level: 3 }, &digits), 3);
        assert_eq!(sample(digits, 8_192).choose(Codec::Lz4, false).unwrap(), (None, Codec::Lz4));
    }

    /// Text that looks like a dictionary, and is none, is no reason to give up.
    #[test]
    fn a_sample_may_begin_like_a_dictionary() {
        let mut data = vec![0x37, 0xA4, 0x30, 0xEC, 1, 2, 3, 4];
        for i in 0..20_000_u32 {
            data.extend(format!("event {} of many, like {}; ", i % 771, i % 63).bytes());
        }
        let sample = sample(data, 8_000);
        assert!(
            compressed_len(Codec::default(), &sample.data[..16_000], &sample.data, &sample.frames).is_err()
        );
        assert!(sample.may_win(Codec::default()));
        assert!(sample.choose(Codec::default(), false).is_ok());
    }

    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let bytes = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        });
        bytes.take(len).collect()
    }

    #[test]
    fn noise_trains_no_dictionary() {
        let sample = sample(noise(100_000), 4_000);
        assert!(!sample.may_win(Codec::default()));
        assert_eq!(sample.choose(Codec::default(), false).unwrap().0, None);
    }

    #[test]
    fn a_small_dictionary_is_tried_if_nothing_follows_or_a_large_one_is_not_filled() {
        let words: Vec<String> = noise(40_000).chunks(4).map(|word| format!("{word:?}")).collect();
        let word = |at: &[u8]| &*words[(usize::from(at[0]) << 8 | usize::from(at[1])) % words.len()];
        let many: String = noise(1 << 19).chunks(2).map(word).collect();
        let few = "the same words again and again ".repeat(1 << 17);
        let sizes = |data: &str, is_full| {
            let sample = Sample { is_full, ..sample(&data[..DATA], 8_192) };
            let tried = sample.trained(Codec::default()).unwrap();
            tried.iter().map(|choice| choice.dictionary.as_ref().unwrap().bytes().len()).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&many, true), [SIZE]);
        assert_eq!(sizes(&many, false), [SIZE_OF_ALL]);
        let few = sizes(&few, true);
        assert!(few.len() == 2 && few[0] < SIZE, "{few:?}");
    }
}
