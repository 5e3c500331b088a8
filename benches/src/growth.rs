//! How cost grows with size: from a thousand events to ten million, ten to a space, in no order.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::events::Events;
use crate::limits::middle;
use crate::measure::{Times, check, remove};
use crate::peers::{Build, Peer};
use crate::plot::{Line, Plot};
use crate::question::Question;
use crate::random::mix;
use crate::reference;
use crate::rows::{Per, Row};
use crate::workload::{self, Workload};

/// Who takes part: with an index, and keys that can be sought.
pub(crate) const CONTENDERS: [&str; 4] = ["esdb", "esdb-lz4", "lmdb", "sqlite"];
/// The writer's own budget: the largest sizes spill.
const MEMORY: usize = 256 << 20;
const LOOKUPS: u64 = 24;
const MEASURES: [(&str, &str); 5] = [
    ("open", "open a file and close it, seconds"),
    ("lookup", "newest event of a space on an open file, seconds"),
    ("build", "build, seconds"),
    ("scan", "full scan, seconds"),
    ("size", "file size, bytes"),
];

/// Measures and prints; writes plots into a folder.
pub(crate) fn run(peers: &[Box<dyn Peer>], most: u32, rounds: usize, svg: Option<&Path>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut found: BTreeMap<(&str, &str), Vec<(f64, f64)>> = BTreeMap::new();
    println!("| events | contender | open | lookup | build | scan | size |\n|-:|-|-:|-:|-:|-:|-:|");
    for power in 3..=most {
        let count = 10_u64.pow(power);
        let events = Events::collect(count, |i| workload::growing(i, count));
        for peer in peers {
            let path = folder.path().join(peer.name());
            let values = measure(&**peer, &events, &path, rounds)?;
            remove(&path)?;
            println!(
                "| {count} | {} | {:.1} µs | {:.1} µs | {:.4} s | {:.5} s | {:.1} MB |",
                peer.name(),
                values[0] * 1e6,
                values[1] * 1e6,
                values[2],
                values[3],
                values[4] / 1e6
            );
            for ((measure, _), value) in MEASURES.iter().zip(values) {
                found.entry((*measure, peer.name())).or_default().push((count as f64, value));
            }
        }
    }
    if let Some(svg) = svg {
        std::fs::create_dir_all(svg)?;
        for (measure, title) in MEASURES {
            let lines = found.iter().filter(|((other, _), _)| *other == measure);
            let lines =
                lines.map(|((_, name), points)| Line { name: (*name).into(), points: points.clone() });
            let plot = Plot { title: title.into(), across: "events".into(), lines: lines.collect() };
            std::fs::write(svg.join(format!("{measure}.svg")), plot.svg())?;
        }
    }
    Ok(())
}

/// The values of all measures.
fn measure(peer: &dyn Peer, events: &Events, path: &Path, rounds: usize) -> Result<[f64; 5]> {
    let how = Build { workload: Workload::Activity, in_order: false, threads: 1, memory: MEMORY };
    let count = events.len() as u64;
    let builds = if count < 1_000_000 { rounds } else { 1 };
    let mut times = Vec::new();
    for _ in 0..builds.max(1) {
        remove(path)?;
        let start = Instant::now();
        ensure!(peer.build(events, how, path)?, "{} cannot build", peer.name());
        times.push(start.elapsed().as_secs_f64());
    }
    let build = middle(&mut times);
    let opens = median(rounds, || {
        for _ in 0..LOOKUPS {
            peer.open(path)?;
        }
        Ok(())
    })?;
    let newest = (0..LOOKUPS).map(|lookup| {
        let i = (mix(lookup) % count) as usize;
        Question::NewestOfGrouping { space: events.space(i).to_vec(), grouping: events.grouping(i).to_vec() }
    });
    let lookup = Row { label: "lookup", questions: newest.collect(), opens: false, per: Per::Question };
    let scan = Row { label: "scan", questions: vec![Question::Scan], opens: false, per: Per::Question };
    let mut seconds = [0.0; 2];
    for (seconds, row) in seconds.iter_mut().zip([&lookup, &scan]) {
        let right: Vec<_> =
            row.questions.iter().map(|question| reference::answer(events, question)).collect();
        ensure!(check(peer, path, row, &right)?, "{} cannot answer", peer.name());
        let seen =
            (right.iter().map(|answer| answer.events).sum(), right.iter().map(|answer| answer.bytes).sum());
        let mut times = Times::default();
        (0..rounds).try_for_each(|_| times.ask(peer, path, row, seen))?;
        *seconds = middle(&mut times.first) / row.questions.len() as f64;
    }
    Ok([opens / LOOKUPS as f64, seconds[0], build, seconds[1], peer.size(path)? as f64])
}

fn median(rounds: usize, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..rounds.max(1) {
        let start = Instant::now();
        call()?;
        times.push(start.elapsed().as_secs_f64());
    }
    Ok(middle(&mut times))
}
