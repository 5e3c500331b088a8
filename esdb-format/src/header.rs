//! The file's first 64 bytes (spec §3.2).

use crate::checksum::checksum;
use crate::checksum::compare;
use crate::codec::{Decoder, Encode};
use crate::compression::Codec;
use crate::error::{Error, Result, Section};
use crate::limits;
use crate::unit::Unit;

/// The version of the format that this library writes, and the newest that it reads.
pub const VERSION: u16 = 1;

/// Required flags that this library knows.
const KNOWN_FLAGS: u32 = 0;

/// What header and footer both say about the file (spec §3.2, bytes 8 to 31).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) unit: Unit,
    /// Its level is known only from the facts.
    pub(crate) codec: Codec,
    pub(crate) optional_flags: u32,
    pub(crate) frame_size: u32,
    pub(crate) dictionary_len: u32,
    pub(crate) dictionary_checksum: u32,
}

impl Layout {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u16(VERSION);
        out.put_u8(self.unit.code());
        out.put_u8(self.codec.code());
        out.put_u32(0);
        out.put_u32(self.optional_flags);
        out.put_u32(self.frame_size);
        out.put_u32(self.dictionary_len);
        out.put_u32(self.dictionary_checksum);
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self> {
        let version = decoder.u16("H1")?;
        if version > VERSION {
            return Err(Error::NewerVersion { found: version, supported: VERSION });
        }
        if version != VERSION {
            return Err(decoder.corrupt("H1", format!("version is {version}")));
        }
        let unit = decoder.u8("H2")?;
        let unit = Unit::from_code(unit).ok_or_else(|| decoder.corrupt("H2", format!("unit is {unit}")))?;
        let codec = decoder.u8("H2")?;
        let codec =
            Codec::from_code(codec, 0).ok_or_else(|| decoder.corrupt("H2", format!("codec is {codec}")))?;
        let required = decoder.u32("H1")?;
        if required & !KNOWN_FLAGS != 0 {
            return Err(Error::UnknownFeature(required & !KNOWN_FLAGS));
        }
        let optional_flags = decoder.u32("H1")?;
        let frame_size = decoder.u32("H2")?;
        if !(limits::FRAME_SIZE_MIN..=limits::FRAME_SIZE_MAX).contains(&frame_size) {
            return Err(decoder.corrupt("H2", format!("frame size is {frame_size}")));
        }
        let dictionary_len = decoder.u32("H1")?;
        let dictionary_checksum = decoder.u32("H1")?;
        if dictionary_len as usize > limits::DICTIONARY {
            return Err(decoder.corrupt("L1", format!("dictionary of {dictionary_len} bytes")));
        }
        if dictionary_len > 0 && !matches!(codec, Codec::Zstd { .. }) {
            return Err(decoder.corrupt("D1", format!("codec {} has a dictionary", codec.name())));
        }
        if dictionary_len == 0 && dictionary_checksum != 0 {
            return Err(decoder.corrupt("D1", "checksum of no dictionary"));
        }
        Ok(Self { unit, codec, optional_flags, frame_size, dictionary_len, dictionary_checksum })
    }
}

/// The file's first [`Header::SIZE`] bytes (spec §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) layout: Layout,
    /// The checksum of the bytes before it, as the footer repeats it.
    pub(crate) checksum: u32,
}

impl Header {
    pub(crate) const SIZE: usize = 64;
    pub(crate) const MAGIC: [u8; 8] = *b"\x89ESDB\r\n\x1a";

    pub(crate) fn new(layout: Layout) -> Self {
        let mut header = Self { layout, checksum: 0 };
        header.checksum = checksum(&header.encode_content());
        header
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = self.encode_content();
        out.put_u32(self.checksum);
        out
    }

    /// Everything before the checksum.
    fn encode_content(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::SIZE);
        out.extend_from_slice(&Self::MAGIC);
        self.layout.encode(&mut out);
        out.resize(Self::SIZE - 4, 0);
        out
    }

    /// Decodes the file's first bytes.
    ///
    /// # Errors
    ///
    /// Foreign without the magic, unsupported for a newer version or an unknown required flag, corrupt otherwise.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut decoder = Decoder::new(bytes, 0, Section::Header);
        let stored = decoder.take(Self::SIZE, "H1")?;
        if !stored.starts_with(&Self::MAGIC) {
            return Err(Error::Foreign(String::new()));
        }
        let (content, sum) = stored.split_at(Self::SIZE - 4);
        let sum = Decoder::new(sum, 60, Section::Header).u32("H1")?;
        compare(sum, checksum(content), Section::Header, 0, "H1")?;
        let mut fields = Decoder::new(content, 0, Section::Header);
        fields.take(Self::MAGIC.len(), "H1")?;
        let layout = Layout::decode(&mut fields)?;
        if fields.rest().iter().any(|&byte| byte != 0) {
            return Err(Error::corrupt(Section::Header, 32, "H1", "bytes 32 to 59 are not zero"));
        }
        Ok(Self { layout, checksum: sum })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const LAYOUT: Layout = Layout {
        unit: Unit::Microseconds,
        codec: Codec::Zstd { level: 0 },
        optional_flags: 5,
        frame_size: 16 << 10,
        dictionary_len: 900,
        dictionary_checksum: 77,
    };

    #[test]
    fn encode_fills_size_and_round_trips() {
        let header = Header::new(LAYOUT);
        let bytes = header.encode();
        assert_eq!(bytes.len(), Header::SIZE);
        assert_eq!(Header::decode(&bytes).unwrap(), header);
    }

    #[test]
    fn every_flip_and_truncation_is_rejected() {
        let bytes = Header::new(LAYOUT).encode();
        for at in 0..bytes.len() {
            assert!(Header::decode(&bytes[..at]).is_err());
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(Header::decode(&damaged).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn false_fields_are_rejected_even_with_a_good_checksum() {
        let with = |at: usize, value: u8| {
            let mut bytes = Header::new(LAYOUT).encode();
            bytes[at] = value;
            let sum = checksum(&bytes[..60]);
            bytes.truncate(60);
            bytes.put_u32(sum);
            Header::decode(&bytes).unwrap_err()
        };
        assert!(matches!(with(8, 9), Error::NewerVersion { found: 9, supported: 1 }));
        assert!(matches!(with(12, 2), Error::UnknownFeature(2)));
        assert!(matches!(with(0, b'x'), Error::Foreign(_)));
        for (at, value, rule) in
            [(10, 4, "H2"), (11, 4, "H2"), (23, 1, "H2"), (27, 1, "L1"), (11, 1, "D1"), (40, 1, "H1")]
        {
            assert_eq!(with(at, value).problem().unwrap().rule, rule, "byte {at}");
        }
    }
}
