//! The memory that building takes beyond its budget: the peak of a child process that does nothing else.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::events::Events;
use crate::figures::{Figure, Unit};
use crate::peers::{self, Build, Peer};
use crate::workload::Workload;

/// Small, so that every workload has to spill.
const BUDGET: usize = 64 << 20;

/// Adds a figure for each contender that builds from memory.
pub(crate) fn measure(
    workload: Workload,
    count: u64,
    peers: &[Box<dyn Peer>],
    figures: &mut Vec<Figure>,
) -> Result<()> {
    if own_memory("VmHWM").is_none() {
        eprintln!("build memory is skipped: the system does not tell a process its peak");
        return Ok(());
    }
    for peer in peers.iter().filter(|peer| peer.builds_from_memory()) {
        let output = Command::new(std::env::current_exe()?)
            .args(["memory", workload.name(), "--count", &count.to_string(), "--peer", peer.name()])
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let value = String::from_utf8(output.stdout)?.trim().parse()?;
        figures.push(Figure {
            workload,
            row: "build memory beyond the budget".into(),
            contender: peer.name().into(),
            unit: Unit::Bytes,
            value,
            limit: None,
        });
    }
    Ok(())
}

/// The child's part: builds, and prints how many bytes the process grew by beyond the budget.
pub(crate) fn child(workload: Workload, count: u64, peer: &str) -> Result<()> {
    let peer = peers::all().into_iter().find(|other| other.name() == peer).context("no such contender")?;
    let events = Events::collect(count, |i| workload.event(i, count));
    let folder = tempfile::tempdir()?;
    // From here on a new peak counts.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let before = own_memory("VmRSS").context("no memory is told")?;
    // Peers that take no budget have their events sorted: what they need for sorting is ours.
    let ours = peer.codec().is_some();
    let events = if ours { events } else { events.in_order() };
    let before = if ours { before } else { own_memory("VmRSS").context("no memory is told")? };
    std::fs::write("/proc/self/clear_refs", "5")?;
    let how = Build { workload, in_order: !ours, threads: if ours { 2 } else { 1 }, memory: BUDGET };
    peer.build(&events, how, &folder.path().join("file"))?;
    let peak = own_memory("VmHWM").context("no memory is told")?;
    let budget = if ours { BUDGET as f64 } else { 0.0 };
    println!("{}", (peak - before) as f64 - budget);
    Ok(())
}

/// A line of the process's status, in bytes.
fn own_memory(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}
