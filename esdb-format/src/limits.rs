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
/// Levels of a tree.
pub(crate) const LEVELS: u8 = 32;
/// Bytes of data after which a block is closed.
pub(crate) const BLOCK_DATA: usize = 1 << 20;
/// Bytes of keys after which a block is closed.
pub(crate) const BLOCK_KEYS: usize = 4 << 20;
