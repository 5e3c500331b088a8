//! Facts: statistics, the user's metadata, and sections of later releases (spec §7).

use crate::codec::{Decoder, Encode};
use crate::error::{Result, Section};
use crate::handle::Handle;
use crate::limits;

/// Counts and sizes of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Different spaces.
    pub spaces: u64,
    /// Different pairs of space and grouping.
    pub groupings: u64,
    /// Different index names.
    pub names: u64,
    /// Different pairs of name and value.
    pub values: u64,
    /// Pairs of event and index value.
    pub entries: u64,
    /// Event blocks.
    pub blocks: u64,
    /// Payload frames.
    pub frames: u64,
    /// Bytes of data, uncompressed.
    pub data_bytes: u64,
    /// Bytes of payload frames as stored.
    pub frame_bytes: u64,
    /// Bytes of columns, with their heads.
    pub column_bytes: u64,
    /// Bytes of the time order.
    pub time_order_bytes: u64,
    /// Bytes of posting lists, values and index names.
    pub index_bytes: u64,
    /// Bytes of the spaces table.
    pub space_bytes: u64,
    /// Bytes of the groupings table.
    pub grouping_bytes: u64,
    /// Bytes of the blocks table.
    pub block_bytes: u64,
}

impl Statistics {
    fn fields(&mut self) -> [&mut u64; 15] {
        [
            &mut self.spaces,
            &mut self.groupings,
            &mut self.names,
            &mut self.values,
            &mut self.entries,
            &mut self.blocks,
            &mut self.frames,
            &mut self.data_bytes,
            &mut self.frame_bytes,
            &mut self.column_bytes,
            &mut self.time_order_bytes,
            &mut self.index_bytes,
            &mut self.space_bytes,
            &mut self.grouping_bytes,
            &mut self.block_bytes,
        ]
    }
}

/// A section that this version does not define.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExtraSection {
    pub(crate) kind: u64,
    pub(crate) handle: Handle,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) statistics: Statistics,
    pub(crate) level: i32,
    /// Keys ascending.
    pub(crate) metadata: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) extra: Vec<ExtraSection>,
}

impl Facts {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for field in self.statistics.clone().fields() {
            out.put_varint(*field);
        }
        out.put_svarint(self.level.into());
        out.put_varint(self.metadata.len() as u64);
        for (key, value) in &self.metadata {
            out.put_bytes(key);
            out.put_bytes(value);
        }
        out.put_varint(self.extra.len() as u64);
        for section in &self.extra {
            out.put_varint(section.kind);
            section.handle.encode(&mut out);
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8], offset: u64) -> Result<Self> {
        let mut decoder = Decoder::new(bytes, offset, Section::Facts);
        let mut facts = Self::default();
        for field in facts.statistics.fields() {
            *field = decoder.varint("X3")?;
        }
        let level = decoder.svarint("X3")?;
        facts.level = i32::try_from(level).map_err(|_| decoder.corrupt("X3", format!("level is {level}")))?;
        let count = decoder.varint_up_to(decoder.remaining() as u64, "number of metadata entries", "X3")?;
        let mut total = 0;
        for _ in 0..count {
            let key = bytes_of(&mut decoder)?;
            let value = bytes_of(&mut decoder)?;
            total = key.len().saturating_add(value.len()).saturating_add(total);
            if total > limits::METADATA {
                return Err(decoder.corrupt("L1", format!("metadata exceeds {} bytes", limits::METADATA)));
            }
            if facts.metadata.last().is_some_and(|(last, _)| *last >= key) {
                return Err(decoder.corrupt("X2", "metadata keys do not ascend"));
            }
            facts.metadata.push((key, value));
        }
        let count = decoder.varint_up_to(decoder.remaining() as u64, "number of extra sections", "X3")?;
        for _ in 0..count {
            let kind = decoder.varint("X3")?;
            facts.extra.push(ExtraSection { kind, handle: Handle::decode(&mut decoder)? });
        }
        decoder.finish("X3")?;
        Ok(facts)
    }
}

fn bytes_of(decoder: &mut Decoder<'_>) -> Result<Vec<u8>> {
    let len = decoder.varint_up_to(limits::METADATA as u64, "length of metadata", "L1")?;
    Ok(decoder.take(len, "X3")?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_round_trip_and_every_truncation_is_rejected() {
        let mut facts = Facts { level: -3, ..Facts::default() };
        facts.statistics.frames = 1 << 40;
        facts.metadata = vec![(b"a".to_vec(), b"".to_vec()), (b"b".to_vec(), vec![0; 300])];
        facts.extra = vec![ExtraSection { kind: 9, handle: Handle { offset: 1, len: 2, checksum: 3 } }];
        let bytes = facts.encode();
        assert_eq!(Facts::decode(&bytes, 0).unwrap(), facts);
        for len in 0..bytes.len() {
            assert!(Facts::decode(&bytes[..len], 0).is_err(), "{len}");
        }
    }

    #[test]
    fn metadata_keys_must_ascend() {
        let pair = (b"a".to_vec(), b"".to_vec());
        let facts = Facts { metadata: vec![pair.clone(), pair], ..Facts::default() };
        assert_eq!(Facts::decode(&facts.encode(), 0).unwrap_err().problem().unwrap().rule, "X2");
    }
}
