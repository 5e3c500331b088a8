//! F2 to F10, F17: damage that no checksum was mended for.

use esdb_format::{Reader, ReaderOptions, VerifyLevel};

use crate::mutants::examine;
use crate::mutate::choices;
use crate::samples::Sample;

fn is_found(bytes: Vec<u8>) -> bool {
    Reader::from_bytes(bytes).map_or(true, |reader| !reader.verify(VerifyLevel::Checksums).is_ok())
}

/// Found by verify, and answers that are true or fail.
fn assert_found(sample: &Sample, bytes: &[u8], what: &str) {
    if bytes != sample.original.bytes {
        let examined = examine(sample, bytes, false);
        assert!(examined.is_ok(), "{}, {what}: {}", sample.name, examined.unwrap_err());
    }
}

fn flip_bits(step: usize) {
    let mut count = 0;
    for sample in Sample::all() {
        for bit in (0..sample.original.bytes.len() * 8).step_by(step) {
            let mut bytes = sample.original.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(is_found(bytes), "{}: bit {bit}", sample.name);
            count += 1;
        }
    }
    println!("{count} flips found");
}

#[test]
fn f02_flipped_bits_are_found() {
    flip_bits(251);
}

/// `cargo test -p esdb-format --test hostile -- --ignored f02 --nocapture`
#[test]
#[ignore = "a million flips take some minutes"]
fn f02_every_flipped_bit_is_found() {
    flip_bits(1);
}

#[test]
fn f03_every_truncation_says_that_the_end_is_missing() {
    for sample in Sample::all() {
        for len in (0..sample.original.bytes.len()).step_by(7) {
            let error = Reader::from_bytes(sample.original.bytes[..len].to_vec()).err().unwrap().to_string();
            let is_cut = error.starts_with("the end of the file is missing");
            assert!(is_cut || len == 0, "{}, {len} bytes: {error}", sample.name);
        }
    }
}

/// Regions of zeros, of ones, of noise, copied over another, and swapped with their neighbour.
fn damage_regions(sample: &Sample, region: usize, choose: &mut impl FnMut() -> u64) {
    let len = sample.original.bytes.len();
    for kind in 0..5 {
        let mut bytes = sample.original.bytes.clone();
        let (at, other) = (choose() as usize % (len - region), choose() as usize % (len - region));
        match kind {
            0 => bytes[at..at + region].fill(0),
            1 => bytes[at..at + region].fill(0xFF),
            2 => bytes[at..at + region].fill_with(|| choose() as u8),
            3 => bytes.copy_within(other..other + region, at),
            _ => (0..region).for_each(|i| bytes.swap(at + i, (at + region + i) % len)),
        }
        assert_found(sample, &bytes, &format!("kind {kind}, {region} bytes at {at}"));
    }
}

#[test]
fn f04_f05_regions_are_found() {
    let mut choose = choices(4);
    for sample in Sample::all() {
        for region in [512, 4096] {
            if region < sample.original.bytes.len() / 2 {
                damage_regions(&sample, region, &mut choose);
            }
        }
    }
}

fn large_regions(count: u64) {
    let sample = Sample::large();
    assert!(sample.original.bytes.len() > 10 * (64 << 10), "{}", sample.original.bytes.len());
    let mut choose = choices(64);
    for _ in 0..count {
        damage_regions(&sample, 64 << 10, &mut choose);
    }
}

#[test]
fn f04_f05_regions_of_64_kib_are_found() {
    large_regions(2);
}

/// `cargo test -p esdb-format --test hostile -- --ignored f04`
#[test]
#[ignore = "1,000 damaged larger files take some minutes"]
fn f04_f05_a_thousand_regions_of_64_kib_are_found() {
    large_regions(200);
}

#[test]
fn f07_half_of_another_version_is_found() {
    let [one, two, three] = Sample::all();
    for (sample, other) in [(&one, &two), (&two, &three), (&three, &one)] {
        let mut bytes = sample.original.bytes.clone();
        let half = bytes.len().min(other.original.bytes.len()) / 2;
        bytes[..half].copy_from_slice(&other.original.bytes[..half]);
        assert_found(sample, &bytes, "half of another file");
    }
}

#[test]
fn f08_whatever_is_appended_is_found() {
    for sample in Sample::all() {
        let bytes = &sample.original.bytes;
        for tail in [vec![0], vec![0; 70_000], bytes.clone(), bytes[bytes.len() - 288..].to_vec()] {
            assert!(is_found([bytes.clone(), tail].concat()), "{}", sample.name);
        }
    }
}

#[test]
fn f09_damage_of_text_transfers_is_found() {
    for sample in Sample::all() {
        let bytes = &sample.original.bytes;
        let crlf = bytes.iter().flat_map(|&byte| if byte == b'\n' { vec![b'\r', b'\n'] } else { vec![byte] });
        let stripped = bytes.iter().map(|byte| byte & 0x7F);
        let http = [b"HTTP/1.1 200 OK\r\n\r\n", &bytes[..]].concat();
        for damaged in [crlf.collect(), stripped.collect(), http, bytes[8..].to_vec()] {
            assert!(is_found(damaged), "{}", sample.name);
        }
    }
}

#[cfg(unix)]
#[test]
fn f10_what_is_no_file_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let sparse = folder.path().join("sparse");
    std::fs::File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
    let short: Vec<_> = [&b""[..], b"\x89", b"\x89ESDB\r\n\x1a"].into_iter().collect();
    for (i, bytes) in short.iter().enumerate() {
        std::fs::write(folder.path().join(i.to_string()), bytes).unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let start = std::time::Instant::now();
    for path in ["0", "1", "2", "", "sparse", "socket", "fifo", "/dev/zero", "/dev/null"] {
        for map in [true, false] {
            let opened = ReaderOptions::new().map(map).open(folder.path().join(path));
            assert!(opened.is_err(), "{path:?}");
        }
    }
    assert!(start.elapsed().as_secs() < 5);
}

fn flip_three(count: u64) {
    let mut choose = choices(17);
    for sample in Sample::all() {
        for _ in 0..count {
            let mut bytes = sample.original.bytes.clone();
            for _ in 0..3 {
                let bit = choose() as usize % (sample.original.events_end * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            assert!(bytes == sample.original.bytes || is_found(bytes), "{}", sample.name);
        }
    }
}

#[test]
fn f17_three_flipped_bits_are_found() {
    flip_three(300);
}

/// `cargo test -p esdb-format --test hostile -- --ignored f17`
#[test]
#[ignore = "100,000 damaged files take a minute"]
fn f17_three_flipped_bits_are_found_100_000_times() {
    flip_three(33_400);
}
