//! Every call of the writer, once and from then on.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::Duration;

use super::disk::{Disk, Fault, Kept, Plan};
use super::{CASES, Case, FAULTS, INPUTS, LEFTOVER, TARGET, events, options, spilling, write};
use crate::compression::Codec;

/// Runs a case with a fault; false if no call met it. With several threads the calls come in no fixed order.
fn visit(case: &Case, whole: &[u8], plan: Plan, threads: usize) -> bool {
    let what = || format!("{}: {plan:?}, {threads} threads", case.name);
    let disk = case.disk();
    let old = disk.get(Path::new(TARGET));
    disk.plan(Some(plan));
    let result = catch_unwind(AssertUnwindSafe(|| case.run(&disk, threads)));
    disk.plan(None);
    let fired = disk.fired();
    let Some(first) = fired.first() else {
        assert!(matches!(result, Ok(Ok(()))), "{}", what());
        return false;
    };
    let Ok(result) = result else { panic!("{}: a panic", what()) };
    let found = disk.get(Path::new(TARGET));
    let is_whole = found.as_deref() == Some(whole);
    match result {
        Ok(()) => {
            // What a failed sync was about may be lost, whatever a second one says.
            let is_lost = matches!(plan.fault, Fault::Fails(_)) && *first == "sync";
            assert!(!is_lost, "{}: a failed sync was forgotten", what());
            assert!(is_whole, "{}: a false success", what());
            let durable = disk.after_crash(Path::new(TARGET), Kept::Nothing, Kept::Nothing);
            assert!(durable.as_deref() == Some(whole), "{}: not durable", what());
        }
        Err(error) => {
            assert!(matches!(plan.fault, Fault::Fails(_)), "{}: {error}", what());
            assert!(
                found == old || (is_whole && fired.contains(&"sync_folder")),
                "{}: {error}, but the name is taken",
                what()
            );
        }
    }
    // The temporary of this run is gone, unless nothing could be removed.
    let mut expected: BTreeSet<PathBuf> = INPUTS.iter().map(PathBuf::from).collect();
    expected.extend([TARGET.into(), LEFTOVER.into()]);
    if !plan.from_then_on && *first != "remove" {
        let names = disk.names();
        let others: Vec<_> = names.difference(&expected).collect();
        assert!(others.is_empty(), "{}: {others:?} stay", what());
    }
    let ends_so = |path: &PathBuf| path.extension().is_some_and(|end| end == "esdb");
    assert!(disk.names().iter().filter(|path| ends_so(path)).all(|path| expected.contains(path)));
    true
}

/// Visits every `step`-th point and returns how many met their fault.
fn sweep(step: usize) -> usize {
    let (mut visited, mut point) = (0, 0);
    for case in &CASES {
        let (whole, calls) = case.whole();
        let before = visited;
        for at in 0..calls.len() {
            for fault in FAULTS {
                for from_then_on in [false, true] {
                    for threads in [1, 2] {
                        point += 1;
                        if point % step == 0 {
                            let plan = Plan { at, fault, from_then_on };
                            visited += usize::from(visit(case, &whole, plan, threads));
                        }
                    }
                }
            }
        }
        let kinds: BTreeSet<_> = calls.iter().collect();
        println!("{}: {} calls, {} points, {kinds:?}", case.name, calls.len(), visited - before);
    }
    visited
}

#[test]
fn failing_calls_publish_nothing() {
    let visited = sweep(21);
    assert!(visited > 150, "{visited} points");
}

/// `cargo test -p esdb-format --lib every_call_that_fails -- --ignored --nocapture`
#[test]
#[ignore = "all points of the sweep"]
fn every_call_that_fails_publishes_nothing() {
    println!("{} points", sweep(1));
}

#[test]
fn the_bytes_are_durable_before_the_name_and_the_name_at_the_end() {
    for case in &CASES {
        let calls = case.whole().1;
        let names = if case.replaces { &["rename"][..] } else { &["link", "remove"] };
        let end = [&["append", "sync"][..], names, &["sync_folder"]].concat();
        assert!(calls.ends_with(&end), "{}: {calls:?}", case.name);
        assert_eq!(calls.iter().filter(|call| call.starts_with("sync")).count(), 2, "{}", case.name);
    }
}

#[test]
fn the_cases_make_every_call_there_is() {
    let calls: BTreeSet<&str> = CASES.iter().flat_map(|case| case.whole().1).collect();
    let all = [
        "append",
        "create",
        "is_named",
        "kind",
        "link",
        "list",
        "open",
        "read_at",
        "remove",
        "rename",
        "spill",
        "sync",
        "sync_folder",
        "try_lock",
    ];
    assert_eq!(calls, BTreeSet::from(all));
    // More runs than are merged at once, so some are merged before the end.
    let spills = CASES[2].whole().1.into_iter().filter(|&call| call == "spill").count();
    assert!(spills > 20, "{spills} spills");
}

/// With several threads a large file is synced on the way, too.
#[test]
fn a_sync_that_fails_before_the_end_publishes_nothing() {
    let large = events(80, 1 << 18);
    let run = |plan| {
        let disk = Disk::default();
        disk.plan(plan);
        let result = write(&disk, options().codec(Codec::None).threads(2), &large);
        (result, disk)
    };
    let (result, disk) = run(None);
    result.unwrap();
    let calls = disk.calls();
    let syncs: Vec<usize> = (0..calls.len()).filter(|&at| calls[at] == "sync").collect();
    assert_eq!(syncs.len(), 3, "{calls:?}");
    for &at in &syncs {
        let failing = Plan { at, fault: Fault::Fails(ErrorKind::Other), from_then_on: false };
        let (result, disk) = run(Some(failing));
        assert!(result.unwrap_err().to_string().starts_with("cannot sync /disk/events.esdb.tmp-"));
        assert_eq!((disk.fired(), disk.names().len()), (vec!["sync"], 0));
    }
}

#[test]
fn a_panic_in_the_background_ends_the_writer() {
    let (sender, ended) = channel();
    std::thread::spawn(move || {
        let case = &CASES[2];
        let disk = case.disk();
        // Beyond the first calls, which the caller makes itself.
        disk.plan(Some(Plan { at: 12, fault: Fault::Panics, from_then_on: false }));
        let result = spilling(&disk, options().threads(2).replace(true));
        let _ = sender.send((result, disk));
    });
    let (result, disk) = ended.recv_timeout(Duration::from_secs(60)).expect("it waits for ever");
    assert_eq!(result.unwrap_err().to_string(), "a thread that sorts events ended early");
    assert_eq!(disk.get(Path::new(TARGET)).as_deref(), Some(&b"what was there before"[..]));
    assert_eq!(disk.names().len(), 1 + INPUTS.len());
}
