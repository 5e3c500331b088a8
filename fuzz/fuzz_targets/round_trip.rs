//! Any events: a file of them gives them back, sorted, whatever is asked; files of parts of them merge into the same file.

#![no_main]

use std::path::{Path, PathBuf};

use arbitrary::Arbitrary;
use esdb_format::{Codec, EventBuf, Reader, Scan, Unit, VerifyLevel, WriterOptions, fuzzing, merge};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    codec: u8,
    block: u8,
    memory: u8,
    /// How many events are in the first of two files.
    cut: u8,
    /// Times of two questions.
    times: (i64, i64),
    events: Vec<Event>,
}

#[derive(Arbitrary, Debug)]
struct Event {
    space: Vec<u8>,
    grouping: Vec<u8>,
    timestamp: Time,
    indexes: Vec<(u8, Vec<u8>)>,
    data: Vec<u8>,
    /// The event comes so often.
    times: u8,
    /// The data is repeated so often.
    stretch: u8,
}

/// Times that meet, and any.
#[derive(Arbitrary, Debug)]
enum Time {
    Near(i8),
    Any(i64),
}

impl Event {
    fn all(self) -> impl Iterator<Item = EventBuf> {
        let first = match self.timestamp {
            Time::Near(time) => time.into(),
            Time::Any(time) => time,
        };
        let stretch = if self.stretch < 250 { 1 } else { 300 };
        let event = EventBuf {
            space: self.space,
            grouping: self.grouping,
            timestamp: first,
            indexes: self.indexes.into_iter().map(|(name, value)| (vec![name % 4], value)).collect(),
            data: self.data.repeat(stretch),
        };
        // Times go back and forth, and some are equal.
        let time = move |number: u8| first.wrapping_add(i64::from(number % 5 * 3));
        let count = if self.times < 200 { 1 } else { self.times - 198 };
        (0..count).map(move |number| EventBuf { timestamp: time(number), ..event.clone() })
    }
}

fn write(options: &WriterOptions, path: &Path, events: &[EventBuf]) -> Reader {
    let mut writer = fuzzing::create(options.clone(), path).expect("options");
    for event in events {
        writer.add(event.as_event()).expect("event");
    }
    writer.finish().expect("file");
    read(path)
}

fn read(path: &Path) -> Reader {
    Reader::from_bytes(std::fs::read(path).expect("file")).expect("whole")
}

fn compare(scan: impl Fn() -> Scan, expected: &[EventBuf]) {
    let given: Vec<EventBuf> =
        scan().map(|event| event.expect("whole").into_owned().expect("whole")).collect();
    assert!(given == expected, "{given:?} instead of {expected:?}");
    let backwards: Vec<EventBuf> =
        scan().rev().map(|event| event.expect("whole").into_owned().expect("whole")).collect();
    assert!(backwards.iter().rev().eq(expected));
    assert_eq!(scan().total().expect("whole"), expected.len() as u64);
}

fuzz_target!(|input: Input| {
    fuzzing::ignore_checksums(false);
    let mut events: Vec<EventBuf> = input.events.into_iter().flat_map(Event::all).take(400).collect();
    let path = |name: &str| -> PathBuf {
        std::env::temp_dir().join(format!("fuzz-{name}-{}.esdb", std::process::id()))
    };
    let codec =
        [Codec::None, Codec::Snappy, Codec::Lz4, Codec::Zstd { level: 1 }][usize::from(input.codec % 4)];
    let options =
        WriterOptions::new().unit(Unit::Seconds).codec(codec).threads(1).replace(true).frame_size(256);
    let options = options.block_events_for_tests(usize::from(input.block % 50) + 1);
    // With little memory a few events are a run.
    let options = options.memory(if input.memory % 4 == 0 { 16 << 10 } else { 8 << 20 });
    let file = write(&options, &path("whole"), &events);
    let found = file.verify(VerifyLevel::Deep);
    assert!(found.is_ok(), "{:?}", found.problems);
    if input.cut % 4 == 0 {
        let (first, second) = events.split_at(usize::from(input.cut) * events.len() / 256);
        let parts = [write(&options, &path("first"), first), write(&options, &path("second"), second)];
        merge(&parts, fuzzing::create(options, &path("merged")).expect("options")).expect("merged");
        assert_eq!(read(&path("merged")).file_digest(), file.file_digest());
    }
    for event in &mut events {
        event.indexes.sort();
        event.indexes.dedup();
    }
    events.sort_by(EventBuf::cmp_file_order);
    compare(|| file.scan(), &events);
    let of = |keep: &dyn Fn(&EventBuf) -> bool| -> Vec<EventBuf> {
        let mut kept: Vec<EventBuf> = events.iter().filter(|event| keep(event)).cloned().collect();
        kept.sort_by(|a, b| (&a.space, a.timestamp, &a.grouping).cmp(&(&b.space, b.timestamp, &b.grouping)));
        kept
    };
    let (start, end) = (input.times.0.min(input.times.1), input.times.0.max(input.times.1));
    for event in events.iter().step_by(events.len() / 3 + 1) {
        let (space, grouping) = (&event.space, &event.grouping);
        let ask = || file.space(space).expect("whole");
        compare(ask, &of(&|other| other.space == *space));
        compare(
            || ask().grouping(grouping),
            &of(&|other| (&other.space, &other.grouping) == (space, grouping)),
        );
        let range = start.min(event.timestamp)..end;
        compare(
            || ask().range(range.clone()),
            &of(&|other| other.space == *space && range.contains(&other.timestamp)),
        );
        for pair in event.indexes.iter().take(2) {
            compare(|| file.scan().index(&pair.0, &pair.1), &of(&|other| other.indexes.contains(pair)));
            let here = of(&|other| other.space == *space && other.indexes.contains(pair));
            compare(|| ask().index(&pair.0, &pair.1), &here);
        }
    }
});
