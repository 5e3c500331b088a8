//! Benchmarks of esdb, and the generator of their events.
//!
//! ```text
//! cargo run --release -p esdb-bench -- run                    every question, every workload
//! cargo run --release -p esdb-bench -- generate product       events as native lines on stdout
//! ```

mod questions;
mod random;
mod workload;

use std::io::{self, BufWriter, Write};

use clap::{Parser, Subcommand};
use workload::Workload;

#[derive(Parser)]
#[command(about = "Benchmarks of esdb, and the generator of their events")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints events as native lines.
    Generate {
        workload: Workload,
        /// How many events; the workload's full size without it.
        #[arg(long)]
        count: Option<u64>,
    },
    /// Measures every question on every workload and prints a table.
    Run {
        /// Only these workloads.
        #[arg(long, value_enum)]
        workload: Vec<Workload>,
        /// The part of the full size to measure with.
        #[arg(long, default_value_t = 1.0)]
        scale: f64,
        /// How often each question is asked; the median counts.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Generate { workload, count } => generate(workload, count.unwrap_or(workload.full_size())),
        Command::Run { workload, scale, rounds, json } => {
            let workloads = match workload.is_empty() {
                true => vec![Workload::Visits, Workload::Product, Workload::Sensor],
                false => workload,
            };
            questions::run(&workloads, scale, rounds, json)
        }
    }
}

fn generate(workload: Workload, count: u64) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    for i in 0..count {
        let event = workload.event(i, count);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        write!(
            out,
            r#"{{"space":"{}","grouping":"{}","timestamp":{},"index":{{"#,
            text(&event.space),
            text(&event.grouping),
            event.timestamp
        )?;
        for (at, (name, value)) in event.indexes.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(out, r#"{comma}"{}":"{}""#, text(name), text(value))?;
        }
        out.write_all(b"},\"data\":")?;
        out.write_all(&event.data)?;
        out.write_all(b"}\n")?;
    }
    out.flush()?;
    Ok(())
}
