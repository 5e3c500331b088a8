//! Any events: a file of them gives them back, sorted.

#![no_main]

use arbitrary::Arbitrary;
use esdb_format::{Codec, EventBuf, Reader, VerifyLevel, WriterOptions, fuzzing};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    codec: u8,
    block: u8,
    events: Vec<Event>,
}

#[derive(Arbitrary, Debug)]
struct Event {
    space: Vec<u8>,
    grouping: Vec<u8>,
    timestamp: i64,
    indexes: Vec<(u8, Vec<u8>)>,
    data: Vec<u8>,
}

fuzz_target!(|input: Input| {
    fuzzing::ignore_checksums(false);
    let mut events: Vec<EventBuf> = input
        .events
        .into_iter()
        .map(|event| EventBuf {
            space: event.space,
            grouping: event.grouping,
            timestamp: event.timestamp,
            indexes: event.indexes.into_iter().map(|(name, value)| (vec![name % 4], value)).collect(),
            data: event.data,
        })
        .collect();
    let path = std::env::temp_dir().join(format!("fuzz-round-trip-{}.esdb", std::process::id()));
    let codec = [Codec::None, Codec::Snappy, Codec::Lz4, Codec::Zstd { level: 1 }][usize::from(input.codec % 4)];
    let options = WriterOptions::new().codec(codec).threads(1).replace(true).frame_size(256);
    let mut writer = options.block_events_for_tests(usize::from(input.block % 50) + 1).create(&path).unwrap();
    for event in &events {
        writer.add(event.as_event()).unwrap();
    }
    writer.finish().unwrap();
    let reader = Reader::open(&path).unwrap();
    let found = reader.verify(VerifyLevel::Deep);
    assert!(found.is_ok(), "{:?}", found.problems);
    for event in &mut events {
        event.indexes.sort();
        event.indexes.dedup();
    }
    events.sort_by(EventBuf::cmp_file_order);
    let given: Vec<EventBuf> = reader.scan().map(|event| event.unwrap().into_owned().unwrap()).collect();
    assert_eq!(given, events);
    let backwards: Vec<EventBuf> = reader.scan().rev().map(|event| event.unwrap().into_owned().unwrap()).collect();
    assert!(backwards.into_iter().rev().eq(events));
});
