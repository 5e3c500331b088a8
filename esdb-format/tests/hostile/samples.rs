//! Files of several shapes, and what is true of them.

use esdb_format::{Codec, CountBy, EventBuf, Reader, Result, Scan, Unit, WriterOptions};

use crate::mutate::Original;

/// A question, and its answer in the whole file.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    ask: fn(&Reader) -> Result<Scan>,
    answer: Vec<EventBuf>,
}

pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) original: Original,
    pub(crate) questions: Vec<Question>,
}

/// More events than this no answer may have.
const MOST_EVENTS: usize = 1_000_000;

type Ask = fn(&Reader) -> Result<Scan>;
type Keep = fn(&EventBuf) -> bool;

fn has(event: &EventBuf, name: &str, value: &str) -> bool {
    event.indexes.iter().any(|(n, v)| n == name.as_bytes() && v == value.as_bytes())
}

/// The questions, and which events answer them. The first one is answered in file order, the others in time order.
const QUESTIONS: [(&str, Ask, Keep); 9] = [
    ("everything", |reader| Ok(reader.scan()), |_| true),
    ("a space", |reader| reader.space("space-1"), |event| event.space == b"space-1"),
    ("a small space", |reader| reader.space("space-2"), |event| event.space == b"space-2"),
    (
        "a grouping in a time range",
        |reader| Ok(reader.space("space-1")?.grouping("g1").range(1_010..1_400)),
        |event| {
            event.space == b"space-1" && event.grouping == b"g1" && (1_010..1_400).contains(&event.timestamp)
        },
    ),
    ("a long list", |reader| Ok(reader.scan().index("type", "a")), |event| has(event, "type", "a")),
    (
        "a short list in a space",
        |reader| Ok(reader.space("space-0")?.index("tag", "7")),
        |event| event.space == b"space-0" && has(event, "tag", "7"),
    ),
    (
        "two lists",
        |reader| Ok(reader.scan().index("type", "a").index("tag", "3")),
        |event| has(event, "type", "a") && has(event, "tag", "3"),
    ),
    (
        "a list in a time range",
        |reader| Ok(reader.space("space-1")?.index("type", "b").range(1_020..=1_300)),
        |event| {
            event.space == b"space-1" && has(event, "type", "b") && (1_020..=1_300).contains(&event.timestamp)
        },
    ),
    ("no such space", |reader| reader.space("no such space"), |_| false),
];

impl Sample {
    /// `count` events in blocks of `block` events.
    fn new(name: &'static str, codec: Codec, count: u64, block: usize) -> Self {
        let mut events: Vec<EventBuf> = (0..count)
            .map(|i| EventBuf {
                // Half of the events in three spaces, the others alone, with names long enough for trees of two levels.
                space: match i % 2 {
                    0 => format!("space-{}", i / 2 % 3).into_bytes(),
                    _ => format!("{i:05} {}", "long name ".repeat(6)).into_bytes(),
                },
                grouping: format!("g{}", i % 7 % 3).into_bytes(),
                timestamp: 1_000 + (i as i64 * 37) % 500,
                indexes: vec![
                    (b"tag".to_vec(), (i % 40).to_string().into_bytes()),
                    (b"type".to_vec(), vec![b'a' + (i % 3) as u8]),
                ],
                data: format!("{{\"number\":{i},\"text\":\"words that repeat, words that repeat\"}}")
                    .into_bytes(),
            })
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sample.esdb");
        let options = WriterOptions::new().unit(Unit::Seconds).codec(codec).frame_size(512).threads(1);
        let mut writer =
            options.block_events_for_tests(block).metadata("made by", "a test").create(&path).unwrap();
        for event in &events {
            writer.add(event.as_event()).unwrap();
        }
        writer.finish().unwrap();
        events.sort_by(EventBuf::cmp_file_order);
        let mut in_time = events.clone();
        in_time
            .sort_by(|a, b| (&a.space, a.timestamp, &a.grouping).cmp(&(&b.space, b.timestamp, &b.grouping)));
        let question = |(i, (name, ask, keep)): (usize, (&'static str, Ask, Keep))| {
            let all = if i == 0 { &events } else { &in_time };
            Question { name, ask, answer: all.iter().filter(|event| keep(event)).cloned().collect() }
        };
        let questions = QUESTIONS.into_iter().enumerate().map(question).collect();
        Self { name, original: Original::new(std::fs::read(path).unwrap()), questions }
    }

    /// Most of a megabyte.
    pub(crate) fn large() -> Self {
        Self::new("large", Codec::Lz4, 45_000, 1_000)
    }

    /// Three shapes, each of at most 64 KiB.
    pub(crate) fn all() -> [Self; 3] {
        Self::parts(1)
    }

    /// The same shapes with one in `part` of the events, in as many blocks.
    pub(crate) fn parts(part: usize) -> [Self; 3] {
        let new = |name, codec, count, block: usize| {
            Self::new(name, codec, (count / part) as u64, block.div_ceil(part))
        };
        let samples = [
            new("small-zstd", Codec::Zstd { level: 3 }, 400, 60),
            new("plain", Codec::None, 160, 40),
            new("wide-lz4", Codec::Lz4, 800, 200),
        ];
        for sample in &samples {
            assert!(
                sample.original.bytes.len() <= 64 << 10,
                "{}: {}",
                sample.name,
                sample.original.bytes.len()
            );
        }
        samples
    }
}

/// How the answers of a file relate to the true ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Promise {
    /// Exactly the true events.
    True,
    /// The true events, or an error behind some of them.
    TruePrefix,
    /// The same of the events; the count, which comes from tables alone, may be false.
    TrueEvents,
    /// Nothing but an end.
    Ends,
}

impl Question {
    /// Asks forwards, backwards, from both ends, and for the count. `Err` says what was wrong with which answer.
    pub(crate) fn ask(&self, reader: &Reader, promise: Promise) -> std::result::Result<(), String> {
        let Ok(scan) = (self.ask)(reader) else { return self.failed(promise, "refused") };
        self.compare(scan, self.answer.iter(), promise)
            .map_err(|why| format!("{}, forwards: {why}", self.name))?;
        if let Ok(scan) = (self.ask)(reader) {
            self.compare(scan.rev(), self.answer.iter().rev(), promise)
                .map_err(|why| format!("{}, backwards: {why}", self.name))?;
        }
        if let Ok(mut scan) = (self.ask)(reader) {
            for _ in 0..MOST_EVENTS / 2 {
                match (scan.next(), scan.next_back()) {
                    (Some(Ok(_)), Some(Ok(_))) => {}
                    _ => break,
                }
            }
        }
        match (self.ask)(reader).and_then(Scan::total) {
            Ok(total)
                if matches!(promise, Promise::True | Promise::TruePrefix)
                    && total != self.answer.len() as u64 =>
            {
                Err(format!("{}: {total} counted, {} expected", self.name, self.answer.len()))
            }
            Err(error) if promise == Promise::True => Err(format!("{}: {error}", self.name)),
            _ => Ok(()),
        }
    }

    fn failed(&self, promise: Promise, why: &str) -> std::result::Result<(), String> {
        if promise == Promise::True { Err(format!("{}: {why}", self.name)) } else { Ok(()) }
    }

    fn compare<'a>(
        &self,
        scan: impl Iterator<Item = Result<esdb_format::StoredEvent>>,
        truth: impl Iterator<Item = &'a EventBuf>,
        promise: Promise,
    ) -> std::result::Result<(), String> {
        let (mut truth, mut given) = (truth, 0);
        for event in scan {
            match event.and_then(esdb_format::StoredEvent::into_owned) {
                Ok(event) => {
                    if promise != Promise::Ends && truth.next() != Some(&event) {
                        return Err(format!("event {given} is not the true one"));
                    }
                    given += 1;
                    if given > MOST_EVENTS {
                        return Err("no end".to_owned());
                    }
                }
                Err(error) if promise == Promise::True => return Err(error.to_string()),
                Err(_) => return Ok(()),
            }
        }
        match truth.next() {
            Some(_) if promise != Promise::Ends => Err(format!("only {given} events, and no error")),
            _ => Ok(()),
        }
    }
}

/// Asks for everything that is in no list of questions: listings, counts, and what the file itself says it has.
pub(crate) fn ask_the_rest(reader: &Reader) {
    let day = |time: i64| {
        let start = time.div_euclid(100).saturating_mul(100);
        (start.min(time), start.saturating_add(99).max(time))
    };
    let _ = reader.metadata().count();
    let _ = reader.statistics();
    for space in reader.spaces().take(2_000).flatten().step_by(97) {
        take_ends(reader.space(&space.key));
        if let Ok(groupings) = reader.groupings(&space.key) {
            groupings.take(50).flatten().for_each(drop);
        }
        if let Ok(values) = reader.index_values_in("type", &space.key) {
            values.take(50).flatten().for_each(drop);
        }
    }
    for name in reader.index_names().take(10).flatten() {
        let Ok(values) = reader.index_values(&name.key) else { continue };
        for value in values.take(200).flatten().step_by(9) {
            take_ends(Ok(reader.scan().index(&name.key, &value.key)));
        }
        let _ = reader.scan().count_by(&[CountBy::Index(name.key.clone()), CountBy::Time], &day);
    }
    let _ = reader.scan().count_by(&[CountBy::Space, CountBy::Grouping], &day);
    let _ = reader.scan().range(1_100..1_200).total();
}

/// Takes the first and the last events of a scan.
fn take_ends(scan: Result<Scan>) {
    let Ok(mut scan) = scan else { return };
    for _ in 0..20 {
        let (front, back) = (scan.next(), scan.next_back());
        if front.is_none() && back.is_none() {
            return;
        }
    }
}
