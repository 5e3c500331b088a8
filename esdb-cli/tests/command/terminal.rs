//! Case H21: whatever is in a file, in an input, in a name or in an argument, a terminal sees no character that it could take for a command, and
//! no mark that makes text read as another one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use crate::esdb::Folder;

/// Sets the title, clears the screen, colors, rings, goes back, changes direction; a C1 control, a NUL, and what is not UTF-8.
const NASTY: &str = "x\x1b]0;title\x07\x1b[2J\x1b[31m\x08\r\n\t\u{202e}\u{2066}\u{9b}2J\0";
const NOT_UTF8: &[u8] = b"y\xff\x9b2J";

/// A file whose every part is nasty, and its own name.
fn folder() -> (Folder, String) {
    let folder = Folder::new();
    let text = serde_json::Value::from(NASTY);
    let line = |n: u32| {
        format!(
            r#"{{"space":{text},"grouping":{text},"timestamp":{n},"index":{{{text}:{text}}},"data_text":{text}}}"#
        )
    };
    // A second grouping and a second space, so that listings have rows; one that is not UTF-8.
    let other = r#"{"space_base64":"ef+bMko=","grouping":"","timestamp":3,"index":{},"index_base64":[["ef+bMko=","ef+bMko="]],"data_text":"\u001b[31m"}"#;
    folder.write(
        "in",
        format!("{}\n{}\n{other}\n", line(1), line(2).replacen("grouping\":\"x", "grouping\":\"", 1)),
    );
    let name = format!("{}.esdb", NASTY.replace('\0', ""));
    let meta = format!("{0}={0}", NASTY.replace('\0', ""));
    folder.run_words(["import", "-q", "in", "--meta", &meta, "-o", &name]).ok();
    folder.write("a.esdb", folder.read(&name));
    (folder, name)
}

/// What a terminal gets from the command with these arguments; `None` where nothing makes one.
fn on_terminal(folder: &Folder, words: &[&OsStr]) -> Option<String> {
    let mut quoted = vec![b'\''];
    quoted.extend(env!("CARGO_BIN_EXE_esdb").bytes());
    for word in words {
        quoted.extend(b"' '");
        quoted.extend(word.as_bytes().split(|&byte| byte == b'\'').collect::<Vec<_>>().join(&b"'\\''"[..]));
    }
    quoted.push(b'\'');
    // Through a file: `script` hands its command to a shell.
    folder.write("command", quoted);
    let mut script = Command::new("script");
    script
        .args(["-qec", "sh ./command", "/dev/null"])
        .current_dir(folder.path(""))
        .env("TERM", "xterm-256color");
    match script.stdin(std::process::Stdio::null()).output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            println!("not tested: script: {error}");
            None
        }
    }
}

/// Without what a terminal gets from programs as a rule: ends of lines, and the colors of usage messages.
fn nasty_characters(text: &str) -> Vec<char> {
    let mut text = text.replace("\r\n", "\n");
    for style in
        ["\x1b[1m", "\x1b[4m", "\x1b[0m", "\x1b[31m\x1b[1m", "\x1b[33m", "\x1b[32m", "\x1b[1m\x1b[31m"]
    {
        text = text.replace(style, "");
    }
    let is_nasty = |c: &char| {
        c.is_control() && *c != '\n'
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().filter(is_nasty).collect()
}

fn assert_clean(folder: &Folder, words: &[&OsStr]) {
    let Some(text) = on_terminal(folder, words) else { return };
    assert!(!text.is_empty(), "{words:?}");
    assert_eq!(nasty_characters(&text), [], "{words:?}: {text:?}");
}

#[test]
fn results_are_clean_on_a_terminal() {
    let (folder, name) = folder();
    let spaces = folder.run("spaces a.esdb").ok();
    assert_eq!(spaces.text().lines().count(), 3, "{}", spaces.text());
    for line in [
        "scan a.esdb",
        "scan -r a.esdb",
        "scan --raw a.esdb",
        "spaces a.esdb",
        "spaces a.esdb --json",
        "indexes a.esdb",
        "indexes a.esdb --json",
        "indexes a.esdb --name-base64 ef+bMko=",
        "count a.esdb --by space grouping",
        "count a.esdb --by index-base64 ef+bMko=",
        "count a.esdb --by space --json",
        "info a.esdb",
        "info a.esdb --json",
        "verify a.esdb",
        "verify --digest .",
        "verify .",
        "verify --json .",
    ] {
        let words: Vec<&OsStr> = line.split(' ').map(OsStr::new).collect();
        assert_clean(&folder, &words);
    }
    let nasty = NASTY.replace('\0', "");
    for verb in ["verify", "info", "count", "scan"] {
        assert_clean(&folder, &[verb.as_ref(), name.as_ref()]);
        let json = ["verify", "info"].contains(&verb).then_some("--json");
        assert_clean(&folder, &[verb.as_ref(), json.unwrap_or("-q").as_ref(), name.as_ref()]);
    }
    for (verb, flag) in [("groupings", "-s"), ("scan", "-s"), ("count", "--by=index"), ("indexes", "-q")] {
        let words = [verb, "a.esdb", flag, &nasty].map(OsStr::new);
        let _ = on_terminal(&folder, &words)
            .map(|text| assert_eq!(nasty_characters(&text), [], "{words:?}: {text:?}"));
    }
}

#[test]
fn messages_are_clean_on_a_terminal() {
    let (folder, name) = folder();
    let nasty = NASTY.replace('\0', "");
    let (nasty, not_utf8) = (OsStr::new(&nasty), OsStr::from_bytes(NOT_UTF8));
    let flag = |flag: &str, value: &OsStr| [flag.as_bytes(), value.as_bytes()].concat();
    // What is cut tells where, and by whom.
    let whole = folder.read(&name);
    folder.write(&format!("cut {name}"), &whole[..whole.len() / 2]);
    let cut = format!("cut {name}");
    for verb in ["scan", "verify", "count", "info", "spaces", "recover", "merge"] {
        for bad in [nasty, not_utf8, OsStr::new(&cut)] {
            let mut words = vec![OsStr::new(verb), bad];
            words.extend(["recover", "merge"].contains(&verb).then_some(OsStr::new("--output=b.esdb")));
            assert_clean(&folder, &words);
        }
    }
    let _ = std::fs::remove_file(folder.path("b.esdb"));
    // Usage.
    for bad in [nasty, not_utf8] {
        assert_clean(&folder, &[bad]);
        for (verb, flags) in [
            (
                "import",
                &[
                    "--",
                    "--unit=",
                    "--memory=",
                    "--codec=",
                    "--level=",
                    "--timezone=",
                    "--timestamp-format=",
                    "--format=",
                    "--index=",
                    "--delimiter=",
                    "--max-event=",
                    "--threads=",
                    "--frame-size=",
                ][..],
            ),
            ("scan", &["--", "--since=", "--limit=", "--index=", "--space-base64=", "--index-base64="]),
            ("count", &["--by=", "--by=index-base64 "]),
        ] {
            for name in flags {
                let flag = flag(name, bad);
                let mut words = vec![OsStr::new(verb), OsStr::from_bytes(&flag), "a.esdb".as_ref()];
                words.extend(
                    (verb == "import")
                        .then(|| ["-o", "b.esdb", "--space=s", "--timestamp=t"].map(OsStr::new))
                        .into_iter()
                        .flatten(),
                );
                let Some(text) = on_terminal(&folder, &words) else { return };
                assert_eq!(nasty_characters(&text), [], "{words:?}: {text:?}");
            }
        }
    }
    // Malformed lines, and where they stand.
    let json = serde_json::Value::from(NASTY);
    for line in [
        format!("{{\"space\":{json},\"timestamp\":{json},\"data\":1}}"),
        format!("{{\"space\":\"s\",\"timestamp\":1,{json}:1,\"data\":1}}"),
        format!("{{\"space\":\"s\",\"timestamp\":1,\"index\":{{{json}:1}},\"data\":1}}"),
        format!("{{\"space\":\"s\",\"timestamp\":1,\"data\":{NASTY}}}"),
        format!("{{\"space\":\"{}\",\"timestamp\":1,\"data\":1}}", NASTY.repeat(10)),
        NASTY.to_owned(),
    ] {
        let input = format!("{nasty}.ndjson", nasty = NASTY.replace('\0', ""));
        folder.write(&input, line);
        for action in ["stop", "skip"] {
            assert_clean(
                &folder,
                &["import", "-q", "-o", "b.esdb", "--on-error", action, &input].map(OsStr::new),
            );
            let _ = std::fs::remove_file(folder.path("b.esdb"));
        }
    }
    let head = format!("space,time,\"{}\"\n1,{NASTY},x\n", NASTY.replace('\n', " "));
    folder.write("a.csv", head);
    assert_clean(
        &folder,
        &["import", "-q", "-o", "b.esdb", "--space", "space", "--timestamp", "time", "a.csv"].map(OsStr::new),
    );
    assert_clean(
        &folder,
        &["import", "-q", "-o", "b.esdb", "--space", "nothing", "--timestamp", "time", "a.csv"]
            .map(OsStr::new),
    );
}
