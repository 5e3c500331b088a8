//! Ascending numbers in few bits: a frame of a posting list (spec §4.5).
//!
//! ```text
//! width │ zeros │ low parts … │ high parts: a one for each number, behind as many zeros as its high part says
//!   255 │ column of the differences, where numbers follow one another in runs
//! ```

use crate::codec::{Decoder, Encode, load_u64};
use crate::error::{Error, Result};
use crate::packed::{FRAME, decode_column, encode_column, pack, packed_len, unpack};

/// How many numbers a full frame holds.
pub(crate) const NUMBERS: usize = 1_024;

/// Low parts are at most this wide.
const WIDEST: u8 = 62;

/// Says that a column follows instead.
const COLUMN: u8 = 255;

/// Appends ascending numbers, at most [`NUMBERS`], the first of which is told elsewhere; nothing for that one alone.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "at most a frame of the writer's own numbers, which ascend"
)]
pub(crate) fn encode(numbers: &[u64], out: &mut Vec<u8>) {
    debug_assert!(numbers.len() <= NUMBERS);
    let Some((&first, rest)) = numbers.split_first().filter(|(_, rest)| !rest.is_empty()) else { return };
    // Numbers that follow one another have excesses of 0.
    let excesses: Vec<u64> = rest.iter().zip(1..).map(|(number, place)| number - first - place).collect();
    let most = excesses[excesses.len() - 1];
    let (width, len) = (0..=WIDEST)
        .map(|width| (width, split_len(excesses.len(), width, most)))
        .min_by_key(|&(_, len)| len)
        .unwrap_or_default();
    let mut before = 0;
    let differences: Vec<u64> =
        excesses.iter().map(|&excess| excess - std::mem::replace(&mut before, excess)).collect();
    let mut column = Vec::new();
    encode_column(&differences, &mut column);
    if (column.len() as u64) < len {
        out.put_u8(COLUMN);
        out.extend_from_slice(&column);
        return;
    }
    out.put_u8(width);
    out.put_varint(most >> width);
    let low_mask = (1 << width) - 1;
    pack(excesses.iter().map(|excess| excess & low_mask), width.into(), out);
    let start = out.len();
    out.resize(start + (excesses.len() + (most >> width) as usize).div_ceil(8), 0);
    for (place, excess) in excesses.iter().enumerate() {
        let bit = place + (excess >> width) as usize;
        out[start + bit / 8] |= 1 << (bit % 8);
    }
}

/// The bytes of `count` excesses, the largest of which is `most`, split at `width`.
fn split_len(count: usize, width: u8, most: u64) -> u64 {
    let zeros = most >> width;
    let varint_len = u64::from(u64::BITS.saturating_sub(zeros.leading_zeros()).max(1).div_ceil(7));
    let low = packed_len(count, width.into()) as u64;
    zeros.saturating_add(count as u64).div_ceil(8).saturating_add(low).saturating_add(varint_len)
}

/// Decodes `count` numbers of which the first is known.
///
/// # Errors
///
/// Corrupt if the form is unknown, the bytes are too few, or the numbers do not ascend within 64 bits.
pub(crate) fn decode(
    decoder: &mut Decoder<'_>,
    first: u64,
    count: usize,
    numbers: &mut Vec<u64>,
) -> Result<()> {
    numbers.clear();
    numbers.push(first);
    let Some(others) = count.checked_sub(1).filter(|&others| others > 0) else { return Ok(()) };
    match decoder.u8("A1")? {
        COLUMN => decode_differences(decoder, others, numbers),
        width if width <= WIDEST => decode_split(decoder, width, others, numbers),
        width => Err(decoder.corrupt("A1", format!("width is {width}"))),
    }
}

fn decode_differences(decoder: &mut Decoder<'_>, others: usize, numbers: &mut Vec<u64>) -> Result<()> {
    let here = decoder.clone();
    let mut last = numbers.last().copied().unwrap_or_default();
    decode_column(decoder, others, |differences| {
        for difference in differences {
            last = difference
                .checked_add(1)
                .and_then(|step| last.checked_add(step))
                .ok_or_else(|| too_large(&here))?;
            numbers.push(last);
        }
        Ok(())
    })
}

fn decode_split(decoder: &mut Decoder<'_>, width: u8, others: usize, numbers: &mut Vec<u64>) -> Result<()> {
    let first = numbers.first().copied().unwrap_or_default();
    let here = decoder.clone();
    let zeros = decoder.varint("A1")?;
    let mut lows = decoder.clone();
    decoder.take(packed_len(others, width.into()), "A1")?;
    // No more zeros than there are bits.
    let room = (decoder.remaining() as u64).saturating_mul(8);
    let bits = zeros.checked_add(others as u64).filter(|&bits| bits <= room);
    let Some(bits) = bits.filter(|_| zeros <= u64::MAX >> width) else {
        return Err(here.corrupt("A1", format!("{zeros} zeros among {others} numbers")));
    };
    let mut ones = Ones { bytes: decoder.take(bits.div_ceil(8) as usize, "A1")?, word: 0, end: 0 };
    let (mut unpacked, mut place, mut last, mut bit) = ([0; FRAME], 0_u64, first, 0);
    while place < others as u64 {
        let few = (others as u64).saturating_sub(place).min(FRAME as u64) as usize;
        let some = unpacked.get_mut(..few).unwrap_or_default();
        unpack(&mut lows, width.into(), some)?;
        for &low in &*some {
            bit = ones.next().unwrap_or(u64::MAX);
            // Before a number's one stand the ones of the numbers before it and as many zeros as its high part says.
            let Some(high) = bit.checked_sub(place).filter(|&high| high <= zeros) else {
                return Err(here.corrupt("A1", format!("there are not {others} ones")));
            };
            place = place.saturating_add(1);
            let number = first.checked_add(place).and_then(|least| least.checked_add((high << width) | low));
            let number = number.ok_or_else(|| too_large(&here))?;
            if number <= last {
                return Err(here.corrupt("A1", format!("{number} follows {last}")));
            }
            numbers.push(number);
            last = number;
        }
    }
    if bit.checked_add(1) != Some(bits) || ones.next().is_some() {
        return Err(here.corrupt("A1", format!("the last of {bits} bits is not the last one")));
    }
    Ok(())
}

/// The places of the ones among bits.
struct Ones<'a> {
    bytes: &'a [u8],
    /// What is left of 64 bits, and the place behind them.
    word: u64,
    end: u64,
}

impl Iterator for Ones<'_> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        while self.word == 0 {
            let (word, rest) = match self.bytes.split_first_chunk::<8>() {
                Some((eight, rest)) => (load_u64(eight, 0), rest),
                None if self.bytes.is_empty() => return None,
                None => {
                    let mut eight = [0; 8];
                    eight.iter_mut().zip(self.bytes).for_each(|(to, from)| *to = *from);
                    (load_u64(&eight, 0), Default::default())
                }
            };
            (self.word, self.bytes) = (word, rest);
            self.end = self.end.saturating_add(64);
        }
        let place = self.end.wrapping_sub(64).wrapping_add(self.word.trailing_zeros().into());
        self.word &= self.word.wrapping_sub(1);
        Some(place)
    }
}

fn too_large(decoder: &Decoder<'_>) -> Error {
    decoder.corrupt("A1", "number exceeds 64 bits")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Section;

    fn encoded(numbers: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(numbers, &mut bytes);
        bytes
    }

    fn decoded(bytes: &[u8], first: u64, count: usize) -> Result<Vec<u64>> {
        let (mut decoder, mut numbers) = (Decoder::new(bytes, 0, Section::Postings), vec![9]);
        decode(&mut decoder, first, count, &mut numbers)?;
        decoder.finish("X")?;
        Ok(numbers)
    }

    #[track_caller]
    fn round_trip(numbers: &[u64]) -> Vec<u8> {
        let bytes = encoded(numbers);
        assert_eq!(decoded(&bytes, numbers[0], numbers.len()).unwrap(), numbers);
        bytes
    }

    #[test]
    fn the_example_of_the_spec() {
        assert_eq!(round_trip(&[10, 12, 13, 17, 30]), [2, 4, 0x05, 0x8B]);
    }

    #[test]
    fn numbers_at_the_ends_round_trip() {
        round_trip(&[7]);
        round_trip(&[0, u64::MAX]);
        round_trip(&[0, 1, 1 << 62, u64::MAX - 1, u64::MAX]);
        round_trip(&[u64::MAX - 1, u64::MAX]);
        round_trip(&(0..NUMBERS as u64).map(|i| i * i * i).collect::<Vec<_>>());
    }

    #[test]
    fn runs_take_next_to_nothing_and_noise_two_bits_more_than_its_mean() {
        assert_eq!(round_trip(&(50..50 + NUMBERS as u64).collect::<Vec<_>>()).len(), 1 + 2 * 8);
        let mut number = 0;
        let scattered: Vec<u64> = (0..NUMBERS as u64)
            .map(|i| {
                number += 1 + (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 200;
                number
            })
            .collect();
        let bits = 8 * round_trip(&scattered).len() as u64;
        assert!(bits < NUMBERS as u64 * 17 / 2, "{bits}");
    }

    #[test]
    fn every_truncation_is_rejected() {
        for numbers in [[3, 4, 90, 1_000], [3, 4, 5, 6]] {
            let bytes = encoded(&numbers);
            for len in 0..bytes.len() {
                assert!(decoded(&bytes[..len], 3, 4).is_err(), "{len}");
            }
        }
    }

    #[test]
    fn what_is_not_ascending_is_rejected() {
        for (bytes, reason) in [
            (&[63, 0, 0][..], "width is 63"),
            (&[0, 2, 0b101], "there are not 4 ones"),
            (&[0, 2, 0b10_1111], "the last of 6 bits is not the last one"),
            (&[0, 0, 0b1_1111], "the last of 4 bits is not the last one"),
            (&[1, 0, 0b0001, 0b1111], "5 follows 5"),
            (&[0, 200, 1, 0b1111], "200 zeros among 4 numbers"),
            (&[255, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], "number exceeds 64 bits"),
            (
                &[
                    62, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                    0, 0, 0, 0, 0b100_1111,
                ],
                "the last",
            ),
        ] {
            let error = decoded(bytes, 3, 5).unwrap_err().to_string();
            assert!(error.contains(reason), "{bytes:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_numbers_round_trip(gaps in proptest::collection::vec(0..u64::MAX / 1024, 0..300), shift in 0..50_u32) {
            let steps = gaps.iter().map(|gap| (gap >> shift) + 1);
            let numbers: Vec<u64> = std::iter::once(5).chain(steps).scan(0, |sum, step| { *sum += step; Some(*sum) }).collect();
            round_trip(&numbers);
        }

        #[test]
        fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..60), count in 1..300_usize) {
            let _ = decoded(&bytes, 3, count);
        }
    }
}
