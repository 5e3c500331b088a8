//! The writer's promises: one file for the same events, bounded memory by spilling, nothing under the name until it is whole.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use esdb_format::{Codec, Error, Event, EventBuf, Reader, Unit, VerifyLevel, Writer, WriterOptions, limits};

/// Events of few and many groupings, with index values that repeat and some that do not; times are distinct.
fn events(count: u64) -> Vec<EventBuf> {
    (0..count)
        .map(|i| {
            let noise = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16;
            let space =
                if noise.is_multiple_of(3) { "giant".into() } else { format!("small-{}", noise % 9_000) };
            EventBuf {
                space: space.into_bytes(),
                grouping: format!("g{}", noise % 50).into_bytes(),
                timestamp: i as i64 * 7,
                indexes: vec![
                    (b"id".to_vec(), format!("{:x}", noise % 30_000).into_bytes()),
                    (b"type".to_vec(), format!("t{}", noise % 12).into_bytes()),
                ],
                data: format!("{{\"event\":{i},\"noise\":{noise},\"text\":\"a few words that compress\"}}")
                    .into_bytes(),
            }
        })
        .collect()
}

fn write<'a>(events: impl Iterator<Item = &'a EventBuf>, options: WriterOptions) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    let mut writer = options.create(&path).unwrap();
    for event in events {
        writer.add(event.as_event()).unwrap();
    }
    writer.finish().unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn order_threads_and_memory_change_no_byte() {
    let events = events(250_000);
    let mut sorted = events.clone();
    sorted.sort_by(EventBuf::cmp_file_order);
    let mut shuffled: Vec<_> = events.iter().collect();
    shuffled.sort_by_key(|event| event.timestamp.wrapping_mul(0x2545_F491_4F6C_DD1D));

    let whole = write(sorted.iter(), WriterOptions::new().threads(2));
    let file = Reader::from_bytes(whole.clone()).unwrap();
    let found = file.verify(VerifyLevel::Deep);
    assert!(found.is_ok(), "{:?}", found.problems);
    let small = || WriterOptions::new().memory(8 << 20);
    for (what, bytes) in [
        ("in order of time", write(events.iter(), WriterOptions::new())),
        ("sorted, little memory, one thread", write(sorted.iter(), small().threads(1))),
        ("shuffled, little memory", write(shuffled.iter().copied(), small())),
        ("shuffled", write(shuffled.iter().copied(), WriterOptions::new().threads(1))),
    ] {
        assert!(bytes == whole, "{what}");
    }
    // Sorted at first, so that blocks were written before the first late event.
    let (late, early): (Vec<_>, Vec<_>) = sorted.iter().partition(|event| event.timestamp % 11 == 0);
    assert!(write(early.into_iter().chain(late), small()) == whole, "late events");
}

#[test]
fn giant_events_among_small_ones_change_no_byte_with_threads() {
    let mut events = events(20_000);
    for at in [0, 7_000, 7_001, 19_999] {
        events[at].data = vec![at as u8; 10 << 20];
    }
    let one = write(events.iter(), WriterOptions::new().threads(1));
    assert!(write(events.iter(), WriterOptions::new().threads(3)) == one);
    events.sort_by(EventBuf::cmp_file_order);
    assert!(write(events.iter(), WriterOptions::new().threads(3).memory(8 << 20)) == one);
}

#[test]
fn ties_keep_the_order_of_arrival_through_every_path() {
    let event = |i: u32| EventBuf {
        space: vec![b'a' + (i % 2) as u8],
        timestamp: 5,
        data: i.to_string().into_bytes(),
        ..EventBuf::default()
    };
    let events: Vec<EventBuf> = (0..120_000).map(event).collect();
    let bytes = write(events.iter(), WriterOptions::new().memory(8 << 20).codec(Codec::Lz4));
    let file = Reader::from_bytes(bytes).unwrap();
    for (space, rest) in [("a", 0), ("b", 1)] {
        let mut expected = (0..120_000).filter(|i| i % 2 == rest);
        let mut cursor = file.space(space).unwrap().cursor();
        while let Some(event) = cursor.next().unwrap() {
            assert_eq!(event.data(), expected.next().unwrap().to_string().as_bytes());
        }
        assert_eq!(expected.next(), None);
    }
}

#[test]
fn a_dropped_writer_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    let mut writer = Writer::create(&path).unwrap();
    writer.add(Event::new("s", 1, "x")).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(!path.exists());
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_existing_file_is_replaced_only_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    std::fs::write(&path, "old").unwrap();
    let error = Writer::create(&path).err().unwrap();
    assert!(error.to_string().ends_with("file.esdb exists already"), "{error}");
    let mut writer = WriterOptions::new().replace(true).create(&path).unwrap();
    writer.add(Event::new("s", 1, "x")).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    writer.finish().unwrap();
    assert_eq!(Reader::open(&path).unwrap().events(), 1);

    // One that appears in the meantime is not replaced either.
    let late = folder.path().join("late.esdb");
    let writer = Writer::create(&late).unwrap();
    std::fs::write(&late, "somebody else's").unwrap();
    assert!(writer.finish().is_err());
    assert_eq!(std::fs::read(&late).unwrap(), b"somebody else's");
}

#[test]
fn limits_hold_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    let mut writer = WriterOptions::new().max_event(1000).create(&path).unwrap();
    let key = vec![b'k'; limits::KEY];
    let long = vec![b'k'; limits::KEY + 1];
    writer.add(Event::new(&key, 1, &[0; 1000]).grouping(&key).index(&key, &key)).unwrap();
    for (event, words) in [
        (Event::new(&long, 1, ""), "space of 65536 bytes"),
        (Event::new("s", 1, "").grouping(&long), "grouping of 65536 bytes"),
        (Event::new("s", 1, "").index(&long, ""), "index name of 65536 bytes"),
        (Event::new("s", 1, "").index("", &long), "index value of 65536 bytes"),
        (Event::new("s", 1, &[0; 1001]), "data of 1001 bytes, at most 1000"),
    ] {
        match writer.add(event) {
            Err(Error::Invalid(reason)) => assert!(reason.starts_with(words), "{reason}"),
            other => panic!("{words}: {other:?}"),
        }
    }
    let values: Vec<Vec<u8>> = (0..=limits::PAIRS as u32).map(|i| i.to_le_bytes().to_vec()).collect();
    let mut event = Event::new("s", 2, "");
    event.indexes = values[1..].iter().map(|value| (&b"n"[..], value.as_slice())).collect();
    writer.add(event.clone()).unwrap();
    event.indexes.push((b"n", &values[0]));
    assert!(writer.add(event.clone()).is_err());
    let parts: Vec<Vec<u8>> = (0..=256_u16).map(|i| [&i.to_le_bytes()[..], &[0; 65_528]].concat()).collect();
    event.indexes = parts.iter().map(|value| (&b"wide"[..], value.as_slice())).collect();
    assert!(writer.add(event).unwrap_err().to_string().contains("bytes of index pairs, at most 16777216"));
    // A refused event leaves the writer as it was.
    let summary = writer.finish().unwrap();
    assert_eq!(summary.events, 2);
    let file = Reader::open(&path).unwrap();
    assert!(file.verify(VerifyLevel::Deep).is_ok());
    assert_eq!(file.space(&key).unwrap().grouping(&key).index(&key, &key).count(), 1);
    assert_eq!(file.index_values("n").unwrap().count(), limits::PAIRS);
}

#[test]
fn extreme_events_round_trip() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    let big = vec![b'x'; 5 << 20];
    let times = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    for codec in [Codec::None, Codec::Snappy, Codec::Lz4, Codec::default()] {
        let mut writer =
            WriterOptions::new().unit(Unit::Nanoseconds).codec(codec).replace(true).create(&path).unwrap();
        for (i, &time) in times.iter().rev().enumerate() {
            writer.add(Event::new("", time, "").grouping(&[i as u8 % 2]).index("", "")).unwrap();
            writer.add(Event::new("big", time, &big)).unwrap();
        }
        let summary = writer.finish().unwrap();
        assert_eq!(summary.time_range, Some((i64::MIN, i64::MAX)));
        let file = Reader::open(&path).unwrap();
        let found = file.verify(VerifyLevel::Deep);
        assert!(found.is_ok(), "{:?}", found.problems);
        for space in ["", "big"] {
            let given: Vec<i64> =
                file.space(space).unwrap().map(|event| event.unwrap().timestamp()).collect();
            assert_eq!(given, times);
            for (from, to) in [(i64::MIN, i64::MIN), (i64::MAX, i64::MAX), (-1, 1), (2, i64::MAX - 2)] {
                let given: Vec<i64> = file
                    .space(space)
                    .unwrap()
                    .range(from..=to)
                    .map(|event| event.unwrap().timestamp())
                    .collect();
                let expected: Vec<i64> =
                    times.into_iter().filter(|time| (from..=to).contains(time)).collect();
                assert_eq!(given, expected, "{space:?} from {from} to {to}");
            }
        }
        assert!(file.space("big").unwrap().all(|event| event.unwrap().data() == big));
    }
}

#[test]
fn options_out_of_range_are_refused() {
    let path = std::env::temp_dir().join("never created.esdb");
    for options in [
        WriterOptions::new().frame_size(255),
        WriterOptions::new().frame_size((1 << 20) + 1),
        WriterOptions::new().memory(1 << 20),
        WriterOptions::new().threads(0),
        WriterOptions::new().max_event(1 << 30),
        WriterOptions::new().codec(Codec::Zstd { level: 23 }),
        WriterOptions::new().metadata("key", vec![0; limits::METADATA]),
    ] {
        assert!(matches!(options.create(&path), Err(Error::Invalid(_))));
    }
    assert!(!path.exists());
}

#[test]
fn metadata_comes_back_in_key_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    let options = WriterOptions::new()
        .metadata("z", "1")
        .metadata("a", "2")
        .metadata("z", "3")
        .metadata("", vec![0xFF]);
    options.create(&path).unwrap().finish().unwrap();
    let file = Reader::open(&path).unwrap();
    let metadata: Vec<_> = file.metadata().collect();
    assert_eq!(metadata, [(&b""[..], &[0xFF][..]), (b"a", b"2"), (b"z", b"3")]);
}

#[test]
fn after_a_failed_write_nothing_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    let options = WriterOptions::new().memory(8 << 20).spill_folder(folder.path().join("missing"));
    let mut writer = options.create(&path).unwrap();
    let data = vec![b'x'; 1_000];
    // Newest first, so that nothing can be passed on and a spill is soon due.
    let failed = (0..20_000_i64).filter(|&i| writer.add(Event::new("s", -i, &data)).is_err()).count();
    assert!(failed > 10_000, "{failed} events were refused");
    assert!(writer.finish().is_err());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The giant does not fit the sample, so more data follows, and a dictionary need not win on the sample alone (spec §10).
#[test]
fn a_giant_event_ends_the_sample_as_full() {
    let mix = |i: u64| u128::from(i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    let small = |i: u64| EventBuf {
        space: b"s".to_vec(),
        timestamp: i as i64,
        data: format!("{{\"user\":\"{:x}\",\"page\":\"/products/{}\"}}", mix(i), i % 97).into_bytes(),
        ..EventBuf::default()
    };
    let has_dictionary = |count: u64, giant: Option<Vec<u8>>| {
        let mut events: Vec<EventBuf> = (0..count).map(small).collect();
        events.extend(giant.map(|data| EventBuf { data, ..small(count) }));
        Reader::from_bytes(write(events.iter(), WriterOptions::new())).unwrap().dictionary_len() > 0
    };
    let giant = || Some(vec![b'g'; 2 << 20]);
    let counts: Vec<u64> = (0..20).map(|i| 800 + i * 200).collect();
    assert!(counts.iter().any(|&count| !has_dictionary(count, None) && has_dictionary(count, giant())));
    assert!(counts.iter().all(|&count| !has_dictionary(count, None) || has_dictionary(count, giant())));
}

#[test]
fn what_cannot_be_a_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (path, words) in [
        (folder.path().to_owned(), "is a folder"),
        (folder.path().join(".."), "is a folder"),
        (folder.path().join("no folder/file.esdb"), "cannot create"),
        ("/dev/null".into(), "is not a regular file"),
    ] {
        let message = WriterOptions::new().replace(true).create(&path).err().unwrap().to_string();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn a_failed_writer_refuses_every_event() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let options = WriterOptions::new().memory(8 << 20).spill_folder(&missing);
    let mut writer = options.create(folder.path().join("file.esdb")).unwrap();
    let data = vec![7; 1 << 20];
    let failed = (0..200).rev().find_map(|time| writer.add(Event::new("s", time, &data)).err()).unwrap();
    assert!(failed.to_string().contains("missing"), "{failed}");
    let again = writer.add(Event::new("s", 0, "")).unwrap_err().to_string();
    assert_eq!(again, writer.finish().unwrap_err().to_string());
}

#[test]
fn an_event_by_reference_is_stored_as_one_by_value_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    let mut writer = WriterOptions::new().create(&path).unwrap();
    let ascending = Event::new("s", 1, "data").index("a", "1").index("b", "2");
    let unordered = Event::new("s", 1, "data").index("b", "2").index("a", "1").index("b", "2");
    for event in [&ascending, &unordered] {
        writer.add(event).unwrap();
        writer.add(event.clone()).unwrap();
    }
    assert_eq!(unordered.indexes.len(), 3);
    writer.finish().unwrap();
    let file = Reader::open(path).unwrap();
    let stored: Vec<EventBuf> = file.scan().map(|event| event.unwrap().into_owned().unwrap()).collect();
    assert_eq!(stored.len(), 4);
    assert!(stored.iter().all(|event| event.as_event() == ascending));
}
