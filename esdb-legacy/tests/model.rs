//! Archives and streams as the old library would write them, converted and compared with what went in.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod old;

use esdb_format::{Event as NewEvent, EventBuf, Reader, Unit, VerifyLevel, WriterOptions};
use esdb_legacy::{Legacy, Options, Report};

use old::Event;

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn bytes(&mut self, len: u64) -> Vec<u8> {
        (0..len).map(|_| self.below(256) as u8).collect()
    }
}

fn convert(bytes: Vec<u8>, options: &Options) -> (Vec<EventBuf>, Report) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("new.esdb");
    let mut writer = WriterOptions::new().unit(Unit::Seconds).threads(1).create(&output).unwrap();
    let old = Legacy::open_source(Box::new(bytes)).unwrap();
    let report = old.convert(options, &mut writer, &mut |_| ()).unwrap();
    writer.finish().unwrap();
    let reader = Reader::open(output).unwrap();
    assert!(reader.verify(VerifyLevel::Deep).is_ok());
    (reader.scan().map(|event| event.unwrap().into_owned().unwrap()).collect(), report)
}

/// Whether events come in the order of a new file, so that its writer need not sort them.
fn is_in_order(bytes: Vec<u8>, options: &Options) -> bool {
    let old = Legacy::open_source(Box::new(bytes)).unwrap();
    let mut keys = Vec::new();
    let mut each = |event: &NewEvent<'_>| {
        keys.push((event.space.to_vec(), event.grouping.to_vec(), event.timestamp));
        Ok(())
    };
    old.for_each(options, &mut each, &mut |_| ()).unwrap();
    keys.is_sorted()
}

/// What a new file holds of events that were added to spaces in this order.
fn expected(spaces: &[(&[u8], Vec<Event>)]) -> Vec<EventBuf> {
    let mut all = Vec::new();
    for (space, events) in spaces {
        for event in events {
            let pair = |key: &Vec<u8>| {
                let colon = key.iter().position(|byte| *byte == b':').unwrap();
                (key[..colon].to_vec(), key[colon + 1..].to_vec())
            };
            let mut indexes: Vec<_> = event.keys.iter().map(pair).collect();
            indexes.sort();
            indexes.dedup();
            all.push(EventBuf {
                space: space.to_vec(),
                grouping: event.grouping.clone(),
                timestamp: event.timestamp.into(),
                indexes,
                data: event.data.clone(),
            });
        }
    }
    all.sort_by(EventBuf::cmp_file_order);
    all
}

#[test]
fn any_archive_comes_over_as_it_went_in() {
    let mut random = Random(7);
    for round in 0..60 {
        let spaces = 1 + random.below(4);
        let groupings = 1 + random.below(5);
        let most = [3, 60, 5_000, 9_000][random.below(4) as usize];
        let times = [1, 5, 1_000][random.below(3) as usize];
        let event = |random: &mut Random| {
            let len = random.below(most);
            let data = if random.below(2) == 0 { vec![b'x'; len as usize] } else { random.bytes(len) };
            let keys = (0..random.below(4))
                .map(|_| format!("k{}:{}", random.below(2), random.below(4)).into_bytes());
            let mut keys: Vec<Vec<u8>> = keys.collect();
            keys.sort();
            keys.dedup();
            Event {
                grouping: random.below(groupings).to_string().into_bytes(),
                timestamp: random.below(times) as u32,
                keys,
                data,
            }
        };
        let names = [&b"b"[..], b"a", b"\xff", b"d"];
        let events = |random: &mut Random| (0..1 + random.below(300)).map(|_| event(random)).collect();
        let spaces: Vec<(&[u8], Vec<Event>)> =
            names.iter().take(spaces as usize).map(|name| (*name, events(&mut random))).collect();
        let (found, report) = convert(old::archive(&spaces), &Options::new());
        assert!(report.is_complete(), "round {round}: {:?}", report.losses);
        assert!(found == expected(&spaces), "round {round}");
        let (in_parts, _) = convert(old::archive(&spaces), &Options::new().segment_for_tests(64));
        assert!(in_parts == found, "round {round}, in parts");
        // Empty events of time 0 may be lost pages: where they are, nothing is said of the order.
        let is_zeros = |event: &Event| event.timestamp == 0 && event.data.is_empty();
        let may_lack_pages = spaces.iter().flat_map(|(_, events)| events).any(is_zeros);
        for segment in [64, 40_000] {
            let options = Options::new().segment_for_tests(segment);
            assert!(may_lack_pages || is_in_order(old::archive(&spaces), &options), "round {round}");
        }
    }
}

/// Groupings that come in parts, and more index entries than memory has room for: they are in order all the same.
#[test]
fn little_memory_changes_no_event() {
    let mut random = Random(11);
    let event = |i: u64| Event {
        grouping: (i % 2).to_string().into_bytes(),
        timestamp: (i / 100) as u32,
        keys: vec![format!("user:{}", i % 5_000).into_bytes(), b"all:".to_vec()],
        data: i.to_le_bytes().to_vec(),
    };
    let mut events: Vec<Event> = (0..150_000).map(event).collect();
    events[70_000].data = random.bytes(3 << 20);
    let spaces = [(&b"one"[..], events)];
    let options = Options::new().memory(8 << 20);
    let (found, report) = convert(old::archive(&spaces), &options);
    assert!(report.is_complete(), "{:?}", report.losses);
    assert!(found == expected(&spaces));
    assert!(is_in_order(old::archive(&spaces), &options));
}

/// Groupings are read in parts, of which the last comes first; 32 records of 128 bytes, of one time, end where a block does.
#[test]
fn large_groupings_come_over_in_parts() {
    let mut random = Random(5);
    let event = |i: u64, len: u64, random: &mut Random| Event {
        grouping: (i % 2).to_string().into_bytes(),
        timestamp: (1_000 + i / 64) as u32,
        keys: if i.is_multiple_of(8) || i % 64 == 63 {
            vec![b"k:v".to_vec(), b"all:".to_vec()]
        } else {
            Vec::new()
        },
        data: random.bytes(len),
    };
    for (len, most) in [(123, 124), (0, 400)] {
        let mut events: Vec<Event> = (0..64 * 930)
            .map(|i| {
                let len = len + random.below(most - len);
                event(i, len.max(1), &mut random)
            })
            .collect();
        events[20_000].data.clear();
        let spaces = [(&b"one"[..], events)];
        let options = Options::new().memory(8 << 20);
        let (found, report) = convert(old::archive(&spaces), &options);
        assert!(report.is_complete(), "{:?}", report.losses);
        assert!(found == expected(&spaces));
        assert!(is_in_order(old::archive(&spaces), &options));
        let (_, whole) = convert(old::archive(&spaces), &Options::new());
        assert_eq!(
            (report.hidden_events, report.hidden_entries),
            (whole.hidden_events, whole.hidden_entries)
        );
        assert_eq!(report.groupings, 2);
    }
}

/// Little of the file, and more than a batch may take.
#[test]
fn groupings_that_pack_well_are_in_order() {
    let event = |i: u64| Event { timestamp: i as u32, data: vec![b'x'; 4_000], ..Event::default() };
    let spaces = [(&b"one"[..], (0..1_200).map(event).collect::<Vec<_>>())];
    let bytes = old::archive(&spaces);
    assert!(bytes.len() < 256 << 10, "{} bytes", bytes.len());
    let options = Options::new().memory(8 << 20);
    assert!(is_in_order(bytes.clone(), &options));
    assert!(convert(bytes, &options).0 == expected(&spaces));
}

#[test]
fn events_beyond_the_limit_are_left_out_and_told() {
    let event = |i: u32, len: usize| Event {
        timestamp: i,
        keys: vec![b"k:v".to_vec()],
        data: vec![i as u8; len],
        ..Event::default()
    };
    for len in [1_001, 4_096, 30_000] {
        let mut events: Vec<Event> = (0..200).map(|i| event(i, 100)).collect();
        events[50].data = vec![7; len];
        events[51].data = vec![8; len];
        events[150].data = vec![9; 1_000];
        let (found, report) =
            convert(old::archive(&[(b"s", events.clone())]), &Options::new().max_event(1_000));
        assert_eq!(
            (report.events, report.events_lost, report.entries_lost, report.loss_count),
            (198, 2, 2, 2)
        );
        assert!(report.losses[0].reason.contains(&format!("an event of {len} bytes")), "{:?}", report.losses);
        events.drain(50..52);
        assert!(found == expected(&[(b"s", events)]));
    }
}

#[test]
fn timestamps_out_of_order_are_sorted_and_told() {
    let event = |timestamp: u32| Event { timestamp, data: vec![timestamp as u8], ..Event::default() };
    let mut bytes = old::archive(&[(b"s", vec![event(3), event(2), event(1)])]);
    // The second record of the raw block: 4 bytes of header, then 6 bytes for each.
    bytes[4 + 6 + 1] = 9;
    let (found, report) = convert(bytes, &Options::new());
    assert_eq!(found.iter().map(|event| event.timestamp).collect::<Vec<_>>(), [1, 3, 9]);
    assert_eq!((report.unordered_groupings, report.loss_count), (1, 1));
}

#[test]
fn any_stream_comes_over_as_it_was_written() {
    let mut random = Random(3);
    for round in 0..40 {
        let records: Vec<(Vec<u8>, Vec<Vec<u8>>)> = (0..random.below(200))
            .map(|_| {
                let len = random.below(300);
                let mut keys: Vec<Vec<u8>> = (0..random.below(4))
                    .map(|_| format!("k{}:{}", random.below(3), random.below(9)).into_bytes())
                    .collect();
                keys.sort();
                keys.dedup();
                (random.bytes(len), keys)
            })
            .collect();
        let event = |(number, (data, keys)): (usize, &(Vec<u8>, Vec<Vec<u8>>))| Event {
            timestamp: number as u32,
            keys: keys.clone(),
            data: data.clone(),
            ..Event::default()
        };
        let events = records.iter().enumerate().map(event).collect();
        let (found, report) = convert(old::stream(&records, round % 2 == 0), &Options::new().space("log"));
        assert!(report.is_complete(), "{:?}", report.losses);
        assert!(found == expected(&[(b"log", events)]));
    }
}
