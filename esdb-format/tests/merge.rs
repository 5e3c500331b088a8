//! Merging files: the events of all, ties in the order of the inputs.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use esdb_format::{Codec, Event, Reader, Unit, VerifyLevel, Writer, WriterOptions, merge};

fn file(folder: &std::path::Path, name: &str, events: &[(&str, i64, String)]) -> Reader {
    let path = folder.join(name);
    let mut writer = WriterOptions::new().unit(Unit::Seconds).create(&path).unwrap();
    for (space, timestamp, data) in events {
        writer.add(Event::new(space, *timestamp, data).index("source", name)).unwrap();
    }
    writer.finish().unwrap();
    Reader::open(path).unwrap()
}

fn seconds() -> WriterOptions {
    WriterOptions::new().unit(Unit::Seconds)
}

#[test]
fn merge_keeps_ties_in_input_order_and_equals_one_import() {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<Vec<(&str, i64, String)>> = (0..5)
        .map(|input| {
            (0..200).map(|i| (["b", "a", "c"][i % 3], (i % 10) as i64, format!("{input}:{i}"))).collect()
        })
        .collect();
    let inputs: Vec<Reader> = all
        .iter()
        .enumerate()
        .map(|(i, events)| file(folder.path(), &format!("in{i}.esdb"), events))
        .collect();
    let merged = folder.path().join("merged.esdb");
    let summary = merge(&inputs, seconds().create(&merged).unwrap()).unwrap();
    assert_eq!(summary.events, 1000);

    let direct = folder.path().join("direct.esdb");
    let mut writer = seconds().create(&direct).unwrap();
    for (i, events) in all.iter().enumerate() {
        let name = format!("in{i}.esdb");
        for (space, timestamp, data) in events {
            writer.add(Event::new(space, *timestamp, data).index("source", &name)).unwrap();
        }
    }
    writer.finish().unwrap();
    assert_eq!(std::fs::read(merged).unwrap(), std::fs::read(&direct).unwrap());
    assert!(Reader::open(direct).unwrap().verify(VerifyLevel::Deep).is_ok());
}

#[test]
fn many_and_empty_inputs_merge_in_several_passes() {
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<Reader> = (0..150)
        .map(|i| {
            let events: Vec<_> = (0..i % 4).map(|n| ("s", 5, format!("{i}:{n}"))).collect();
            file(folder.path(), &format!("in{i}.esdb"), &events)
        })
        .collect();
    let merged = folder.path().join("merged.esdb");
    merge(&inputs, seconds().codec(Codec::Lz4).create(&merged).unwrap()).unwrap();
    let data: Vec<String> = Reader::open(merged)
        .unwrap()
        .scan()
        .map(|event| String::from_utf8(event.unwrap().data().to_vec()).unwrap())
        .collect();
    let expected: Vec<String> = (0..150).flat_map(|i| (0..i % 4).map(move |n| format!("{i}:{n}"))).collect();
    assert_eq!(data, expected);
}

#[test]
fn coarser_units_are_counted_in_that_of_the_output() {
    let folder = tempfile::tempdir().unwrap();
    let in_seconds = |name: &str, events: &[(&str, i64, String)]| file(folder.path(), name, events);
    let input = in_seconds("s.esdb", &[("s", -2, "a".into()), ("s", 1, "b".into()), ("s", 2, "c".into())]);
    let mut writer = Writer::create(folder.path().join("ms.esdb")).unwrap();
    writer.add(Event::new("s", 1_500, "between")).unwrap();
    writer.add(Event::new("s", 2_000, "later")).unwrap();
    writer.finish().unwrap();
    let other = Reader::open(folder.path().join("ms.esdb")).unwrap();
    let output = folder.path().join("out.esdb");
    merge(&[input, other], Writer::create(&output).unwrap()).unwrap();
    let events: Vec<_> = Reader::open(&output)
        .unwrap()
        .scan()
        .map(|event| {
            event.map(|event| (event.timestamp(), String::from_utf8_lossy(event.data()).into_owned()))
        })
        .collect::<Result<_, _>>()
        .unwrap();
    let expected = [(-2_000, "a"), (1_000, "b"), (1_500, "between"), (2_000, "c"), (2_000, "later")];
    assert_eq!(events, expected.map(|(timestamp, data)| (timestamp, data.to_owned())));

    let output = folder.path().join("none.esdb");
    let refusal = |inputs: &[Reader], writer| merge(inputs, writer).unwrap_err().to_string();
    let milliseconds = Reader::open(folder.path().join("out.esdb")).unwrap();
    assert_eq!(
        refusal(&[milliseconds], seconds().create(&output).unwrap()),
        "an input is in ms, finer than the output's s"
    );
    let late = in_seconds("late.esdb", &[("s", i64::MAX / 1_000 + 1, "x".into())]);
    assert_eq!(
        refusal(&[late], Writer::create(&output).unwrap()),
        "timestamp 9223372036854776 s exceeds 64 bits in ms"
    );
    assert!(!output.exists());
}

#[test]
fn a_writer_with_events_of_its_own_takes_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let input = file(folder.path(), "in.esdb", &[("s", 1, "x".into())]);
    let output = folder.path().join("out.esdb");
    let mut writer = seconds().create(&output).unwrap();
    writer.add(Event::new("z", 1, "mine")).unwrap();
    assert!(merge(&[input], writer).is_err());
    assert!(!output.exists());
}
