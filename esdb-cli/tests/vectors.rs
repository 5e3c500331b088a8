//! The test vectors of the spec: today's writer still produces the good ones, and the command judges all as recorded.
//!
//! `spec/vectors/update.sh` writes the good ones anew, and has `spec/vectors/make.py` make the others from them.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use esdb_format::{Codec, Event, EventBuf, Unit, WriterOptions};
use serde_json::{Value, json};

/// A good vector: what it shows, the rules it stands for, and how it is written.
struct Good {
    name: &'static str,
    comment: &'static str,
    rules: &'static [&'static str],
    options: WriterOptions,
    events: Vec<EventBuf>,
}

fn event(space: &str, grouping: &str, timestamp: i64, pairs: &[(&str, &str)], data: &str) -> EventBuf {
    let mut event = Event::new(space, timestamp, data).grouping(grouping);
    event.indexes = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    event.into()
}

/// Numbers that look random and never change.
fn noise(i: u64) -> u64 {
    (i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 17
}

fn shop(count: u64) -> Vec<EventBuf> {
    (0..count)
        .map(|i| {
            let n = noise(i);
            let space = format!("customer-{}", n % 5);
            let grouping = format!("session-{}", n / 5 % 4);
            let kind = ["page", "click", "purchase"][(n / 20 % 3) as usize];
            let data = format!(r#"{{"url":"http://shop.example/item/{}","n":{i}}}"#, n % 100);
            let tag = format!("t{}", n % 7);
            let pairs = [("type", kind), ("tag", tag.as_str()), ("tag", "every")];
            let pairs = if n.is_multiple_of(4) { &pairs[..] } else { &pairs[..1] };
            event(&space, &grouping, 1_403_534_000 + (n % 900) as i64, pairs, &data)
        })
        .collect()
}

fn good_vectors() -> Vec<Good> {
    let seconds = || WriterOptions::new().unit(Unit::Seconds);
    let good = |name, comment, rules, options, events| Good { name, comment, rules, options, events };
    let mut all = vec![
        good("empty", "No events at all.", &["F1", "P4"], seconds(), Vec::new()),
        good(
            "one",
            "One event; the worked example of the spec.",
            &["F4", "F5", "B2"],
            seconds().codec(Codec::None).metadata("made by", "hand"),
            vec![event("1", "", 1_403_534_919, &[("type", "page")], r#"{"url":"http://mysite.com/"}"#)],
        ),
        good(
            "nothing",
            "Events whose space, grouping, data, index name and value are empty; one without any index.",
            &["K2", "T4"],
            seconds(),
            vec![event("", "", 0, &[("", "")], ""), event("", "", 0, &[], "")],
        ),
        good(
            "ties",
            "Equal timestamps keep the order of arrival, given unsorted and with a pair repeated.",
            &["W1"],
            seconds().codec(Codec::None),
            (0..12)
                .map(|i| {
                    event(
                        ["b", "a"][i % 2],
                        "",
                        5 - (i / 8) as i64,
                        &[("n", "v"), ("n", "v")],
                        &i.to_string(),
                    )
                })
                .collect(),
        ),
        good(
            "times",
            "The extreme timestamps, and ranges around zero, in nanoseconds.",
            &["I2", "B5"],
            WriterOptions::new().unit(Unit::Nanoseconds).codec(Codec::Snappy),
            [i64::MAX, 0, i64::MIN, -1, 1, i64::MIN + 1, i64::MAX - 1]
                .iter()
                .flat_map(|&time| [event("s", "a", time, &[], "x"), event("s", "b", time, &[], "y")])
                .collect(),
        ),
        good(
            "step",
            "Whole seconds in a file of milliseconds: all differences share a divisor.",
            &["I3"],
            WriterOptions::new().codec(Codec::Lz4),
            (0..200).map(|i| event("s", ["a", "b"][i % 2], i as i64 * 5_000, &[], "{}")).collect(),
        ),
        good(
            "time-frames",
            "Two frames in the time order of a space, the second one with few events.",
            &["T6", "T7"],
            seconds().codec(Codec::Lz4),
            (0..4_100).map(|i| event("s", ["a", "b"][i % 2], i as i64, &[], "")).collect(),
        ),
        good(
            "tags",
            "Names with several values per event, values with few events, and events without a name.",
            &["B8", "B9", "T5"],
            seconds().codec(Codec::None),
            shop(60),
        ),
        good(
            "long-list",
            "A posting list of two frames (more than 1,024 events), others in one, and the time order of a space with groupings.",
            &["A1", "A2", "T6", "T7", "P2"],
            seconds().codec(Codec::Snappy),
            shop(4_000),
        ),
        good(
            "two-blocks",
            "More events than a block holds, so that a space goes on in the next one.",
            &["B3", "B6", "T1"],
            seconds().codec(Codec::Lz4),
            (0..4_500)
                .map(|i| {
                    event(
                        ["a", "b"][usize::from(i > 4_000)],
                        "",
                        i / 3,
                        &[("odd", ["no", "yes"][i as usize % 2])],
                        "",
                    )
                })
                .collect(),
        ),
        good(
            "dictionary",
            "A zstd dictionary that wins, in both places.",
            &["D1", "D2", "Z1"],
            seconds().frame_size(512),
            shop(2_000),
        ),
        good(
            "frames",
            "Frames in a block that end before a large event, with 32 events, and with 256 bytes; one does not shrink.",
            &["B10", "B7", "B11"],
            seconds().codec(Codec::Lz4).frame_size(256),
            (0..200_u64)
                .map(|i| {
                    let data = match i {
                        7 => "large ".repeat(800),
                        8 => (0..300).map(|j| format!("{:x}", noise(j * 31))).collect(),
                        9..80 => format!("event number {i} of two hundred"),
                        _ => format!("e{i}"),
                    };
                    event("s", "", i as i64, &[], &data)
                })
                .collect(),
        ),
        good(
            "many-keys",
            "Enough spaces, groupings and values for trees of two levels.",
            &["P1", "P3", "P5"],
            seconds().codec(Codec::Lz4),
            (0..1_400_u64)
                .map(|i| {
                    let (space, value) = (
                        format!("{:05} space", noise(i / 2) % 99_999),
                        format!("value {}", noise(i) % 99_999),
                    );
                    event(&space, ["", "x"][i as usize % 2], i as i64, &[("value", &value)], "")
                })
                .collect(),
        ),
        good(
            "two-levels",
            "Long names of spaces: the smallest tree of two levels.",
            &["P1", "P2", "P3"],
            seconds().codec(Codec::None),
            (0..40_u64)
                .map(|i| {
                    let space = (0..20).map(|j| format!("{:012x}", noise(i * 20 + j))).collect::<String>();
                    event(&space, "", i as i64, &[], "")
                })
                .collect(),
        ),
        good(
            "metadata",
            "User metadata, keys ascending, one of them empty.",
            &["X1", "X2", "X3"],
            seconds()
                .codec(Codec::None)
                .metadata("", "empty key")
                .metadata("b", "2")
                .metadata("a", vec![0xFF, 0]),
            vec![event("s", "g", 1, &[], "text")],
        ),
    ];
    let mut binary = event("s", "g", 1, &[], "");
    binary.space = vec![0xFF, 0, b'a'];
    binary.grouping = vec![0xC3];
    binary.indexes = vec![(b"n".to_vec(), vec![0xFE]), (b"n".to_vec(), b"utf-8".to_vec())];
    binary.data = vec![0, 159, 146, 150];
    let mut text = binary.clone();
    text.timestamp = 2;
    text.data = b"not JSON: \"\x01\n\xC3\xA9".to_vec();
    all.push(good(
        "binary",
        "Keys and data that are not UTF-8.",
        &["C1", "W2"],
        seconds().codec(Codec::None),
        vec![text, binary],
    ));
    for codec in [Codec::None, Codec::Snappy, Codec::Lz4, Codec::Zstd { level: 3 }] {
        let name = match codec {
            Codec::None => "codec-none",
            Codec::Snappy => "codec-snappy",
            Codec::Lz4 => "codec-lz4",
            Codec::Zstd { .. } => "codec-zstd",
        };
        all.push(good(
            name,
            "The same events under each codec: one content digest.",
            &["Z1", "G1"],
            seconds().codec(codec),
            shop(150),
        ));
    }
    all
}

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors")
}

fn esdb(arguments: &[&str], file: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_esdb")).args(arguments).arg(file).output().unwrap()
}

#[test]
fn todays_writer_still_produces_the_good_vectors() {
    let update = std::env::var_os("ESDB_UPDATE_VECTORS").is_some();
    let folder = tempfile::tempdir().unwrap();
    for good in good_vectors() {
        let path = folder.path().join(format!("{}.esdb", good.name));
        let mut writer = good.options.create(&path).unwrap();
        good.events.iter().for_each(|event| writer.add(event.as_event()).unwrap());
        let summary = writer.finish().unwrap();
        let bytes = fs::read(&path).unwrap();
        let committed = vectors().join("good").join(format!("{}.esdb", good.name));
        if update {
            let scan = esdb(&["scan"], &path);
            assert!(scan.status.success(), "{}", String::from_utf8_lossy(&scan.stderr));
            let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let sidecar = json!({
                "comment": good.comment,
                "expect": "ok",
                "rules": good.rules,
                "events": summary.events,
                "content_digest": hex(&summary.content_digest),
                "lines_blake3": hex(blake3::hash(&scan.stdout).as_bytes()),
            });
            fs::write(&committed, &bytes).unwrap();
            fs::write(committed.with_extension("json"), format!("{sidecar:#}\n")).unwrap();
        }
        assert!(fs::read(&committed).unwrap() == bytes, "{}: other bytes than committed", good.name);
    }
}

/// All vectors of a folder, with what is recorded of them.
fn recorded(folder: &str) -> Vec<(PathBuf, Value)> {
    let mut found: Vec<_> = fs::read_dir(vectors().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "esdb"))
        .map(|path| {
            let text = fs::read(path.with_extension("json")).unwrap();
            (path, serde_json::from_slice(&text).unwrap())
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!found.is_empty(), "no vectors in {folder}");
    found
}

#[test]
fn good_vectors_verify_and_print_what_is_recorded() {
    for (path, recorded) in recorded("good") {
        let verify = esdb(&["verify", "--deep"], &path);
        assert!(verify.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&verify.stderr));
        let scan = esdb(&["scan"], &path);
        assert!(scan.status.success(), "{}", path.display());
        assert_eq!(
            blake3::hash(&scan.stdout).to_hex().as_str(),
            recorded["lines_blake3"],
            "{}",
            path.display()
        );
        let lines = scan.stdout.iter().filter(|&&byte| byte == b'\n').count();
        assert_eq!(lines as u64, recorded["events"].as_u64().unwrap(), "{}", path.display());
    }
}

#[test]
fn other_vectors_are_refused_for_the_recorded_reason() {
    for folder in ["bad", "unsupported", "unfinished"] {
        for (path, recorded) in recorded(folder) {
            let output = esdb(&["verify", "--deep"], &path);
            let talk = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert_eq!(output.status.code(), Some(1), "{}: {talk}", path.display());
            // A foreign file breaks no rule by name: it is said what it is not.
            let reason = match recorded["message"].as_str() {
                Some(message) => message.to_owned(),
                None => format!("[{}]", recorded["reject"].as_str().unwrap()),
            };
            assert!(talk.contains(&reason), "{}: {reason} expected: {talk}", path.display());
        }
    }
}
