//! Every golden file of the Go library, converted and compared with what was stored in it.
//!
//! The files lie beside the workspace, or where `ESDB_SHARED` says; without them the tests are skipped, but in CI they fail.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod old;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use esdb_format::{Reader, Scan, StoredEvent, Unit, VerifyLevel, WriterOptions};
use esdb_legacy::{Legacy, Options, Report};
use serde_json::Value;

/// The folder with the golden files.
fn golden() -> Option<PathBuf> {
    let folder = match env::var_os("ESDB_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    };
    let folder = folder.join("go-esdb");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(env::var_os("CI").is_none_or(|ci| ci != "true"), "there is no {}", folder.display());
    eprintln!("skipped: there is no {} (ESDB_SHARED names another folder)", folder.display());
    None
}

fn convert(path: &Path, options: &Options) -> (Reader, Report) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("new.esdb");
    let mut writer = WriterOptions::new().unit(Unit::Seconds).threads(1).create(&output).unwrap();
    let report = Legacy::open(path).unwrap().convert(options, &mut writer, &mut |_| ()).unwrap();
    let summary = writer.finish().unwrap();
    assert_eq!(
        (summary.events, summary.statistics.spaces, summary.statistics.groupings, summary.statistics.entries),
        (report.events, report.spaces, report.groupings, report.index_entries),
        "{}",
        path.display()
    );
    let reader = Reader::from_bytes(fs::read(output).unwrap()).unwrap();
    let found = reader.verify(VerifyLevel::Deep);
    assert!(found.is_ok(), "{:?}", found.problems);
    (reader, report)
}

fn bytes(value: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// An event of a space as it was stored.
#[derive(Clone, Debug)]
struct Stored {
    grouping: usize,
    timestamp: i64,
    data: Vec<u8>,
}

type Shown = (i64, Vec<u8>);

/// A space of the expectation: groupings, and indexes as numbers of events.
#[derive(Default)]
struct Space {
    id: Vec<u8>,
    groupings: Vec<Vec<u8>>,
    events: Vec<Stored>,
    indexes: Vec<(Vec<u8>, Vec<u8>, Vec<usize>)>,
}

fn events_of(line: &Value) -> Vec<Shown> {
    let pair = |event: &Value| (event[0].as_i64().unwrap(), bytes(&event[1]));
    line["events"].as_array().unwrap().iter().map(pair).collect()
}

impl Space {
    /// The numbers of the events that an index line means.
    fn index(&mut self, line: &Value) {
        let numbers = match line["at"].as_array() {
            Some(at) => {
                // Events stand grouping by grouping.
                let starts: Vec<usize> = (0..self.groupings.len())
                    .map(|grouping| self.events.partition_point(|event| event.grouping < grouping))
                    .collect();
                let at = at
                    .iter()
                    .map(|at| starts[at[0].as_u64().unwrap() as usize] + at[1].as_u64().unwrap() as usize);
                at.collect()
            }
            None => {
                let mut numbers: Vec<usize> = Vec::new();
                for (timestamp, data) in events_of(line) {
                    let is = |event: &Stored| (event.timestamp, &event.data) == (timestamp, &data);
                    let found: Vec<usize> =
                        (0..self.events.len()).filter(|at| is(&self.events[*at])).collect();
                    let unused = found.iter().find(|at| !numbers.contains(at));
                    // Listed twice.
                    numbers.push(*unused.unwrap_or(&found[0]));
                }
                numbers
            }
        };
        // The rule: a key is split at its first colon.
        let key = [bytes(&line["name"]), bytes(&line["value"])].join(&b':');
        let colon = key.iter().position(|byte| *byte == b':').unwrap();
        self.indexes.push((key[..colon].to_vec(), key[colon + 1..].to_vec(), numbers));
    }

    /// Events in the order of a scan: time, grouping, stored order.
    fn in_order(&self, mut numbers: Vec<usize>) -> Vec<Shown> {
        numbers.sort_by_key(|at| (self.events[*at].timestamp, *at));
        numbers.dedup();
        numbers.into_iter().map(|at| (self.events[at].timestamp, self.events[at].data.clone())).collect()
    }

    fn check(&self, reader: &Reader) {
        let shown = |scan: &dyn Fn() -> Scan| -> Vec<Shown> {
            let event = |event: esdb_format::Result<StoredEvent>| {
                let event = event.unwrap();
                (event.timestamp(), event.data().to_vec())
            };
            let forwards: Vec<Shown> = scan().map(event).collect();
            assert!(scan().rev().map(event).eq(forwards.iter().rev().cloned()));
            forwards
        };
        let space = || reader.space(&self.id).unwrap();
        let groupings: Vec<Vec<u8>> =
            reader.groupings(&self.id).unwrap().map(|found| found.unwrap().key).collect();
        assert_eq!(groupings, self.groupings);
        let all = (0..self.events.len()).collect();
        assert!(shown(&space) == self.in_order(all));
        for (number, name) in self.groupings.iter().enumerate() {
            let own = (0..self.events.len()).filter(|at| self.events[*at].grouping == number).collect();
            assert!(shown(&|| space().grouping(name)) == self.in_order(own), "{name:?}");
        }
        for (name, value, numbers) in &self.indexes {
            let found = shown(&|| space().index(name, value));
            assert!(
                found == self.in_order(numbers.clone()),
                "{:?}",
                (String::from_utf8_lossy(name), String::from_utf8_lossy(value))
            );
        }
    }
}

/// Compares a converted archive with its expectation. Returns what the old reader hides: events, entries.
fn check_archive(expectation: &Path, reader: &Reader) -> (u64, u64) {
    let text = fs::read_to_string(expectation).unwrap();
    let mut space: Option<Space> = None;
    let mut hidden = (0, 0);
    let finish = |space: Option<Space>| {
        if let Some(space) = space {
            space.check(reader);
        }
    };
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let lost =
            line.get("go").map_or(0, |go| line["n"].as_u64().unwrap() - go["first_diff"].as_u64().unwrap());
        match line["q"].as_str().unwrap() {
            "file" => assert_eq!(reader.events(), line["events"].as_u64().unwrap()),
            "spaces" => {
                let found: Vec<Vec<u8>> = reader.spaces().map(|space| space.unwrap().key).collect();
                let expected: Vec<Vec<u8>> = line["keys"].as_array().unwrap().iter().map(bytes).collect();
                assert_eq!(found, expected);
            }
            "groupings" => {
                finish(space.take());
                let groupings = line["keys"].as_array().unwrap().iter().map(bytes).collect();
                space = Some(Space { id: bytes(&line["space"]), groupings, ..Space::default() });
            }
            "grouping" => {
                let space = space.as_mut().unwrap();
                let name = bytes(&line["grouping"]);
                let grouping = space.groupings.iter().position(|other| *other == name).unwrap();
                for (timestamp, data) in events_of(&line) {
                    space.events.push(Stored { grouping, timestamp, data });
                }
                hidden.0 += lost;
            }
            _ => {
                space.as_mut().unwrap().index(&line);
                hidden.1 += lost;
            }
        }
    }
    finish(space);
    hidden
}

/// Tests without golden files stand on this.
#[test]
fn the_writer_of_these_tests_writes_what_the_old_one_wrote() {
    let Some(folder) = golden() else { return };
    let event = old::Event {
        grouping: b"grouping".to_vec(),
        timestamp: 1,
        keys: vec![b"name:value".to_vec()],
        data: b"payload".to_vec(),
    };
    assert_eq!(old::archive(&[(b"space", vec![event])]), fs::read(folder.join("one_event.esdb")).unwrap());
    assert_eq!(old::archive(&[]), fs::read(folder.join("empty_file.esdb")).unwrap());
    assert_eq!(old::stream(&[], true), fs::read(folder.join("stream_empty_closed.stream")).unwrap());
}

#[test]
fn every_archive_comes_over_as_it_was_stored() {
    let Some(folder) = golden() else { return };
    let mut cases = 0;
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "esdb")) {
        println!("{}", path.display());
        let (reader, report) = convert(path, &Options::new());
        let hidden = check_archive(&path.with_extension("ndjson"), &reader);
        assert_eq!((report.hidden_events, report.hidden_entries), hidden, "{}", path.display());
        let name = path.file_stem().unwrap();
        let losses = u64::from(name == "lossy_timestamps");
        assert_eq!((report.loss_count, report.unordered_groupings), (losses, losses), "{:?}", report.losses);
        assert_eq!((report.events_lost, report.entries_lost), (0, 0));
        cases += 1;
    }
    assert_eq!(cases, 25);
}

#[test]
fn every_stream_comes_over_as_it_was_written() {
    let Some(folder) = golden() else { return };
    let mut cases = 0;
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "stream")) {
        println!("{}", path.display());
        let (reader, report) = convert(path, &Options::new().space("log"));
        let text = fs::read_to_string(path.with_extension("ndjson")).unwrap();
        let mut expected = Vec::new();
        for line in text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            if line["q"] == "file" {
                assert_eq!(report.is_closed, line["closed"]);
            }
            if line["q"] != "iterate" {
                continue;
            }
            for (number, record) in line["records"].as_array().unwrap().iter().enumerate() {
                let split = |key: &Value| {
                    let key = bytes(&key[0]);
                    let colon = key.iter().position(|byte| *byte == b':').unwrap();
                    (key[..colon].to_vec(), key[colon + 1..].to_vec())
                };
                let mut pairs: Vec<_> = record[2].as_array().unwrap().iter().map(split).collect();
                pairs.sort();
                expected.push((number as i64, bytes(&record[1]), pairs));
            }
        }
        let found: Vec<_> = reader
            .scan()
            .map(|event| event.unwrap().into_owned().unwrap())
            .map(|event| {
                assert_eq!((event.space.as_slice(), event.grouping.as_slice()), (&b"log"[..], &b""[..]));
                (event.timestamp, event.data, event.indexes)
            })
            .collect();
        assert!(found == expected, "{}", path.display());
        let is_torn = path.to_str().unwrap().contains("torn");
        assert_eq!(report.loss_count, u64::from(is_torn), "{}: {:?}", path.display(), report.losses);
        cases += 1;
    }
    assert_eq!(cases, 12);
}
