//! Damaged files: what `verify` finds, and what scans answer. Never a wrong event, never a panic.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use esdb_format::{Codec, EventBuf, Reader, ReaderOptions, Scan, Section, Unit, VerifyLevel, WriterOptions};

fn sample(codec: Codec) -> (Vec<u8>, Vec<EventBuf>) {
    let mut events: Vec<EventBuf> = (0..60_u64)
        .map(|i| EventBuf {
            space: format!("space-{}", i % 3).into_bytes(),
            grouping: format!("g{}", i % 7 % 3).into_bytes(),
            timestamp: 1_000 + (i as i64 * 37) % 50,
            indexes: vec![(b"type".to_vec(), vec![b'a' + (i % 4) as u8])],
            data: format!("{{\"number\":{i},\"text\":\"words that repeat, words that repeat\"}}")
                .into_bytes(),
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.esdb");
    let options =
        WriterOptions::new().unit(Unit::Seconds).codec(codec).frame_size(300).block_events_for_tests(25);
    let mut writer = options.metadata("made by", "a test").create(&path).unwrap();
    for event in &events {
        writer.add(event.as_event()).unwrap();
    }
    writer.finish().unwrap();
    events.sort_by(EventBuf::cmp_file_order);
    (std::fs::read(path).unwrap(), events)
}

/// The scan's events are a beginning of the true ones; all of them unless there is an error.
fn assert_true_prefix(scan: Scan, truth: &[EventBuf], what: &str) {
    let mut given = 0;
    for event in scan {
        match event.and_then(|event| event.into_owned()) {
            Ok(event) => {
                assert_eq!(Some(&event), truth.get(given), "{what}: event {given}");
                given += 1;
            }
            Err(_) => return,
        }
    }
    assert_eq!(given, truth.len(), "{what}: fewer events without an error");
}

fn check_scans(reader: &Reader, truth: &[EventBuf], what: &str) {
    assert_true_prefix(reader.scan(), truth, what);
    let mut in_time = truth.to_vec();
    in_time.sort_by(|a, b| (&a.space, a.timestamp, &a.grouping).cmp(&(&b.space, b.timestamp, &b.grouping)));
    let select = |keep: &dyn Fn(&EventBuf) -> bool| {
        in_time.iter().filter(|&event| keep(event)).cloned().collect::<Vec<_>>()
    };
    assert_true_prefix(reader.space("space-1").unwrap(), &select(&|event| event.space == b"space-1"), what);
    let scan = reader.scan().index("type", "c");
    assert_true_prefix(scan, &select(&|event| event.indexes[0].1 == b"c"), what);
    let scan = reader.space("space-2").unwrap().grouping("g1").range(1_010..);
    let keep =
        |event: &EventBuf| event.space == b"space-2" && event.grouping == b"g1" && event.timestamp >= 1_010;
    assert_true_prefix(scan, &select(&keep), what);
    let truth: Vec<_> = select(&|event| event.indexes[0].1 == b"a").into_iter().rev().collect();
    let backwards = reader.scan().index("type", "a").rev();
    let mut given = 0;
    for event in backwards {
        let Ok(event) = event.and_then(|event| event.into_owned()) else { return };
        assert_eq!(Some(&event), truth.get(given), "{what}: backwards");
        given += 1;
    }
    assert_eq!(given, truth.len(), "{what}: fewer events backwards");
}

fn is_found(bytes: Vec<u8>) -> bool {
    match Reader::from_bytes(bytes) {
        Ok(reader) => !reader.verify(VerifyLevel::Checksums).is_ok(),
        Err(_) => true,
    }
}

#[test]
fn a_whole_file_verifies_at_every_level() {
    for codec in [Codec::None, Codec::Snappy, Codec::Lz4, Codec::default()] {
        let (bytes, truth) = sample(codec);
        let reader = Reader::from_bytes(bytes).unwrap();
        for level in [VerifyLevel::Quick, VerifyLevel::Checksums, VerifyLevel::Deep] {
            let found = reader.verify(level);
            assert!(found.is_ok(), "{level:?}: {:?}", found.problems);
            if level > VerifyLevel::Quick {
                assert_eq!(found.bytes_checked, reader.file_len());
            }
        }
        check_scans(&reader, &truth, "undamaged");
    }
}

#[test]
fn verify_finds_every_flipped_bit() {
    let (bytes, _) = sample(Codec::default());
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(is_found(damaged), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn verify_finds_every_truncation_and_every_tail() {
    let (bytes, _) = sample(Codec::Lz4);
    for len in 0..bytes.len() {
        assert!(is_found(bytes[..len].to_vec()), "cut to {len}");
    }
    for tail in [&[0][..], &[0; 4096], &bytes, &bytes[bytes.len() - 288..]] {
        assert!(is_found([&bytes, tail].concat()), "{} bytes appended", tail.len());
    }
    assert!(is_found(bytes[8..].to_vec()));
}

#[test]
fn scans_of_damaged_files_are_true_or_fail() {
    for codec in [Codec::None, Codec::Snappy] {
        let (bytes, truth) = sample(codec);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            if let Ok(reader) = Reader::from_bytes(damaged) {
                check_scans(&reader, &truth, &format!("byte {at}"));
            }
        }
    }
}

#[test]
fn regions_of_zeros_and_misplaced_regions_are_found() {
    let (bytes, truth) = sample(Codec::Lz4);
    for start in (0..bytes.len() - 64).step_by(13) {
        let mut zeroed = bytes.clone();
        zeroed[start..start + 64].fill(0);
        let mut moved = bytes.clone();
        moved.copy_within(start..start + 64, (start + 900) % (bytes.len() - 64));
        for damaged in [zeroed, moved] {
            if damaged == bytes {
                continue;
            }
            assert!(is_found(damaged.clone()), "region at {start}");
            if let Ok(reader) = Reader::from_bytes(damaged) {
                check_scans(&reader, &truth, &format!("region at {start}"));
            }
        }
    }
}

#[test]
fn a_good_block_of_another_file_is_refused() {
    let (bytes, truth) = sample(Codec::None);
    // The same shape with other words: every length and offset is the same.
    let other = {
        let text = String::from_utf8_lossy(&bytes).contains("words that repeat");
        assert!(text);
        let mut events = truth.clone();
        for event in &mut events {
            event.data =
                String::from_utf8(event.data.clone()).unwrap().replace("words", "birds").into_bytes();
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.esdb");
        let options = WriterOptions::new()
            .unit(Unit::Seconds)
            .codec(Codec::None)
            .frame_size(300)
            .block_events_for_tests(25);
        let mut writer = options.metadata("made by", "a test").create(&path).unwrap();
        events.iter().for_each(|event| writer.add(event.as_event()).unwrap());
        writer.finish().unwrap();
        std::fs::read(path).unwrap()
    };
    assert_eq!(bytes.len(), other.len());
    let marker = b"\x89ESDBB\r\n";
    let blocks: Vec<usize> = (0..bytes.len() - 8).filter(|&at| &bytes[at..at + 8] == marker).collect();
    assert_eq!(blocks.len(), 3);
    let mut mixed = bytes.clone();
    mixed[blocks[1]..blocks[2]].copy_from_slice(&other[blocks[1]..blocks[2]]);
    let reader = Reader::from_bytes(mixed).unwrap();
    let problems = reader.verify(VerifyLevel::Checksums).problems;
    assert!(
        problems
            .iter()
            .any(|problem| problem.problem().is_some_and(|p| p.section == Section::Block && p.rule == "T1")),
        "{problems:?}"
    );
    check_scans(&reader, &truth, "block of another file");
}

#[test]
fn damage_costs_only_the_answers_that_need_it() {
    let (bytes, truth) = sample(Codec::None);
    let marker = b"\x89ESDBB\r\n";
    let block = (0..bytes.len() - 8).rfind(|&at| &bytes[at..at + 8] == marker).unwrap();
    let mut damaged = bytes.clone();
    damaged[block + 60] ^= 1;
    let reader = Reader::from_bytes(damaged).unwrap();
    let first: Vec<_> =
        reader.space("space-0").unwrap().map(|event| event.unwrap().into_owned().unwrap()).collect();
    assert_eq!(first.len(), truth.iter().filter(|event| event.space == b"space-0").count());
    assert!(reader.space("space-2").unwrap().any(|event| event.is_err()));
}

/// One byte of an index column of the first block, which has 25 events.
#[test]
fn a_damaged_index_column_costs_only_the_indexes() {
    let (bytes, truth) = sample(Codec::None);
    let marker = b"\x89ESDBB\r\n";
    let block = (0..bytes.len() - 8).find(|&at| &bytes[at..at + 8] == marker).unwrap();
    let number =
        |at: usize| u32::from_le_bytes(bytes[block + at..block + at + 4].try_into().unwrap()) as usize;
    let labels = block + 60 + number(28)..block + 60 + number(28) + number(32);
    let mut damaged = bytes.clone();
    // The column of the only name ends the label areas.
    damaged[labels.end - 1] ^= 1;
    let reader = Reader::from_bytes(damaged.clone()).unwrap();
    let careless = ReaderOptions::new().checks(false).open_source(Box::new(damaged)).unwrap();

    let events: Vec<_> = reader.scan().map(Result::unwrap).collect();
    assert_eq!(events.len(), truth.len());
    for (i, (event, expected)) in events.iter().zip(&truth).enumerate() {
        assert_eq!((event.space(), event.grouping()), (&expected.space[..], &expected.grouping[..]));
        assert_eq!((event.timestamp(), event.data()), (expected.timestamp, &expected.data[..]));
        assert_eq!(event.indexes().is_err(), i < 25, "event {i}");
    }
    // In time order, of several groupings.
    let events: Vec<_> = reader.space("space-0").unwrap().rev().map(Result::unwrap).collect();
    assert_eq!(events.len(), truth.iter().filter(|event| event.space == b"space-0").count());
    assert!(events.iter().all(|event| event.data().starts_with(b"{") && event.indexes().is_err()));
    // Posting lists say who has a pair, and each pair is somewhere else.
    assert_eq!(reader.scan().index("type", "b").map(Result::unwrap).count(), 15);

    // Who reads without checks is told all the same when the file is to be verified.
    for (reader, level) in
        [(&reader, VerifyLevel::Checksums), (&reader, VerifyLevel::Deep), (&careless, VerifyLevel::Checksums)]
    {
        let problems = reader.verify(level).problems;
        let named = problems[0].problem().unwrap();
        assert_eq!((named.section, named.rule), (Section::Block, "B1"), "{problems:?}");
        assert!((labels.start + 1..labels.end).contains(&(named.offset as usize)), "{problems:?}");
    }
}

#[test]
fn several_damaged_places_are_all_named() {
    let (bytes, _) = sample(Codec::None);
    let marker = b"\x89ESDBB\r\n";
    let mut damaged = bytes.clone();
    for at in (0..bytes.len() - 8).filter(|&at| &bytes[at..at + 8] == marker) {
        damaged[at + 70] ^= 1;
    }
    let problems = Reader::from_bytes(damaged).unwrap().verify(VerifyLevel::Checksums).problems;
    let blocks =
        problems.iter().filter(|error| error.problem().is_some_and(|p| p.section == Section::Block)).count();
    assert_eq!(blocks, 3, "{problems:?}");
}

#[test]
fn four_kinds_of_files_give_four_messages() {
    let (bytes, _) = sample(Codec::None);
    let message = |bytes: Vec<u8>| Reader::from_bytes(bytes).err().unwrap().to_string();
    let mut newer = bytes.clone();
    let at = newer.len() - 16;
    newer[at] = 9;
    assert_eq!(message(newer), "format 9 is newer than this program reads (1)");
    assert!(message(bytes[..bytes.len() - 1].to_vec()).starts_with("the end of the file is missing"));
    assert_eq!(message(b"some other text, long enough to have sixteen bytes".to_vec()), "not an esdb file");
    let mut old = vec![0; 100];
    old[84..92].copy_from_slice(&[0x57, 0xFB, 0x80, 0x8B, 0x24, 0x75, 0x47, 0xDB]);
    let hint = "of the 2014 Go library, not a file of this format; esdb convert brings it over";
    assert_eq!(message(old), format!("this is an archive {hint}"));
    assert_eq!(message(b"ESDBstream".to_vec()), format!("this is a stream {hint}"));
    let mut damaged = bytes.clone();
    let at = damaged.len() - 100;
    damaged[at] ^= 1;
    assert!(message(damaged).starts_with("corrupt footer at byte "));
}
