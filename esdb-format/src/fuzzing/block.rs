//! The columns of a block.

use std::sync::Arc;

use crate::block::{Block, Columns, Head};
use crate::codecs::Codecs;
use crate::compression::Codec;

/// Decodes `columns` as those of a block of `rows` events, and asks it for everything.
pub fn decode_columns(rows: u16, codec: u8, payload: u8, columns: &[u8]) {
    let Some(codec) = Codec::from_code(codec % 4, 3) else { return };
    let head = Head {
        offset: 100,
        first_ordinal: 0,
        count: u32::from(rows % 4096) + 1,
        columns_len: columns.len() as u32,
        payload_len: payload.into(),
        columns_checksum: 0,
        checksum: 0,
    };
    let columns = Columns::decode(head, columns.to_vec(), Arc::new(Codecs::new(codec, true)));
    let Ok(block) = columns.and_then(Block::new) else { return };
    let times = block.times().map(<[i64]>::len);
    assert!(times.is_err() || times.is_ok_and(|len| len == block.rows()));
    for row in 0..block.rows() {
        let _ = block.keys_of(row);
        if let Ok(indexes) = block.indexes() {
            assert!(indexes.pairs(row).is_sorted_by(|a, b| a < b));
        }
        if let (Ok(frames), Ok(whole)) = (block.frames(), block.whole()) {
            let frame = frames.of_row(row);
            assert!(whole.range_in(frames, frame, row).end <= whole.frame(frames, frame).data_len);
        }
    }
}
