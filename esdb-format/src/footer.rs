//! The file's last 288 bytes (spec §3.4): where everything begins, and the digests.

use crate::checksum::{checksum_of_both, compare};
use crate::codec::{Decoder, Encode};
use crate::error::{Error, Result, Section};
use crate::handle::{Handle, Root};
use crate::header::{Layout, VERSION};

/// The roots of the five trees, in the order in which they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Roots {
    pub(crate) time_order: Root,
    pub(crate) names: Root,
    pub(crate) spaces: Root,
    pub(crate) groupings: Root,
    pub(crate) blocks: Root,
}

/// The file's last [`Footer::SIZE`] bytes (spec §3.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) file_len: u64,
    pub(crate) layout: Layout,
    pub(crate) header_checksum: u32,
    pub(crate) events: u64,
    pub(crate) first_timestamp: i64,
    pub(crate) last_timestamp: i64,
    pub(crate) roots: Roots,
    pub(crate) facts: Handle,
    pub(crate) content_digest: [u8; 32],
    pub(crate) file_digest: [u8; 32],
}

impl Footer {
    pub(crate) const SIZE: usize = 288;
    pub(crate) const MAGIC: [u8; 8] = *b"\x89ESDBF\r\n";
    /// How many of the footer's bytes the file digest covers.
    pub(crate) const DIGESTED: usize = 232;
    const CHECKSUM: usize = 264;

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::SIZE);
        out.put_u64(self.file_len);
        self.layout.encode(&mut out);
        out.put_u32(self.header_checksum);
        out.put_u32(0);
        out.put_u64(self.events);
        out.put_i64(self.first_timestamp);
        out.put_i64(self.last_timestamp);
        let Roots { time_order, names, spaces, groupings, blocks } = &self.roots;
        for root in [time_order, names, spaces, groupings, blocks] {
            root.encode(&mut out);
        }
        out.put_u64(self.facts.offset);
        out.put_u32(self.facts.len as u32);
        out.put_u32(self.facts.checksum);
        out.extend_from_slice(&self.content_digest);
        out.extend_from_slice(&self.file_digest);
        let mut end = Vec::new();
        end.put_u32(Self::SIZE as u32);
        end.put_u16(VERSION);
        end.resize(12, 0);
        end.extend_from_slice(&Self::MAGIC);
        out.put_u32(checksum_of_both(&out, &end));
        out.extend_from_slice(&end);
        out
    }

    /// Decodes the last bytes of a file of `file_len` bytes. They must end with the footer's magic.
    ///
    /// # Errors
    ///
    /// Unsupported for a newer version or an unknown required flag, corrupt otherwise.
    pub(crate) fn decode(tail: &[u8], file_len: u64) -> Result<Self> {
        let version_at = Self::SIZE - 16;
        let cut = |len: usize| {
            let start = tail.len().checked_sub(len)?;
            Some((tail.get(start..)?, file_len.checked_sub(len as u64)?))
        };
        if let Some((end, offset)) = cut(Self::SIZE - version_at) {
            // A newer footer may be of another length, so its version is read first.
            let version = Decoder::new(end, offset, Section::Footer).u16("F2")?;
            if version > VERSION {
                return Err(Error::NewerVersion { found: version, supported: VERSION });
            }
        }
        let Some((stored, offset)) = cut(Self::SIZE) else {
            return Err(Error::corrupt(
                Section::Footer,
                0,
                "F2",
                format!("{file_len} bytes have no room for it"),
            ));
        };
        let mut sealed = Decoder::new(stored, offset, Section::Footer);
        let before = sealed.take(Self::CHECKSUM, "F2")?;
        let sum = sealed.u32("F2")?;
        let found = checksum_of_both(before, sealed.rest());
        compare(sum, found, Section::Footer, offset, "F2")?;

        let mut decoder = Decoder::new(stored, offset, Section::Footer);
        let stated = decoder.u64("F3")?;
        if stated != file_len {
            let reason = format!("the file was written with {stated} bytes, it has {file_len}");
            return Err(Error::corrupt(Section::Footer, offset, "F3", reason));
        }
        let layout = Layout::decode(&mut decoder)?;
        let header_checksum = decoder.u32("F4")?;
        let zero = decoder.u32("F4")?;
        let events = decoder.u64("F5")?;
        let (first_timestamp, last_timestamp) = (decoder.i64("F5")?, decoder.i64("F5")?);
        let roots = Roots {
            time_order: Root::decode(&mut decoder)?,
            names: Root::decode(&mut decoder)?,
            spaces: Root::decode(&mut decoder)?,
            groupings: Root::decode(&mut decoder)?,
            blocks: Root::decode(&mut decoder)?,
        };
        let facts = Handle {
            offset: decoder.u64("F2")?,
            len: u64::from(decoder.u32("F2")?),
            checksum: decoder.u32("F2")?,
        };
        let content_digest = digest(&mut decoder)?;
        let file_digest = digest(&mut decoder)?;
        decoder.u32("F2")?;
        let len = decoder.u32("F2")?;
        if len as usize != Self::SIZE {
            return Err(decoder.corrupt("F2", format!("footer length is {len}, {} expected", Self::SIZE)));
        }
        let version = decoder.u16("F2")?;
        if version != VERSION {
            return Err(
                decoder.corrupt("F4", format!("version is {version} at the end, {VERSION} at the beginning"))
            );
        }
        let zeros = decoder.take(6, "F4")?;
        if zero != 0 || zeros.iter().any(|&byte| byte != 0) {
            return Err(Error::corrupt(Section::Footer, offset, "F4", "reserved bytes are not zero"));
        }
        if i64::try_from(events).is_err() {
            return Err(Error::corrupt(Section::Footer, offset, "L1", format!("{events} events")));
        }
        if first_timestamp > last_timestamp || (events == 0 && (first_timestamp, last_timestamp) != (0, 0)) {
            let reason = format!("time range is {first_timestamp} to {last_timestamp}");
            return Err(Error::corrupt(Section::Footer, offset, "F5", reason));
        }
        Ok(Self {
            file_len,
            layout,
            header_checksum,
            events,
            first_timestamp,
            last_timestamp,
            roots,
            facts,
            content_digest,
            file_digest,
        })
    }
}

fn digest(decoder: &mut Decoder<'_>) -> Result<[u8; 32]> {
    let mut digest = [0; 32];
    digest.copy_from_slice(decoder.take(32, "G1")?);
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::tests::LAYOUT;

    fn footer() -> Footer {
        let root = |n: u64| Root { page: Handle { offset: n, len: n + 1, checksum: 9 }, entries: n * 3 };
        Footer {
            file_len: 1000,
            layout: LAYOUT,
            header_checksum: 3,
            events: 12,
            first_timestamp: -5,
            last_timestamp: 8,
            roots: Roots {
                time_order: root(1),
                names: root(2),
                spaces: root(3),
                groupings: root(4),
                blocks: root(5),
            },
            facts: Handle { offset: 700, len: 12, checksum: 1 },
            content_digest: [7; 32],
            file_digest: [8; 32],
        }
    }

    #[test]
    fn encode_fills_size_and_round_trips() {
        let bytes = footer().encode();
        assert_eq!(bytes.len(), Footer::SIZE);
        assert_eq!(Footer::decode(&bytes, 1000).unwrap(), footer());
    }

    #[test]
    fn every_flip_and_truncation_is_rejected() {
        let bytes = footer().encode();
        for at in 0..bytes.len() {
            assert!(Footer::decode(&bytes[..at], 1000).is_err());
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                assert!(Footer::decode(&damaged, 1000).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn another_length_of_the_file_is_named() {
        let error = Footer::decode(&footer().encode(), 999).unwrap_err();
        assert!(error.to_string().contains("written with 1000 bytes, it has 999"), "{error}");
    }
}
