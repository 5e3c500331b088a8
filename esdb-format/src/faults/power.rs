//! The power fails at every instant: the name leads to the old file or to the whole new one.

use std::path::Path;

use super::disk::{Kept, Watch, dice};
use super::{CASES, TARGET};

/// Looks at every instant of every case, and returns how many states that were.
fn replay(seeds: u64) -> usize {
    let mut visited = 0;
    for case in &CASES {
        let (whole, _) = case.whole();
        let disk = case.disk();
        let mut patterns = vec![
            (Kept::Nothing, Kept::Nothing),
            (Kept::Nothing, Kept::All),
            (Kept::All, Kept::Nothing),
            (Kept::All, Kept::All),
            (Kept::Later, Kept::All),
            (Kept::Later, Kept::Later),
        ];
        patterns.extend((0..seeds).map(|seed| (Kept::Random(dice(seed)), Kept::Random(dice(!seed)))));
        patterns.extend((0..seeds).map(|seed| (Kept::Random(dice(seed)), Kept::All)));
        let allowed = vec![disk.get(Path::new(TARGET)), Some(whole)];
        let path = TARGET.into();
        disk.watch(Watch { path, allowed, patterns, visited: 0, seen: vec![0; 2], violations: Vec::new() });
        case.run(&disk, 1).expect(case.name);
        let watch = disk.watched().expect("watch");
        assert!(watch.violations.is_empty(), "{}: {:?}", case.name, watch.violations);
        // Both were there: the run was watched from before to after.
        assert!(watch.seen.iter().all(|&seen| seen > 0), "{}: {:?}", case.name, watch.seen);
        println!("{}: {} states, {:?} old and new", case.name, watch.visited, watch.seen);
        visited += watch.visited;
    }
    visited
}

#[test]
fn power_failures_leave_the_old_file_or_the_new() {
    assert!(replay(2) > 500);
}

/// `cargo test -p esdb-format --lib every_power_failure -- --ignored --nocapture`
#[test]
#[ignore = "200 throws of the dice for every instant"]
fn every_power_failure_leaves_the_old_file_or_the_new() {
    println!("{} states", replay(200));
}
