//! What `import` takes, and what it refuses before it has read a byte.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::esdb::{Folder, fixture};

const GOOD: &str = r#"{"space":"1","timestamp":1,"data":1}"#;

#[test]
fn the_summary_goes_to_standard_error_and_quiet_leaves_it_out() {
    let folder = Folder::new();
    let run = folder.import("readme.ndjson", "--unit s -o a.esdb");
    assert_eq!((run.code, run.text()), (0, ""));
    let expected = "esdb: a.esdb: 14 events in 3 spaces, 14 index entries, 2014-06-23T14:48:39Z to 2014-06-23T14:48:43Z;";
    assert!(run.stderr.starts_with(expected), "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1);
    folder.import("readme.ndjson", "-q --unit s -o b.esdb").ok();
}

#[test]
fn json_prints_the_summary_on_standard_output() {
    let folder = Folder::new();
    let run = folder.import("readme.ndjson", "-q --json --unit s -o a.esdb").ok();
    let found: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    for (key, expected) in [("events", 14), ("spaces", 3), ("index_entries", 14), ("skipped", 0)] {
        assert_eq!(found[key], expected, "{key}");
    }
    assert_eq!(found["first"], "2014-06-23T14:48:39Z");
    assert_eq!(found["bytes_in"], fs::metadata(fixture("readme.ndjson")).expect("file").len());
    assert_eq!(found["bytes_out"], folder.read("a.esdb").len());
    let sections = found["sections"].as_object().expect("object").values();
    let sum: u64 = sections.map(|bytes| bytes.as_u64().expect("number")).sum();
    assert_eq!(found["bytes_out"], sum);
    assert_eq!(found["file_digest"].as_str().map(str::len), Some(64));
}

#[test]
fn a_malformed_line_is_named_and_nothing_is_written() {
    let folder = Folder::new();
    let mut lines = [GOOD; 8];
    lines[6] = r#"{"space":"1","timestamp":1.5,"data":1}"#;
    folder.write("in.ndjson", lines.join("\n"));
    let run = folder.run("import in.ndjson -o a.esdb");
    assert_eq!(run.code, 1);
    assert!(run.stderr.starts_with("in.ndjson:7:26: timestamp: "), "{}", run.stderr);
    assert_eq!(folder.names(), ["in.ndjson"]);
}

/// Several threads parse: events and malformed lines stay in the order of the inputs, whatever is in them.
#[test]
fn many_lines_of_several_inputs_stay_in_order() {
    let folder = Folder::new();
    let (mut number, mut bad) = (0, String::new());
    for name in ["a.ndjson", "b.ndjson", "c.csv", "d.ndjson"] {
        let mut text = if name == "c.csv" { "s,t,d\n".to_owned() } else { String::new() };
        for line in 1..=20_000 {
            let long = "x".repeat(if line % 7_000 == 0 { 3_000_000 } else { line % 90 });
            let data = format!("{number} {long}");
            number += 1;
            text += &match (name, line % 6_000) {
                ("c.csv", _) => format!("x,1,\"{data}\"\n"),
                (_, 2_500) => {
                    bad += &format!("{data}\n");
                    format!("{data}\n")
                }
                _ => format!("{{\"s\":\"x\",\"t\":1,\"d\":\"{data}\"}}\n"),
            };
        }
        // Longer than a line may be: twice an event of 4 MiB and 1 MiB.
        if name == "b.ndjson" {
            let long = format!("{{\"s\":\"{}\"}}\n", "y".repeat(9_500_000));
            (text, bad) = (text + &long, bad + &long);
        }
        folder.write(name, text);
    }
    let flags =
        "--space s --timestamp t --data d --timestamp-unit ms --max-event 4MiB --on-error skip --rejects bad";
    let run = folder.run(&format!("import {flags} -o out.esdb a.ndjson b.ndjson c.csv d.ndjson"));
    assert_eq!(run.code, 3, "{}", run.stderr);
    let told: Vec<&str> =
        run.stderr.lines().filter_map(|line| Some(line.split_once(".ndjson:")?.0)).collect();
    assert_eq!(told.join(""), "aaabbbbddd", "{}", run.stderr);
    assert!(
        run.stderr.contains("\nb.ndjson:20001:1: the record has more than 9437184 bytes"),
        "{}",
        run.stderr
    );
    assert_eq!(folder.read("bad"), bad.as_bytes());
    let out = folder.run("scan out.esdb").ok();
    let numbers = out.text().lines().map(|line| {
        let data = line.split_once("data_text\":\"").expect("text").1;
        data.split_once(' ').expect("number").0.parse::<u32>().expect("number")
    });
    let expected =
        (0..number).filter(|number| (40_000..60_000).contains(number) || number % 20_000 % 6_000 != 2_499);
    assert!(numbers.eq(expected));
}

#[test]
fn bad_lines_are_skipped_kept_and_counted() {
    let folder = Folder::new();
    let mut lines = vec![GOOD; 1000];
    let bad = ["{", "[1]", r#"{"space":"1"}"#];
    (lines[0], lines[500], lines[999]) = (bad[0], bad[1], bad[2]);
    folder.write("in.ndjson", lines.join("\n") + "\n");
    let run = folder.run("import in.ndjson -o a.esdb --on-error skip --rejects r --json");
    assert_eq!(run.code, 3);
    assert_eq!(folder.read("r"), (bad.join("\n") + "\n").into_bytes());
    assert!(run.stderr.contains("\nesdb: 3 malformed records skipped, kept in r\n"), "{}", run.stderr);
    let found: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert_eq!((&found["events"], &found["skipped"]), (&997.into(), &3.into()));
    assert_eq!(found["skipped_by_reason"]["invalid JSON"], 1);
    assert_eq!(folder.run("count a.esdb").ok().text(), "997\n");
}

#[test]
fn packed_inputs_and_standard_input_give_the_same_file() {
    let folder = Folder::new();
    let text = fs::read(fixture("readme.ndjson")).expect("fixture");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&text).expect("memory");
    folder.write("in.gz", gzip.finish().expect("memory"));
    folder.write("in.zst", zstd::encode_all(&text[..], 1).expect("memory"));
    folder.import("readme.ndjson", "-q --unit s -o plain.esdb").ok();
    folder.run("import -q --unit s -o gzip.esdb in.gz").ok();
    folder.run("import -q --unit s -o zstd.esdb in.zst").ok();
    folder.run_with(["import", "-q", "--unit", "s", "-o", "stdin.esdb"], &text).ok();
    folder.run_with(["import", "-q", "--unit", "s", "-o", "dash.esdb", "-"], &text).ok();
    for name in ["gzip.esdb", "zstd.esdb", "stdin.esdb", "dash.esdb"] {
        assert_eq!(folder.read(name), folder.read("plain.esdb"), "{name}");
    }
}

#[test]
fn several_inputs_are_read_in_order() {
    let folder = Folder::new();
    folder.write("a", r#"{"space":"1","timestamp":5,"data":"a"}"#);
    folder.write("b", r#"{"space":"1","timestamp":5,"data":"b"}"#);
    folder.run("import -q -o x.esdb b a").ok();
    assert_eq!(folder.run("scan x.esdb --raw").ok().text(), "\"b\"\n\"a\"\n");
}

#[test]
fn no_input_gives_a_file_without_events() {
    let folder = Folder::new();
    folder.write("in", "\n\n");
    let run = folder.run("import in -o a.esdb");
    assert_eq!(run.code, 0);
    assert!(run.stderr.contains("0 events in 0 spaces, 0 index entries; 2 B in"), "{}", run.stderr);
    assert_eq!(folder.run("scan a.esdb").ok().text(), "");
    assert_eq!(folder.run("count a.esdb").ok().text(), "0\n");
    folder.run("verify --deep a.esdb").ok();
}

#[test]
fn outputs_that_would_cost_something_are_refused() {
    let folder = Folder::new();
    folder.write("in", GOOD);
    folder.write("old.esdb", "old");
    fs::create_dir(folder.path("folder")).expect("folder");
    // The input is a pipe that never says anything: a refusal does not wait for it.
    let refused = |line: &str| {
        let mut child = folder.command(line.split(' ')).stdin(Stdio::piped()).spawn().expect("start");
        let kept_open = child.stdin.take();
        let output = child.wait_with_output().expect("end");
        drop(kept_open);
        assert_eq!(output.status.code(), Some(1), "{line}");
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    assert_eq!(refused("import -o old.esdb"), "esdb: old.esdb: exists; --force replaces it\n");
    assert_eq!(refused("import -o folder --force"), "esdb: folder: is a directory\n");
    assert!(refused("import -o none/a.esdb").starts_with("esdb: none/a.esdb: cannot create "));
    assert_eq!(
        refused("import - in --force -o ./in"),
        "esdb: ./in: the output is the same file as the input in\n"
    );
    #[cfg(unix)]
    for device in ["/dev/full", "/dev/stdout"] {
        let message = refused(&format!("import --force -o {device}"));
        assert_eq!(message, format!("esdb: {device}: is not a regular file\n"));
    }
    assert_eq!(folder.names(), ["folder", "in", "old.esdb"]);
    assert_eq!((folder.read("in"), folder.read("old.esdb")), (GOOD.into(), b"old".into()));
}

#[test]
fn force_replaces_a_file_and_a_failure_keeps_it() {
    let folder = Folder::new();
    folder.write("a.esdb", "old");
    folder.run_with("import -q --force -o a.esdb".split(' '), b"{").failed_with_prefix("<stdin>:1:");
    assert_eq!(folder.read("a.esdb"), b"old");
    folder.run_with("import -q --force -o a.esdb".split(' '), GOOD.as_bytes()).ok();
    assert_eq!(folder.run("count a.esdb").ok().text(), "1\n");
}

#[test]
fn what_can_not_be_meant_is_a_usage_error() {
    let folder = Folder::new();
    let unused = folder.run("import in");
    unused.refused_with("--output <FILE>");
    folder.run("import in -o -").refused_with("not written to standard output");
    folder.run("import in -o a --codec lz4 --level 3").refused_with("--level is for zstd; the codec is lz4");
    folder.run("import in -o a --level 23").refused_with("23 is not in -7..=22");
    folder.run("import in -o a --frame-size 255").refused_with("256 to 1MiB are possible");
    folder.run("import in -o a --memory 1MiB").refused_with("at least 8MiB are needed");
    folder.run("import in -o a --threads 0").refused_with("0 is not in 1..=256");
    folder.run("import in -o a --meta x").refused_with("\"x\" is not KEY=VALUE");
    folder.run("import in -o a --grouping g").refused_with("--grouping is for foreign input");
    folder.run("import").refused_with("Usage: esdb import");
}

#[test]
fn options_arrive_in_the_file_and_like_repeats_them() {
    let folder = Folder::new();
    let flags = "-q --unit s --level -5 --frame-size 4KiB --meta a=b=c --meta a=x --meta =";
    folder.import("readme.ndjson", &format!("{flags} -o a.esdb")).ok();
    let info = |name: &str| -> serde_json::Value {
        serde_json::from_slice(&folder.run(&format!("info --json {name}")).ok().stdout).expect("JSON")
    };
    let found = info("a.esdb");
    assert_eq!((&found["unit"], &found["codec"]), (&"s".into(), &"zstd".into()));
    assert_eq!((&found["level"], &found["frame_size"]), (&(-5).into(), &4096.into()));
    let metadata = serde_json::json!([{"key": "", "value": ""}, {"key": "a", "value": "x"}]);
    assert_eq!(found["metadata"], metadata);

    folder.import("readme.ndjson", "-q --like a.esdb -o b.esdb").ok();
    assert_eq!(folder.read("b.esdb"), folder.read("a.esdb"));
    folder.import("readme.ndjson", "-q --like a.esdb --codec none --meta a=1 --unit ns -o c.esdb").ok();
    let found = info("c.esdb");
    assert_eq!(
        (&found["unit"], &found["codec"], &found["frame_size"]),
        (&"ns".into(), &"none".into(), &4096.into())
    );
    assert_eq!(found["metadata"][1]["value"], "1");
}

#[test]
fn foreign_records_are_mapped() {
    let folder = Folder::new();
    let flags =
        "-q --space user --timestamp time --grouping session --index type=type --index product=product";
    folder.import("sample.ndjson", &format!("{flags} -o shop.esdb")).ok();
    folder.run("verify --deep shop.esdb").ok();
    let lines = fs::read_to_string(fixture("sample.ndjson")).expect("fixture");
    let refunds = lines.lines().filter(|line| line.contains(r#""type":"refund""#)).count();
    assert_eq!(folder.run("count shop.esdb -i type=refund").ok().text(), format!("{refunds}\n"));
    // The data of an event is its line; the lines of one session are in order already, or sorted by time.
    let session = "u-1003/1";
    let mut expected: Vec<&str> =
        lines.lines().filter(|line| line.contains(&format!(r#""session":"{session}""#))).collect();
    expected.sort_by_key(|line| line.split('"').nth(3));
    let user = session.split('/').next().expect("user");
    let run = folder.run(&format!("scan shop.esdb -s {user} -g {session} --raw")).ok();
    assert!(!expected.is_empty());
    assert_eq!(run.text().lines().collect::<Vec<_>>(), expected);
}

#[cfg(unix)]
#[test]
fn files_are_made_with_the_rights_that_the_umask_leaves() {
    use std::os::unix::fs::PermissionsExt;

    for (umask, expected) in [("077", 0o600), ("022", 0o644)] {
        let folder = Folder::new();
        folder.write("in", GOOD);
        let script = format!("umask {umask} && {} import -q in -o a.esdb", env!("CARGO_BIN_EXE_esdb"));
        let mut command = std::process::Command::new("sh");
        let status = command.args(["-c", &script]).current_dir(folder.path("")).status().expect("sh");
        assert!(status.success());
        let mode = fs::metadata(folder.path("a.esdb")).expect("file").permissions().mode();
        assert_eq!(mode & 0o777, expected);
    }
}
