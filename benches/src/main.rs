//! Benchmarks of esdb against its peers, and the generator of their events. `benches/README.md` says what is measured.
//!
//! ```text
//! cargo run --release -p esdb-bench -- run                    every question, every workload
//! cargo run --release -p esdb-bench -- growth --svg target    cost against size, and plots of it
//! cargo run --release -p esdb-bench -- generate product       events as native lines on stdout
//! ```

mod events;
mod figures;
mod growth;
mod import;
mod limits;
mod measure;
mod memory;
mod native;
mod peers;
mod plot;
mod question;
mod random;
mod reference;
mod rows;
mod workload;

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Parser, Subcommand};
use peers::Peer;
use workload::Workload;

#[derive(Parser)]
#[command(about = "Benchmarks of esdb against its peers, and the generator of their events")]
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
        /// Only these contenders.
        #[arg(long)]
        peer: Vec<String>,
        /// Writes all figures into a file, too.
        #[arg(long, value_name = "FILE")]
        json: Option<PathBuf>,
        /// The command `esdb`; the one beside this program without it.
        #[arg(long, value_name = "PATH")]
        esdb: Option<PathBuf>,
    },
    /// Measures how cost grows with the number of events.
    Growth {
        /// The largest size, as a power of ten.
        #[arg(long, default_value_t = 7)]
        most: u32,
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Only these contenders.
        #[arg(long)]
        peer: Vec<String>,
        /// Writes plots into a folder.
        #[arg(long, value_name = "DIR")]
        svg: Option<PathBuf>,
    },
    /// Tells how much memory a contender takes to build.
    #[command(hide = true)]
    Memory {
        workload: Workload,
        #[arg(long)]
        count: u64,
        #[arg(long)]
        peer: String,
    },
}

fn main() -> Result<()> {
    match Args::parse().command {
        Command::Generate { workload, count } => generate(workload, count.unwrap_or(workload.full_size())),
        Command::Run { workload, scale, rounds, peer, json, esdb } => {
            let workloads = match workload.is_empty() {
                true => vec![Workload::Visits, Workload::Product, Workload::Sensor],
                false => workload,
            };
            let beside = || std::env::current_exe().map(|program| program.with_file_name("esdb"));
            let command = esdb.map_or_else(beside, Ok)?;
            let options = measure::Options { workloads, scale, rounds, peers: chosen(&peer)?, command };
            let mut all = Vec::new();
            measure::run(&options, |figures| {
                figures::print(figures);
                all.extend_from_slice(figures);
                if let Some(path) = &json {
                    std::fs::write(path, figures::json(&all).to_string())?;
                }
                Ok(())
            })
        }
        Command::Growth { most, rounds, peer, svg } => {
            let default: Vec<String> = growth::CONTENDERS.iter().map(|name| (*name).to_owned()).collect();
            let peers = chosen(if peer.is_empty() { &default } else { &peer })?;
            growth::run(&peers, most, rounds, svg.as_deref())
        }
        Command::Memory { workload, count, peer } => memory::child(workload, count, &peer),
    }
}

/// The contenders with these names; all without any.
fn chosen(names: &[String]) -> Result<Vec<Box<dyn Peer>>> {
    let mut peers = peers::all();
    for name in names {
        let known: Vec<&str> = peers.iter().map(|peer| peer.name()).collect();
        ensure!(known.contains(&name.as_str()), "no contender {name}; there are {}", known.join(", "));
    }
    peers.retain(|peer| names.is_empty() || names.iter().any(|name| name == peer.name()));
    Ok(peers)
}

fn generate(workload: Workload, count: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    for i in 0..count {
        native::write(&mut out, &workload.event(i, count).as_event())?;
    }
    out.flush()?;
    Ok(())
}
