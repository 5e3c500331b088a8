//! Several files into one.

use crate::esdb::Folder;

fn line(space: &str, time: i64, data: &str) -> String {
    format!(
        "{{\"space\":\"{space}\",\"timestamp\":{time},\"index\":{{\"d\":\"{data}\"}},\"data\":\"{data}\"}}\n"
    )
}

/// Two files whose events mesh, and `all.esdb` of the events of both.
fn folder() -> Folder {
    let folder = Folder::new();
    let one = [line("a", 1, "1"), line("a", 5, "2"), line("c", 1, "3")].concat();
    let other = [line("a", 5, "4"), line("a", 3, "5"), line("b", 0, "6")].concat();
    for (name, lines) in [("a.esdb", &one), ("b.esdb", &other), ("all.esdb", &(one.clone() + &other))] {
        let words = ["import", "-q", "--unit", "s", "--codec", "lz4", "--meta", "k=v", "-o", name];
        folder.run_with(words, lines.as_bytes()).ok();
    }
    folder
}

#[test]
fn merging_is_importing_everything() {
    let folder = folder();
    folder.run("merge -q a.esdb b.esdb -o m.esdb").ok();
    assert!(folder.read("m.esdb") == folder.read("all.esdb"));
    folder.run("verify --deep m.esdb").ok();
    folder.run("merge -q a.esdb -o copy.esdb").ok();
    assert!(folder.read("copy.esdb") == folder.read("a.esdb"));
}

#[test]
fn equal_events_keep_the_order_of_the_files() {
    let folder = folder();
    folder.run("merge -q b.esdb a.esdb -o m.esdb").ok();
    let run = folder.run("scan m.esdb -s a --raw").ok();
    assert_eq!(run.text(), "\"1\"\n\"5\"\n\"4\"\n\"2\"\n");
}

#[test]
fn flags_win_over_the_first_file() {
    let folder = folder();
    let run =
        folder.run("merge a.esdb b.esdb -o m.esdb --codec zstd --level 1 --frame-size 512 --meta k=w --json");
    assert_eq!(run.code, 0);
    assert!(
        run.stderr.starts_with("esdb: m.esdb: 6 events in 3 spaces, 6 index entries, "),
        "{}",
        run.stderr
    );
    let summary: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    assert_eq!(summary["events"], 6);
    let info: serde_json::Value =
        serde_json::from_slice(&folder.run("info m.esdb --json").ok().stdout).expect("JSON");
    let found = (&info["codec"], &info["level"], &info["frame_size"], &info["metadata"][0]["value"]);
    assert_eq!(found, (&"zstd".into(), &1.into(), &512.into(), &"w".into()));
    // Another codec, the same events.
    let all: serde_json::Value =
        serde_json::from_slice(&folder.run("info all.esdb --json").ok().stdout).expect("JSON");
    assert_eq!(info["content_digest"], all["content_digest"]);
}

#[test]
fn outputs_that_would_cost_something_are_refused() {
    let folder = folder();
    let before = folder.read("b.esdb");
    folder
        .run("merge a.esdb b.esdb -o ./b.esdb --force")
        .failed_with("esdb: ./b.esdb: the output is the same file as the input b.esdb");
    folder.run("merge a.esdb -o b.esdb").failed_with("esdb: b.esdb: exists; --force replaces it");
    assert!(folder.read("b.esdb") == before);
    folder.run("merge a.esdb").refused_with("--output <FILE>");
    folder.run("merge -o m.esdb").refused_with("<FILE>");
    folder.run("merge -q a.esdb -o b.esdb --force").ok();
    assert!(folder.read("b.esdb") == folder.read("a.esdb"));
}

#[test]
fn the_finest_unit_of_all_files_holds_them() {
    let folder = folder();
    folder.run_with("import -q --unit ms -o ms.esdb".split(' '), line("a", 1_500, "1").as_bytes()).ok();
    folder.run("merge -q a.esdb ms.esdb -o m.esdb").ok();
    let timestamps = |file: &str| -> Vec<i64> {
        let lines = String::from_utf8(folder.run(&format!("scan {file}")).ok().stdout).expect("UTF-8");
        let timestamp = |line: &str| line.split("\"timestamp\":").nth(1)?.split(',').next()?.parse().ok();
        lines.lines().map(|line| timestamp(line).expect("timestamp")).collect()
    };
    let mut expected: Vec<i64> = timestamps("a.esdb").into_iter().map(|seconds| seconds * 1_000).collect();
    expected.push(1_500);
    let mut merged = timestamps("m.esdb");
    expected.sort_unstable();
    merged.sort_unstable();
    assert_eq!(merged, expected);
}

#[test]
fn files_that_are_not_there_are_named() {
    let folder = folder();
    folder.run("merge a.esdb none -o m.esdb").failed_with_prefix("esdb: none: cannot open");
    assert!(!folder.exists("m.esdb"));
}

#[test]
fn a_damaged_file_is_named_and_nothing_is_written() {
    let folder = folder();
    let mut bytes = folder.read("b.esdb");
    let place = bytes.windows(3).position(|window| window == b"\"6\"").expect("data");
    bytes[place + 1] ^= 1;
    folder.write("b.esdb", bytes);
    let run = folder.run("merge a.esdb b.esdb -o m.esdb");
    run.failed_with_prefix("esdb: b.esdb: corrupt payload frame at byte ");
    assert_eq!(folder.names(), ["a.esdb", "all.esdb", "b.esdb"]);
}
