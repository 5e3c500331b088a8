//! What happens when nobody reads, or nothing can be written.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use crate::esdb::Folder;

/// More lines than any pipe holds.
pub(crate) fn many() -> Folder {
    let folder = Folder::new();
    let lines: Vec<String> =
        (0..50_000).map(|n| format!(r#"{{"space":"{}","timestamp":{n},"data":"{n:032}"}}"#, n / 7)).collect();
    folder
        .run_with(
            "import -q --codec none --frame-size 1KiB -o a.esdb".split(' '),
            lines.join("\n").as_bytes(),
        )
        .ok();
    folder
}

#[test]
fn a_closed_pipe_is_a_normal_end() {
    let folder = many();
    for line in [
        "scan a.esdb",
        "scan a.esdb -r --raw",
        "scan a.esdb --tail 40000",
        "spaces a.esdb",
        "count a.esdb --by space --json",
    ] {
        let mut child = folder.command(line.split(' ')).spawn().expect("start");
        let mut first = String::new();
        BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut first).expect("read");
        assert!(!first.is_empty());
        // The reader and its end of the pipe are gone by now.
        let output = child.wait_with_output().expect("end");
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{line}");
    }
}

/// Whoever writes is not waited for.
#[test]
fn a_malformed_line_is_told_while_the_input_goes_on() {
    let folder = Folder::new();
    let mut child =
        folder.command("import -o a.esdb".split(' ')).stdin(Stdio::piped()).spawn().expect("start");
    let mut input = child.stdin.take().expect("stdin");
    // More than is looked at to tell what the input is.
    let good = "{\"space\":\"1\",\"timestamp\":1,\"data\":1}\n".repeat(100);
    input.write_all(format!("{good}no event\n").as_bytes()).expect("write");
    let mut message = String::new();
    child.stderr.take().expect("stderr").read_to_string(&mut message).expect("read");
    assert!(message.starts_with("<stdin>:101:2: invalid JSON"), "{message}");
    assert_eq!(child.wait().expect("end").code(), Some(1));
    drop(input);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error() {
    let folder = many();
    for line in
        ["scan a.esdb", "scan a.esdb -n 1", "count a.esdb", "info a.esdb", "spaces a.esdb", "verify a.esdb"]
    {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("device");
        let output = folder.command(line.split(' ')).stdout(full).output().expect("run");
        let message = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert_eq!(message, "esdb: standard output: No space left on device (os error 28)\n", "{line}");
    }
}

#[cfg(unix)]
#[test]
fn closed_descriptors_do_no_harm() {
    let folder = Folder::new();
    folder.write("in", "{");
    let script = format!("{} import in -o a.esdb 0<&- 1>&- 2>&-", env!("CARGO_BIN_EXE_esdb"));
    let mut command = std::process::Command::new("sh");
    let status = command.args(["-c", &script]).current_dir(folder.path("")).stdout(Stdio::null()).status();
    assert_eq!(status.expect("sh").code(), Some(1));
    assert_eq!(folder.names(), ["in"]);
}

#[test]
fn help_and_version_are_results() {
    let folder = Folder::new();
    let expected = format!("esdb {} (format 1)\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(folder.run("--version").ok().text(), expected);
    let verbs =
        ["import", "scan", "count", "spaces", "groupings", "indexes", "info", "verify", "merge", "recover"];
    let help = folder.run("--help").ok();
    for verb in verbs {
        assert!(help.text().contains(verb));
        let help = folder.run(&format!("{verb} --help")).ok();
        assert!(
            help.text().contains("Example") && help.text().contains(&format!("\n  esdb {verb} ")),
            "{verb}"
        );
    }
    folder.run("").refused_with("Usage: esdb");
    folder.run("frobnicate").refused_with("unrecognized subcommand");
}
