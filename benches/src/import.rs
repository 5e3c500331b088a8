//! The command `esdb import` on native lines.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, ensure};
use esdb_format::Reader;

use crate::events::Events;
use crate::figures::{Figure, Unit};
use crate::limits::middle;
use crate::native;
use crate::workload::Workload;

const ROUNDS: usize = 3;

/// Adds the rate in bytes of text.
pub(crate) fn measure(
    workload: Workload,
    events: &Events,
    command: &Path,
    folder: &Path,
    figures: &mut Vec<Figure>,
) -> Result<()> {
    if !command.exists() {
        eprintln!("import is skipped: there is no {}; build esdb, or use --esdb", command.display());
        return Ok(());
    }
    let (lines, output) = (folder.join("lines.ndjson"), folder.join("imported.esdb"));
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&lines)?);
    for i in 0..events.len() {
        native::write(&mut out, &events.event(i))?;
    }
    out.flush()?;
    let bytes = std::fs::metadata(&lines)?.len() as f64;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let status = Command::new(command)
            .args(["import", "--quiet", "--force", "--unit", workload.unit().name(), "--output"])
            .args([&output, &lines])
            .status()?;
        times.push(start.elapsed().as_secs_f64());
        ensure!(status.success(), "esdb import fails");
        ensure!(Reader::open(&output)?.events() == events.len() as u64, "esdb import loses events");
    }
    std::fs::remove_file(lines)?;
    std::fs::remove_file(output)?;
    figures.push(Figure {
        workload,
        row: "esdb import, text".into(),
        contender: "esdb".into(),
        unit: Unit::BytesPerSecond,
        value: bytes / middle(&mut times),
        limit: None,
    });
    Ok(())
}
