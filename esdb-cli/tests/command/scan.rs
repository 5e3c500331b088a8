//! What `scan` selects and prints.

use crate::esdb::{Folder, Run};

/// A folder with the fourteen events of the 2014 README.
fn readme() -> Folder {
    let folder = Folder::new();
    folder.import("readme.ndjson", "-q --unit s -o a.esdb").ok();
    folder
}

/// The timestamps of the printed lines, without what all of them have in common.
fn times(run: &Run) -> Vec<&str> {
    let after = |line: &'static str| line;
    let mark = after("\"timestamp\":14035349");
    run.text()
        .lines()
        .map(|line| line.split(mark).nth(1).expect("time").split(',').next().expect("comma"))
        .collect()
}

#[test]
fn lines_are_native_lines() {
    let folder = readme();
    let expected = r#"{"space":"2","grouping":"","timestamp":1403534920,"index":{"type":"click"},"data":{"button_text":"About"}}"#;
    assert_eq!(folder.run("scan a.esdb -s 2 -i type=click").ok().text(), format!("{expected}\n"));
}

#[test]
fn limit_counts_from_the_side_that_is_printed_first_and_tail_from_the_end() {
    let folder = readme();
    let found = |flags: &str| {
        let run = folder.run(&format!("scan a.esdb -s 3 {flags}")).ok();
        times(&run).join(" ")
    };
    assert_eq!(found("-n 2"), "19 20");
    assert_eq!(found("-r -n 2"), "23 23");
    assert_eq!(found("--tail 3"), "22 23 23");
    assert_eq!(found("--tail 99"), "19 20 21 22 23 23");
    assert_eq!(found("--tail 0"), "");
    assert_eq!(found("-n 0"), "");
    assert_eq!(found("-r"), "23 23 22 21 20 19");
    assert_eq!(found("-i type=page --tail 1"), "23");
}

#[test]
fn times_bound_the_scan() {
    let folder = readme();
    let found = |flags: &str| {
        let run = folder.run(&format!("scan a.esdb -s 3 {flags}")).ok();
        times(&run).join(" ")
    };
    assert_eq!(found("-S 1403534921"), "21 22 23 23");
    assert_eq!(found("-U 1403534921"), "19 20");
    assert_eq!(found("-S 2014-06-23T14:48:40Z -U @1403534922.5"), "20 21 22");
    assert_eq!(found("-S 2014-06-23 -U 2014-06-24 -n 1"), "19");
    assert_eq!(found("-S 2014-06 -U 2014-07 -n 1"), "19");
    assert_eq!(found("-S 2014-06-23T16:48:43+02:00"), "23 23");
    assert_eq!(found("-S 5 -U 4"), "");
    assert_eq!(found("-S -7d"), "");
    assert_eq!(found("-U -1"), "");
}

#[test]
fn nothing_found_is_a_normal_end_unless_asked() {
    let folder = readme();
    for selectors in ["-s 4", "-s 1 -g x", "-i type=x", "-i x=page", "-s 1 -i type=page -i x=y", "-s 1 -U 0"]
    {
        assert_eq!(folder.run(&format!("scan a.esdb {selectors}")).ok().text(), "");
        let run = folder.run(&format!("scan a.esdb --fail-empty {selectors}"));
        assert_eq!((run.code, run.stderr.as_str()), (4, ""));
    }
    folder.run("scan a.esdb --fail-empty -s 1").ok();
}

#[test]
fn empty_grouping_and_empty_value_can_be_selected() {
    let folder = Folder::new();
    let lines = [
        r#"{"space":"","grouping":"","timestamp":1,"index":{"n":""},"data":1}"#,
        r#"{"space":"","grouping":"g","timestamp":2,"index":{"n":"v=w","-x":"-y"},"data":2}"#,
    ];
    folder.run_with("import -q -o a.esdb".split(' '), lines.join("\n").as_bytes()).ok();
    let raw = |words: &[&str]| {
        let words = ["scan", "a.esdb", "--raw"].iter().chain(words);
        folder.run_words(words).ok().text().to_owned()
    };
    assert_eq!(raw(&["-s", ""]), "1\n2\n");
    assert_eq!(raw(&["-s", "", "-g", ""]), "1\n");
    assert_eq!(raw(&["-i", "n="]), "1\n");
    assert_eq!(raw(&["-i", "n=v=w"]), "2\n");
    assert_eq!(raw(&["-i", "n=v=w", "-i", "n="]), "1\n2\n");
    assert_eq!(raw(&["-i", "-x=-y"]), "2\n");
}

#[test]
fn selectors_that_do_not_fit_together_are_usage_errors() {
    let folder = readme();
    for (flags, part) in [
        ("-g x", "--space"),
        ("-s 1 -s 2", "cannot be used multiple times"),
        ("--tail 1 -r", "cannot be used with"),
        ("--tail 1 -n 1", "cannot be used with"),
        ("-i type", "--index \"type\" is not NAME=VALUE"),
        ("-S yesterday", "a time is 2026-01-31T12:00:00Z"),
        ("-n -1", "-1"),
        ("b.esdb", "unexpected argument"),
    ] {
        folder.run(&format!("scan a.esdb {flags}")).refused_with(part);
    }
    folder.run("scan").refused_with("<FILE>");
}

#[test]
fn plain_reads_give_the_same_answer() {
    let folder = readme();
    let mapped = folder.run("scan a.esdb -i type=page").ok();
    assert_eq!(folder.run("scan a.esdb -i type=page --no-mmap").ok().stdout, mapped.stdout);
}

#[test]
fn what_is_no_file_of_ours_is_refused_by_name() {
    let folder = Folder::new();
    folder.write("empty", "");
    folder.write("text", "some text that is longer than a header and a footer together".repeat(20));
    folder.run("scan none").failed_with_prefix("esdb: none: cannot open: ");
    folder.run("scan .").failed_with_prefix("esdb: .: cannot open: not a regular file");
    folder.run("scan empty").failed_with("esdb: empty: not an esdb file: it is empty");
    folder.run("scan text").failed_with("esdb: text: not an esdb file");
    #[cfg(unix)]
    {
        std::process::Command::new("mkfifo").arg(folder.path("fifo")).status().expect("mkfifo");
        for name in ["fifo", "/dev/zero", "/dev/null"] {
            let message = format!("esdb: {name}: cannot open: not a regular file");
            folder.run(&format!("scan {name}")).failed_with(&message);
        }
    }
}

#[test]
fn names_in_messages_are_escaped() {
    let folder = Folder::new();
    folder.run_words(["scan", "a\x1b[31m\nb"]).failed_with_prefix("esdb: a\\u{1b}[31m\\nb: cannot open");
}

#[test]
fn a_damaged_place_ends_the_scan_behind_a_true_prefix() {
    let folder = Folder::new();
    let lines: Vec<String> = (0..20_000)
        .map(|n| format!(r#"{{"space":"{:03}","timestamp":{n},"data":"{n:x}"}}"#, n / 200))
        .collect();
    folder.run_with("import -q --codec none -o a.esdb".split(' '), lines.join("\n").as_bytes()).ok();
    let whole = folder.run("scan a.esdb").ok();
    let mut bytes = folder.read("a.esdb");
    let place = bytes.windows(6).position(|window| window == b"\"3a98\"").expect("data of event 15,000");
    bytes[place + 1] ^= 1;
    folder.write("b.esdb", &bytes);
    let run = folder.run("scan b.esdb");
    assert_eq!(run.code, 1);
    assert!(run.stderr.starts_with("esdb: b.esdb: corrupt payload frame at byte "), "{}", run.stderr);
    assert!(!run.stdout.is_empty() && whole.stdout.starts_with(&run.stdout));
    // Other spaces are not concerned.
    folder.run("scan b.esdb -s 001").ok();
}
