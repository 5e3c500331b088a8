//! Large archives: speed, and memory in its bounds.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod old;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use esdb_format::{Codec, Reader, Unit, WriterOptions};
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
    data: Data,
}

/// What the data of events is, as JSON.
#[derive(Clone, Copy)]
enum Data {
    /// Page visits, each with so many bytes that do not compress, in hexadecimal digits.
    Visits { noise: u64 },
    /// What customers of a shop did and wrote.
    Shop,
}

impl Data {
    /// Of event `n`.
    fn text(self, n: u64, kind: &str, user: u64) -> String {
        match self {
            Self::Visits { noise: bytes } => visit(n, kind, user, bytes),
            Self::Shop => shop(n, kind, user),
        }
    }
}

/// A page visit, as applications of the time stored it.
fn visit(n: u64, kind: &str, user: u64, bytes: u64) -> String {
    let page = noise(n) % 400;
    format!(
        r#"{{"type":"{kind}","url":"https://shop.example/products/{page}?session={:012x}","user":"user-{user}","referrer":"https://search.example/{:x}","duration":{},"body":"{}"}}"#,
        noise(n ^ 0x77) & 0xFFFF_FFFF_FFFF,
        noise(page),
        noise(n ^ 0x99) % 60_000,
        (0..bytes / 8)
            .map(|i| format!("{:016x}", noise(n ^ i << 40) << 20 ^ noise(n ^ i << 41)))
            .collect::<String>(),
    )
}

const TOWNS: [&str; 8] = ["Aarhus", "Bremen", "Cork", "Dijon", "Evora", "Florence", "Ghent", "Hasselt"];

const PAGES: [&str; 8] =
    ["/", "/cart", "/lamps", "/lamps/desk", "/chairs", "/chairs/garden", "/help/returns", "/account"];

/// The words that customers write, the frequent ones first.
const WORDS: &str = "the I and it was not to my for order but a you this have is with are they very lamp in chair of arrived \
    would me broken when we delivery colour please great that week on parcel again thank money back price can after shop good \
    one because which garden box never quickly two light return screw desk will green sent small where missing happy letter \
    nothing bought wood friend later instead perfect paper answer wrong expected morning yellow kitchen manual cable switch \
    present window shipping cheaper service mother table replaced evening scratch invoice postman another repair birthday \
    leather carpet shelf promised warehouse corner weather bright refund glass heavy holiday finally voucher telephone";

/// What a customer of a shop did, and up to 48 words about it, of which few make most of the text.
fn shop(n: u64, kind: &str, user: u64) -> String {
    let pick = |from: &[&'static str], seed: u64| from[(noise(seed) % from.len() as u64) as usize];
    let words: Vec<&str> = WORDS.split_ascii_whitespace().collect();
    let word = |i: u64| {
        let uniform = (noise(n ^ i << 40) % 1_000_000) as f64 / 1e6;
        words[((words.len() as f64 + 1.0).powf(uniform) - 1.0) as usize]
    };
    let text: Vec<&str> = (0..1 + noise(n ^ 0xEEEE) % 48).map(word).collect();
    format!(
        r#"{{"id":"{:012x}","type":"{kind}","customer":{user},"session":"{:08x}","ip":"10.{}.{}.{}","town":"{}","agent":"Mozilla/5.0 (X11; Linux x86_64; rv:{}.0) Gecko/20100101","url":"https://shop.example.com{}","amount":{}.{:02},"currency":"EUR","text":"{}."}}"#,
        noise(n ^ 0x77) & 0xFFFF_FFFF_FFFF,
        noise(user ^ (n / 1_000) << 20) & 0xFFFF_FFFF,
        user % 4,
        noise(user) % 256,
        noise(user ^ (n / 1_000)) % 256,
        pick(&TOWNS, user),
        100 + user % 30,
        pick(&PAGES, n ^ 0xBBBB),
        noise(n ^ 0xCCCC) % 400,
        noise(n ^ 0xDDDD) % 10 * 10 + 5,
        text.join(" "),
    )
}

/// Writes an archive; returns the number of its events and its length.
fn write(path: &Path, shape: Shape) -> (u64, u64) {
    let mut archive = Archive::new(BufWriter::new(File::create(path).unwrap()));
    let (mut count, mut space) = (0, 0_u64);
    while archive.len() < shape.bytes {
        let event = |i: u64| {
            let n = space * shape.events + i;
            let user = noise(n ^ 0x5555) % shape.users;
            let kind = ["page", "page", "page", "click", "purchase"][(noise(n ^ 0xAAAA) % 5) as usize];
            Event {
                grouping: format!("host-{:04}", noise(n ^ 0x33) % shape.groupings).into_bytes(),
                timestamp: (1_400_000_000 + n / 20) as u32,
                keys: vec![format!("type:{kind}").into_bytes(), format!("user:{user}").into_bytes()],
                data: shape.data.text(n, kind, user).into_bytes(),
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

/// Writes the events of a new file as an old archive: again and again, each time later, until it would have so many bytes if nothing of that
/// packed better than once; in spaces of about 256 MB of data. Returns the number of its events and its length.
fn write_again(path: &Path, from: &Path, bytes: u64) -> (u64, u64) {
    let reader = Reader::open(from).unwrap();
    let per_second = reader.unit().per_second();
    let mut spaces: BTreeMap<Vec<u8>, Vec<Event>> = BTreeMap::new();
    for event in reader.scan() {
        let event = event.unwrap().into_owned().unwrap();
        let key = |(name, value): &(Vec<u8>, Vec<u8>)| [&name[..], b":", value].concat();
        spaces.entry(event.space).or_default().push(Event {
            grouping: event.grouping,
            timestamp: event.timestamp.div_euclid(per_second).clamp(0, i32::MAX.into()) as u32,
            keys: event.indexes.iter().map(key).collect(),
            data: event.data,
        });
    }
    let mut once = Archive::new(Vec::new());
    spaces.iter().for_each(|(id, events)| once.space(id, events));
    let times = bytes / once.len() + 1;
    let timestamps = || spaces.values().flatten().map(|event| event.timestamp);
    let span = (timestamps().max().unwrap() - timestamps().min().unwrap()).clamp(1, 30 * 86_400);

    let mut archive = Archive::new(BufWriter::new(File::create(path).unwrap()));
    let mut count = 0;
    for (id, events) in &spaces {
        let data: u64 = events.iter().map(|event| event.data.len() as u64 + 100).sum();
        let at_once = ((256 << 20) / data).clamp(1, times);
        for (part, first) in (0..times).step_by(at_once as usize).enumerate() {
            let later = |event: &Event, round: u64| {
                let timestamp = event.timestamp + (round * u64::from(span) % (1 << 30)) as u32;
                Event { timestamp, ..event.clone() }
            };
            let rounds = 0..at_once.min(times - first);
            let all: Vec<Event> =
                rounds.flat_map(|round| events.iter().map(move |event| later(event, round))).collect();
            let suffix = if part == 0 { String::new() } else { format!("-{part}") };
            archive.space(&[id, suffix.as_bytes()].concat(), &all);
            count += all.len() as u64;
        }
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
    let data = Data::Visits { noise: 0 };
    for (events, groupings, users) in [(150_000, 1, 10), (150_000, 20_000, 150_000), (50, 3, 10)] {
        let (count, _) = write(&path, Shape { bytes: 10 * MIB, events, groupings, users, data });
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
    for (events, groupings, data) in [
        (20_000, 50, Data::Shop),
        (20_000, 50, Data::Visits { noise: 0 }),
        (20_000, 50, Data::Visits { noise: 160 }),
        (5_000, 50, Data::Visits { noise: 600 }),
        (1_000_000, 5, Data::Visits { noise: 0 }),
    ] {
        let (count, len) = write(&path, Shape { bytes: 500 * MIB, events, groupings, users: 1_000, data });
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

/// Archives of about 250 MB, made of the files of a folder, such as those of the real data sets:
///
/// `python3 esdb-cli/tests/real_data/run.py --shared ../shared --work DIR --esdb target/release/esdb`
///
/// `ESDB_LEGACY_FROM=DIR cargo test --release -p esdb-legacy --test large made_of_others -- --ignored --nocapture`
#[test]
#[ignore = "needs files, and takes minutes"]
fn archives_made_of_others() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("old.esdb");
    let from = std::env::var_os("ESDB_LEGACY_FROM").expect("ESDB_LEGACY_FROM names a folder");
    let mut files: Vec<_> = std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "esdb"));
    files.sort();
    for file in files {
        let (count, len) = write_again(&path, &file, 250 * MIB);
        println!("{}, {} bytes an event in the old file:", file.file_stem().unwrap().display(), len / count);
        for codec in ["zstd", "lz4"] {
            let peak = convert(&path, 256 * MIB, codec, count);
            assert!(peak <= (256 + 64 + 256) * MIB, "{} MiB", peak / MIB);
        }
    }
}

/// Offsets in the old file need more than 32 bits.
///
/// `cargo test --release -p esdb-legacy --test large five_gigabytes -- --ignored --nocapture`
#[test]
#[ignore = "writes and converts an archive of 5 GB"]
fn five_gigabytes() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("old.esdb");
    let data = Data::Visits { noise: 600 };
    let (count, len) =
        write(&path, Shape { bytes: 4_800 * MIB, events: 5_000, groupings: 50, users: 1_000, data });
    assert!(len > u32::MAX.into());
    let peak = convert(&path, 256 * MIB, "lz4", count);
    assert!(peak <= (256 + 64 + 256) * MIB, "{} MiB", peak / MIB);
}
