//! What becomes of the output when the process that writes it is killed, stopped, starved or led astray.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::esdb::Folder;
use crate::old::stream;

/// Lines in no order, of about 100 bytes.
fn lines(count: u64) -> String {
    let line = |n: u64| {
        let noise = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        format!(
            "{{\"space\":\"{}\",\"timestamp\":{noise_time},\"data\":\"{noise:064x}\"}}\n",
            noise % 500,
            noise_time = noise >> 20
        )
    };
    (0..count).map(line).collect()
}

/// A folder with an input, and the file that is made from it.
pub(crate) fn with_input(count: u64) -> (Folder, Vec<u8>) {
    let folder = Folder::new();
    folder.write("in", lines(count));
    folder.run("import -q --memory 8MiB -o whole in").ok();
    let whole = folder.read("whole");
    fs::remove_file(folder.path("whole")).expect("remove");
    (folder, whole)
}

pub(crate) fn temporaries(folder: &Folder) -> Vec<String> {
    folder.names().into_iter().filter(|name| name.starts_with("a.esdb.tmp-")).collect()
}

/// Starts an import that waits for its input, once its temporary is there.
pub(crate) fn waiting_import(folder: &Folder, flags: &str) -> Child {
    started(folder, &format!("import -q -o a.esdb - {flags}"))
}

/// Starts a command that makes `a.esdb`, and waits for its temporary.
fn started(folder: &Folder, line: &str) -> Child {
    let child = folder.command(line.split_whitespace()).stdin(Stdio::piped()).spawn().expect("start");
    let own = format!("a.esdb.tmp-{}-0", child.id());
    let started = Instant::now();
    while !folder.exists(&own) {
        assert!(started.elapsed() < Duration::from_secs(60), "no temporary");
        std::thread::sleep(Duration::from_millis(2));
    }
    child
}

pub(crate) fn shell(folder: &Folder, script: &str) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(folder.path("")).env("ESDB", env!("CARGO_BIN_EXE_esdb"));
    command.output().expect("sh")
}

pub(crate) fn message(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// Kills imports at random moments; returns how many were killed before their end.
fn kill(rounds: u32, old: Option<&[u8]>) -> usize {
    let (folder, whole) = with_input(150_000);
    let flags = if old.is_some() { "--force" } else { "-q" };
    let line = format!("import --memory 8MiB -o a.esdb in {flags}");
    let started = Instant::now();
    folder.run_words(line.split_whitespace());
    let whole_time = started.elapsed();
    let mut killed = 0;
    for round in 0..rounds {
        let _ = fs::remove_file(folder.path("a.esdb"));
        if let Some(old) = old {
            folder.write("a.esdb", old);
        }
        let mut child = folder.command(line.split_whitespace()).spawn().expect("start");
        let share = f64::from(round.wrapping_mul(2_654_435_769) >> 16) / f64::from(1 << 16);
        std::thread::sleep(whole_time.mul_f64(share * 1.1));
        child.kill().expect("kill");
        killed += usize::from(child.wait().expect("end").signal() == Some(9));
        let found = folder.exists("a.esdb").then(|| folder.read("a.esdb"));
        assert!(
            found.as_deref() == old || found.as_deref() == Some(&whole),
            "round {round}: neither old nor new"
        );
        // Each run clears what the one before left.
        let names = folder.names();
        assert!(temporaries(&folder).len() <= 1, "{names:?}");
        assert!(names.iter().all(|name| !name.ends_with(".esdb") || name == "a.esdb"), "{names:?}");
    }
    let _ = fs::remove_file(folder.path("a.esdb"));
    folder.run("import -q --memory 8MiB -o a.esdb in").ok();
    assert_eq!(folder.names(), ["a.esdb", "in"]);
    assert!(folder.read("a.esdb") == whole);
    killed
}

#[test]
fn a_killed_import_leaves_the_old_file_or_the_new() {
    assert!(kill(4, None) + kill(4, Some(b"what was there before")) > 0);
}

/// `cargo test -p esdb-cli --test command killed_imports -- --ignored --nocapture`
#[test]
#[ignore = "200 imports"]
fn killed_imports_leave_the_old_file_or_the_new() {
    let killed = kill(100, None) + kill(100, Some(b"what was there before"));
    println!("{killed} of 200 were killed");
}

#[test]
fn signals_remove_the_temporary_and_end_the_import() {
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let folder = Folder::new();
        folder.write("a.esdb", "old");
        let mut child = waiting_import(&folder, "--force");
        child.stdin.as_mut().expect("stdin").write_all(lines(1_000).as_bytes()).expect("write");
        let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
        assert_eq!(child.wait().expect("end").signal(), Some(number), "{name}");
        assert_eq!(folder.names(), ["a.esdb"], "{name}");
        assert_eq!(folder.read("a.esdb"), b"old");
    }
}

/// None of them waits for anybody: each is large enough to be met at work.
#[test]
fn signals_remove_the_temporary_whatever_writes_it() {
    let folder = Folder::new();
    folder.write("in", lines(60_000));
    folder.run("import -q -o whole.esdb in").ok();
    folder.write("old.stream", stream(&vec![(lines(1).into_bytes(), Vec::new()); 200_000], true));
    for line in [
        "import -q -o a.esdb in",
        "merge -q whole.esdb -o a.esdb",
        "recover -q whole.esdb -o a.esdb",
        "convert -q old.stream -o a.esdb",
    ] {
        let mut child = started(&folder, line);
        let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(sent.expect("kill").success());
        assert_eq!(child.wait().expect("end").signal(), Some(15), "{line}");
        assert_eq!(folder.names(), ["in", "old.stream", "whole.esdb"], "{line}");
    }
}

#[test]
fn a_leftover_is_removed_once_its_writer_is_gone() {
    let folder = Folder::new();
    folder.write("in", lines(10));
    for name in ["a.esdb.tmp-4000000000-0", "a.esdb.tmp-4000000000-x", "b.esdb.tmp-4000000000-0"] {
        folder.write(name, "left behind");
    }
    assert!(shell(&folder, "mkfifo a.esdb.tmp-4000000000-1").status.success());
    let mut first = waiting_import(&folder, "--force");
    folder.run("import -q -o a.esdb in").ok();
    // The first one still writes, so its temporary stays.
    let mine = format!("a.esdb.tmp-{}-0", first.id());
    let others = ["a.esdb.tmp-4000000000-1", "a.esdb.tmp-4000000000-x"];
    let mut expected = [&others[..], &[mine.as_str()]].concat();
    expected.sort_unstable();
    assert_eq!(temporaries(&folder), expected);
    assert!(folder.exists("b.esdb.tmp-4000000000-0"));
    first.stdin.take().expect("stdin").write_all(lines(20).as_bytes()).expect("write");
    assert!(first.wait().expect("end").success());
    assert_eq!(folder.run("count a.esdb").ok().text().trim(), "20");
    assert_eq!(temporaries(&folder), others);
}

#[test]
fn several_writers_of_one_path_leave_one_whole_file() {
    for (flags, winners) in [("", 1), ("--force", 3)] {
        let folder = Folder::new();
        let mut writers: Vec<Child> = (0..3).map(|_| waiting_import(&folder, flags)).collect();
        for (count, writer) in (1..).zip(&mut writers) {
            writer.stdin.as_mut().expect("stdin").write_all(lines(count * 300).as_bytes()).expect("write");
        }
        writers.iter_mut().for_each(|writer| drop(writer.stdin.take()));
        let ended: Vec<Output> =
            writers.into_iter().map(|writer| writer.wait_with_output().expect("end")).collect();
        assert_eq!(ended.iter().filter(|output| output.status.success()).count(), winners, "{flags}");
        for output in ended.iter().filter(|output| !output.status.success()) {
            assert_eq!(output.status.code(), Some(1));
            assert_eq!(message(output), "esdb: a.esdb: a.esdb exists already\n");
        }
        assert_eq!(folder.names(), ["a.esdb"]);
        folder.run("verify --deep a.esdb").ok();
        assert!(["300", "600", "900"].contains(&folder.run("count a.esdb").ok().text().trim()));
    }
}

#[test]
fn a_limit_of_file_sizes_is_an_error() {
    let (folder, _) = with_input(20_000);
    folder.write("a.esdb", "old");
    for before in ["", "trap '' XFSZ;"] {
        for blocks in [0, 1, 2, 3, 8, 64, 100, 200, 300, 400, 500] {
            let script =
                format!("{before} ulimit -f {blocks}; exec \"$ESDB\" import -q --force -o a.esdb in");
            let output = shell(&folder, &script);
            assert_eq!(output.status.code(), Some(1), "{script}: {}", message(&output));
            assert!(
                message(&output).starts_with("esdb: a.esdb: cannot write a.esdb.tmp-"),
                "{}",
                message(&output)
            );
            assert!(message(&output).ends_with("File too large (os error 27)\n"), "{}", message(&output));
            assert_eq!(folder.names(), ["a.esdb", "in"]);
            assert_eq!(folder.read("a.esdb"), b"old");
        }
    }
}

#[test]
fn a_folder_for_temporaries_that_is_of_no_use_is_named() {
    let (folder, _) = with_input(150_000);
    let import = "import -q --memory 8MiB -o a.esdb in";
    for bad in ["missing", "in"] {
        let output = folder.command(import.split(' ')).env("TMPDIR", bad).output().expect("run");
        assert_eq!(output.status.code(), Some(1));
        let expected = format!("esdb: a.esdb: cannot use a temporary file in {bad}: ");
        assert!(message(&output).starts_with(&expected), "{}", message(&output));
        assert_eq!(folder.names(), ["in"]);
    }
}

#[test]
fn outputs_that_cannot_be_are_refused_before_the_input_is_read() {
    let folder = Folder::new();
    folder.write("file", "");
    fs::create_dir(folder.path("folder")).expect("folder");
    for output in ["missing/a.esdb", "file/a.esdb", "folder", "/dev/full", "/dev/stdout"] {
        // Nothing comes from this input: whoever reads it waits.
        let mut child = folder
            .command(["import", "-", "--force", "-o", output])
            .stdin(Stdio::piped())
            .spawn()
            .expect("start");
        let stdin = child.stdin.take();
        let ended = child.wait_with_output().expect("end");
        drop(stdin);
        assert_eq!(ended.status.code(), Some(1), "{output}");
        assert!(message(&ended).starts_with(&format!("esdb: {output}: ")), "{}", message(&ended));
        assert_eq!(message(&ended).lines().count(), 1);
    }
    assert_eq!(folder.names(), ["file", "folder"]);
}

#[test]
fn an_input_is_never_the_output() {
    let folder = Folder::new();
    folder.write("in", lines(10));
    folder.run("import -q -o a.esdb in").ok();
    folder.run("import -q -o b.esdb in").ok();
    let before = (folder.read("in"), folder.read("a.esdb"));
    symlink("in", folder.path("link")).expect("link");
    fs::hard_link(folder.path("in"), folder.path("name")).expect("link");
    for line in [
        "import --force -o in in",
        "import --force -o link in",
        "import --force -o name in",
        "import --force -o ./in in",
        "merge --force a.esdb b.esdb -o a.esdb",
    ] {
        let run = folder.run(line);
        assert!(
            run.code == 1 && run.stderr.contains("the output is the same file as the input"),
            "{line}: {run:?}"
        );
    }
    assert!(before == (folder.read("in"), folder.read("a.esdb")));
}

#[test]
fn a_link_is_replaced_and_not_followed() {
    let folder = Folder::new();
    folder.write("in", lines(10));
    folder.write("victim", "untouched");
    symlink("victim", folder.path("a.esdb")).expect("link");
    symlink("nowhere", folder.path("b.esdb")).expect("link");
    folder.run("import -q -o a.esdb in").failed_with("esdb: a.esdb: exists; --force replaces it");
    folder.run("import -q -o b.esdb in").failed_with("esdb: b.esdb: b.esdb exists already");
    // Planted where the temporary might go.
    symlink("victim", folder.path("a.esdb.tmp-4000000000-0")).expect("link");
    folder.run("import -q --force -o a.esdb in").ok();
    assert_eq!(folder.read("victim"), b"untouched");
    assert!(!folder.path("a.esdb").is_symlink());
    assert!(!folder.exists("nowhere"));
    folder.run("verify a.esdb").ok();
}

#[test]
fn only_the_owner_may_write_to_a_new_file() {
    let folder = Folder::new();
    folder.write("in", lines(10));
    for (mask, mode) in [("077", 0o600), ("022", 0o644), ("000", 0o644)] {
        let output = shell(&folder, &format!("umask {mask}; exec \"$ESDB\" import -q --force -o a.esdb in"));
        assert!(output.status.success());
        assert_eq!(
            folder.path("a.esdb").metadata().expect("metadata").permissions().mode() & 0o777,
            mode,
            "umask {mask}"
        );
    }
    assert_eq!(folder.path("a.esdb").metadata().expect("metadata").nlink(), 1);
}

#[test]
fn messages_do_not_end_up_in_the_output() {
    let folder = Folder::new();
    folder.write("in", format!("{}{{\n", lines(10)));
    folder.write("good", lines(10));
    let output = shell(&folder, "exec \"$ESDB\" import --on-error skip -o a.esdb in 0<&- 1>&- 2>&-");
    assert_eq!(output.status.code(), Some(3));
    folder.run("import -q -o b.esdb good").ok();
    assert!(folder.read("a.esdb") == folder.read("b.esdb"));
}

/// Runs an import in a name space of its own, where `full` is a file system of so many bytes with an old file in it. `None` where
/// nobody may mount one. The exit code, standard error and the names in `full` afterwards.
fn on_a_small_file_system(folder: &Folder, bytes: usize, import: &str) -> Option<(String, String, String)> {
    let inside = format!(
        "mount -t tmpfs -o size={bytes} none full && printf old > full/a.esdb || exit 99
         \"$ESDB\" import -q --force {import} in 2>message; echo $? >code; ls full >names; cp full/a.esdb kept"
    );
    let output = shell(folder, &format!("mkdir -p full && unshare -rm sh -c '{inside}'"));
    let read = |name| String::from_utf8(folder.read(name)).expect("UTF-8").trim_end().to_owned();
    output.status.success().then(|| (read("code"), read("message"), read("names")))
}

#[test]
fn a_full_file_system_is_an_error() {
    let (folder, whole) = with_input(20_000);
    for part in 0..11 {
        let bytes = (whole.len() * part / 11).max(8 << 10);
        let Some((code, message, names)) = on_a_small_file_system(&folder, bytes, "-o full/a.esdb") else {
            println!("not tested: no file system can be mounted here");
            return;
        };
        assert_eq!((code.as_str(), names.as_str()), ("1", "a.esdb"), "{bytes} bytes: {message}");
        assert!(message.starts_with("esdb: full/a.esdb: cannot write full/a.esdb.tmp-"), "{message}");
        assert!(message.ends_with("No space left on device (os error 28)"), "{message}");
        assert_eq!(folder.read("kept"), b"old");
    }
}

#[test]
fn a_full_folder_for_temporaries_is_named() {
    let (folder, _) = with_input(150_000);
    // Written while TMPDIR, and nothing else, is full.
    let import = "--memory 8MiB -o a.esdb";
    let inside = "TMPDIR=full exec \"$ESDB\"";
    let script = format!(
        "mkdir -p full && unshare -rm sh -c 'mount -t tmpfs -o size=1m none full || exit 99; {inside} import -q {import} in'"
    );
    let output = shell(&folder, &script);
    if output.status.code() == Some(99) || message(&output).contains("unshare") {
        println!("not tested: no file system can be mounted here");
        return;
    }
    assert_eq!(
        message(&output),
        "esdb: a.esdb: cannot use a temporary file in full: No space left on device (os error 28)\n"
    );
    assert_eq!((output.status.code(), folder.names()), (Some(1), vec!["full".to_owned(), "in".to_owned()]));
}
