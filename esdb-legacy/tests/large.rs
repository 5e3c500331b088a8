//! Large archives: speed, and memory in its bounds.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod old;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use esdb_format::{Codec, Unit, WriterOptions};
use esdb_legacy::{Legacy, Options};

use old::{Archive, Event};

const MIB: u64 = 1 << 20;

/// A number that looks random.
fn noise(i: u64) -> u64 {
    i.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 20
}

/// What a large archive is like.
#[derive(Clone, Copy)]
struct Shape {
    /// Bytes of the file, about.
    bytes: u64,
    /// Events of a space.
    events: u64,
    groupings: u64,
    /// Users: values of an index.
    users: u64,
    /// Bytes of each event that do not compress, in hexadecimal digits.
    noise: usize,
}

/// Page visits as JSON, as applications of the time stored them.
fn write(path: &Path, shape: Shape) -> (u64, u64) {
    let mut archive = Archive::new(BufWriter::new(File::create(path).unwrap()));
    let (mut count, mut space) = (0, 0_u64);
    while archive.len() < shape.bytes {
        let event = |i: u64| {
            let n = space * shape.events + i;
            let (page, user) = (noise(n) % 400, noise(n ^ 0x5555) % shape.users);
            let kind = ["page", "page", "page", "click", "purchase"][(noise(n ^ 0xAAAA) % 5) as usize];
            let data = format!(
                r#"{{"type":"{kind}","url":"https://shop.example/products/{page}?session={:012x}","user":"user-{user}","referrer":"https://search.example/{:x}","duration":{},"body":"{}"}}"#,
                noise(n ^ 0x77) & 0xFFFF_FFFF_FFFF,
                noise(page),
                noise(n ^ 0x99) % 60_000,
                (0..shape.noise as u64 / 8)
                    .map(|i| format!("{:016x}", noise(n ^ i << 40) << 20 ^ noise(n ^ i << 41)))
                    .collect::<String>(),
            );
            Event {
                grouping: format!("host-{:04}", noise(n ^ 0x33) % shape.groupings).into_bytes(),
                timestamp: (1_400_000_000 + n / 20) as u32,
                keys: vec![format!("type:{kind}").into_bytes(), format!("user:{user}").into_bytes()],
                data: data.into_bytes(),
            }
        };
        let events: Vec<Event> = (0..shape.events).map(event).collect();
        archive.space(format!("customer-{:06}", noise(space) % 1_000_000).as_bytes(), &events);
        count += shape.events;
        space += 1;
    }
    archive.finish().flush().unwrap();
    (count, path.metadata().unwrap().len())
}

/// The most memory that this process has had so far, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// Processor time of this process so far, in seconds.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_ascii_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

/// Says a process of its own what it is to convert: path, memory, codec.
const CASE: &str = "ESDB_LEGACY_CASE";

/// Converts in a process of its own, and returns the peak of its memory.
fn convert(path: &Path, memory: u64, codec: &str, events: u64) -> u64 {
    let case = format!("{}|{memory}|{codec}|{events}", path.display());
    let mut process = std::process::Command::new(std::env::current_exe().unwrap());
    let output = process.args(["in_a_process_of_its_own", "--nocapture"]).env(CASE, case).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find(|line| line.contains("MB/s")).unwrap();
    println!("{line}");
    said.lines().find_map(|line| line.strip_prefix("peak ")).unwrap().parse().unwrap()
}

#[test]
fn in_a_process_of_its_own() {
    let Ok(case) = std::env::var(CASE) else { return };
    let [path, memory, codec, events] = case.split('|').collect::<Vec<_>>().try_into().unwrap();
    let memory = memory.parse().unwrap();
    let folder = tempfile::tempdir_in(Path::new(path).parent().unwrap()).unwrap();
    let name = codec;
    let codec = match name {
        "lz4" => Codec::Lz4,
        "zstd, level 1" => Codec::Zstd { level: 1 },
        _ => Codec::default(),
    };
    let options = WriterOptions::new().unit(Unit::Seconds).codec(codec).memory(memory);
    let start = Instant::now();
    let before = processor();
    let mut writer = options.create(folder.path().join("new.esdb")).unwrap();
    let old = Legacy::open(path).unwrap();
    let report = old.convert(&Options::new().memory(memory), &mut writer, &mut |_| ()).unwrap();
    let summary = writer.finish().unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let used = processor() - before;
    assert!(report.is_complete(), "{:?}", report.losses);
    assert_eq!((report.events, summary.events), (events.parse().unwrap(), report.events));
    println!(
        "{} MB into {} MB, {} events, {} in {seconds:.2} s: {:.0} MB/s; {used:.2} s of processor, {:.0} MB/s on two whole cores; peak {} MiB",
        report.file_len / 1_000_000,
        summary.file_len / 1_000_000,
        report.events,
        name,
        report.file_len as f64 / 1e6 / seconds,
        report.file_len as f64 / 1e6 / (used / 2.0),
        peak() / MIB,
    );
    println!("peak {}", peak());
}

/// Reading takes an eighth of its memory twice, for events, and a quarter for entries; the writer its budget and 64 MiB.
#[test]
fn memory_is_bounded_whatever_the_shape() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.esdb");
    let memory = 8 * MIB;
    for (events, groupings, users) in [(150_000, 1, 10), (150_000, 20_000, 150_000), (50, 3, 10)] {
        let (count, _) = write(&path, Shape { bytes: 10 * MIB, events, groupings, users, noise: 0 });
        let peak = convert(&path, memory, "zstd", count);
        assert!(peak <= memory + 64 * MIB + memory + 8 * MIB, "{groupings} groupings: {} MiB", peak / MIB);
    }
}

/// `cargo test --release -p esdb-legacy --test large -- --ignored --nocapture`
#[test]
#[ignore = "writes and converts archives of 500 MB"]
fn five_hundred_megabytes() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("old.esdb");
    for (events, groupings, noise) in
        [(20_000, 50, 0), (20_000, 50, 160), (5_000, 50, 600), (1_000_000, 5, 0)]
    {
        let (count, len) = write(&path, Shape { bytes: 500 * MIB, events, groupings, users: 1_000, noise });
        println!(
            "{groupings} groupings in spaces of {events} events, {} bytes each in the old file:",
            len / count
        );
        for codec in ["zstd", "zstd, level 1", "lz4"] {
            let peak = convert(&path, 256 * MIB, codec, count);
            assert!(peak <= (256 + 64 + 256) * MIB, "{} MiB", peak / MIB);
        }
    }
}
