//! Front-coded lists of byte strings (spec §4.2): each string says how much of the one before it it repeats.

use std::ops::Range;

use crate::codec::{Decoder, Encode};
use crate::error::Result;
use crate::limits;

/// Appends `string`, given the one before it in the list.
pub(crate) fn put_string(previous: &[u8], string: &[u8], out: &mut Vec<u8>) {
    let shared = shared_prefix(previous, string);
    out.put_varint(shared as u64);
    out.put_bytes(string.get(shared..).unwrap_or_default());
}

pub(crate) fn shared_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Strings one after another in one buffer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Strings {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The string at `place`, which must exist.
    #[expect(clippy::indexing_slicing, reason = "no other string may take the place of one that is missing")]
    pub(crate) fn get(&self, place: usize) -> &[u8] {
        let start = place.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.bytes[start..self.ends[place] as usize]
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        (0..self.len()).map(|place| self.get(place))
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    pub(crate) fn push(&mut self, string: &[u8]) {
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len() as u32);
    }

    /// Gives back room that is not used.
    pub(crate) fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// The lengths of all strings added up.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory in use.
    pub(crate) fn memory(&self) -> usize {
        self.ends.capacity().saturating_mul(size_of::<u32>()).saturating_add(self.bytes.capacity())
    }

    /// Goes past one front-coded string.
    pub(crate) fn skip(decoder: &mut Decoder<'_>) -> Result<()> {
        decoder.varint("B4")?;
        let suffix = decoder.varint_up_to(limits::KEY as u64, "length of a key", "L1")?;
        decoder.take(suffix, "B4").map(|_| ())
    }

    /// Decodes one front-coded string and appends it. `first`: it begins a list.
    ///
    /// All strings together may take at most [`limits::AREA`]: front coding can make few bytes into many.
    pub(crate) fn decode(&mut self, decoder: &mut Decoder<'_>, first: bool) -> Result<&[u8]> {
        let previous = match (first, self.ends.as_slice()) {
            (true, _) | (_, []) => 0..0,
            (false, [_]) => 0..self.bytes.len(),
            (false, [.., start, _]) => *start as usize..self.bytes.len(),
        };
        let start = self.bytes.len();
        self.append(decoder, &previous)?;
        Ok(self.bytes.get(start..).unwrap_or_default())
    }

    /// Decodes a list of `count` front-coded strings and appends them. Each for whose place in the list `ascends` says so must be
    /// greater than the one before; `broken` is the rule otherwise, and what is said.
    pub(crate) fn decode_list(
        &mut self,
        decoder: &mut Decoder<'_>,
        count: usize,
        broken: (&'static str, &str),
        mut ascends: impl FnMut(usize) -> bool,
    ) -> Result<()> {
        self.ends.reserve(count.min(decoder.remaining()));
        self.bytes.reserve(decoder.remaining());
        let mut previous = 0..0;
        for place in 0..count {
            let start = self.bytes.len();
            let shared = self.append(decoder, &previous)?;
            let string = start..self.bytes.len();
            let differs = |string: &Range<usize>| {
                self.bytes.get(string.start.saturating_add(shared)..string.end).unwrap_or_default()
            };
            if place > 0 && ascends(place) && !is_less(differs(&previous), differs(&string)) {
                return Err(decoder.corrupt(broken.0, broken.1));
            }
            previous = string;
        }
        Ok(())
    }

    /// Decodes a string that comes behind the one at `previous`; returns how much both share at least.
    #[inline]
    fn append(&mut self, decoder: &mut Decoder<'_>, previous: &Range<usize>) -> Result<usize> {
        let shared = decoder.varint("B4")?;
        let suffix = decoder.varint("B4")?;
        if shared > previous.len() as u64 {
            return Err(
                decoder.corrupt("K1", format!("{shared} bytes shared with a string of {}", previous.len()))
            );
        }
        if suffix.saturating_add(shared) > limits::KEY as u64 {
            return Err(decoder.corrupt("L1", format!("key of {shared} and {suffix} bytes")));
        }
        let (shared, suffix) = (shared as usize, decoder.take(suffix as usize, "B4")?);
        if self.bytes.len().saturating_add(shared).saturating_add(suffix.len()) > limits::AREA {
            return Err(decoder.corrupt("L1", format!("keys of a block exceed {} bytes", limits::AREA)));
        }
        if shared > 0 {
            self.bytes.extend_from_within(previous.start..previous.start.saturating_add(shared));
        }
        if !suffix.is_empty() {
            self.bytes.extend_from_slice(suffix);
        }
        self.ends.push(self.bytes.len() as u32);
        Ok(shared)
    }
}

/// Compares two strings, of which the first bytes usually tell.
#[inline]
fn is_less(a: &[u8], b: &[u8]) -> bool {
    match (a.first(), b.first()) {
        (None, Some(_)) => true,
        (Some(a), Some(b)) if a != b => a < b,
        _ => a < b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Section;

    fn decoded(strings: &[&[u8]]) -> Strings {
        let (mut bytes, mut previous) = (Vec::new(), &[][..]);
        for string in strings {
            put_string(previous, string, &mut bytes);
            previous = string;
        }
        let mut decoder = Decoder::new(&bytes, 0, Section::Block);
        let mut skipped = decoder.clone();
        let mut all = Strings::default();
        for (at, string) in strings.iter().enumerate() {
            assert_eq!(all.decode(&mut decoder, at == 0).unwrap(), *string);
            Strings::skip(&mut skipped).unwrap();
        }
        assert!(decoder.finish("X").is_ok() && skipped.finish("X").is_ok());
        all
    }

    #[test]
    fn strings_come_back_and_count_their_bytes() {
        let strings: [&[u8]; 6] = [b"", b"a", b"abc", b"abd", b"ab", b"b"];
        let mut all = decoded(&strings);
        assert!(all.iter().eq(strings));
        assert_eq!((all.len(), all.bytes()), (6, 10));
        all.shrink();
        assert_eq!(all.memory(), 10 + 6 * size_of::<u32>());
        all.clear();
        assert_eq!((all.len(), all.bytes()), (0, 0));
    }

    #[test]
    fn limits_hold_on_both_sides() {
        let error = |all: &mut Strings, bytes: &[u8]| {
            let mut decoder = Decoder::new(bytes, 0, Section::Block);
            all.decode(&mut decoder, false).map(drop).unwrap_err().to_string()
        };
        let mut all = decoded(&[&[7; limits::KEY]]);
        let mut again = Vec::new();
        put_string(&[7; limits::KEY], &[7; limits::KEY], &mut again);
        while all.bytes() + limits::KEY <= limits::AREA {
            all.decode(&mut Decoder::new(&again, 0, Section::Block), false).unwrap();
        }
        let (mut last, left) = (Vec::new(), limits::AREA - all.bytes());
        last.put_varint(left as u64);
        last.put_bytes(b"");
        assert!(error(&mut all, &again).contains("keys of a block exceed 33554432 bytes"));
        all.decode(&mut Decoder::new(&last, 0, Section::Block), false).unwrap();
        assert_eq!(all.bytes(), limits::AREA);
        assert!(error(&mut all, &[0, 1, 7]).contains("keys of a block exceed"));

        let mut all = decoded(&[b"abc"]);
        assert!(error(&mut all, &[4, 0]).contains("4 bytes shared with a string of 3"));
        let mut long = vec![3];
        long.put_bytes(&[0; limits::KEY - 2]);
        assert!(error(&mut all, &long).contains("key of 3 and 65533 bytes"));
        let mut longest = vec![3];
        longest.put_bytes(&[0; limits::KEY - 3]);
        assert_eq!(
            all.decode(&mut Decoder::new(&longest, 0, Section::Block), false).unwrap().len(),
            limits::KEY
        );
    }
}
