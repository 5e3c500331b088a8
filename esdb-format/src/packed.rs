//! Integer frames and columns (spec §4.1): up to 128 numbers, less their smallest, packed with one width; the
//! few that are too wide keep their high bits apart.
//!
//! ```text
//! width │ base │ [exceptions, high width] │ low parts … │ [positions │ high parts]
//! ```

use std::ops::Range;

use crate::codec::{Decoder, Encode, load_u64};
use crate::error::Result;

/// How many values a full frame holds.
pub(crate) const FRAME: usize = 128;

const EXCEPTIONS: u8 = 0x80;

/// Appends `values` as one frame. There must be 1 to [`FRAME`] of them.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "at most a frame of the writer's own numbers, and widths of at most 64"
)]
pub(crate) fn encode_frame(values: &[u64], out: &mut Vec<u8>) {
    debug_assert!((1..=FRAME).contains(&values.len()));
    let base = values.iter().copied().min().unwrap_or(0);
    let mut with_bits = [0_u16; 65];
    for value in values {
        with_bits[bits(value - base)] += 1;
    }
    let (width, exceptions) = best_width(&with_bits, values.len());
    out.put_u8(width as u8 | if exceptions > 0 { EXCEPTIONS } else { 0 });
    out.put_varint(base);
    if exceptions == 0 {
        pack(values.iter().map(|value| value - base), width, out);
        return;
    }
    let high = |value: u64| if width == 64 { 0 } else { (value - base) >> width };
    let high_width = values.iter().map(|&value| bits(high(value))).max().unwrap_or(0);
    out.put_u8(exceptions as u8);
    out.put_u8(high_width as u8);
    let mask = low_mask(width);
    pack(values.iter().map(|value| (value - base) & mask), width, out);
    for (position, &value) in values.iter().enumerate() {
        if high(value) != 0 {
            out.put_u8(position as u8);
        }
    }
    pack(values.iter().map(|&value| high(value)).filter(|&high| high != 0), high_width, out);
}

/// The width that makes the frame shortest, and how many values are exceptions then.
#[expect(clippy::arithmetic_side_effects, clippy::indexing_slicing, reason = "widths of at most 64")]
fn best_width(with_bits: &[u16; 65], count: usize) -> (usize, usize) {
    let widest = (0..=64).rev().find(|&bits| with_bits[bits] > 0).unwrap_or(0);
    let (mut best, mut best_size) = ((widest, 0), packed_len(count, widest));
    let mut exceptions = 0;
    for width in (0..widest).rev() {
        exceptions += usize::from(with_bits[width + 1]);
        let size = packed_len(count, width) + 2 + exceptions + packed_len(exceptions, widest - width);
        if size < best_size {
            (best, best_size) = ((width, exceptions), size);
        }
    }
    best
}

/// Decodes a frame of `values.len()` values into `values`.
pub(crate) fn decode_frame(decoder: &mut Decoder<'_>, values: &mut [u64]) -> Result<()> {
    let count = values.len();
    let head = decoder.u8("I1")?;
    let width = usize::from(head & !EXCEPTIONS);
    if width > 64 {
        return Err(decoder.corrupt("I1", format!("width is {width}")));
    }
    let base = decoder.varint("I1")?;
    if head & EXCEPTIONS == 0 {
        unpack(decoder, width, values)?;
    } else {
        let exceptions = usize::from(decoder.u8("I1")?);
        let high_width = usize::from(decoder.u8("I1")?);
        if exceptions == 0 || exceptions > count || high_width == 0 || width.saturating_add(high_width) > 64 {
            let reason =
                format!("{exceptions} exceptions of {high_width} bits, with {count} values of {width} bits");
            return Err(decoder.corrupt("I1", reason));
        }
        unpack(decoder, width, values)?;
        let positions = decoder.take(exceptions, "I1")?;
        let mut highs = [0; FRAME];
        unpack(decoder, high_width, highs.get_mut(..exceptions).unwrap_or_default())?;
        let mut next = 0;
        for (&position, &high) in positions.iter().zip(&highs) {
            let position = usize::from(position);
            let value = values.get_mut(position).filter(|_| position >= next && high != 0);
            let Some(value) = value else {
                return Err(
                    decoder.corrupt("I1", format!("exception at position {position} is out of order"))
                );
            };
            *value |= high << width;
            next = position.saturating_add(1);
        }
    }
    add_base(decoder, base, values)
}

fn add_base(decoder: &Decoder<'_>, base: u64, values: &mut [u64]) -> Result<()> {
    if base == 0 {
        return Ok(());
    }
    let largest = values.iter().fold(0, |all, value| all | value);
    if base.checked_add(largest).is_some() {
        values.iter_mut().for_each(|value| *value = value.wrapping_add(base));
        return Ok(());
    }
    for value in values {
        let Some(sum) = value.checked_add(base) else {
            return Err(decoder.corrupt("I2", "value exceeds 64 bits"));
        };
        *value = sum;
    }
    Ok(())
}

/// Appends a column: full frames, then one of the rest.
pub(crate) fn encode_column(values: &[u64], out: &mut Vec<u8>) {
    for frame in values.chunks(FRAME) {
        encode_frame(frame, out);
    }
}

/// Decodes a column of `count` values, handing each frame to `each`.
pub(crate) fn decode_column(
    decoder: &mut Decoder<'_>,
    count: usize,
    mut each: impl FnMut(&[u64]) -> Result<()>,
) -> Result<()> {
    let mut values = [0; FRAME];
    let mut left = count;
    while left > 0 {
        let frame = values.get_mut(..left.min(FRAME)).unwrap_or_default();
        decode_frame(decoder, frame)?;
        left = left.saturating_sub(FRAME);
        each(frame)?;
    }
    Ok(())
}

/// Where the frames of a column begin, so that some of its values can be decoded without the others.
pub(crate) struct Marks {
    count: usize,
    /// One more for the end of the column.
    starts: Vec<u32>,
}

impl Marks {
    /// Goes past a column of `count` values by the heads of its frames alone. `area` is what the decoder began with.
    pub(crate) fn set(decoder: &mut Decoder<'_>, area: usize, count: usize) -> Result<Self> {
        let mut starts = Vec::with_capacity(count.div_ceil(FRAME).saturating_add(1));
        let place = |decoder: &Decoder<'_>| area.saturating_sub(decoder.remaining()) as u32;
        starts.push(place(decoder));
        let mut left = count;
        while left > 0 {
            let in_frame = left.min(FRAME);
            let head = decoder.u8("I1")?;
            let width = usize::from(head & !EXCEPTIONS).min(64);
            decoder.varint("I1")?;
            let mut len = packed_len(in_frame, width);
            if head & EXCEPTIONS != 0 {
                let (exceptions, high_width) =
                    (usize::from(decoder.u8("I1")?), usize::from(decoder.u8("I1")?));
                len = packed_len(exceptions, high_width).saturating_add(exceptions).saturating_add(len);
            }
            decoder.take(len, "I1")?;
            starts.push(place(decoder));
            left = left.saturating_sub(in_frame);
        }
        Ok(Self { count, starts })
    }

    pub(crate) fn memory(count: usize) -> usize {
        count.div_ceil(FRAME).saturating_add(1).saturating_mul(size_of::<u32>())
    }

    /// Decodes the values `wanted`. `area` is at the beginning of what the marks were set in.
    pub(crate) fn decode(&self, mut area: Decoder<'_>, wanted: Range<usize>) -> Result<Vec<u64>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let skipped = wanted.start % FRAME;
        let first = wanted.start.saturating_sub(skipped);
        let Some(&start) = self.starts.get(first / FRAME).filter(|_| wanted.end <= self.count) else {
            return Err(area.corrupt("I1", format!("no value {} in the column", wanted.start)));
        };
        area.take(start as usize, "I1")?;
        let needed = self.count.min(wanted.end.next_multiple_of(FRAME)).saturating_sub(first);
        let (mut values, mut skipped) = (Vec::with_capacity(wanted.len()), skipped);
        decode_column(&mut area, needed, |frame| {
            let frame = frame.get(std::mem::take(&mut skipped)..).unwrap_or_default();
            let left = wanted.len().saturating_sub(values.len());
            values.extend_from_slice(frame.get(..left).unwrap_or(frame));
            Ok(())
        })?;
        Ok(values)
    }
}

/// Appends values packed with `width` bits each, the last byte filled with zeros.
#[expect(clippy::arithmetic_side_effects, reason = "bits of at most two numbers")]
pub(crate) fn pack(values: impl Iterator<Item = u64>, width: usize, out: &mut Vec<u8>) {
    let (mut pending, mut filled) = (0_u64, 0);
    for value in values {
        pending |= value << filled;
        filled += width;
        if filled >= 64 {
            out.put_u64(pending);
            filled -= 64;
            pending = if filled == 0 { 0 } else { value >> (width - filled) };
        }
    }
    for _ in 0..filled.div_ceil(8) {
        out.push(pending as u8);
        pending >>= 8;
    }
}

/// Reads `values.len()` values packed with `width` bits each; at most [`FRAME`] of them.
pub(crate) fn unpack(decoder: &mut Decoder<'_>, width: usize, values: &mut [u64]) -> Result<()> {
    let bytes = decoder.take(packed_len(values.len(), width), "I1")?;
    unpack_bytes(bytes, width, values);
    let spare = values.len().saturating_mul(width) % 8;
    if spare > 0 && bytes.last().is_some_and(|last| last >> spare != 0) {
        return Err(decoder.corrupt("I2", "unused bits are not zero"));
    }
    Ok(())
}

/// One loop for each usual width, so that all shifts and masks in it are constants.
macro_rules! unpack_each {
    ($bytes:expr, $width:expr, $values:expr, $($usual:literal)+) => {
        match $width {
            0 => $values.fill(0),
            $($usual => unpack_usual::<$usual>($bytes, $values),)+
            width => unpack_wide($bytes, width, $values),
        }
    };
}

fn unpack_bytes(bytes: &[u8], width: usize, values: &mut [u64]) {
    unpack_each!(
        bytes, width, values,
        1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
    );
}

/// Unpacks values of `W` bits, at most 32.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "the innermost loop; the bytes were counted, and the last of them padded"
)]
fn unpack_usual<const W: usize>(mut bytes: &[u8], values: &mut [u64]) {
    let mut groups = values.chunks_exact_mut(GROUP);
    while bytes.len() >= W + 8 {
        let Some(group) = groups.next() else { break };
        unpack_group::<W>(bytes, group);
        bytes = &bytes[W..];
    }
    // Behind the last bytes stand zeros, so that the last values are read like all others.
    let mut padded = [0; 2 * (32 + 8)];
    padded[..bytes.len()].copy_from_slice(bytes);
    let mut at = 0;
    for group in groups.by_ref() {
        unpack_group::<W>(&padded[at..], group);
        at += W;
    }
    let rest = groups.into_remainder();
    let mut group = [0; GROUP];
    unpack_group::<W>(&padded[at..], &mut group);
    rest.copy_from_slice(&group[..rest.len()]);
}

/// Values that take a whole number of bytes, whatever their width.
const GROUP: usize = 8;

/// Unpacks the first [`GROUP`] values of `bytes`, of which eight more than these take must be there.
#[inline(always)]
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "the innermost loop; the caller has the bytes"
)]
fn unpack_group<const W: usize>(bytes: &[u8], group: &mut [u64]) {
    let bytes = &bytes[..W + 8];
    for (at, value) in group.iter_mut().enumerate().take(GROUP) {
        *value = (load_u64(bytes, at * W / 8) >> (at * W % 8)) & low_mask(W);
    }
}

#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "at most a frame of 64 bits each, which the padded bytes have room for"
)]
fn unpack_wide(bytes: &[u8], width: usize, values: &mut [u64]) {
    // Room for reading sixteen bytes at any value's first byte.
    let mut padded = [0; FRAME * 8 + 16];
    padded[..bytes.len()].copy_from_slice(bytes);
    for (at, value) in values.iter_mut().enumerate() {
        let (byte, shift) = (at * width / 8, at * width % 8);
        let wide = u128::from(load_u64(&padded, byte)) | (u128::from(load_u64(&padded, byte + 8)) << 64);
        *value = (wide >> shift) as u64 & low_mask(width);
    }
}

/// How many bytes `count` values of `width` bits take.
pub(crate) fn packed_len(count: usize, width: usize) -> usize {
    count.saturating_mul(width).div_ceil(8)
}

fn low_mask(width: usize) -> u64 {
    u64::MAX.checked_shr(64_u32.saturating_sub(width as u32)).unwrap_or(0)
}

/// How many bits `value` needs: 0 for 0.
pub(crate) fn bits(value: u64) -> usize {
    (u64::BITS.saturating_sub(value.leading_zeros())) as usize
}

/// The greatest common divisor, by which the differences of a column are divided; that of 0 and a number is the number.
pub(crate) fn gcd(mut a: u64, mut b: u64) -> u64 {
    // The usual end of the search, without a division.
    while b != 1
        && let Some(rest) = a.checked_rem(b)
    {
        (a, b) = (b, rest);
    }
    if b == 1 { 1 } else { a }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Section;

    fn frame_len(values: &[u64]) -> usize {
        let mut out = Vec::new();
        encode_frame(values, &mut out);
        out.len()
    }

    fn round_trip(values: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode_column(values, &mut bytes);
        let mut decoder = Decoder::new(&bytes, 0, Section::Block);
        let mut decoded = Vec::new();
        decode_column(&mut decoder, values.len(), |frame| {
            decoded.extend_from_slice(frame);
            Ok(())
        })
        .unwrap();
        decoder.finish("X").unwrap();
        assert_eq!(decoded, values);
        bytes
    }

    #[test]
    fn the_example_of_the_spec() {
        assert_eq!(round_trip(&[7, 5, 6, 5, 1005]), [0x83, 5, 1, 7, 0x42, 0, 4, 125]);
    }

    #[test]
    fn every_width_round_trips() {
        for width in 0..=64 {
            let top = low_mask(width);
            for count in [1, 2, 7, 127, 128, 129, 300] {
                let values: Vec<u64> =
                    (0..count).map(|i| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) & top).collect();
                round_trip(&values);
                round_trip(&vec![top; count]);
            }
        }
    }

    #[test]
    fn parts_of_a_column_are_those_of_the_whole() {
        let values: Vec<u64> = (0..700_u64)
            .map(|i| if i % 90 == 7 { i << 40 } else { i.wrapping_mul(7919) >> (i / 100) })
            .collect();
        let mut bytes = vec![9, 9];
        bytes.extend(round_trip(&values));
        let mut decoder = Decoder::new(&bytes, 0, Section::Block);
        decoder.take(2, "X").unwrap();
        let marks = Marks::set(&mut decoder, bytes.len(), values.len()).unwrap();
        decoder.finish("X").unwrap();
        assert_eq!(Marks::memory(values.len()), marks.starts.capacity() * size_of::<u32>());
        for (start, end) in
            [(0, 0), (0, 1), (5, 130), (128, 256), (127, 129), (300, 700), (699, 700), (700, 700)]
        {
            let part = marks.decode(Decoder::new(&bytes, 0, Section::Block), start..end).unwrap();
            assert_eq!(part, values[start..end]);
        }
    }

    #[test]
    fn a_rare_gap_does_not_widen_a_frame() {
        let mut values = vec![1; 128];
        values[77] = 1 << 40;
        assert!(frame_len(&values) < 16);
    }

    /// All widths are tried here, one after the other.
    #[test]
    fn frames_take_the_least_bytes() {
        let noise = |i: u64| i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for seed in 0..300 {
            let (narrow, wide, rare) = (44 + seed % 20, 1 + seed % 64, 2 + noise(seed) % 60);
            let values: Vec<u64> = (0..1 + noise(seed + 7) % 128)
                .map(|i| noise(seed * 1000 + i) >> if noise(i) % rare == 0 { 64 - wide } else { narrow })
                .map(|value| value % (1 << 63))
                .collect();
            let base = values.iter().copied().min().unwrap();
            let widest = values.iter().map(|value| bits(value - base)).max().unwrap();
            let size = |width: usize| match values.iter().filter(|&&value| bits(value - base) > width).count()
            {
                0 => packed_len(values.len(), width),
                more => packed_len(values.len(), width) + 2 + more + packed_len(more, widest - width),
            };
            let mut head = vec![0];
            head.put_varint(base);
            let least = (0..=widest).map(size).min().unwrap();
            assert_eq!(frame_len(&values), head.len() + least, "{seed}");
        }
    }

    #[test]
    fn a_constant_frame_takes_two_bytes() {
        assert_eq!(frame_len(&[9; 128]), 2);
    }

    #[test]
    fn every_truncation_is_rejected() {
        let values: Vec<u64> = (0..128).map(|i| if i % 50 == 7 { i << 33 } else { i * 3 }).collect();
        let mut bytes = Vec::new();
        encode_frame(&values, &mut bytes);
        for len in 0..bytes.len() {
            let mut decoder = Decoder::new(&bytes[..len], 0, Section::Block);
            assert!(decode_frame(&mut decoder, &mut [0; 128]).is_err(), "{len}");
        }
    }

    #[test]
    fn false_heads_are_rejected() {
        for (bytes, rule) in [
            (&[65, 0][..], "I1"),
            (&[0x80, 0, 0, 1], "I1"),
            (&[0x80, 0, 1, 0, 0], "I1"),
            (&[0x80, 0, 3, 1, 0, 1, 2, 7], "I1"),
            (&[0x80, 0, 1, 1, 2, 1], "I1"),
            (&[0x80, 0, 2, 1, 1, 0, 3], "I1"),
            (&[0x80, 0, 1, 1, 0, 0], "I1"),
            (&[0x80 | 64, 0, 1, 1], "I1"),
            (&[1, 0, 0x04], "I2"),
            (&[1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1], "I2"),
        ] {
            let mut decoder = Decoder::new(bytes, 0, Section::Block);
            let error = decode_frame(&mut decoder, &mut [0; 2]).unwrap_err();
            assert_eq!(error.problem().unwrap().rule, rule, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_column_round_trips(values in proptest::collection::vec(any::<u64>(), 0..300), shift in 0..64_u32) {
            let values: Vec<u64> = values.iter().map(|value| value >> shift).collect();
            round_trip(&values);
        }

        #[test]
        fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200), n in 1..=128_usize) {
            let mut decoder = Decoder::new(&bytes, 0, Section::Block);
            let _ = decode_frame(&mut decoder, &mut vec![0; n]);
        }
    }
}
