//! Keys and data that are not text.

use std::ffi::OsStr;

use crate::esdb::Folder;

const LINES: &str = r#"{"space_base64":"/wA=","grouping_base64":"/g==","timestamp":1,"index":{},"index_base64":[["/Q==","/A=="]],"data_base64":"/w=="}
{"space":"ü","grouping":"a\nb","timestamp":2,"index":{"t\u001b[2J":"x"},"data_text":"é\u001b[31m"}
"#;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.run_with("import -q -o a.esdb".split(' '), LINES.as_bytes()).ok();
    folder
}

/// The lines in file order: `ü` begins with a smaller byte than 0xff.
fn in_file_order() -> String {
    LINES.lines().rev().map(|line| format!("{line}\n")).collect()
}

#[test]
fn every_byte_comes_back() {
    assert_eq!(folder().run("scan a.esdb").ok().text(), in_file_order());
}

#[test]
fn base64_selects_what_can_not_be_typed() {
    let folder = folder();
    for selectors in [
        "--space-base64 /wA=",
        "--space-base64 /wA= --grouping-base64 /g==",
        "--index-base64 /Q==:/A==",
        "--space-base64 /wA= --index-base64 /Q==:/A== -S 1 -U 2",
    ] {
        let run = folder.run(&format!("scan a.esdb --raw {selectors}")).ok();
        assert_eq!(run.stdout, b"\xff\n", "{selectors}");
    }
    // Plain and base64 selectors mix.
    let run = folder.run_words(["scan", "a.esdb", "--raw", "-s", "ü", "--grouping-base64", "YQpi"]).ok();
    assert_eq!(run.text(), "é\x1b[31m\n");
}

#[cfg(unix)]
#[test]
fn arguments_are_bytes() {
    use std::os::unix::ffi::OsStrExt;

    let folder = folder();
    let words = ["scan", "a.esdb", "--raw", "-i"].map(OsStr::new);
    let run = folder.run_words(words.into_iter().chain([OsStr::from_bytes(b"\xfd=\xfc")])).ok();
    assert_eq!(run.stdout, b"\xff\n");
}

#[test]
fn listings_escape_for_people_and_keep_all_for_programs() {
    let folder = folder();
    let run = folder.run("indexes a.esdb").ok();
    let names: Vec<&str> =
        run.text().lines().skip(1).map(|line| line.rsplit("Z  ").next().expect("key")).collect();
    assert_eq!(names, ["t\\u{1b}[2J", "\\xfd"]);
    let run = folder.run("spaces a.esdb --json").ok();
    let keys: Vec<_> = run.text().lines().map(|line| line.split(',').next()).collect();
    assert_eq!(keys, [Some(r#"{"space":"ü""#), Some(r#"{"space_base64":"/wA=""#)]);
    let run = folder.run("groupings a.esdb --space-base64 /wA= --json").ok();
    assert!(
        run.text().starts_with(r#"{"grouping_base64":"/g==","count":1,"first":"1970-01-01T00:00:00.001Z""#)
    );
    let run = folder.run("indexes a.esdb --name-base64 /Q== --json").ok();
    assert!(run.text().starts_with(r#"{"value_base64":"/A==","count":1"#), "{}", run.text());
    let run = folder.run("count a.esdb --by index-base64 /Q== --json").ok();
    assert_eq!(run.text(), "{\"index\":{},\"index_base64\":[[\"/Q==\",\"/A==\"]],\"count\":1}\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_sees_no_control_character() {
    let folder = folder();
    let on_terminal = |line: &str| {
        let command = format!("{} {line}", env!("CARGO_BIN_EXE_esdb"));
        let mut script = std::process::Command::new("script");
        let script = script.args(["-qec", &command, "/dev/null"]).current_dir(folder.path(""));
        script
            .output()
            .map(|output| (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    // Machines without util-linux have no other way to make a terminal.
    let Ok((code, text)) = on_terminal("scan a.esdb") else { return };
    assert_eq!((code, text.replace("\r\n", "\n")), (Some(0), in_file_order()));
    assert!(!text.contains('\x1b'));
    let (code, text) = on_terminal("scan a.esdb --raw").expect("script");
    assert_eq!(code, Some(1));
    let expected = "é\\u{1b}[31m\r\nesdb: a.esdb: binary data is not printed on a terminal; send it to a file or a pipe\r\n";
    assert_eq!(text, expected);
}
