//! Handles: offset, length and checksum of a stored thing (spec §4.4), and roots, which stand in the footer.

use std::hash::{Hash, Hasher};

use crate::codec::{Decoder, Encode};
use crate::error::Result;
use crate::limits;

/// Where a stored thing is, and the checksum it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Handle {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) checksum: u32,
}

impl Hash for Handle {
    /// Things of one file differ in their places.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.offset);
    }
}

impl Handle {
    /// The form inside pages: two varints and a checksum.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_varint(self.offset);
        out.put_varint(self.len);
        out.put_u32(self.checksum);
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self> {
        Ok(Self { offset: decoder.varint("P4")?, len: decoder.varint("P4")?, checksum: decoder.u32("P4")? })
    }

    /// The first byte behind it; `None` beyond the limit of files.
    pub(crate) fn end(&self) -> Option<u64> {
        self.offset.checked_add(self.len).filter(|&end| i64::try_from(end).is_ok())
    }
}

/// The root page of a tree, and how many entries its leaves hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Root {
    pub(crate) page: Handle,
    pub(crate) entries: u64,
}

impl Root {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_u64(self.page.offset);
        out.put_u32(self.page.len as u32);
        out.put_u32(self.page.checksum);
        out.put_u64(self.entries);
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self> {
        let offset = decoder.u64("F2")?;
        let len = u64::from(decoder.u32("F2")?);
        let checksum = decoder.u32("F2")?;
        let entries = decoder.u64("F2")?;
        if len > limits::PAGE as u64 {
            return Err(decoder.corrupt("L1", format!("root page of {len} bytes")));
        }
        Ok(Self { page: Handle { offset, len, checksum }, entries })
    }
}
