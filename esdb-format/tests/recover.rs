//! Recovery of damaged, cut and unfinished files: every event of what is whole, none invented, and a true account of the rest.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::HashMap;

use esdb_format::{
    Codec, End, Error, EventBuf, Reader, Recovered, Recovery, Result, Unit, VerifyLevel, WriterOptions,
};

const BLOCK: &[u8] = b"\x89ESDBB\r\n";
const DICTIONARY: &[u8] = b"\x89ESDBD\r\n";

fn events(count: u64) -> Vec<EventBuf> {
    let mut events: Vec<EventBuf> = (0..count)
        .map(|i| EventBuf {
            space: format!("space-{:03}", i % 37).into_bytes(),
            grouping: format!("g{}", i % 5).into_bytes(),
            timestamp: 1_000 + (i as i64 * 37) % 5_000,
            indexes: vec![(b"type".to_vec(), vec![b'a' + (i % 4) as u8])],
            data: format!("{{\"number\":{i},\"text\":\"words that repeat, words of {}\"}}", i * i % 997)
                .into_bytes(),
        })
        .collect();
    events.sort_by(EventBuf::cmp_file_order);
    events
}

fn options(codec: Codec) -> WriterOptions {
    WriterOptions::new().unit(Unit::Seconds).codec(codec).frame_size(600).block_events_for_tests(20)
}

fn write(options: WriterOptions, events: &[EventBuf]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.esdb");
    let mut writer = options.metadata("made by", "a test").create(&path).unwrap();
    events.iter().for_each(|event| writer.add(event.as_event()).unwrap());
    writer.finish().unwrap();
    std::fs::read(path).unwrap()
}

fn places(bytes: &[u8], marker: &[u8]) -> Vec<usize> {
    (0..bytes.len() - 8).filter(|&at| &bytes[at..at + 8] == marker).collect()
}

fn recover(bytes: &[u8]) -> Result<(Recovered, Vec<EventBuf>, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("saved.esdb");
    let broken = Recovery::open_source(Box::new(bytes.to_vec()))?;
    let result = broken.options().create(&path).and_then(|writer| broken.write(writer));
    if result.is_err() {
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a failed recovery left something");
    }
    let recovered = result?;
    let reader = Reader::open(&path).unwrap();
    let found = reader.verify(VerifyLevel::Deep);
    assert!(found.is_ok(), "{:?}", found.problems);
    let saved: Vec<_> = reader.scan().map(|event| event.unwrap().into_owned().unwrap()).collect();
    assert_eq!(saved.len() as u64, recovered.summary.events);
    Ok((recovered, saved, std::fs::read(path).unwrap()))
}

/// Asserts that no event was invented or given twice.
#[track_caller]
fn assert_among(saved: &[EventBuf], truth: &[EventBuf]) {
    let mut left: HashMap<&EventBuf, usize> = HashMap::new();
    truth.iter().for_each(|event| *left.entry(event).or_default() += 1);
    for event in saved {
        let left = left.get_mut(event).filter(|left| **left > 0);
        *left.unwrap_or_else(|| panic!("an invented event: {event:?}")) -= 1;
    }
}

/// All of `truth` but what `lost` says, by ordinal.
fn without(truth: &[EventBuf], lost: impl Fn(usize) -> bool) -> Vec<EventBuf> {
    truth.iter().enumerate().filter(|(at, _)| !lost(*at)).map(|(_, event)| event.clone()).collect()
}

const CODECS: [Codec; 4] = [Codec::None, Codec::Snappy, Codec::Lz4, Codec::Zstd { level: 3 }];

/// A file with a dictionary of zstd, its events, and where the two sections of the dictionary stand.
fn with_dictionary() -> (Vec<u8>, Vec<EventBuf>, [usize; 2]) {
    let truth = events(6_000);
    let bytes = write(options(Codec::default()).block_events_for_tests(400), &truth);
    let places = places(&bytes, DICTIONARY);
    (bytes, truth, places.try_into().expect("two sections"))
}

#[test]
fn a_whole_file_is_recovered_byte_for_byte() {
    for codec in CODECS {
        let truth = events(200);
        // Blocks as the writer of the recovery makes them.
        let bytes = write(options(codec).block_events_for_tests(4_096), &truth);
        let (recovered, saved, copy) = recover(&bytes).unwrap();
        assert!(recovered.is_complete() && recovered.losses.is_empty(), "{recovered:?}");
        assert_eq!((saved, copy == bytes), (truth, true));
    }
    let (recovered, ..) = recover(&write(options(Codec::None), &[])).unwrap();
    assert!(recovered.is_complete());
}

#[test]
fn damaged_columns_cost_their_block_and_no_other() {
    for codec in CODECS {
        let truth = events(2_000);
        let mut bytes = write(options(codec), &truth);
        let blocks = places(&bytes, BLOCK);
        assert_eq!(blocks.len(), 100);
        // 1 % of the blocks, and the head of another one.
        bytes[blocks[40] + 70] ^= 1;
        bytes[blocks[70] + 20] ^= 1;
        let (recovered, saved, _) = recover(&bytes).unwrap();
        assert!(saved == without(&truth, |at| at / 20 == 40 || at / 20 == 70));
        assert!(!recovered.is_complete());
        assert_eq!(
            (recovered.blocks_saved, recovered.blocks_lost, recovered.blocks_in_part, recovered.events_lost),
            (98, 2, 0, 40)
        );
        let places: Vec<_> = recovered.losses.iter().map(|loss| (loss.bytes.clone(), loss.events)).collect();
        let block = |at: usize| (blocks[at] as u64..blocks[at + 1] as u64, Some(20));
        assert_eq!(places, [block(40), block(70)]);
        assert!(
            (recovered.end, recovered.metadata_lost, recovered.may_be_more) == (End::Whole, false, false)
        );
    }
}

#[test]
fn a_damaged_frame_costs_its_own_events() {
    let truth = events(400);
    let bytes = write(options(Codec::None), &truth);
    let needle = &truth[205].data;
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    let mut damaged = bytes.clone();
    damaged[at + 3] ^= 1;
    let (recovered, saved, _) = recover(&damaged).unwrap();
    assert_among(&saved, &truth);
    let lost = truth.len() - saved.len();
    assert!((1..20).contains(&lost) && !saved.contains(&truth[205]), "{lost} events lost");
    assert_eq!((recovered.blocks_saved, recovered.blocks_in_part, recovered.blocks_lost), (19, 1, 0));
    assert_eq!((recovered.events_lost, recovered.loss_count), (lost as u64, 1));
    assert!(recovered.losses[0].bytes.contains(&(at as u64 + 3)));
    assert!(recovered.losses[0].reason.starts_with("corrupt payload frame at byte "));
}

#[test]
fn a_file_cut_in_half_gives_all_that_is_before() {
    for codec in CODECS {
        let truth = events(2_000);
        let bytes = write(options(codec), &truth);
        let cut = &bytes[..bytes.len() / 2];
        let whole = places(cut, BLOCK).len() - 1;
        let (recovered, saved, _) = recover(cut).unwrap();
        // Of the block that was cut, whole frames are there.
        assert!(saved == truth[..saved.len()]);
        assert!(
            (whole * 20..(whole + 1) * 20).contains(&saved.len()),
            "{} events, {whole} blocks",
            saved.len()
        );
        assert!(
            (recovered.end, recovered.may_be_more, recovered.metadata_lost) == (End::Missing, true, true)
        );
        assert!(!recovered.is_complete());
    }
}

#[test]
fn a_cut_gives_a_true_beginning() {
    cuts(211);
}

/// `cargo test -p esdb-format --test recover -- --ignored every_cut --nocapture`
#[test]
#[ignore = "two minutes of syncs"]
fn every_cut_gives_a_true_beginning() {
    cuts(1);
}

/// Cuts a file to every `step`th length, and by a byte.
fn cuts(step: usize) {
    let truth = events(60);
    let bytes = write(options(Codec::Lz4), &truth);
    let mut most = 0;
    for len in (0..bytes.len() - 1).step_by(step).chain([bytes.len() - 1]) {
        match recover(&bytes[..len]) {
            Ok((recovered, saved, _)) => {
                assert!(saved == truth[..saved.len()], "cut to {len}");
                assert!(saved.len() >= most && !recovered.is_complete(), "cut to {len}");
                most = saved.len();
            }
            Err(error) => {
                assert!(
                    most == 0 && matches!(error, Error::NothingWhole | Error::Foreign(_)),
                    "{len}: {error}"
                );
            }
        }
    }
    assert_eq!(most, truth.len());
    println!("{} bytes, cut after every {step}", bytes.len());
}

/// Flips a bit of every `step`th byte.
fn flips(codec: Codec, step: usize) {
    let truth = events(60);
    let bytes = write(options(codec), &truth);
    for at in (0..bytes.len()).step_by(step) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let (recovered, saved, _) = recover(&damaged).unwrap();
        assert_among(&saved, &truth);
        // One block at the most.
        assert!(saved.len() >= 40, "byte {at}: {} events", saved.len());
        if recovered.is_complete() {
            assert!(saved == truth, "byte {at}");
        }
        if recovered.end == End::Whole {
            assert_eq!(recovered.events_lost, (truth.len() - saved.len()) as u64, "byte {at}");
        }
    }
    println!("{}: {} bytes, a bit of every {step} flipped", codec.name(), bytes.len());
}

#[test]
fn a_flipped_bit_costs_one_block_at_the_most() {
    flips(Codec::None, 401);
    flips(Codec::default(), 307);
}

/// `cargo test -p esdb-format --test recover -- --ignored every_flipped_bit --nocapture`
#[test]
#[ignore = "a minute of syncs"]
fn every_flipped_bit_costs_one_block_at_the_most() {
    CODECS.into_iter().for_each(|codec| flips(codec, 1));
}

#[test]
fn either_copy_of_the_dictionary_will_do() {
    let (bytes, truth, [front, back]) = with_dictionary();
    for damage in [&[front][..], &[back]] {
        let mut damaged = bytes.clone();
        damage.iter().for_each(|at| damaged[at + 50] ^= 1);
        let (recovered, saved, _) = recover(&damaged).unwrap();
        assert!(recovered.is_complete() && saved == truth, "{recovered:?}");
        // The one behind the blocks is made anew like the tables.
        assert_eq!(recovered.loss_count, u64::from(damage == [front]));
    }
}

#[test]
fn without_a_dictionary_nothing_is_invented() {
    let (mut bytes, mut truth, [front, back]) = with_dictionary();
    bytes[front + 50] ^= 1;
    bytes[back + 50] ^= 1;
    match recover(&bytes) {
        Ok((recovered, saved, _)) => {
            assert_among(&saved, &truth);
            assert_eq!(recovered.events_lost, (truth.len() - saved.len()) as u64);
            assert!(
                recovered.losses[1].reason.contains("its dictionary is lost"),
                "{:?}",
                recovered.losses[1]
            );
        }
        Err(error) => assert!(matches!(error, Error::NothingWhole), "{error}"),
    }
    // Frames that were stored as they are need none.
    let mut state = 1_u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    // More of them than a dictionary has room for.
    for event in truth.iter_mut().step_by(50) {
        event.data = std::iter::repeat_with(&mut noise).take(10_000).collect();
    }
    let mut bytes = write(options(Codec::default()).block_events_for_tests(400), &truth);
    places(&bytes, DICTIONARY).into_iter().for_each(|at| bytes[at + 50] ^= 1);
    let (recovered, saved, _) = recover(&bytes).unwrap();
    let reason = &recovered.losses[1].reason;
    assert!(reason.contains("its dictionary is lost"), "{reason}");
    assert_among(&saved, &truth);
    assert!(saved.len() > 50 && saved.iter().all(|event| event.data.len() == 10_000), "{}", saved.len());
}

#[test]
fn header_and_footer_stand_in_for_each_other() {
    let (bytes, truth, _) = with_dictionary();
    let footer = bytes.len() - 100;
    for (damage, end) in [(&[20][..], End::Whole), (&[footer], End::Damaged), (&[20, footer], End::Damaged)] {
        let mut damaged = bytes.clone();
        damage.iter().for_each(|&at| damaged[at] ^= 1);
        let (recovered, saved, copy) = recover(&damaged).unwrap();
        assert!(saved == truth);
        assert_eq!((recovered.end, recovered.is_complete()), (end, end == End::Whole), "{damage:?}");
        assert_eq!(recovered.header_is_damaged, damage.contains(&20));
        // The dictionary behind the last block tells that there are no more.
        assert!((recovered.events_lost, recovered.may_be_more) == (0, false));
        assert_eq!(Reader::from_bytes(copy).unwrap().unit(), Unit::Seconds);
    }
}

#[test]
fn metadata_is_kept_if_the_facts_are_whole() {
    let bytes = write(options(Codec::None), &events(60));
    let metadata = |bytes| {
        let (recovered, _, copy) = recover(bytes).unwrap();
        let reader = Reader::from_bytes(copy).unwrap();
        let entries: Vec<_> = reader.metadata().map(|(key, value)| (key.to_vec(), value.to_vec())).collect();
        assert_eq!(recovered.metadata_lost, entries.is_empty());
        entries
    };
    assert_eq!(metadata(&bytes), [(b"made by".to_vec(), b"a test".to_vec())]);
    let mut damaged = bytes.clone();
    let at = bytes.windows(6).rposition(|window| window == b"a test").unwrap();
    damaged[at] ^= 1;
    assert_eq!(metadata(&damaged), []);
}

#[test]
fn payloads_with_markers_and_whole_files_mislead_nobody() {
    let inner = write(options(Codec::None), &events(100));
    let mut truth = events(300);
    for (number, event) in truth.iter_mut().enumerate() {
        event.data = match number % 3 {
            0 => inner.clone(),
            1 => [BLOCK, DICTIONARY, b"\x89ESDBF\r\n", b"\x89ESDB\r\n\x1a"].concat().repeat(20),
            _ => inner[64..600].to_vec(),
        };
    }
    let bytes = write(options(Codec::None), &truth);
    let (recovered, saved, _) = recover(&bytes).unwrap();
    assert!(recovered.is_complete() && saved == truth);
    // Where each block really begins.
    let blocks: Vec<usize> = places(&bytes, BLOCK)
        .into_iter()
        .filter(|&at| bytes[at + 8..at + 16] == (at as u64).to_le_bytes())
        .collect();
    assert_eq!(blocks.len(), 15);
    for (block, at) in [(3, 8), (3, 60), (14, 30)] {
        let mut damaged = bytes.clone();
        damaged[blocks[block] + at] ^= 1;
        let (recovered, saved, _) = recover(&damaged).unwrap();
        assert!(
            saved == without(&truth, |at| at / 20 == block),
            "block {block}, byte {at}: {} events",
            saved.len()
        );
        assert_eq!((recovered.events_lost, recovered.blocks_lost), (20, 1));
        // Without a footer, too.
        let end = damaged.len() - 1;
        let (recovered, saved, _) = recover(&damaged[..end]).unwrap();
        assert!(
            saved == without(&truth, |at| at / 20 == block),
            "block {block}, byte {at}, cut: {} events",
            saved.len()
        );
        assert!(recovered.may_be_more);
    }
}

#[test]
fn bytes_behind_the_footer_cost_nothing() {
    let truth = events(60);
    let bytes = write(options(Codec::None), &truth);
    for tail in [&[0; 5000][..], &bytes] {
        let (recovered, saved, _) = recover(&[&bytes, tail].concat()).unwrap();
        assert!(recovered.is_complete() && saved == truth, "{recovered:?}");
    }
}

#[test]
fn a_block_of_another_file_is_noticed() {
    let truth = events(60);
    let bytes = write(options(Codec::None), &truth);
    let mut other = truth.clone();
    other.iter_mut().for_each(|event| event.data[2] = b'N');
    let other = write(options(Codec::None), &other);
    let blocks = places(&bytes, BLOCK);
    let mut mixed = bytes;
    mixed[blocks[1]..blocks[2]].copy_from_slice(&other[blocks[1]..blocks[2]]);
    let (recovered, ..) = recover(&mixed).unwrap();
    assert_eq!((recovered.digest_differs, recovered.is_complete()), (Some(true), false));
}

#[test]
fn other_files_and_newer_ones_are_refused() {
    let refused = |bytes: &[u8]| recover(bytes).err().unwrap().to_string();
    assert_eq!(refused(b"some text"), "not an esdb file");
    assert_eq!(refused(b""), "not an esdb file: it is empty");
    let bytes = write(options(Codec::None), &events(60));
    assert_eq!(refused(&bytes[..64]), "nothing can be recovered: no event block is whole");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/vectors/unsupported");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "esdb") {
            let error = Recovery::open(&path).err();
            let kind = error.map(|error| error.kind());
            assert_eq!(kind, Some(esdb_format::ErrorKind::Unsupported), "{}", path.display());
        }
    }
}

/// The events of a vector, by what its file of facts says it was made of.
#[test]
fn every_bad_vector_gives_what_is_whole_in_it() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/vectors"));
    let mut seen = 0;
    for kind in ["bad", "unfinished", "good"] {
        for entry in std::fs::read_dir(folder.join(kind)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "esdb") {
                continue;
            }
            let name = path.display();
            match recover(&std::fs::read(&path).unwrap()) {
                Ok((recovered, ..)) => {
                    assert!(kind != "good" || recovered.is_complete(), "{name}: {recovered:?}");
                    assert!(kind != "unfinished" || !recovered.is_complete(), "{name}");
                }
                Err(error) => assert!(kind != "good", "{name}: {error}"),
            }
            seen += 1;
        }
    }
    assert!(seen > 150, "{seen} vectors");
}

#[test]
fn time_is_linear_in_files_full_of_markers() {
    let head = {
        let bytes = write(options(Codec::None), &events(1));
        bytes[64..120].to_vec()
    };
    // Heads with true sums, each of which lays claim to all that follows.
    let file = |count: usize| {
        let mut bytes = vec![0; 64];
        for _ in 0..count {
            let mut head = head.clone();
            head[8..16].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
            head[28..32].copy_from_slice(&((64 + count * 56 - 56 - bytes.len()) as u32).to_le_bytes());
            let sum = crc32fast::hash(&head[..52]);
            head[52..].copy_from_slice(&sum.to_le_bytes());
            bytes.extend_from_slice(&head);
        }
        bytes
    };
    let start = std::time::Instant::now();
    for bytes in [file(100_000), BLOCK.repeat(1 << 20), DICTIONARY.repeat(1 << 20)] {
        assert!(matches!(recover(&bytes).err(), Some(Error::NothingWhole | Error::Foreign(_))));
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

/// `cargo test -p esdb-format --test recover -- --ignored many_blocks --nocapture`
#[test]
#[ignore = "takes some seconds"]
fn many_blocks_of_which_one_in_a_hundred_is_damaged() {
    for codec in CODECS {
        let truth = events(200_000);
        let mut bytes = write(options(codec), &truth);
        let blocks = places(&bytes, BLOCK);
        let damaged = |block: usize| block * 2_654_435_761 % 100 == 7;
        for (number, at) in blocks.iter().enumerate().filter(|(number, _)| damaged(*number)) {
            bytes[at + 8 + number % 60] ^= 1 << (number % 8);
        }
        let (recovered, saved, _) = recover(&bytes).unwrap();
        assert!(saved == without(&truth, |at| damaged(at / 20)));
        assert_eq!(recovered.events_lost, (truth.len() - saved.len()) as u64);
        println!("{}: {} of {} events", codec.name(), saved.len(), truth.len());
    }
}
