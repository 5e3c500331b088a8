//! What `convert` makes of files of 2014, whole and damaged, and what other verbs say of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::esdb::{Folder, Run};
use crate::old::{Event, archive, stream};

/// Space `a` with two groupings, space `b` with an empty event; a key with two colons.
fn small() -> Vec<u8> {
    let event = |grouping: &str, timestamp: u32, keys: &[&str], data: &str| Event {
        grouping: grouping.into(),
        timestamp,
        keys: keys.iter().map(|key| key.as_bytes().to_vec()).collect(),
        data: data.into(),
    };
    let first = vec![
        event("", 100, &["type:page"], "one"),
        event("g", 100, &["type:page", "url:http://x"], "two"),
        event("", 101, &[], "three"),
    ];
    let second = vec![
        event("", 7, &["type:page"], "new"),
        event("", 5, &["type:page"], ""),
        event("", 3, &["type:page"], "old"),
    ];
    archive(&[(b"b", second), (b"a", first)])
}

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("old.esdb", small());
    folder
}

fn json(run: &Run) -> Value {
    serde_json::from_slice(&run.stdout).expect("JSON")
}

#[test]
fn an_archive_is_brought_over_and_reported() {
    let folder = folder();
    let run = folder.run("convert old.esdb -o new.esdb");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(
        run.text(),
        "old.esdb: index \"url\": 1 key has several colons, split at the first, as in \"url\" = \"http://x\"; --split-index decides otherwise\n\
         old.esdb: archive, 6 events in 2 spaces and 3 groupings, 6 index entries; 2 events and 2 index entries that the old reader hides; nothing lost\n"
    );
    assert!(
        run.stderr
            .starts_with("esdb: new.esdb: 6 events in 2 spaces, 6 index entries, 1970-01-01T00:00:03Z to "),
        "{}",
        run.stderr
    );
    folder.run("verify -q --deep new.esdb").ok();
    let lines = folder.run("scan new.esdb -s b -i type=page").ok();
    assert_eq!(
        lines.text(),
        concat!(
            r#"{"space":"b","grouping":"","timestamp":3,"index":{"type":"page"},"data_text":"old"}"#,
            "\n",
            r#"{"space":"b","grouping":"","timestamp":5,"index":{"type":"page"},"data_text":""}"#,
            "\n",
            r#"{"space":"b","grouping":"","timestamp":7,"index":{"type":"page"},"data_text":"new"}"#,
            "\n",
        )
    );
    let info = json(&folder.run("info --json new.esdb").ok());
    assert_eq!(info["unit"], "s");
}

#[test]
fn the_user_decides_where_keys_are_split() {
    let folder = folder();
    let run = folder.run("convert -q --split-index url:http old.esdb -o new.esdb").ok();
    assert!(!run.text().contains("colons"), "{}", run.text());
    let found = folder.run("scan new.esdb -s a -i url:http=//x --raw").ok();
    assert_eq!(found.text(), "two\n");
}

#[test]
fn several_files_become_one_and_json_tells_each() {
    let folder = folder();
    let records = [
        (b"{\"at\":\"2020-01-01T00:00:07.9Z\"}".to_vec(), vec![b"k:v".to_vec()]),
        (b"{\"at\":5}".to_vec(), vec![]),
    ];
    folder.write("log.stream", stream(&records, true));
    let run =
        folder.run("convert -q --json old.esdb log.stream -o new.esdb --space log --timestamp /at").ok();
    let found = json(&run);
    assert_eq!((&found["events"], &found["spaces"]), (&8.into(), &3.into()));
    let files = &found["files"];
    assert_eq!((&files[0]["kind"], &files[0]["hidden_events"]), (&"archive".into(), &2.into()));
    assert_eq!((&files[1]["kind"], &files[1]["timestamps"]), (&"closed stream".into(), &"/at".into()));
    let lines = folder.run("scan new.esdb -s log").ok();
    assert_eq!(
        lines.text(),
        concat!(
            r#"{"space":"log","grouping":"","timestamp":5,"index":{},"data":{"at":5}}"#,
            "\n",
            r#"{"space":"log","grouping":"","timestamp":1577836807,"index":{"k":"v"},"data":{"at":"2020-01-01T00:00:07.9Z"}}"#,
            "\n",
        )
    );
}

#[test]
fn records_of_a_stream_are_numbered_or_tell_their_time() {
    let folder = Folder::new();
    let records = [
        (b"{\"at\":5}".to_vec(), vec![]),
        (b"no JSON".to_vec(), vec![]),
        (b"{\"at\":true}".to_vec(), vec![]),
    ];
    folder.write("log.stream", stream(&records, false));
    let run = folder.run("convert -q log.stream -o new.esdb").ok();
    assert_eq!(
        run.text(),
        "log.stream: the space is \"\", timestamps are the numbers of the records, from 0\n\
         log.stream: open stream, 3 events in 1 space and 1 grouping, 0 index entries; nothing lost\n"
    );
    let run = folder.run("convert -q log.stream -o new.esdb --force --timestamp /at");
    assert_eq!(run.code, 3);
    let lines: Vec<&str> = run.text().lines().collect();
    assert!(
        lines[0].starts_with("log.stream: bytes 24 to 37: record 1 is left out: not JSON: "),
        "{}",
        lines[0]
    );
    assert_eq!(
        lines[1],
        "log.stream: bytes 37 to 54: record 2 is left out: what stands at \"/at\" is no time"
    );
    assert!(
        lines[3].ends_with(
            "1 event in 1 space and 1 grouping, 0 index entries; at least 2 events and 0 index entries lost"
        ),
        "{}",
        lines[3]
    );
    folder.run("convert log.stream -o new.esdb --timestamp at").refused_with("a pointer begins with /");
}

#[test]
fn other_verbs_say_what_an_old_file_is() {
    let folder = folder();
    folder.write("log.stream", stream(&[], false));
    let hint = "of the 2014 Go library, not a file of this format; esdb convert brings it over";
    for (name, kind) in [("old.esdb", "an archive"), ("log.stream", "a stream")] {
        for verb in ["info", "scan", "count", "spaces", "recover -o x.esdb"] {
            folder
                .run(&format!("{verb} {name}"))
                .failed_with(&format!("esdb: {name}: this is {kind} {hint}"));
        }
        let run = folder.run(&format!("verify {name}"));
        assert_eq!((run.code, run.text()), (1, format!("{name}: this is {kind} {hint}\n").as_str()));
    }
}

#[test]
fn what_is_no_old_file_leaves_nothing_behind() {
    let folder = folder();
    folder.run("convert -q old.esdb -o new.esdb").ok();
    folder.write("text", "no events");
    let names = folder.names();
    folder
        .run("convert text -o x.esdb")
        .failed_with("esdb: text: not an esdb file of 2014, nor a part of one");
    folder.run("convert none -o x.esdb").failed_with_prefix("esdb: none: cannot open: ");
    folder
        .run("convert new.esdb -o x.esdb")
        .failed_with("esdb: new.esdb: this is a file of today's format already");
    folder.run("convert old.esdb -o new.esdb").failed_with("esdb: new.esdb: exists; --force replaces it");
    folder
        .run("convert old.esdb -o ./old.esdb --force")
        .failed_with("esdb: ./old.esdb: the output is the same file as the input old.esdb");
    assert_eq!(folder.names(), names);
}

/// The golden files beside the workspace, or where `ESDB_SHARED` says.
fn corrupt() -> Option<PathBuf> {
    let folder = match std::env::var_os("ESDB_SHARED") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
    };
    let folder = folder.join("go-esdb/corrupt");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "there is no {}", folder.display());
    eprintln!("skipped: there is no {} (ESDB_SHARED names another folder)", folder.display());
    None
}

/// Files in which a changed byte cannot be found, or which were never those of the base.
const OTHERS: [&str; 7] = [
    "flip_raw_payload.esdb",
    "flip_raw_timestamp.esdb",
    "s_payload_flip.stream",
    "stream_phantom.stream",
    "w_empty_space_id.esdb",
    "w_flush_then_add.esdb",
    "w_write_twice.esdb",
];

/// The damaged golden files against `corrupt.txt`: exit code, events and index entries that came out, the first place that is named.
#[test]
fn damaged_files_give_what_is_recorded_and_nothing_that_was_not_stored() {
    let Some(golden) = corrupt() else { return };
    let folder = Folder::new();
    let mut names: Vec<String> = std::fs::read_dir(&golden)
        .expect("folder")
        .map(|entry| entry.expect("entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| !name.ends_with(".ndjson"))
        .collect();
    names.sort();
    let mut found = String::new();
    let mut stored: [BTreeSet<String>; 2] = Default::default();
    let shared = golden.parent().expect("folder").join("stream_closed.stream");
    for (name, path) in [("base", golden.join("base.esdb")), ("stream", shared)] {
        let words = ["convert".into(), "-q".into(), path, "-o".into(), name.into()];
        folder.run_words(words).ok();
        let lines = folder.run(&format!("scan {name}")).ok();
        let stored = &mut stored[usize::from(name == "stream")];
        stored.extend(lines.text().lines().map(event));
    }
    for name in &names {
        let words = ["convert", "-q", "--json", "--force", "-o", "new.esdb"].map(PathBuf::from);
        let run = folder.run_words(words.into_iter().chain([golden.join(name)]));
        let line = match run.code {
            1 => run.stderr.trim_end().rsplit_once(": ").expect("reason").1.to_owned(),
            _ => {
                let report = json(&run)["files"][0].clone();
                let place = match &report["losses"][0] {
                    Value::Null => "nothing is found".to_owned(),
                    loss => format!(
                        "{}..{} {}",
                        loss["start"],
                        loss["end"],
                        loss["reason"].as_str().expect("text")
                    ),
                };
                format!("{} events, {} entries: {place}", report["events"], report["index_entries"])
            }
        };
        found += &format!("{name} {} {line}\n", run.code);
        if run.code != 1 && !OTHERS.contains(&name.as_str()) {
            let lines = folder.run("scan new.esdb").ok();
            let stored = &stored[usize::from(name.ends_with(".stream"))];
            assert!(lines.text().lines().map(event).all(|line| stored.contains(&line)), "{name}");
        }
    }
    let recorded = include_str!("corrupt.txt");
    for (found, recorded) in found.lines().zip(recorded.lines()) {
        assert_eq!(found, recorded);
    }
    assert_eq!(found.lines().count(), recorded.lines().count(), "{found}");
}

/// Timestamp and data of a line: names may be lost, and entries.
fn event(line: &str) -> String {
    let line: Value = serde_json::from_str(line).expect("JSON");
    let data = ["data", "data_text", "data_base64"].map(|key| line[key].to_string());
    format!("{} {}", line["timestamp"], data.concat())
}
