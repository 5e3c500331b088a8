//! Any bytes as posting lists, frames of the time order and packed columns; any numbers through a list and back.

#![no_main]

use esdb_format::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&kind, bytes)) = bytes.split_first() else { return };
    match kind % 5 {
        0 => fuzzing::list(bytes),
        1 => fuzzing::time_frame(bytes),
        2 => fuzzing::column(bytes),
        3 => fuzzing::damaged_list(bytes),
        _ => fuzzing::build_list(bytes),
    }
});
