//! Files that change while a scan reads them: a message and exit code 1 behind a true beginning, or the true answer.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::OnceLock;

use crate::esdb::Folder;
use crate::pipes::many;

const TRUNCATED: &str = "esdb: a file was truncated, or failed, while it was read; --no-mmap tells where\n";

/// Forwards, backwards, and both by plain reads.
const HOW: [&str; 4] = ["", "-r", "--no-mmap", "-r --no-mmap"];

/// So many lines are read first: by then the file is mapped, and the scan is held up by a full pipe.
const LINES: usize = 10_000;

struct Ended {
    code: i32,
    message: String,
    is_whole: bool,
}

/// A file, and what scans of it print.
struct Sample {
    file: Vec<u8>,
    forwards: Vec<u8>,
    backwards: Vec<u8>,
}

fn sample() -> &'static Sample {
    static SAMPLE: OnceLock<Sample> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let folder = many();
        let print = |line| folder.run(line).ok().stdout;
        let (forwards, backwards) = (print("scan a.esdb"), print("scan a.esdb -r"));
        Sample { file: folder.read("a.esdb"), forwards, backwards }
    })
}

/// Lets a scan print `lines` lines, changes its file and lets it go on.
fn scan_while(flags: &str, lines: usize, change: impl Fn(&Path)) -> Ended {
    let sample = sample();
    let truth = if flags.contains("-r") { &sample.backwards } else { &sample.forwards };
    let folder = Folder::new();
    folder.write("a.esdb", &sample.file);
    let words = ["scan", "a.esdb"].into_iter().chain(flags.split_whitespace());
    let mut child = folder.command(words).spawn().expect("start");
    let mut stdout = BufReader::new(child.stdout.take().expect("stdout"));
    let mut given = Vec::new();
    for _ in 0..lines {
        stdout.read_until(b'\n', &mut given).expect("read");
    }
    change(&folder.path("a.esdb"));
    stdout.read_to_end(&mut given).expect("read");
    let output = child.wait_with_output().expect("end");
    let code = output.status.code().expect("no signal");
    let message = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(truth.starts_with(&given), "{flags}: a wrong answer, {message}");
    let is_whole = given.len() == truth.len();
    match code {
        0 => assert!(is_whole && message.is_empty(), "{flags}: {} bytes, {message}", given.len()),
        _ => assert!(code == 1 && message.starts_with("esdb: ") && message.lines().count() == 1, "{message}"),
    }
    Ended { code, message, is_whole }
}

fn cut(path: &Path, len: u64) {
    OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(len)).expect("truncate");
}

fn overwrite(path: &Path, offset: u64, len: usize) {
    let mut file = OpenOptions::new().write(true).open(path).expect("open");
    file.seek(SeekFrom::Start(offset)).expect("seek");
    file.write_all(&vec![0xA5; len]).expect("write");
}

fn len_of(path: &Path) -> u64 {
    path.metadata().expect("metadata").len()
}

/// The lengths a file of `len` bytes is cut to.
fn lengths(len: u64) -> [u64; 5] {
    [0, 100, 8192, len / 2, len - 1]
}

fn cut_at(which: usize, lines: usize) {
    for flags in HOW {
        let ended = scan_while(flags, lines, |path| cut(path, lengths(len_of(path))[which]));
        if which < 3 && lines == LINES {
            assert_eq!(ended.code, 1, "{flags}: {}", ended.message);
            match flags.contains("--no-mmap") {
                true => assert!(ended.message.starts_with("esdb: a.esdb: cannot read "), "{}", ended.message),
                false => assert_eq!(ended.message, TRUNCATED),
            }
        }
    }
}

fn overwritten(which: usize, lines: usize) {
    for flags in HOW {
        let ended = scan_while(flags, lines, |path| {
            let len = len_of(path);
            match which {
                0 => overwrite(path, len / 2, 5),
                1 => overwrite(path, len / 2 - (32 << 10), 64 << 10),
                _ => overwrite(path, 0, len as usize),
            }
        });
        if which == 2 && lines == LINES {
            assert!(ended.code == 1 && ended.message.contains("corrupt"), "{flags}: {}", ended.message);
        }
    }
}

type Change = fn(&Path);

/// What does not touch the bytes of the file that is open.
const HARMLESS: [Change; 4] = [
    |path| {
        fs::write(path.with_extension("other"), "another file").expect("write");
        fs::rename(path.with_extension("other"), path).expect("rename");
    },
    |path| fs::remove_file(path).expect("remove"),
    |path| {
        File::options()
            .append(true)
            .open(path)
            .and_then(|mut file| file.write_all(&[7; 9_000]))
            .expect("append")
    },
    |path| fs::set_permissions(path, fs::Permissions::from_mode(0o000)).expect("chmod"),
];

#[test]
fn a_file_that_is_cut_under_a_scan_ends_it_with_a_line() {
    (0..5).for_each(|which| cut_at(which, LINES));
}

#[test]
fn a_file_that_is_overwritten_under_a_scan_gives_no_wrong_answer() {
    (0..3).for_each(|which| overwritten(which, LINES));
}

#[test]
fn an_open_file_answers_whatever_becomes_of_its_name() {
    for change in HARMLESS {
        for flags in HOW {
            let ended = scan_while(flags, LINES, change);
            assert!(ended.code == 0 && ended.is_whole, "{flags}: {}", ended.message);
        }
    }
}

/// `cargo test -p esdb-cli --test command changes_at_any_moment -- --ignored`
#[test]
#[ignore = "100 rounds of every change, at other moments"]
fn changes_at_any_moment_give_no_wrong_answer() {
    for round in 0..100 {
        let lines = round * 7_919 % 45_000;
        (0..5).for_each(|which| cut_at(which, lines));
        (0..3).for_each(|which| overwritten(which, lines));
    }
}

#[test]
fn other_verbs_end_with_a_line_too() {
    let folder = Folder::new();
    folder.write(
        "in",
        (0..30_000).fold(String::new(), |mut lines, n| {
            lines += &format!("{{\"space\":\"{n}\",\"timestamp\":{n},\"data\":\"{n:064}\"}}\n");
            lines
        }),
    );
    folder.run("import -q --codec none -o a.esdb in").ok();
    cut(&folder.path("a.esdb"), 100_000);
    for line in ["scan a.esdb", "verify a.esdb", "count a.esdb", "info a.esdb --no-mmap"] {
        let run = folder.run(line);
        assert_eq!(run.code, 1, "{line}");
        let said = run.stderr.clone() + run.text();
        assert!(said.contains("the end of the file is missing"), "{line}: {said}");
    }
}

/// Case C4: 200 scans while the file is written anew 50 times.
#[test]
fn each_reader_sees_one_version() {
    let folder = Folder::new();
    let lines = |version: u32| {
        let line = |n: u32| format!("{{\"space\":\"s\",\"timestamp\":{n},\"data\":{version}}}\n");
        (0..2_000 + version).map(line).collect::<String>()
    };
    let truth = [lines(0), lines(1)].map(|lines| {
        folder.write("in", lines);
        folder.run("import -q --force -o a.esdb in").ok();
        folder.run("scan a.esdb").ok().stdout
    });
    folder.write("0", lines(0));
    folder.write("1", lines(1));
    let replaced = std::sync::atomic::AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let readers = [0, 1, 2, 3].map(|reader: usize| {
            let (folder, truth, replaced) = (&folder, &truth, &replaced);
            scope.spawn(move || {
                let mut seen = [0; 2];
                // Until both are done.
                for round in 0.. {
                    if round >= 50 && replaced.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    let how = ["scan a.esdb", "scan a.esdb --no-mmap"][(reader + round) % 2];
                    let given = folder.run(how).ok().stdout;
                    let version = truth.iter().position(|truth| *truth == given).expect("a mixture");
                    seen[version] += 1;
                }
                seen
            })
        });
        for round in 0..50 {
            folder.run(&format!("import -q --force -o a.esdb {}", round % 2)).ok();
        }
        replaced.store(true, std::sync::atomic::Ordering::Relaxed);
        readers.map(|reader| reader.join().expect("a reader"))
    });
    let both = seen.iter().fold([0, 0], |sum, seen| [sum[0] + seen[0], sum[1] + seen[1]]);
    assert!(both[0] > 0 && both[1] > 0 && both[0] + both[1] >= 200, "{both:?}");
    folder.run("verify --deep a.esdb").ok();
}
