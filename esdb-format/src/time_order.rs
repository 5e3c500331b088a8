//! Time order: for spaces with several groupings, from time number to ordinal (spec §6.5).

use crate::codec::{Decoder, Encode};
use crate::error::Result;
use crate::packed::{FRAME, bits, decode_frame, encode_frame, pack, unpack};

/// An event's place in file order, and the place of the first event of its grouping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) ordinal: u64,
    pub(crate) run: u64,
}

/// Appends a frame: up to 128 events in time order, the first of which has `timestamp`.
pub(crate) fn encode(places: &[Place], timestamp: i64, out: &mut Vec<u8>) {
    let mut distinct: Vec<(u64, u64)> = places.iter().map(|place| (place.run, place.ordinal)).collect();
    // The first ordinal of a grouping is its smallest: inside a grouping time order is file order.
    distinct.sort_unstable();
    distinct.dedup_by_key(|(run, _)| *run);

    out.put_u8(places.len() as u8);
    out.put_svarint(timestamp);
    out.put_u8(distinct.len() as u8);
    out.put_varint(distinct[0].1);
    if distinct.len() > 1 {
        let gaps: Vec<u64> = distinct.windows(2).map(|pair| pair[1].1 - pair[0].1 - 1).collect();
        encode_frame(&gaps, out);
    }
    let codes = places.iter().map(|place| distinct.partition_point(|(run, _)| *run < place.run) as u64);
    pack(codes, code_width(distinct.len()), out);
}

/// How many bits name one of `count` bases.
fn code_width(count: usize) -> usize {
    bits(count as u64 - 1)
}

/// A decoded frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimeFrame {
    /// The first event's timestamp.
    pub(crate) timestamp: i64,
    /// The ordinals in time order.
    pub(crate) ordinals: Vec<u64>,
}

impl TimeFrame {
    pub(crate) fn decode(mut decoder: Decoder<'_>) -> Result<Self> {
        let count = usize::from(decoder.u8("P4")?);
        let timestamp = decoder.svarint("P4")?;
        let base_count = usize::from(decoder.u8("P4")?);
        if count == 0 || count > FRAME || base_count == 0 || base_count > count {
            return Err(decoder.corrupt("T7", format!("frame of {count} events with {base_count} bases")));
        }
        let mut next = [0; FRAME];
        let next = &mut next[..base_count];
        next[0] = decoder.varint("P4")?;
        if base_count > 1 {
            let mut gaps = [0; FRAME];
            let gaps = &mut gaps[..base_count - 1];
            decode_frame(&mut decoder, gaps)?;
            for (at, &gap) in gaps.iter().enumerate() {
                let base = next[at].checked_add(gap).and_then(|base| base.checked_add(1));
                next[at + 1] = base.ok_or_else(|| decoder.corrupt("T6", "ordinal exceeds 64 bits"))?;
            }
        }
        let mut codes = [0; FRAME];
        let codes = &mut codes[..count];
        unpack(&mut decoder, code_width(base_count), codes)?;
        decoder.finish("P4")?;
        let mut used = [false; FRAME];
        let mut ordinals = Vec::with_capacity(count);
        for &code in &*codes {
            let Some(ordinal) = next.get_mut(code as usize) else {
                return Err(decoder.corrupt("T7", format!("code {code} with {base_count} bases")));
            };
            used[code as usize] = true;
            ordinals.push(*ordinal);
            *ordinal = ordinal.saturating_add(1);
        }
        if used[..base_count].contains(&false) {
            return Err(decoder.corrupt("T7", "a base without events"));
        }
        Ok(Self { timestamp, ordinals })
    }

    /// The number of events and the first timestamp, without decoding the rest.
    pub(crate) fn peek(mut decoder: Decoder<'_>) -> Result<(u64, i64)> {
        Ok((u64::from(decoder.u8("P4")?), decoder.svarint("P4")?))
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
        assert_eq!(frame, TimeFrame { timestamp: -7, ordinals: ordinals.to_vec() });
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
    fn one_event_round_trips() {
        round_trip(&[1 << 40], |ordinal| ordinal);
    }
}
