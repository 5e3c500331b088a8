//! One open file, many readers; one file, several ways to its bytes.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::io::ErrorKind::UnexpectedEof;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use esdb_format::{Event, EventBuf, Reader, ReaderOptions, Scan, Source, WriterOptions};

fn write(path: &std::path::Path, groupings: i64) {
    let mut writer = WriterOptions::new().block_events_for_tests(500).create(path).unwrap();
    for i in 0..20_000_i64 {
        let (space, grouping, data) =
            (format!("s{}", i % 9), format!("g{}", i * 7 % groupings), format!("event {i}"));
        let kind = format!("t{}", i % 11);
        writer.add(Event::new(&space, i / 3, &data).grouping(&grouping).index("type", &kind)).unwrap();
    }
    writer.finish().unwrap();
}

fn all(scan: Scan) -> Vec<EventBuf> {
    scan.map(|event| event.unwrap().into_owned().unwrap()).collect()
}

#[test]
fn readers_and_scans_are_shared_between_threads() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    write(&path, 5);
    let file = ReaderOptions::new().cache(100_000).open(&path).unwrap();
    is_shared(&file);
    let questions = |file: &Reader, i: u64| match i % 4 {
        0 => all(file.scan().range(i as i64..3_000)),
        1 => all(file.space(format!("s{}", i % 9)).unwrap()),
        2 => all(file.scan().index("type", format!("t{}", i % 11))),
        _ => all(file.space(format!("s{}", i % 9)).unwrap().grouping("g1").index("type", "t3")),
    };
    let expected: Vec<_> = (0..12).map(|i| questions(&file, i)).collect();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let (file, expected) = (&file, &expected);
            scope.spawn(move || {
                for i in 0..12 {
                    let i = (i + thread) % 12;
                    assert_eq!(questions(file, i), expected[i as usize]);
                }
            });
        }
    });
    let event = file.scan().next().unwrap().unwrap();
    is_shared(&event);
}

#[test]
fn a_map_plain_reads_and_memory_give_the_same_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    write(&path, 5);
    let files = [
        Reader::open(&path).unwrap(),
        ReaderOptions::new().map(false).open(&path).unwrap(),
        Reader::from_bytes(std::fs::read(&path).unwrap()).unwrap(),
        ReaderOptions::new().checks(false).open(&path).unwrap(),
    ];
    let answers = |file: &Reader| {
        (all(file.space("s4").unwrap()), all(file.scan().index("type", "t7").range(100..900)))
    };
    for file in &files[1..] {
        assert_eq!(answers(file), answers(&files[0]));
    }
}

/// Counts reads, and what they read.
struct Counting(Vec<u8>, Arc<(AtomicU64, AtomicU64)>);

impl Source for Counting {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        self.1.0.fetch_add(1, Ordering::Relaxed);
        self.1.1.fetch_add(buffer.len() as u64, Ordering::Relaxed);
        let start = offset as usize;
        let bytes = self.0.get(start..start + buffer.len()).ok_or(UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

#[test]
fn opening_is_one_read_of_the_tail_and_an_event_a_few_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    write(&path, 1_000);
    let counts = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let source = Counting(std::fs::read(&path).unwrap(), Arc::clone(&counts));
    let file = ReaderOptions::new().open_source(Box::new(source)).unwrap();
    assert_eq!(counts.0.load(Ordering::Relaxed), 1);
    assert_eq!(counts.1.load(Ordering::Relaxed), 64 << 10);
    let newest = file.scan().index("type", "t3").next_back().unwrap().unwrap();
    assert_eq!(newest.space(), b"s8");
    assert!(counts.0.load(Ordering::Relaxed) <= 8, "{} reads", counts.0.load(Ordering::Relaxed));
}

#[test]
fn a_space_over_a_thousand_groupings_decompresses_each_frame_about_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    write(&path, 1_000);
    let file = Reader::open(&path).unwrap();
    let spaces: u64 = (0..9).map(|i| file.space(format!("s{i}")).unwrap().count() as u64).sum();
    assert_eq!(spaces, 20_000);
    // Small first windows for each space, and frames that two spaces share.
    let most = file.statistics().frames * 2 + 9 * 100;
    assert!(
        file.frames_decompressed() <= most,
        "{} frames for {}",
        file.frames_decompressed(),
        file.statistics().frames
    );
}

#[test]
fn a_frame_that_is_asked_for_twice_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    write(&path, 1);
    let file = Reader::open(&path).unwrap();
    let by_index = || file.space("s3").unwrap().index("type", "t3").next_back().unwrap().unwrap();
    let by_grouping = || file.space("s5").unwrap().grouping("g0").next_back().unwrap().unwrap();
    for newest in [&by_index as &dyn Fn() -> esdb_format::StoredEvent, &by_grouping] {
        let before = file.frames_decompressed();
        let found: Vec<_> = (0..9).map(|_| newest().data().to_vec()).collect();
        assert!(found.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(file.frames_decompressed() - before, 2);
    }
}

/// The first window of a space keeps its frame at once, whoever asks for it next.
#[test]
fn a_frame_that_is_kept_is_found_by_who_asks_for_it_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    write(&path, 5);
    let file = Reader::open(&path).unwrap();
    let oldest = file.space("s3").unwrap().next().unwrap().unwrap();
    assert_eq!(file.frames_decompressed(), 1);
    let same = file.space("s3").unwrap().grouping(oldest.grouping()).next().unwrap().unwrap();
    assert_eq!((same.ordinal(), same.data()), (oldest.ordinal(), oldest.data()));
    assert_eq!(file.frames_decompressed(), 1);
}

#[test]
fn thousands_of_frames_are_kept_when_they_are_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    let mut writer = WriterOptions::new().frame_size(1 << 10).create(&path).unwrap();
    for i in 0..155_000_i64 {
        let (grouping, data) = (format!("g{}", i * 7_919 % 500), format!("{i:0>70}"));
        let event = Event::new("s", i, &data).grouping(&grouping);
        writer.add(if i % 31 == 0 { event.index("type", "rare") } else { event }).unwrap();
    }
    writer.finish().unwrap();
    let file = Reader::open(&path).unwrap();
    let ask = || {
        let before = file.frames_decompressed();
        // Windows as small as those of somebody who wants a few.
        let found = (0..50).map(|i| {
            let rare = file.space("s").unwrap().index("type", "rare");
            rare.range(i * 3_100..).take(100).map(|event| event.unwrap().data().len()).sum::<usize>()
        });
        assert_eq!(found.sum::<usize>(), 50 * 100 * 70);
        file.frames_decompressed() - before
    };
    let (first, _, third) = (ask(), ask(), ask());
    assert!(first > 4_000 && third == 0, "{first} frames, then {third}");
}

#[test]
fn pairs_are_there_whoever_asks_and_whenever() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.esdb");
    write(&path, 50);
    let file = Reader::open(&path).unwrap();
    let expected = all(file.space("s4").unwrap());
    for late in [0, 1, 8, 100, 1_500] {
        // From both ends in turn; the first events are not asked.
        let (mut scan, mut found, mut back) = (file.space("s4").unwrap(), 0, false);
        while let Some(event) = if back { scan.next_back() } else { scan.next() } {
            let place = if back { expected.len() - 1 - found / 2 } else { found / 2 };
            let (event, expected) = (event.unwrap(), &expected[place]);
            assert_eq!(event.data(), expected.data);
            if found >= late {
                assert_eq!(event.clone().into_owned().unwrap(), *expected);
                assert_eq!(event.indexes().unwrap().count(), 1);
            }
            (found, back) = (found + 1, !back);
        }
        assert_eq!(found, expected.len());
    }
}
