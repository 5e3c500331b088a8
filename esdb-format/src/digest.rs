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

/// Hashing is fastest in whole pieces of this size, from one border to the next, in bytes.
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
        if data.len() < PIECE {
            self.pending.extend_from_slice(data);
            return self.hash_pieces();
        }
        let (head, rest) = data.split_at(PIECE.saturating_sub(self.pending.len() % PIECE));
        self.pending.extend_from_slice(head);
        self.hash_pieces();
        let pieces = rest.chunks_exact(PIECE);
        self.pending.extend_from_slice(pieces.remainder());
        for piece in pieces {
            self.hasher.update(piece);
        }
    }

    /// Hashes what is pending but the beginning of a piece.
    fn hash_pieces(&mut self) {
        let pieces = self.pending.chunks_exact(PIECE);
        let begun = pieces.remainder().len();
        for piece in pieces {
            self.hasher.update(piece);
        }
        self.pending.drain(..self.pending.len().saturating_sub(begun));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_any_size_are_digested_one_after_another() {
        let mut digest = ContentDigest::new(Unit::Seconds);
        let mut bytes = vec![Unit::Seconds.code()];
        for (len, value) in [(3, 0), (PIECE - 1, 9), (PIECE, 200_000), (5 * PIECE + 7, 1), (PIECE + 1, 0)] {
            let (data, value) = (vec![len as u8; len], vec![7; value]);
            digest.add(b"space", b"", -5, 1, [(&b"name"[..], &value[..])].into_iter(), &data);
            bytes.extend(b"\x05\0\0\0space\0\0\0\0");
            bytes.put_i64(-5);
            bytes.extend(b"\x01\0\0\0\x04\0\0\0name");
            for part in [value, data] {
                bytes.put_u32(part.len() as u32);
                bytes.extend(part);
            }
        }
        assert_eq!(digest.finish(), Digest::from(blake3::hash(&bytes)));
    }
}
