//! Cases S3 and S10: events and bytes beyond 2^32 and 2^40. Their counters begin there, as if the events and bytes before had been written;
//! a source leaves out the bytes that are not there.

use std::io;
use std::sync::Arc;

use super::assembler::{Assembler, Plan};
use super::ordered::{Ordered, OrderedPairs};
use super::output::Output;
use crate::compression::Codec;
use crate::count::CountBy;
use crate::event::{Event, EventBuf};
use crate::header::Header;
use crate::reader::{Reader, ReaderOptions};
use crate::scan::{Scan, StoredEvent};
use crate::source::Source;
use crate::storage::{FileSystem, SpillFolder};
use crate::unit::Unit;

/// The header, nothing for a long way, and the rest.
struct Far {
    bytes: Vec<u8>,
    start: u64,
}

impl Source for Far {
    fn len(&self) -> u64 {
        self.start + (self.bytes.len() - Header::SIZE) as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let offset = match offset {
            0..64 => offset,
            _ => offset.checked_sub(self.start).ok_or(io::ErrorKind::NotFound)? + Header::SIZE as u64,
        };
        self.bytes.read_at(offset, buffer)
    }
}

/// Three spaces, the middle one of which has groupings; pairs that few, and that more than 128 events have.
fn events() -> Vec<EventBuf> {
    let event = |i: i64| {
        let space = ["a", "b", "b", "b", "c"][(i % 5) as usize];
        let grouping = if space == "b" { ["g", "h", "i"][(i % 3) as usize] } else { "" };
        let (number, kind) = (i.to_string(), ["even", "odd"][(i % 2) as usize]);
        let event = Event::new(space, i * 37 % 1_000, &number).grouping(grouping);
        EventBuf::from(event.index("kind", kind).index("number", &number))
    };
    let mut events: Vec<EventBuf> = (0..12_000).map(event).collect();
    events.sort_by(EventBuf::cmp_file_order);
    events
}

/// The events with the first one's ordinal, in blocks from `start` on.
fn far(events: &[EventBuf], ordinal: u64, start: u64, codec: Codec) -> Reader {
    let folder = tempfile::tempdir().unwrap();
    let spills = SpillFolder::new(Arc::new(FileSystem), folder.path());
    let mut output = Output::new(Box::new(tempfile::tempfile_in(folder.path()).unwrap()), "far".into(), true);
    output.begin_at(start - Header::SIZE as u64);
    let plan = Plan {
        unit: Unit::Seconds,
        codec,
        frame_size: Some(256),
        threads: 1,
        block_events: 700,
        memory: 8 << 20,
    };
    let mut assembler = Assembler::new(plan, output, &spills);
    assembler.begin_at(ordinal);
    for event in events {
        let Event { space, grouping, timestamp, indexes, data } = event.as_event();
        let pairs = OrderedPairs::Given(indexes.iter());
        assembler.add(&Ordered { space, grouping, timestamp, pairs, data }).unwrap();
    }
    let assembled = assembler.finish(Vec::new()).unwrap();
    let end = assembled.footer.file_len;
    let file = assembled.output.into_file().unwrap();
    let mut bytes = vec![0; (end - start) as usize + Header::SIZE];
    crate::storage::read_all_at(&*file, 0, &mut bytes).unwrap();
    ReaderOptions::new().open_source(Box::new(Far { bytes, start })).unwrap()
}

/// Asks forwards, backwards and for the count.
fn assert_answers<'a>(ask: impl Fn() -> Scan, truth: impl Iterator<Item = &'a EventBuf>) {
    let mut truth: Vec<&EventBuf> = truth.collect();
    let given = |scan: &mut dyn Iterator<Item = crate::Result<StoredEvent>>| {
        scan.map(|event| event.and_then(StoredEvent::into_owned).unwrap()).collect::<Vec<_>>()
    };
    assert!(!truth.is_empty());
    assert!(given(&mut ask()).iter().eq(truth.iter().copied()));
    truth.reverse();
    assert!(given(&mut ask().rev()).iter().eq(truth.iter().copied()));
    assert_eq!(ask().total().unwrap(), truth.len() as u64);
}

#[test]
fn events_and_bytes_beyond_any_border_are_found() {
    let events = events();
    let mut in_time: Vec<&EventBuf> = events.iter().collect();
    in_time.sort_by(|a, b| (&a.space, a.timestamp, &a.grouping).cmp(&(&b.space, b.timestamp, &b.grouping)));
    let count = events.len() as u64;
    for (ordinal, start) in [
        ((1 << 32) - 10, (1 << 32) - 100),
        ((1 << 32) - 5_000, (1 << 32) - 20_000),
        ((1 << 40) - 1, 1 << 40),
        ((1 << 56) - 3_000, (1 << 48) - 5_000),
        // The last numbers that there are.
        (i64::MAX as u64 - count, i64::MAX as u64 - (2 << 20)),
    ] {
        for codec in [Codec::None, Codec::Lz4] {
            let file = far(&events, ordinal, start, codec);
            assert_eq!(file.events(), ordinal + count);
            for space in ["a", "b", "c"] {
                let of_space = || in_time.iter().copied().filter(|event| event.space == space.as_bytes());
                let scan = || file.space(space).unwrap();
                assert_answers(scan, of_space());
                assert_answers(
                    || scan().range(100..500),
                    of_space().filter(|event| (100..500).contains(&event.timestamp)),
                );
                assert_answers(
                    || scan().index("kind", "odd"),
                    of_space().filter(|event| event.indexes[0].1 == b"odd"),
                );
                let first = of_space().next().unwrap();
                let number = &first.indexes[1].1;
                assert_answers(|| scan().index("number", number), std::iter::once(first));
            }
            assert_answers(
                || file.space("b").unwrap().grouping("h"),
                events.iter().filter(|event| event.space == b"b" && event.grouping == b"h"),
            );
            assert_answers(
                || file.scan().index("kind", "even"),
                in_time.iter().copied().filter(|event| event.indexes[0].1 == b"even"),
            );
            let ordinals: Vec<u64> =
                file.space("b").unwrap().grouping("g").map(|event| event.unwrap().ordinal()).collect();
            let expected = (ordinal..).zip(&events).filter(|(_, event)| event.grouping == b"g");
            assert!(ordinals.into_iter().eq(expected.map(|(ordinal, _)| ordinal)));
            let counts: Vec<u64> = file.spaces().map(|space| space.unwrap().extent.count).collect();
            assert_eq!(counts, [2_400, 7_200, 2_400]);
            assert_eq!(file.groupings("b").unwrap().count(), 3);
            let by = file.space("b").unwrap().count_by(&[CountBy::Grouping], &|time| (time, time)).unwrap();
            assert_eq!(by.values().sum::<u64>(), 7_200);
            // The events before are not there: an error, and no other events in their place.
            assert!(file.scan().next().unwrap().is_err());
        }
    }
}
