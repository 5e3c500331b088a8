//! H1, H24: thousands of mutants, each asked for everything.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use esdb_format::{Reader, ReaderOptions, VerifyLevel};

use crate::MEMORY;
use crate::mutate::choices;
use crate::reseal::reseal;
use crate::samples::{Promise, Sample, ask_the_rest};

/// The most memory beyond the file, in bytes: 64 MiB, and the data and the keys of one block.
const MOST_MEMORY: usize = (64 + 1 + 4) << 20;

/// Memory is counted for the whole process: tests that look at it run one after the other.
static ALONE: Mutex<()> = Mutex::new(());

pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What `verify` said about a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Refused,
    Damaged,
    Whole,
}

/// Opens, verifies and asks for everything.
///
/// `is_sealed`: checksums are right although the content is not. Then only what `verify` approves of must be true.
pub(crate) fn examine(sample: &Sample, bytes: &[u8], is_sealed: bool) -> Result<Verdict, String> {
    let Ok(reader) = Reader::from_bytes(bytes.to_vec()) else { return Ok(Verdict::Refused) };
    reader.verify(VerifyLevel::Quick);
    let is_whole = reader.verify(VerifyLevel::Checksums).is_ok();
    let is_true = reader.verify(VerifyLevel::Deep).is_ok();
    if is_true && !is_whole {
        return Err("a deep verification found less than a shallow one".to_owned());
    }
    if !is_sealed && is_whole && bytes != sample.original.bytes {
        return Err("verify found nothing".to_owned());
    }
    let original = &sample.original;
    // The layout decides how blocks are read.
    let events_end = original.events_end;
    let is_untouched = bytes.get(..events_end) == original.bytes.get(..events_end);
    for (i, question) in sample.questions.iter().enumerate() {
        question.ask(
            &reader,
            match (is_true, is_sealed) {
                (true, _) => Promise::True,
                (false, false) => Promise::TruePrefix,
                (false, true) if i == 0 && is_untouched => Promise::TrueEvents,
                (false, true) => Promise::Ends,
            },
        )?;
    }
    ask_the_rest(&reader);
    let unchecked = ReaderOptions::new().checks(false).open_source(Box::new(bytes.to_vec()));
    if let Ok(reader) = unchecked {
        for question in &sample.questions {
            question.ask(&reader, Promise::Ends)?;
        }
        ask_the_rest(&reader);
    }
    Ok(if is_true { Verdict::Whole } else { Verdict::Damaged })
}

/// Examines within the limits of time and memory; `what` says which mutant it is.
pub(crate) fn examine_bounded(
    sample: &Sample,
    bytes: &[u8],
    is_sealed: bool,
    most: Duration,
    what: &str,
) -> Verdict {
    let what = format!("{}, {what}", sample.name);
    let (before, start) = (MEMORY.current_usage(), Instant::now());
    MEMORY.reset_peak_usage();
    let examined = catch_unwind(AssertUnwindSafe(|| examine(sample, bytes, is_sealed)));
    let (memory, time) = (MEMORY.peak_usage().saturating_sub(before), start.elapsed());
    assert!(memory <= MOST_MEMORY + bytes.len(), "{what}: {memory} bytes of memory");
    assert!(time <= most, "{what}: {time:?}, {most:?} allowed");
    match examined {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(why)) => panic!("{what}: {why}"),
        Err(_) => panic!("{what}: panicked"),
    }
}

/// 20 times what the whole file takes, and 2 s.
pub(crate) fn most_time(sample: &Sample) -> Duration {
    let start = Instant::now();
    assert_eq!(examine(sample, &sample.original.bytes, true), Ok(Verdict::Whole));
    start.elapsed() * 20 + Duration::from_secs(2)
}

/// Examines `count` mutants of each sample, and says how many came to which verdict.
fn examine_mutants(count: u64, first_seed: u64) {
    let _alone = alone();
    for sample in Sample::all() {
        let (most, start, mut verdicts) = (most_time(&sample), Instant::now(), [0; 3]);
        for seed in first_seed..first_seed + count {
            let mut choose = choices(seed);
            let (mut bytes, what) = sample.original.mutate(&mut choose);
            let is_sealed = !seed.is_multiple_of(8);
            if is_sealed {
                reseal(&mut bytes);
            }
            let verdict = examine_bounded(&sample, &bytes, is_sealed, most, &format!("seed {seed}: {what}"));
            verdicts[verdict as usize] += 1;
        }
        let [refused, damaged, whole] = verdicts;
        println!(
            "{}: {count} mutants in {:.1?}: {refused} not opened, {damaged} damaged, {whole} whole",
            sample.name,
            start.elapsed()
        );
        assert!(damaged > refused, "{}: most mutants must get past the footer", sample.name);
    }
}

#[test]
fn h24_mutants_are_refused_in_bounded_time_and_memory() {
    examine_mutants(300, 1);
}

/// `cargo test -p esdb-format --test hostile -- --ignored h24 --nocapture`; `ESDB_SEED` takes other mutants.
#[test]
#[ignore = "100,000 mutants take some minutes"]
fn h24_a_hundred_thousand_mutants() {
    let seed = std::env::var("ESDB_SEED").ok().and_then(|seed| seed.parse().ok());
    examine_mutants(34_000, seed.unwrap_or(1 << 20));
}

#[test]
fn reseal_leaves_whole_files_as_they_are() {
    for sample in Sample::all() {
        let mut bytes = sample.original.bytes.clone();
        reseal(&mut bytes);
        assert!(bytes == sample.original.bytes, "{}", sample.name);
    }
}

#[test]
fn reseal_hides_every_kind_of_damage_from_the_checksums() {
    for sample in Sample::all() {
        let original = &sample.original.bytes;
        for at in (100..original.len() - crate::layout::FOOTER).step_by(97) {
            let mut bytes = original.clone();
            bytes[at] ^= 1;
            reseal(&mut bytes);
            let Ok(reader) = Reader::from_bytes(bytes) else { continue };
            let problems = reader.verify(VerifyLevel::Deep).problems;
            let sums: Vec<_> = problems
                .iter()
                .map(ToString::to_string)
                .filter(|text| text.contains("checksum is") && !text.ends_with("[D2]"))
                .collect();
            // Lengths in heads may lead elsewhere. D2: the other dictionary differs.
            assert!(sums.len() <= 1, "{}, byte {at}: {sums:?}", sample.name);
        }
    }
}
