//! Any bytes as the columns of a block: decoding ends, and what it accepts can be asked for every row.

#![no_main]

use esdb_format::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some((head, columns)) = bytes.split_at_checked(4) {
        fuzzing::decode_columns(u16::from_le_bytes([head[0], head[1]]), head[2], head[3], columns);
    }
});
