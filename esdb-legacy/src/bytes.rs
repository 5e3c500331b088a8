//! Numbers of the old formats: little-endian integers, and `uvarint`.

/// Takes values from the front of bytes. Every method gives `None` where they do not suffice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A `uvarint` of at most 64 bits.
    pub(crate) fn uvarint(&mut self) -> Option<u64> {
        match *self.0 {
            [first, ref rest @ ..] if first < 0x80 => {
                self.0 = rest;
                Some(first.into())
            }
            _ => self.long_uvarint(),
        }
    }

    fn long_uvarint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for (at, &byte) in self.0.iter().enumerate().take(10) {
            let low = u64::from(byte & 0x7F);
            if at == 9 && low > 1 {
                return None;
            }
            value |= low << (7 * at);
            if byte < 0x80 {
                self.0 = self.0.get(at + 1..)?;
                return Some(value);
            }
        }
        None
    }

    /// A `uvarint` that is a length in memory.
    pub(crate) fn len(&mut self) -> Option<usize> {
        self.uvarint()?.try_into().ok()
    }
}

/// Appends a `uvarint`.
pub(crate) fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uvarints_round_trip_and_end() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_uvarint(&mut bytes, value);
            bytes.push(7);
            let mut read = Bytes(&bytes);
            assert_eq!((read.uvarint(), read.0), (Some(value), &[7][..]));
            assert_eq!(Bytes(&bytes[..bytes.len() - 2]).uvarint(), None);
        }
        assert_eq!(Bytes(&[0xFF; 10]).uvarint(), None);
        assert_eq!(Bytes(&[]).uvarint(), None);
    }
}
