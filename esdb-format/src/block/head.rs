//! The fixed record that begins a block (spec §5.1).

use crate::checksum::{checksum, compare};
use crate::codec::{Decoder, Encode};
use crate::compression::Codec;
use crate::error::{Error, Result, Section};
use crate::header::Layout;
use crate::limits;
use crate::unit::Unit;

/// A block's first [`Head::SIZE`] bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) offset: u64,
    pub(crate) first_ordinal: u64,
    pub(crate) count: u32,
    /// The length of the row areas, the directory before them included.
    pub(crate) rows_len: u32,
    /// The length of the label areas.
    pub(crate) labels_len: u32,
    pub(crate) payload_len: u64,
    /// That of the row areas.
    pub(crate) rows_checksum: u32,
    /// The checksum of the head itself, which stands for the whole block in handles.
    pub(crate) checksum: u32,
}

/// What a head repeats of the file that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) unit: Unit,
    pub(crate) codec: Codec,
    /// The checksum of the dictionary, if there is one.
    pub(crate) dictionary: Option<u32>,
}

impl Traits {
    pub(crate) fn of(layout: &Layout) -> Self {
        let Layout { unit, codec, dictionary_len, dictionary_checksum, .. } = *layout;
        // Heads do not tell the level.
        let codec = Codec::from_code(codec.code(), 0).unwrap_or(codec);
        Self { unit, codec, dictionary: (dictionary_len > 0).then_some(dictionary_checksum) }
    }
}

impl Head {
    pub(crate) const SIZE: usize = 60;
    pub(crate) const MARKER: [u8; 8] = *b"\x89ESDBB\r\n";

    /// The head's bytes; sets its checksum.
    pub(crate) fn encode(&mut self, layout: &Layout) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::SIZE);
        out.extend_from_slice(&Self::MARKER);
        out.put_u64(self.offset);
        out.put_u64(self.first_ordinal);
        out.put_u32(self.count);
        out.put_u32(self.rows_len);
        out.put_u32(self.labels_len);
        out.put_u64(self.payload_len);
        out.put_u32(self.rows_checksum);
        out.put_u32(layout.dictionary_checksum);
        out.put_u8(layout.unit.code());
        out.put_u8(layout.codec.code());
        out.put_u8(u8::from(layout.dictionary_len > 0));
        out.put_u8(0);
        self.checksum = checksum(&out);
        out.put_u32(self.checksum);
        out
    }

    /// Decodes a head that stands at `offset` of a file with `layout`.
    ///
    /// # Errors
    ///
    /// Corrupt if marker, own offset, checksum, codec or a length is not as it must be.
    pub(crate) fn decode(bytes: &[u8], offset: u64, layout: &Layout) -> Result<Self> {
        let (head, traits) = Self::decode_any(bytes, offset)?;
        head.check_traits(&traits, &Traits::of(layout))?;
        Ok(head)
    }

    /// A head belongs to the file that it is in.
    pub(crate) fn check_traits(&self, found: &Traits, expected: &Traits) -> Result<()> {
        if found == expected {
            return Ok(());
        }
        let reason = "unit, codec or dictionary is not the file's";
        Err(Error::corrupt(Section::Block, self.offset, "B1", reason))
    }

    /// Decodes a head that stands at `offset` of any file.
    ///
    /// # Errors
    ///
    /// Those of [`decode`](Self::decode).
    pub(crate) fn decode_any(bytes: &[u8], offset: u64) -> Result<(Self, Traits)> {
        let mut decoder = Decoder::new(bytes, offset, Section::Block);
        let stored = decoder.take(Self::SIZE, "B1")?;
        let (content, sum) = stored.split_at(Self::SIZE - 4);
        let sum = Decoder::new(sum, offset.saturating_add(content.len() as u64), Section::Block).u32("B1")?;
        let mut fields = Decoder::new(content, offset, Section::Block);
        if fields.take(8, "B1")? != Self::MARKER {
            return Err(Error::corrupt(Section::Block, offset, "B1", "marker is missing"));
        }
        compare(sum, checksum(content), Section::Block, offset, "B1")?;
        let own = fields.u64("B1")?;
        if own != offset {
            return Err(Error::corrupt(
                Section::Block,
                offset,
                "B1",
                format!("offset is {own}, {offset} expected"),
            ));
        }
        let head = Self {
            offset,
            first_ordinal: fields.u64("B1")?,
            count: fields.u32("B1")?,
            rows_len: fields.u32("B1")?,
            labels_len: fields.u32("B1")?,
            payload_len: fields.u64("B1")?,
            rows_checksum: fields.u32("B1")?,
            checksum: sum,
        };
        let traits = decode_traits(&mut fields)?;
        if fields.u8("B1")? != 0 {
            return Err(fields.corrupt("B1", "reserved byte is not zero"));
        }
        if head.count == 0 || head.count as usize > limits::BLOCK_EVENTS {
            return Err(fields.corrupt("L1", format!("block of {} events", head.count)));
        }
        if head.first_ordinal.checked_add(u64::from(head.count)).is_none_or(|end| i64::try_from(end).is_err())
        {
            return Err(fields.corrupt("L1", format!("first ordinal is {}", head.first_ordinal)));
        }
        if head.payload_len > (limits::DATA + limits::BLOCK_DATA) as u64 {
            return Err(fields.corrupt("L1", format!("payload of {} bytes", head.payload_len)));
        }
        Ok((head, traits))
    }

    /// The length of the row areas and the label areas.
    pub(crate) fn columns_len(&self) -> u64 {
        u64::from(self.rows_len).saturating_add(self.labels_len.into())
    }

    /// The length of the whole block.
    pub(crate) fn block_len(&self) -> u64 {
        self.payload_len.saturating_add(self.columns_len()).saturating_add(Self::SIZE as u64)
    }

    /// The ordinal behind the block's last event.
    pub(crate) fn end_ordinal(&self) -> u64 {
        self.first_ordinal.saturating_add(self.count.into())
    }

    /// Where the row areas begin in the file, and with them the columns.
    pub(crate) fn rows_offset(&self) -> u64 {
        self.offset.saturating_add(Self::SIZE as u64)
    }

    /// Where the label areas begin in the file.
    pub(crate) fn labels_offset(&self) -> u64 {
        self.rows_offset().saturating_add(self.rows_len.into())
    }

    /// Where the payload frames begin in the file.
    pub(crate) fn payload_offset(&self) -> u64 {
        self.rows_offset().saturating_add(self.columns_len())
    }
}

fn decode_traits(fields: &mut Decoder<'_>) -> Result<Traits> {
    let dictionary = fields.u32("B1")?;
    let (unit, codec, has_dictionary) = (fields.u8("B1")?, fields.u8("B1")?, fields.u8("B1")?);
    let dictionary = match (has_dictionary, dictionary) {
        (0, 0) => None,
        (1, checksum) => Some(checksum),
        _ => return Err(fields.corrupt("B1", "it is not told whether there is a dictionary")),
    };
    match (Unit::from_code(unit), Codec::from_code(codec, 0)) {
        (Some(unit), Some(codec)) => Ok(Traits { unit, codec, dictionary }),
        _ => Err(fields.corrupt("B1", format!("unit is {unit}, codec is {codec}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::tests::LAYOUT;

    #[test]
    fn encode_fills_size_and_round_trips() {
        let mut head = Head {
            offset: 99,
            first_ordinal: 1 << 33,
            count: 4096,
            rows_len: 70_000,
            labels_len: 30_000,
            payload_len: 1 << 20,
            rows_checksum: 5,
            checksum: 0,
        };
        let bytes = head.encode(&LAYOUT);
        assert_eq!(bytes.len(), Head::SIZE);
        assert_eq!(Head::decode(&bytes, 99, &LAYOUT).unwrap(), head);
        assert!(Head::decode(&bytes, 100, &LAYOUT).is_err());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(Head::decode(&damaged, 99, &LAYOUT).is_err(), "byte {at}");
            assert!(Head::decode(&bytes[..at], 99, &LAYOUT).is_err());
        }
    }
}
