//! Integers and byte strings to and from bytes (spec §1): the only module that knows a byte order.

use byteorder::{BigEndian, ByteOrder, LittleEndian};

use crate::error::{Error, Result, Section};

/// The longest varint.
const VARINT_MAX: usize = 10;

/// Appends encoded values to a byte vector.
pub(crate) trait Encode {
    fn put_u8(&mut self, value: u8);
    fn put_u16(&mut self, value: u16);
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    fn put_i64(&mut self, value: i64);
    fn put_varint(&mut self, value: u64);
    fn put_svarint(&mut self, value: i64);
    /// A varint length and the bytes.
    fn put_bytes(&mut self, bytes: &[u8]);
}

impl Encode for Vec<u8> {
    fn put_u8(&mut self, value: u8) {
        self.push(value);
    }

    fn put_u16(&mut self, value: u16) {
        let mut bytes = [0; 2];
        LittleEndian::write_u16(&mut bytes, value);
        self.extend_from_slice(&bytes);
    }

    fn put_u32(&mut self, value: u32) {
        let mut bytes = [0; 4];
        LittleEndian::write_u32(&mut bytes, value);
        self.extend_from_slice(&bytes);
    }

    fn put_u64(&mut self, value: u64) {
        let mut bytes = [0; 8];
        LittleEndian::write_u64(&mut bytes, value);
        self.extend_from_slice(&bytes);
    }

    fn put_i64(&mut self, value: i64) {
        self.put_u64(value.cast_unsigned());
    }

    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push((value & 0x7F) as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn put_svarint(&mut self, value: i64) {
        self.put_varint(zigzag(value));
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}

/// A number as 8 bytes whose order is the number's order (`key64`).
pub(crate) fn key64(value: u64) -> [u8; 8] {
    let mut bytes = [0; 8];
    BigEndian::write_u64(&mut bytes, value);
    bytes
}

/// The number of a `key64`; `None` unless there are exactly 8 bytes.
pub(crate) fn from_key64(bytes: &[u8]) -> Option<u64> {
    (bytes.len() == 8).then(|| BigEndian::read_u64(bytes))
}

/// The first 8 bytes of a key as a number that orders like them, shorter keys filled with zeros.
pub(crate) fn key_prefix(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    match key.first_chunk::<8>() {
        Some(first) => bytes = *first,
        None => bytes.iter_mut().zip(key).for_each(|(to, from)| *to = *from),
    }
    BigEndian::read_u64(&bytes)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ (value & 1).cast_signed().wrapping_neg()
}

/// The first four bytes, which the caller has made sure of.
pub(crate) fn load_u32(bytes: &[u8]) -> u32 {
    LittleEndian::read_u32(bytes)
}

/// The eight bytes at `at`, which the caller has made sure of.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "one bounds check, in the innermost loop"
)]
pub(crate) fn load_u64(bytes: &[u8], at: usize) -> u64 {
    LittleEndian::read_u64(&bytes[at..at + 8])
}

/// Reads values off the front of some bytes, and knows where in the file they stand.
///
/// Bytes that were decompressed have no place of their own: their decoder names the place of the piece.
#[derive(Clone)]
pub(crate) struct Decoder<'a> {
    rest: &'a [u8],
    offset: u64,
    fixed: bool,
    section: Section,
}

impl<'a> Decoder<'a> {
    /// Decodes `bytes`, which stand at `offset` of the file.
    pub(crate) fn new(bytes: &'a [u8], offset: u64, section: Section) -> Self {
        Self { rest: bytes, offset, fixed: false, section }
    }

    /// Decodes `bytes`, which were decompressed from a piece at `offset`.
    pub(crate) fn unpacked(bytes: &'a [u8], offset: u64, section: Section) -> Self {
        Self { rest: bytes, offset, fixed: true, section }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Where the next byte stands in the file.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn corrupt(&self, rule: &'static str, reason: impl Into<String>) -> Error {
        Error::corrupt(self.section, self.offset, rule, reason)
    }

    /// The next `len` bytes. Fewer left: `rule` is broken.
    #[inline]
    pub(crate) fn take(&mut self, len: usize, rule: &'static str) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(self.corrupt(rule, format!("{len} bytes needed, {} left", self.rest.len())));
        };
        self.rest = rest;
        self.go_on(len);
        Ok(taken)
    }

    /// The next `N` bytes.
    fn array<const N: usize>(&mut self, rule: &'static str) -> Result<&'a [u8; N]> {
        let Some((taken, rest)) = self.rest.split_first_chunk() else {
            return Err(self.corrupt(rule, format!("{N} bytes needed, {} left", self.rest.len())));
        };
        self.rest = rest;
        self.go_on(N);
        Ok(taken)
    }

    /// Moves the place by so many bytes, all of which the file has.
    #[inline]
    fn go_on(&mut self, len: usize) {
        if !self.fixed {
            self.offset = self.offset.wrapping_add(len as u64);
        }
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Nothing may be left.
    pub(crate) fn finish(&self, rule: &'static str) -> Result<()> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(self.corrupt(rule, format!("{left} bytes left over"))),
        }
    }

    pub(crate) fn u8(&mut self, rule: &'static str) -> Result<u8> {
        let &[byte] = self.array(rule)?;
        Ok(byte)
    }

    pub(crate) fn u16(&mut self, rule: &'static str) -> Result<u16> {
        Ok(LittleEndian::read_u16(self.array::<2>(rule)?))
    }

    pub(crate) fn u32(&mut self, rule: &'static str) -> Result<u32> {
        Ok(LittleEndian::read_u32(self.array::<4>(rule)?))
    }

    pub(crate) fn u64(&mut self, rule: &'static str) -> Result<u64> {
        Ok(LittleEndian::read_u64(self.array::<8>(rule)?))
    }

    pub(crate) fn i64(&mut self, rule: &'static str) -> Result<i64> {
        Ok(self.u64(rule)?.cast_signed())
    }

    /// A varint; the end of the bytes breaks `rule`, a longer form than needed C1.
    #[inline]
    pub(crate) fn varint(&mut self, rule: &'static str) -> Result<u64> {
        match self.rest.split_first() {
            // Most varints have one byte.
            Some((&byte, rest)) if byte < 0x80 => {
                self.rest = rest;
                self.go_on(1);
                Ok(byte.into())
            }
            _ => self.long_varint(rule),
        }
    }

    fn long_varint(&mut self, rule: &'static str) -> Result<u64> {
        if self.rest.len() >= size_of::<u64>()
            && let Some((value, len)) = short_varint(load_u64(self.rest, 0))
        {
            self.take(len, rule)?;
            return Ok(value);
        }
        let mut value = 0_u64;
        for ((&byte, len), shift) in self.rest.iter().zip(1..=VARINT_MAX).zip((0_u32..).step_by(7)) {
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return Err(self.corrupt("C1", "varint exceeds 64 bits"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                if byte == 0 && len > 1 {
                    return Err(self.corrupt("C1", "varint is longer than needed"));
                }
                self.take(len, rule)?;
                return Ok(value);
            }
        }
        if self.rest.len() >= VARINT_MAX {
            return Err(self.corrupt("C1", "varint exceeds 10 bytes"));
        }
        Err(self.corrupt(rule, "varint goes beyond the end"))
    }

    pub(crate) fn svarint(&mut self, rule: &'static str) -> Result<i64> {
        Ok(unzigzag(self.varint(rule)?))
    }

    /// A varint that must not exceed `limit`, as a size in memory.
    #[inline]
    pub(crate) fn varint_up_to(&mut self, limit: u64, what: &str, rule: &'static str) -> Result<usize> {
        let offset = self.offset;
        let value = self.varint(rule)?;
        if value > limit {
            let here = Self { offset, ..self.clone() };
            return Err(here.corrupt(rule, format!("{what} is {value}, at most {limit} expected")));
        }
        Ok(value as usize)
    }
}

/// The varint that these eight bytes begin with, and its length; `None` if it is longer, or longer than needed.
fn short_varint(bytes: u64) -> Option<(u64, usize)> {
    // The first byte without its highest bit ends it.
    let ends = (!bytes & 0x8080_8080_8080_8080).trailing_zeros();
    let bits = bytes & u64::MAX.checked_shr(63_u32.checked_sub(ends)?)?;
    if ends > 7 && bits >> ends.saturating_sub(7) == 0 {
        return None;
    }
    // Seven bits of each byte: those of two, of four and of eight are moved together.
    let two = (bits & 0x007F_007F_007F_007F) | ((bits & 0x7F00_7F00_7F00_7F00) >> 1);
    let four = (two & 0x0000_3FFF_0000_3FFF) | ((two & 0x3FFF_0000_3FFF_0000) >> 2);
    let eight = (four & 0x0FFF_FFFF) | ((four & 0x0FFF_FFFF_0000_0000) >> 4);
    Some((eight, (ends as usize).div_ceil(8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight bytes that are there are read together, fewer one by one.
    #[test]
    fn varints_do_not_depend_on_what_follows() {
        for shift in 0..64 {
            for value in [1, u64::MAX, 0xAAAA_AAAA_AAAA_AAAA, 0x5555_5555_5555_5555].map(|bits| bits >> shift)
            {
                let mut varint = Vec::new();
                varint.put_varint(value);
                for follows in [&[][..], &[0; 9], &[0xFF; 9], &[0x80; 3]] {
                    let bytes = [&varint, follows].concat();
                    let mut decoder = decoder(&bytes);
                    assert_eq!(decoder.varint("X").unwrap(), value);
                    assert_eq!(decoder.remaining(), follows.len());
                }
                // The same number, longer than needed.
                *varint.last_mut().unwrap() |= 0x80;
                varint.extend([0; 9]);
                assert_eq!(decoder(&varint).varint("X").unwrap_err().problem().unwrap().rule, "C1");
            }
        }
    }

    fn decoder(bytes: &[u8]) -> Decoder<'_> {
        Decoder::new(bytes, 100, Section::Facts)
    }

    #[test]
    fn varints_round_trip_in_their_shortest_form() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            bytes.put_varint(value);
            let mut decoder = decoder(&bytes);
            assert_eq!(decoder.varint("X").unwrap(), value);
            assert!(decoder.finish("X").is_ok());
        }
    }

    #[test]
    fn svarints_round_trip_at_the_extremes() {
        for value in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            bytes.put_svarint(value);
            assert_eq!(decoder(&bytes).svarint("X").unwrap(), value);
        }
    }

    #[test]
    fn varint_rejects_long_forms_overflow_and_the_end() {
        for (bytes, rule) in [
            (&[0x80, 0x00][..], "C1"),
            (&[0xFF; 11], "C1"),
            (&[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02], "C1"),
            (&[0x80], "X"),
            (&[], "X"),
        ] {
            let error = decoder(bytes).varint("X").unwrap_err();
            assert_eq!(error.problem().unwrap().rule, rule, "{bytes:?}");
        }
    }

    #[test]
    fn errors_name_the_offset_of_what_is_read() {
        let mut decoder = decoder(&[1, 2, 3]);
        decoder.u16("X").unwrap();
        let error = decoder.u32("X").unwrap_err();
        assert_eq!(error.to_string(), "corrupt facts at byte 102: 4 bytes needed, 1 left [X]");
    }

    #[test]
    fn numbers_above_a_limit_are_rejected_where_they_stand() {
        let mut decoder = decoder(&[9, 0xAC, 0x02, 1]);
        assert_eq!(decoder.varint_up_to(9, "length", "X").unwrap(), 9);
        let mut at_the_limit = decoder.clone();
        assert_eq!(at_the_limit.varint_up_to(300, "length", "X").unwrap(), 300);
        assert_eq!((at_the_limit.offset(), at_the_limit.remaining()), (103, 1));
        let error = decoder.varint_up_to(299, "length", "X").unwrap_err();
        assert_eq!(error.to_string(), "corrupt facts at byte 101: length is 300, at most 299 expected [X]");
        let mut unpacked = Decoder::unpacked(&[0xAC, 0x02, 5], 100, Section::Facts);
        unpacked.varint("X").unwrap();
        unpacked.varint("X").unwrap();
        assert_eq!(unpacked.offset(), 100);
    }

    #[test]
    fn key64_orders_like_its_number() {
        let mut keys: Vec<_> = [0, 1, 255, 256, u64::MAX].map(key64).to_vec();
        let sorted = keys.clone();
        keys.sort_unstable();
        assert_eq!(keys, sorted);
        assert_eq!(from_key64(&key64(77)), Some(77));
        assert_eq!(from_key64(b"short"), None);
    }
}
