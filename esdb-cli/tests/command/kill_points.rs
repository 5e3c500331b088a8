//! Cases W2 and W18: imports that are killed at a system call, or stopped for a while.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use crate::esdb::Folder;
use crate::faults::{temporaries, waiting_import, with_input};

const OLD: &[u8] = b"what was there before";

/// What changes a disk, or is about a file.
const CALLS: &str = "openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,close,ftruncate,flock";

/// Runs an import under strace, which writes what it saw to `trace`. `None` where strace may not trace.
fn traced(folder: &Folder, flags: &[&str], import: &str) -> Option<ExitStatus> {
    let mut strace = Command::new("strace");
    strace.current_dir(folder.path("")).args(["-f", "-qq", "-o", "trace"]).args(flags);
    match strace.arg(env!("CARGO_BIN_EXE_esdb")).args(import.split_whitespace()).output() {
        Ok(output) if String::from_utf8_lossy(&output.stderr).contains("ptrace") => {
            println!("not tested: {}", String::from_utf8_lossy(&output.stderr));
            None
        }
        Ok(output) => Some(output.status),
        Err(error) if std::env::var_os("CI").is_none_or(|ci| ci != "true") => {
            println!("not tested: strace: {error}");
            None
        }
        Err(error) => panic!("strace, which .ci/run installs: {error}"),
    }
}

/// How often the import makes each call of a set: in the thread that makes it most often, as strace counts.
fn calls(folder: &Folder, set: &str, import: &str) -> Option<Vec<(String, usize)>> {
    let status = traced(folder, &["-e", &format!("trace={set}")], import)?;
    assert!(status.success());
    let trace = String::from_utf8(folder.read("trace")).expect("UTF-8");
    let mut counts = BTreeMap::<(&str, &str), usize>::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let Some((name, _)) = call.trim_start().split_once('(') else { continue };
        // What else stands in front of a bracket is the end of a call that was interrupted.
        if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            *counts.entry((name, thread)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::<String, usize>::new();
    for ((name, _), count) in counts {
        let most = most.entry(name.to_owned()).or_default();
        *most = count.max(*most);
    }
    Some(most.into_iter().collect())
}

/// Kills an import of so many lines at each of its calls of a set, without and with an old file.
fn kill_at_calls(count: u64, set: &str) {
    let (folder, whole) = with_input(count);
    let (mut killed, mut points) = (0, 0);
    for old in [None, Some(OLD)] {
        let put_back = || {
            let _ = fs::remove_file(folder.path("a.esdb"));
            if let Some(old) = old {
                folder.write("a.esdb", old);
            }
        };
        let import = format!("import -q --memory 8MiB -o a.esdb in {}", old.map_or("", |_| "--force"));
        put_back();
        let Some(calls) = calls(&folder, set, &import) else { return };
        for (name, n) in calls.iter().flat_map(|(name, count)| (1..=*count).map(move |n| (name, n))) {
            points += 1;
            put_back();
            let inject = format!("inject={name}:signal=SIGKILL:when={n}");
            let Some(status) = traced(&folder, &["-e", &format!("trace={name}"), "-e", &inject], &import)
            else {
                return;
            };
            // strace ends as the import did.
            killed += usize::from(status.signal() == Some(9));
            let found = folder.exists("a.esdb").then(|| folder.read("a.esdb"));
            assert!(
                found.as_deref() == old || found.as_deref() == Some(&whole),
                "{name} number {n}: neither old nor new"
            );
            let names = folder.names();
            // One that became a run of sorted events, and the one that takes its place.
            assert!(temporaries(&folder).len() <= 2, "{names:?}");
            assert!(names.iter().all(|name| !name.ends_with(".esdb") || name == "a.esdb"), "{names:?}");
        }
        let _ = fs::remove_file(folder.path("a.esdb"));
        folder.run("import -q --memory 8MiB -o a.esdb in").ok();
        assert_eq!(folder.names(), ["a.esdb", "in", "trace"]);
        assert!(folder.read("a.esdb") == whole);
    }
    println!("{killed} of {points} were killed");
    assert!(killed > 60, "{killed}");
}

#[test]
fn an_import_killed_at_a_call_leaves_the_old_file_or_the_new() {
    kill_at_calls(5_000, CALLS);
}

/// `cargo test -p esdb-cli --test command kill_points -- --ignored --nocapture`
#[test]
#[ignore = "a thousand imports that spill take ten minutes"]
fn imports_killed_at_each_call_leave_the_old_file_or_the_new() {
    // Those that are no change of a disk stand between such changes.
    kill_at_calls(150_000, "all");
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status();
    assert!(sent.expect("kill").success());
}

#[test]
fn a_stopped_import_goes_on_and_keeps_its_temporary() {
    let folder = Folder::new();
    // In order: then the temporary has its name all the time.
    let line = |n: u32| format!("{{\"space\":\"s\",\"timestamp\":{n},\"data\":\"{n:064}\"}}\n");
    let lines: String = (0..60_000).map(line).collect();
    folder.write("in", &lines);
    folder.run("import -q -o whole in").ok();
    let mut child = waiting_import(&folder, "--force");
    let mut stdin = child.stdin.take().expect("stdin");
    let (half, rest) = lines.as_bytes().split_at(lines.len() / 2);
    stdin.write_all(half).expect("write");
    signal(&child, "STOP");
    std::thread::sleep(Duration::from_millis(300));
    // Another writer of the name takes the temporary of the stopped one for what it is.
    folder.run("import -q --force -o a.esdb in").ok();
    assert_eq!(temporaries(&folder).len(), 1);
    signal(&child, "CONT");
    stdin.write_all(rest).expect("write");
    drop(stdin);
    assert!(child.wait().expect("end").success());
    assert!(folder.read("a.esdb") == folder.read("whole"));
    assert_eq!(folder.names(), ["a.esdb", "in", "whole"]);
}
