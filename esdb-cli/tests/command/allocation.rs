//! Case W22: allocations that fail, once and from then on, in Rust and in C. What follows is an error or an abort, never a part of a file.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::esdb::Folder;
use crate::faults::with_input;

const OLD: &[u8] = b"what was there before";

/// The allocator that fails, made from `fail_alloc.c`. `None` where there is no C compiler.
fn allocator(folder: &Folder) -> Option<PathBuf> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/command/fail_alloc.c");
    let made = folder.path("fail_alloc.so");
    match Command::new("cc").args(["-O1", "-shared", "-fPIC", "-o"]).arg(&made).arg(source).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Some(made)
        }
        Err(error) => {
            println!("not tested: cc: {error}");
            None
        }
    }
}

/// Runs the command with variables for the allocator.
fn run(folder: &Folder, allocator: &PathBuf, line: &str, variables: &[(&str, String)]) -> Output {
    // No core of what aborts.
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -c 0; LD_PRELOAD=\"$ALLOCATOR\" exec \"$ESDB\" {line}")]);
    command.current_dir(folder.path("")).env("ESDB", env!("CARGO_BIN_EXE_esdb")).env("ALLOCATOR", allocator);
    command.envs(variables.iter().map(|(name, value)| (name, value))).env("RUST_BACKTRACE", "0");
    command.output().expect("sh")
}

/// Fails about `points` allocations of a command and as many at its end, each once and from then on. `check` gets how it ended; it must not have ended well
/// with another answer, in a panic, or by a signal that is no abort.
fn fail_allocations(
    folder: &Folder,
    allocator: &PathBuf,
    line: &str,
    points: u64,
    mut check: impl FnMut(&Output),
) {
    let counted = run(folder, allocator, line, &[("COUNT", "count".to_owned())]);
    assert!(counted.status.success(), "{}", String::from_utf8_lossy(&counted.stderr));
    check(&counted);
    let all: u64 = String::from_utf8(folder.read("count")).expect("UTF-8").parse().expect("a number");
    fs::remove_file(folder.path("count")).expect("remove");
    let mut failed = 0;
    // A file is in danger at the end.
    let last = all.saturating_sub(points);
    for n in (1..=last).step_by(last.div_ceil(points) as usize).chain(last + 1..=all) {
        for forever in [false, true] {
            let mut variables = vec![("FAIL_AT", n.to_string())];
            variables.extend(forever.then(|| ("FAIL_ALL", "1".to_owned())));
            let output = run(folder, allocator, line, &variables);
            let said = String::from_utf8_lossy(&output.stderr);
            match (output.status.code(), output.status.signal()) {
                (Some(0), _) => {}
                (Some(1), _) | (None, Some(6)) => failed += 1,
                // The loader of programs has no memory: ours does not run yet.
                (Some(127), _) => failed += 1,
                end => panic!("{line}: allocation {n} of {all}, {forever}: {end:?}, {said}"),
            }
            check(&output);
        }
    }
    println!("{line}: {failed} failed, of {all} allocations");
    assert!(failed > 0);
}

fn fail_writers_and_readers(count: u64, points: u64) {
    let (folder, whole) = with_input(count);
    let Some(allocator) = allocator(&folder) else { return };
    for old in [None, Some(OLD)] {
        let put_back = || {
            let _ = fs::remove_file(folder.path("a.esdb"));
            if let Some(old) = old {
                folder.write("a.esdb", old);
            }
        };
        put_back();
        let force = old.map_or("", |_| "--force");
        let import = format!("import -q --memory 8MiB --threads 2 -o a.esdb in {force}");
        fail_allocations(&folder, &allocator, &import, points, |output| {
            let found = folder.exists("a.esdb").then(|| folder.read("a.esdb"));
            match output.status.success() {
                true => assert!(found.as_deref() == Some(&whole)),
                // The last step may have been done.
                false => assert!(found.as_deref() == old || found.as_deref() == Some(&whole)),
            }
            assert!(folder.names().iter().all(|name| !name.ends_with(".esdb") || name == "a.esdb"));
            put_back();
        });
    }
    folder.write("a.esdb", &whole);
    for line in ["scan a.esdb", "scan -r --no-mmap a.esdb", "verify --deep a.esdb", "count a.esdb --by space"]
    {
        let truth = folder.run(line).ok().stdout;
        fail_allocations(&folder, &allocator, line, points / 4, |output| match output.status.success() {
            true => assert!(output.stdout == truth, "{line}"),
            false if line.starts_with("verify") => assert!(output.stdout != truth, "{line}"),
            false => assert!(truth.starts_with(&output.stdout), "{line}"),
        });
    }
}

#[test]
fn allocations_that_fail_leave_no_part_and_give_no_wrong_answer() {
    fail_writers_and_readers(3_000, 24);
}

/// `cargo test -p esdb-cli --test command every_allocation -- --ignored --nocapture`
#[test]
#[ignore = "hundreds of imports that spill take ten minutes"]
fn every_allocation_that_fails_leaves_no_part_and_gives_no_wrong_answer() {
    fail_writers_and_readers(45_000, 100);
}
