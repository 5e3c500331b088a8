//! Any bytes as a file: opening, verifying and every kind of question end, with checksums and without.

#![no_main]

use esdb_format::{CountBy, Reader, ReaderOptions, Result, Scan, StoredEvent, VerifyLevel, fuzzing};
use libfuzzer_sys::fuzz_target;

/// How many events of a scan, and entries of a listing, are asked for: enough for several blocks of a small file.
const EVENTS: usize = 300;
const ENTRIES: usize = 4;

/// Answers to questions about one file.
struct Answers {
    /// Whether verification found nothing: then nothing may fail.
    whole: bool,
}

impl Answers {
    fn note<T>(&self, answer: Result<T>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(error) => {
                assert!(!self.whole, "verify found nothing, and a question failed: {error}");
                None
            }
        }
    }

    /// Entries of a listing.
    fn list<T>(&self, listing: Result<impl Iterator<Item = Result<T>>>) -> Vec<T> {
        let entries = self.note(listing).into_iter().flatten();
        entries.take(ENTRIES).map_while(|entry| self.note(entry)).collect()
    }

    /// The first events, some from both ends, and the count.
    fn walk(&self, scan: impl Fn() -> Scan) {
        let events: Vec<_> = scan()
            .take(EVENTS)
            .map_while(|event| self.note(event.and_then(StoredEvent::into_owned)))
            .collect();
        let mut ends = scan();
        for step in 0..EVENTS / 4 {
            let event = if step % 3 == 0 { ends.next() } else { ends.next_back() };
            if event.and_then(|event| self.note(event)).is_none() {
                break;
            }
        }
        if let Some(total) = self.note(scan().total()) {
            let all = events.len() < EVENTS;
            assert!(!self.whole || total == events.len() as u64 || (!all && total > events.len() as u64));
        }
    }
}

/// What a file says of itself.
fn ask_the_file(reader: &Reader) {
    assert_eq!(reader.time_range().is_some(), reader.events() > 0);
    assert!(reader.metadata().is_sorted());
    let _ = (
        reader.statistics(),
        reader.unit(),
        reader.codec(),
        reader.frame_size(),
        reader.dictionary_len(),
        reader.version(),
    );
    let _ = (reader.file_digest(), reader.content_digest(), reader.frames_decompressed());
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, bytes)) = bytes.split_first() else { return };
    fuzzing::ignore_checksums(first & 1 == 1);
    // Making room for the default cache takes longer than reading a small file.
    let options = ReaderOptions::new().cache(256 << 10).checks(first & 2 == 0);
    let Ok(reader) = options.open_source(Box::new(bytes.to_vec())) else { return };
    assert_eq!(reader.file_len(), bytes.len() as u64);
    fuzzing::ends(&reader, bytes);
    ask_the_file(&reader);
    let whole = reader.verify(VerifyLevel::Deep).is_ok();
    assert!(!whole || reader.verify(VerifyLevel::Checksums).is_ok());
    let answers = Answers { whole };
    // The middle half of the time.
    let (start, end) = reader.time_range().unwrap_or_default();
    let quarter = (i128::from(end) - i128::from(start)) / 4;
    let middle = (i128::from(start) + quarter) as i64..(i128::from(end) - quarter) as i64;
    let scan = || reader.scan();
    answers.walk(scan);
    answers.walk(|| scan().range(middle.clone()));
    let mut pairs = Vec::new();
    for name in answers.list(Ok(reader.index_names())) {
        let values = answers.list(reader.index_values(&name.key));
        pairs.extend(values.into_iter().map(|value| (name.key.clone(), value.key)));
    }
    for (name, value) in &pairs {
        answers.walk(|| scan().index(name, value));
    }
    // What neighbours have in common, or one of two values of a name.
    for pair in pairs.windows(2).take(ENTRIES) {
        let both = || scan().index(&pair[0].0, &pair[0].1).index(&pair[1].0, &pair[1].1);
        answers.walk(both);
        answers.walk(|| both().range(middle.clone()));
    }
    let sixteen = |time: i64| (time & !15, time | 15);
    let count = |scan: Scan, by: &[CountBy]| answers.note(scan.count_by(by, &sixteen)).map(drop);
    count(scan(), &[CountBy::Space, CountBy::Time]);
    count(scan(), &[CountBy::Space]);
    for space in answers.list(Ok(reader.spaces())) {
        let here = || reader.space(&space.key).expect("nothing is read");
        answers.walk(here);
        answers.walk(|| here().range(middle.clone()));
        count(here(), &[CountBy::Grouping]);
        count(here().range(middle.clone()), &[CountBy::Grouping, CountBy::Time]);
        for grouping in answers.list(reader.groupings(&space.key)) {
            answers.walk(|| here().grouping(&grouping.key));
            answers.walk(|| here().grouping(&grouping.key).range(middle.clone()));
            if let Some((name, value)) = pairs.first() {
                answers.walk(|| here().grouping(&grouping.key).index(name, value).range(middle.clone()));
            }
        }
        for (name, value) in pairs.iter().take(2) {
            answers.list(reader.index_values_in(name, &space.key));
            answers.walk(|| here().index(name, value).range(middle.clone()));
            count(here(), &[CountBy::Index(name.clone())]);
        }
    }
    if let [(first, _), .., (last, value)] = pairs.as_slice() {
        count(scan(), &[CountBy::Index(first.clone()), CountBy::Time]);
        count(scan().index(last, value), &[CountBy::Index(first.clone()), CountBy::Grouping]);
    }
});
