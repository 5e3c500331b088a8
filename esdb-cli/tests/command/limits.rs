//! The command's own limits, at each and one beyond it. Those of keys, pairs, data and nesting are tested with the readers of lines.

use crate::esdb::Folder;

const LINE: &str = r#"{"space":"s","timestamp":1,"data":1}"#;

#[test]
fn flags_hold_on_both_sides() {
    let folder = Folder::new();
    folder.write("in", LINE);
    for (flag, at, beyond) in [
        ("--memory", "8MiB", "8388607"),
        ("--threads", "1", "0"),
        ("--threads", "256", "257"),
        ("--level", "-7", "-8"),
        ("--level", "22", "23"),
        ("--frame-size", "256", "255"),
        ("--frame-size", "1MiB", "1048577"),
        ("--max-event", "1", "0"),
        ("--max-event", "1073741823", "1GiB"),
    ] {
        folder.run(&format!("import -q --force -o a.esdb in {flag} {at}")).ok();
        let refused = folder.run(&format!("import -q --force -o a.esdb in {flag} {beyond}"));
        refused.refused_with(&format!("invalid value '{beyond}' for '{flag} "));
    }
}

#[test]
fn a_line_may_have_twice_the_data_and_1_mib() {
    let folder = Folder::new();
    let most = 2 * 10 + (1 << 20);
    for (len, is_allowed) in [(most, true), (most + 1, false)] {
        let blanks = " ".repeat(len - LINE.len() - 1);
        folder.write("in", format!("{LINE}{blanks}\n{LINE}\n"));
        let run = folder.run("import -q --force --max-event 10 -o a.esdb in");
        match is_allowed {
            true => drop(run.ok()),
            false => run.failed_with(&format!(
                "in:1:1: the record has more than {most} bytes, the limit for --max-event 10"
            )),
        }
    }
}

#[test]
fn twenty_malformed_records_are_shown() {
    let folder = Folder::new();
    for (bad, lines) in [(20, 20), (21, 21)] {
        folder.write("in", "{\n".repeat(bad));
        let run = folder.run("import -q --force --on-error skip -o a.esdb in");
        let shown = run.stderr.lines().filter(|line| line.starts_with("in:")).count();
        let told = run.stderr.lines().filter(|line| line.contains("more malformed records follow")).count();
        assert_eq!((run.code, shown, told), (3, 20, lines - 20), "{}", run.stderr);
    }
}

#[test]
fn a_hundred_damaged_places_are_shown() {
    let folder = Folder::new();
    let data = |n: usize| format!("x{n:02100}");
    let lines: Vec<String> =
        (0..200).map(|n| format!(r#"{{"space":"s","timestamp":{n},"data_text":"{}"}}"#, data(n))).collect();
    folder.write("in", lines.join("\n"));
    folder.run("import -q --codec none --frame-size 256 -o a.esdb in").ok();
    let whole = folder.read("a.esdb");
    // The file's digest is damaged with the first of them.
    for (damaged, more) in [(99, None), (100, Some("1 problem more"))] {
        let mut bytes = whole.clone();
        for n in 0..damaged {
            let text = data(n).into_bytes();
            let at = bytes.windows(text.len()).position(|window| window == text).expect("data");
            bytes[at] ^= 1;
        }
        folder.write("a.esdb", &bytes);
        let run = folder.run("verify a.esdb");
        let places = run.text().lines().filter(|line| line.contains("corrupt")).count();
        assert_eq!((run.code, places), (1, 100), "{}", run.text());
        let last = run.text().lines().last().expect("a line");
        assert_eq!(more.is_some_and(|more| last.contains(more)), more.is_some(), "{last}");
        assert_eq!(more.is_none(), last.contains("corrupt"), "{last}");
    }
}
