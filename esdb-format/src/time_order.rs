//! Time order: for spaces with several groupings, from time number to ordinal (spec §6.5).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::codec::{Decoder, Encode};
use crate::error::Result;
use crate::limits;
use crate::packed::{FRAME, bits, decode_column, encode_column, pack, unpack};

/// An event's place in file order, and the place of the first event of its grouping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) ordinal: u64,
    pub(crate) run: u64,
}

/// Appends a frame: up to [`limits::TIME_FRAME`] events in time order, the first of which has `timestamp`.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "places of the frame itself, which has an event; bases ascend"
)]
pub(crate) fn encode(places: &[Place], timestamp: i64, out: &mut Vec<u8>) {
    let mut by_run: Vec<(u64, u32)> = places.iter().zip(0..).map(|(place, at)| (place.run, at)).collect();
    by_run.sort_unstable();
    let (mut bases, mut codes) = (Vec::new(), vec![0; places.len()]);
    let mut run = None;
    for (its_run, at) in by_run {
        if run != Some(its_run) {
            run = Some(its_run);
            // The first ordinal of a grouping is its smallest: inside a grouping time order is file order.
            bases.push(places[at as usize].ordinal);
        }
        codes[at as usize] = bases.len() as u64 - 1;
    }
    out.put_varint(places.len() as u64);
    out.put_svarint(timestamp);
    out.put_varint(bases.len() as u64);
    out.put_varint(bases[0]);
    let gaps: Vec<u64> = bases.windows(2).map(|pair| pair[1] - pair[0] - 1).collect();
    encode_column(&gaps, out);
    pack(codes.into_iter(), code_width(bases.len()), out);
}

/// How many bits name one of `count` bases.
fn code_width(count: usize) -> usize {
    bits((count as u64).saturating_sub(1))
}

/// So many single ordinals of a frame cost about as much as all of them.
const OFTEN: u32 = 16;

/// A decoded frame.
#[derive(Debug, Default)]
pub(crate) struct TimeFrame {
    /// The first event's timestamp.
    pub(crate) timestamp: i64,
    /// For each grouping, the ordinal of its first event in the frame.
    bases: Vec<u64>,
    /// In time order, the place of each event's base.
    codes: Vec<u16>,
    /// How often an ordinal was asked for.
    asked: AtomicU32,
    /// Once ordinals were asked for often: those of all events, counted from the first base. Empty where 32 bits are too few.
    ordinals: OnceLock<Vec<u32>>,
}

impl PartialEq for TimeFrame {
    /// What was counted on the way makes no difference.
    fn eq(&self, other: &Self) -> bool {
        (self.timestamp, &self.bases, &self.codes) == (other.timestamp, &other.bases, &other.codes)
    }
}

impl TimeFrame {
    pub(crate) fn decode(mut decoder: Decoder<'_>) -> Result<Self> {
        let (count, timestamp) = Self::head(&mut decoder)?;
        let base_count = decoder.varint("P4")?;
        if base_count == 0 || base_count > count {
            return Err(decoder.corrupt("T7", format!("frame of {count} events with {base_count} bases")));
        }
        let (count, base_count) = (count as usize, base_count as usize);
        let mut bases = Vec::with_capacity(base_count);
        let mut base = decoder.varint("P4")?;
        bases.push(base);
        let here = decoder.clone();
        decode_column(&mut decoder, base_count.saturating_sub(1), |gaps| {
            // No sum overflows, unless one gap alone reaches far beyond all ordinals there can be.
            if gaps.iter().fold(0, |all, gap| all | gap) > i64::MAX as u64 {
                return Err(here.corrupt("T6", "ordinal exceeds 63 bits"));
            }
            for gap in gaps {
                base = base.saturating_add(gap.saturating_add(1));
                bases.push(base);
            }
            Ok(())
        })?;
        let mut codes = Vec::with_capacity(count);
        let mut unpacked = [0; FRAME];
        for start in (0..count).step_by(FRAME) {
            let some = unpacked.get_mut(..count.saturating_sub(start).min(FRAME)).unwrap_or_default();
            unpack(&mut decoder, code_width(base_count), some)?;
            codes.extend(some.iter().map(|&code| code as u16));
        }
        decoder.finish("P4")?;
        if codes.iter().any(|&code| usize::from(code) >= base_count) {
            return Err(decoder.corrupt("T7", format!("a code beyond the {base_count} bases")));
        }
        Ok(Self { timestamp, bases, codes, ..Self::default() })
    }

    /// The number of events and the first timestamp.
    fn head(decoder: &mut Decoder<'_>) -> Result<(u64, i64)> {
        let count = decoder.varint("P4")?;
        if count == 0 || count > limits::TIME_FRAME as u64 {
            return Err(decoder.corrupt("T7", format!("frame of {count} events")));
        }
        Ok((count, decoder.svarint("P4")?))
    }

    /// The number of events and the first timestamp, without decoding the rest.
    pub(crate) fn peek(mut decoder: Decoder<'_>) -> Result<(u64, i64)> {
        Self::head(&mut decoder)
    }

    /// How many events it has.
    pub(crate) fn len(&self) -> usize {
        self.codes.len()
    }

    /// The ordinal of the event at a place in time order, which must exist. Costs a pass over the codes before it, until that was
    /// done often.
    #[expect(
        clippy::indexing_slicing,
        reason = "the caller knows how many there are; codes were compared with the bases"
    )]
    pub(crate) fn ordinal(&self, place: usize) -> u64 {
        let often = || self.asked.fetch_add(1, Ordering::Relaxed) > OFTEN;
        if (self.ordinals.get().is_some() || often())
            && let Some(&ordinal) = self.ordinals.get_or_init(|| self.all_ordinals()).get(place)
        {
            return self.bases[0].saturating_add(ordinal.into());
        }
        let code = self.codes[place];
        // Summed as 16 bits, of which many are added at once: there are fewer codes than that.
        let before = self.codes[..place].iter().map(|&other| u16::from(other == code)).sum::<u16>();
        self.bases[usize::from(code)].saturating_add(before.into())
    }

    /// The ordinals of all events, counted from the first base; none if they do not fit.
    #[expect(clippy::indexing_slicing, reason = "codes were compared with the bases")]
    fn all_ordinals(&self) -> Vec<u32> {
        let first = self.bases.first().copied().unwrap_or(0);
        let mut next: Vec<u64> = self.bases.iter().map(|base| base.saturating_sub(first)).collect();
        let each = |&code: &u16| {
            let next = &mut next[usize::from(code)];
            let ordinal = *next;
            *next = ordinal.saturating_add(1);
            u32::try_from(ordinal).ok()
        };
        self.codes.iter().map(each).collect::<Option<_>>().unwrap_or_default()
    }

    /// Bytes of memory in use once ordinals were asked for often.
    pub(crate) fn memory(&self) -> usize {
        let (bases, codes) = (self.bases.capacity(), self.codes.capacity());
        bases.saturating_mul(8).saturating_add(codes.saturating_mul(6)).saturating_add(size_of::<Self>())
    }

    /// Whether every base has an event.
    #[expect(clippy::indexing_slicing, reason = "codes were compared with the bases")]
    pub(crate) fn is_tight(&self) -> bool {
        let mut used = vec![false; self.bases.len()];
        self.codes.iter().for_each(|&code| used[usize::from(code)] = true);
        !used.contains(&false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Section;

    const SECTION: Section = Section::TimeOrder;

    fn round_trip(ordinals: &[u64], run_of: impl Fn(u64) -> u64) -> usize {
        let mut bytes = Vec::new();
        let places: Vec<Place> =
            ordinals.iter().map(|&ordinal| Place { ordinal, run: run_of(ordinal) }).collect();
        encode(&places, -7, &mut bytes);
        let frame = TimeFrame::decode(Decoder::new(&bytes, 0, SECTION)).unwrap();
        assert!(frame.memory() >= size_of::<TimeFrame>() + 8 * frame.bases.len() + 6 * frame.codes.len());
        assert!(frame.memory() <= size_of::<TimeFrame>() + 15 * ordinals.len());
        assert_eq!((frame.timestamp, frame.is_tight()), (-7, true));
        // Twice: first without having been asked often.
        for places in
            [(0..ordinals.len()).rev().step_by(300).collect::<Vec<_>>(), (0..ordinals.len()).collect()]
        {
            let found: Vec<u64> = places.iter().map(|&place| frame.ordinal(place)).collect();
            assert_eq!(found, places.iter().map(|&place| ordinals[place]).collect::<Vec<_>>());
        }
        assert_eq!(frame.ordinals.get().is_some(), ordinals.len() > 40);
        assert_eq!(TimeFrame::peek(Decoder::new(&bytes, 0, SECTION)).unwrap(), (ordinals.len() as u64, -7));
        for len in 0..bytes.len() {
            assert!(TimeFrame::decode(Decoder::new(&bytes[..len], 0, SECTION)).is_err(), "{len}");
        }
        bytes.len()
    }

    #[test]
    fn interleaved_groupings_take_a_few_bits_each() {
        // Four groupings of 1,000 events each that take turns.
        let ordinals: Vec<u64> = (0..128).map(|i| 50_000 + (i % 4) * 1000 + i / 4).collect();
        let len = round_trip(&ordinals, |ordinal| (ordinal - 50_000) / 1000);
        assert!(len < 48, "{len}");
    }

    #[test]
    fn a_grouping_for_each_event_round_trips() {
        let ordinals: Vec<u64> = (0..128_u64).map(|i| (i * 77) % 128 * 3).collect();
        round_trip(&ordinals, |ordinal| ordinal);
    }

    #[test]
    fn a_full_frame_round_trips() {
        let groupings = 1_600;
        let ordinals: Vec<u64> = (0..4_096).map(|i| (i * 787 % groupings) * 1_000 + i / groupings).collect();
        round_trip(&ordinals, |ordinal| ordinal / 1_000);
    }

    #[test]
    fn groupings_far_apart_round_trip() {
        let ordinals: Vec<u64> = (0..200).map(|i| ((i % 2) << 40) | (i / 2)).collect();
        round_trip(&ordinals, |ordinal| ordinal >> 40);
    }

    #[test]
    fn one_event_round_trips() {
        round_trip(&[1 << 40], |ordinal| ordinal);
    }
}
