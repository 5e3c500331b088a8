//! The limits of the format (spec §3.1), one place for all.

/// Bytes of a space, grouping, index name or index value.
pub const KEY: usize = 65_535;
/// Bytes of an event's data.
pub const DATA: usize = (1 << 30) - 1;
/// Index pairs of one event.
pub const PAIRS: usize = 131_072;
/// Bytes of all names and values of one event.
pub const PAIR_BYTES: usize = 16 << 20;
/// Events in a block.
pub const BLOCK_EVENTS: usize = 4_096;
/// Events in a frame of the time order.
pub(crate) const TIME_FRAME: usize = 4_096;
/// Smallest frame size.
pub const FRAME_SIZE_MIN: u32 = 256;
/// Largest frame size.
pub const FRAME_SIZE_MAX: u32 = 1 << 20;
/// Bytes of a dictionary.
pub const DICTIONARY: usize = 128 << 10;
/// Bytes of user metadata, keys and values together.
pub const METADATA: usize = 16 << 20;
/// Bytes of the keys area, and of the values area, of a block: uncompressed, and with front coding undone.
pub(crate) const AREA: usize = 32 << 20;
/// Bytes of a page.
pub(crate) const PAGE: usize = 256 << 10;
/// Entries of a leaf of spaces or groupings.
pub(crate) const LEAF_EXTENTS: usize = 256;
/// Levels of a tree.
pub(crate) const LEVELS: u8 = 32;
/// Bytes of data after which a block is closed.
pub(crate) const BLOCK_DATA: usize = 1 << 20;
/// Bytes of keys after which a block is closed.
pub(crate) const BLOCK_KEYS: usize = 4 << 20;

/// What the format says of numbers that no writer can reach is asked of those who decode them.
#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Head;
    use crate::codec::{Decoder, Encode};
    use crate::codecs::Codecs;
    use crate::compression::Codec;
    use crate::error::{Result, Section};
    use crate::facts::Facts;
    use crate::footer::{Footer, Roots};
    use crate::handle::{Handle, Root};
    use crate::header::{Layout, tests::LAYOUT};
    use crate::page::{Page, PageBuilder};
    use crate::strings::Strings;

    /// Asserts that what is at the limit is decoded and what is one beyond is rejected.
    #[track_caller]
    fn hold<T, E>(decode: impl Fn(T) -> Result<E>, [at, beyond]: [T; 2]) {
        assert!(decode(at).is_ok(), "at the limit");
        match decode(beyond).err().and_then(|error| error.problem().cloned()) {
            Some(problem) => assert_eq!(problem.rule, "L1"),
            None => panic!("one beyond is not damage"),
        }
    }

    #[test]
    fn events_of_a_file() {
        let decode = |events| {
            let footer = Footer {
                file_len: 1_000,
                layout: LAYOUT,
                header_checksum: 0,
                events,
                first_timestamp: 0,
                last_timestamp: 0,
                roots: Roots::default(),
                facts: Handle::default(),
                content_digest: [0; 32],
                file_digest: [0; 32],
            };
            Footer::decode(&footer.encode(), 1_000)
        };
        hold(decode, [i64::MAX as u64, 1 << 63]);
    }

    #[test]
    fn bytes_of_a_file() {
        let end = |offset, len| Handle { offset, len, checksum: 0 }.end();
        let last = i64::MAX as u64;
        assert_eq!(end(last - 7, 7), Some(last));
        assert_eq!([end(last - 7, 8), end(1, last), end(u64::MAX, 1)], [None; 3]);
    }

    #[test]
    fn events_and_payload_of_a_block() {
        let block = |first_ordinal: u64, count: usize, payload_len: usize| {
            let mut head = Head {
                offset: 0,
                first_ordinal,
                count: count as u32,
                rows_len: 9,
                labels_len: 0,
                payload_len: payload_len as u64,
                rows_checksum: 0,
                checksum: 0,
            };
            Head::decode(&head.encode(&LAYOUT), 0, &LAYOUT)
        };
        hold(|count| block(0, count, 9), [BLOCK_EVENTS, BLOCK_EVENTS + 1]);
        hold(|first| block(first, 1, 9), [i64::MAX as u64 - 1, i64::MAX as u64]);
        hold(|len| block(0, 1, len), [DATA + BLOCK_DATA, DATA + BLOCK_DATA + 1]);
    }

    #[test]
    fn bytes_of_a_dictionary() {
        let decode = |dictionary_len: usize| {
            let mut bytes = Vec::new();
            Layout { dictionary_len: dictionary_len as u32, ..LAYOUT }.encode(&mut bytes);
            Layout::decode(&mut Decoder::new(&bytes, 0, Section::Header))
        };
        hold(decode, [DICTIONARY, DICTIONARY + 1]);
    }

    #[test]
    fn bytes_of_a_page() {
        let decode = |len: usize| {
            let mut bytes = Vec::new();
            Root { page: Handle { offset: 0, len: len as u64, checksum: 0 }, entries: 0 }.encode(&mut bytes);
            Root::decode(&mut Decoder::new(&bytes, 0, Section::Footer))
        };
        hold(decode, [PAGE, PAGE + 1]);
    }

    #[test]
    fn levels_of_a_tree() {
        let decode = |level: u8| {
            let mut page = PageBuilder::default();
            page.add(b"key", b"value");
            Page::decode(page.take(level), 0, Section::Names, &Codecs::new(Codec::None, true))
        };
        hold(decode, [LEVELS - 1, LEVELS]);
    }

    #[test]
    fn bytes_of_keys() {
        let decode = |len: usize| {
            let mut bytes = Vec::new();
            bytes.put_varint(0);
            bytes.put_bytes(&vec![b'k'; len]);
            Strings::default().decode(&mut Decoder::new(&bytes, 0, Section::Block), true).map(<[u8]>::len)
        };
        hold(decode, [KEY, KEY + 1]);
    }

    /// Each string repeats the one before and adds a byte, or begins anew.
    #[test]
    fn bytes_of_the_strings_of_an_area() {
        let decode = |total: usize| {
            let mut bytes = Vec::new();
            let lens = std::iter::repeat_n(KEY, total / KEY).chain([total % KEY]);
            let mut previous = 0;
            for len in lens {
                let shared = len.min(previous);
                bytes.put_varint(shared as u64);
                bytes.put_bytes(&vec![b'k'; len - shared]);
                previous = len;
            }
            let mut decoder = Decoder::new(&bytes, 0, Section::Block);
            let mut strings = Strings::default();
            while decoder.remaining() > 0 {
                strings.decode(&mut decoder, false)?;
            }
            assert_eq!(strings.bytes(), total);
            Ok(())
        };
        hold(decode, [AREA, AREA + 1]);
    }

    #[test]
    fn bytes_of_metadata() {
        let decode = |bytes: usize| {
            let metadata = vec![(b"a".to_vec(), vec![0; bytes - 2]), (b"b".to_vec(), Vec::new())];
            Facts::decode(&Facts { metadata, ..Facts::default() }.encode(), 0)
        };
        hold(decode, [METADATA, METADATA + 1]);
    }
}
