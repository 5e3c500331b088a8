//! Any bytes as the head or the columns of a block; any rows as columns and back, and those columns damaged.

#![no_main]

use esdb_format::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    match kind {
        // Checksums are not what is looked for.
        255 => {
            fuzzing::ignore_checksums(true);
            fuzzing::head(bytes);
        }
        _ if kind % 2 == 0 => fuzzing::columns(bytes),
        _ => fuzzing::build_columns(bytes),
    }
});
