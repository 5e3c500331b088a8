//! The two digests (spec §8): BLAKE3 over the file's bytes, and over its events.

use crate::codec::Encode;
use crate::unit::Unit;

/// A BLAKE3 digest.
pub type Digest = [u8; 32];

/// Digests events in file order, whatever blocks hold them.
pub(crate) struct ContentDigest {
    hasher: blake3::Hasher,
    pending: Vec<u8>,
}

/// Hashing is fastest in pieces of this size, in bytes.
const PIECE: usize = 64 << 10;

impl ContentDigest {
    pub(crate) fn new(unit: Unit) -> Self {
        Self { hasher: blake3::Hasher::new(), pending: vec![unit.code()] }
    }

    /// Adds an event, whose pairs ascend.
    pub(crate) fn add<'a>(
        &mut self,
        space: &[u8],
        grouping: &[u8],
        timestamp: i64,
        pair_count: usize,
        pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        data: &[u8],
    ) {
        self.put(space);
        self.put(grouping);
        self.pending.put_i64(timestamp);
        self.pending.put_u32(pair_count as u32);
        for (name, value) in pairs {
            self.put(name);
            self.put(value);
        }
        self.pending.put_u32(data.len() as u32);
        if data.len() >= PIECE {
            self.hasher.update(&self.pending);
            self.hasher.update(data);
            self.pending.clear();
            return;
        }
        self.pending.extend_from_slice(data);
        if self.pending.len() >= PIECE {
            self.hasher.update(&self.pending);
            self.pending.clear();
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        self.pending.put_u32(bytes.len() as u32);
        self.pending.extend_from_slice(bytes);
    }

    pub(crate) fn finish(mut self) -> Digest {
        self.hasher.update(&self.pending);
        self.hasher.finalize().into()
    }
}
