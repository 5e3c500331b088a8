//! The writer's promise of memory: its budget, 64 MiB, and twice the largest event.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use esdb_format::{Codec, Event, WriterOptions};

const MIB: u64 = 1 << 20;
const BUDGET: u64 = 8 * MIB;

/// The most memory that this process has had so far, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

/// A number that looks random.
fn noise(i: u64) -> u64 {
    i.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 20
}

/// Writes small events, all of one space, each in the grouping that `grouping` says and at a time that `time` says.
fn write_small(grouping: impl Fn(u64) -> u64, time: impl Fn(u64) -> u64) {
    let count = 1_500_000;
    let folder = tempfile::tempdir().unwrap();
    let options = WriterOptions::new().memory(BUDGET as usize).threads(2);
    let mut writer = options.create(folder.path().join("file.esdb")).unwrap();
    for i in 0..count {
        let (grouping, id) = (format!("{:04}", grouping(i)), format!("{:x}", noise(i)));
        let data = format!("{{\"event\":{i}}}");
        let event = Event::new("one", time(i) as i64, &data).grouping(&grouping);
        writer.add(event.index("id", &id).index("kind", &id[..1])).unwrap();
    }
    assert_eq!(writer.finish().unwrap().events, count);
}

fn write_giant(len: usize, order: impl Fn(u64) -> i64) {
    let folder = tempfile::tempdir().unwrap();
    let mut data: Vec<u8> = (0..len as u64).map(|i| noise(i) as u8).collect();
    for codec in [Codec::Lz4, Codec::default()] {
        let options = WriterOptions::new().memory(BUDGET as usize).max_event(len).codec(codec).replace(true);
        let mut writer = options.create(folder.path().join("file.esdb")).unwrap();
        for i in 0..6 {
            data[i as usize] ^= 1;
            writer.add(Event::new("one", order(i), &data)).unwrap();
            writer.add(Event::new("one", order(i), "small")).unwrap();
        }
        writer.finish().unwrap();
    }
}

/// Says a process of its own which case it is to run.
const CASE: &str = "ESDB_MEMORY_CASE";

#[test]
fn memory_is_bounded() {
    let giant = 48 * MIB;
    let slack = BUDGET + 64 * MIB;
    // The memory of `data` in `write_giant` is the caller's.
    let with_giants = slack + 3 * giant;
    let cases = [("in order", slack), ("shuffled", slack), ("groupings", slack)];
    let cases = cases.into_iter().chain([("giants", with_giants), ("giants backwards", with_giants)]);
    if let Ok(case) = std::env::var(CASE) {
        let before = peak();
        match case.as_str() {
            "in order" => write_small(|_| 0, |i| i),
            "shuffled" => write_small(|_| 0, noise),
            "groupings" => write_small(|i| noise(i) % 1000, |i| i),
            "giants" => write_giant(giant as usize, |i| i as i64),
            _ => write_giant(giant as usize, |i| -(i as i64)),
        }
        println!("peak {}", peak() - before);
        return;
    }
    for (case, most) in cases {
        let mut process = std::process::Command::new(std::env::current_exe().unwrap());
        let output = process.args(["memory_is_bounded", "--nocapture"]).env(CASE, case).output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let peak = output.lines().find_map(|line| line.strip_prefix("peak ")).expect(&output);
        let peak: u64 = peak.parse().unwrap();
        println!("{case}: {} MiB, at most {} MiB", peak / MIB, most / MIB);
        assert!(peak <= most, "{case}: {} MiB, at most {} MiB", peak / MIB, most / MIB);
    }
}
