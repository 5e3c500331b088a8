//! What `recover` saves of damaged files, and what it says of the rest.

use std::io::Write;

use crate::esdb::{Folder, Run};

const BLOCK: &[u8] = b"\x89ESDBB\r\n";

/// `a.esdb` of more than two blocks, with metadata.
fn folder() -> Folder {
    let folder = Folder::new();
    let words = "import -q --unit s --codec none --meta k=v -o a.esdb".split(' ');
    folder.run_with(words, lines(0..10_000).as_bytes()).ok();
    folder
}

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| format!("{{\"space\":\"s\",\"timestamp\":{n},\"data\":\"{n:032}\"}}\n")).collect()
}

fn json(run: &Run) -> serde_json::Value {
    serde_json::from_slice(&run.stdout).expect("JSON")
}

/// Where the blocks of `a.esdb` begin.
fn blocks(bytes: &[u8]) -> Vec<usize> {
    let places = bytes.windows(8).enumerate();
    places.filter(|(_, window)| *window == BLOCK).map(|(at, _)| at).collect()
}

#[test]
fn a_whole_file_is_copied() {
    let folder = folder();
    let run = folder.run("recover -q a.esdb -o b.esdb").ok();
    assert_eq!(run.text(), "a.esdb: 10,000 events saved, of 3 whole blocks; none lost\n");
    assert!(folder.read("a.esdb") == folder.read("b.esdb"));
    folder.run("recover a.esdb -o b.esdb").failed_with("esdb: b.esdb: exists; --force replaces it");
    folder
        .run("recover a.esdb -o ./a.esdb --force")
        .failed_with("esdb: ./a.esdb: the output is the same file as the input a.esdb");
    folder.run("recover -q a.esdb -o b.esdb --force --codec lz4 --meta k=w").ok();
    let info = json(&folder.run("info --json b.esdb").ok());
    assert_eq!((&info["codec"], &info["metadata"][0]["value"]), (&"lz4".into(), &"w".into()));
}

#[test]
fn a_damaged_block_is_named_and_counted() {
    let folder = folder();
    let mut bytes = folder.read("a.esdb");
    let [_, second, third] = blocks(&bytes).try_into().expect("three blocks");
    bytes[second + 60] ^= 1;
    folder.write("a.esdb", &bytes);
    let run = folder.run("recover a.esdb -o b.esdb");
    assert_eq!(run.code, 3);
    assert!(run.stderr.starts_with("esdb: b.esdb: 5,904 events in 1 space, "), "{}", run.stderr);
    let lines: Vec<&str> = run.text().lines().collect();
    let expected =
        format!("a.esdb: bytes {second} to {third}: 4,096 events lost: corrupt event block at byte ");
    assert!(lines[0].starts_with(&expected), "{}", lines[0]);
    assert_eq!(lines[1..], ["a.esdb: 5,904 events saved, of 2 whole blocks; 4,096 lost"]);
    folder.run("verify -q --deep b.esdb").ok();

    let run = folder.run("recover -q --json --force a.esdb -o b.esdb");
    let found = json(&run);
    assert_eq!((run.code, &found["complete"], &found["end"]), (3, &false.into(), &"whole".into()));
    assert_eq!((&found["events_lost"], &found["blocks_lost"]), (&4096.into(), &1.into()));
    let loss = &found["losses"][0];
    assert_eq!(
        (&loss["start"], &loss["end"], &loss["events"]),
        (&second.into(), &third.into(), &4096.into())
    );
}

#[test]
fn damaged_tables_cost_no_event_and_are_told() {
    let folder = folder();
    let mut bytes = folder.read("a.esdb");
    // The root of the blocks' tree, by the footer (spec §3.4).
    let root = &bytes[bytes.len() - 288 + 64 + 4 * 24..][..4];
    let root = u32::from_le_bytes(root.try_into().expect("four bytes")) as usize;
    bytes[root + 3] ^= 1;
    folder.write("b.esdb", &bytes);
    let run = folder.run("recover b.esdb -o c.esdb");
    assert_eq!(run.code, 3, "{}", run.stderr);
    assert_eq!(
        run.text(),
        "b.esdb: a dictionary or a table is damaged\nb.esdb: 10,000 events saved, of 3 whole blocks; none lost\n"
    );
    assert!(folder.read("c.esdb") == folder.read("a.esdb"));
}

#[test]
fn a_file_without_its_end_says_so() {
    let folder = folder();
    let bytes = folder.read("a.esdb");
    folder.write("cut.esdb", &bytes[..bytes.len() - 300]);
    let run = folder.run("recover -q cut.esdb -o b.esdb");
    assert_eq!(run.code, 3);
    let lines: Vec<&str> = run.text().lines().rev().take(3).collect();
    let expected = [
        "cut.esdb: 10,000 events saved, of 3 whole blocks; how many were lost is not known",
        "cut.esdb: metadata lost, if there was any",
        "cut.esdb: the end is missing: it was cut off, or never finished",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_is_no_file_of_ours_leaves_nothing_behind() {
    let folder = folder();
    folder.write("text", "no events");
    folder.run("recover text -o b.esdb").failed_with("esdb: text: not an esdb file");
    folder.write("header", &folder.read("a.esdb")[..64]);
    let nothing = "esdb: header: nothing can be recovered: no event block is whole";
    folder.run("recover header -o b.esdb").failed_with(nothing);
    folder.run("recover none -o b.esdb").failed_with_prefix("esdb: none: cannot open: ");
    assert_eq!(folder.names(), ["a.esdb", "header", "text"]);
}

/// An import that is killed, after its first blocks were written, leaves a temporary of which they can be saved.
#[cfg(unix)]
#[test]
fn the_temporary_of_a_killed_import_is_recovered() {
    let folder = Folder::new();
    let words = "import -q --unit s --codec none -o a.esdb -".split(' ');
    let mut child = folder.command(words).stdin(std::process::Stdio::piped()).spawn().expect("start");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(lines(0..200_000).as_bytes()).expect("write");
    let temporary = || folder.names().into_iter().find(|name| name.starts_with("a.esdb.tmp-"));
    let written = |name: &String| folder.path(name).metadata().is_ok_and(|found| found.len() > 1 << 20);
    let start = std::time::Instant::now();
    let temporary = loop {
        if let Some(name) = temporary().filter(written) {
            break name;
        }
        assert!(start.elapsed().as_secs() < 60, "no block was written");
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    child.kill().expect("kill");
    child.wait().expect("end");
    drop(stdin);
    let run = folder.run(&format!("recover -q --json {temporary} -o b.esdb"));
    let found = json(&run);
    assert_eq!((run.code, &found["end"], &found["may_be_more"]), (3, &"missing".into(), &true.into()));
    let saved = found["events_saved"].as_u64().expect("number");
    assert!((10_000..200_000).contains(&saved), "{saved} events");
    let scanned = folder.run("scan b.esdb --raw").ok();
    let data = |n| format!("\"{n:032}\"\n");
    assert_eq!(scanned.text(), (0..saved).map(data).collect::<String>());
    // Nobody takes a temporary for a file.
    assert_eq!(folder.run("verify .").ok().text(), "./b.esdb: ok\n");
}
