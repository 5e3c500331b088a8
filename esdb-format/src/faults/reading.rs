//! Every call of the reader, once and from then on: the true answer, or an error behind a true beginning.

use std::path::Path;

use super::disk::{Disk, Fault, Plan};
use super::{CASES, FAULTS, TARGET, open};
use crate::error::{ErrorKind, Result};
use crate::reader::Reader;
use crate::scan::StoredEvent;
use crate::verify::VerifyLevel;

/// What a question gave, and how it ended.
type Answer = (Vec<String>, Result<()>);

type Question = (&'static str, fn(&Reader) -> Answer);

const QUESTIONS: [Question; 7] = [
    ("scan", |file| told(file.scan())),
    ("scan backwards", |file| told(file.scan().rev())),
    ("index", |file| told(file.scan().index("type", "3"))),
    ("space", |file| match file.space(b"s\x01") {
        Ok(scan) => told(scan.range(100..900).rev()),
        Err(error) => (Vec::new(), Err(error)),
    }),
    ("spaces", |file| collected(file.spaces())),
    ("values", |file| match file.index_values("type") {
        Ok(values) => collected(values),
        Err(error) => (Vec::new(), Err(error)),
    }),
    ("verify", |file| {
        let found = file.verify(VerifyLevel::Deep);
        (Vec::new(), found.problems.into_iter().next().map_or(Ok(()), Err))
    }),
];

fn told(events: impl Iterator<Item = Result<StoredEvent>>) -> Answer {
    collected(events.map(|event| event.and_then(|event| event.into_owned())))
}

fn collected<T: std::fmt::Debug>(items: impl Iterator<Item = Result<T>>) -> Answer {
    let mut given = Vec::new();
    for item in items {
        match item {
            Ok(item) => given.push(format!("{item:?}")),
            Err(error) => return (given, Err(error)),
        }
    }
    (given, Ok(()))
}

fn ask(disk: &Disk, question: &Question) -> Answer {
    match open(disk, Path::new(TARGET)) {
        Ok(file) => question.1(&file),
        Err(error) => (Vec::new(), Err(error)),
    }
}

fn visit(bytes: &[u8], question: &Question, truth: &[String], plan: Plan) -> bool {
    let what = || format!("{}: {plan:?}", question.0);
    let disk = Disk::default();
    disk.put(Path::new(TARGET), bytes);
    disk.plan(Some(plan));
    let (given, end) = ask(&disk, question);
    assert!(truth.starts_with(&given), "{}: a wrong answer", what());
    match end {
        Ok(()) => assert_eq!(given.len(), truth.len(), "{}: a short answer", what()),
        Err(error) => {
            assert!(matches!(plan.fault, Fault::Fails(_)), "{}: {error}", what());
            assert_eq!(error.kind(), ErrorKind::Io, "{}: {error}", what());
            assert!(!disk.fired().is_empty(), "{}: {error}", what());
            return true;
        }
    }
    let fails = matches!(plan.fault, Fault::Fails(_));
    assert!(!fails || disk.fired().is_empty(), "{}: nobody heard of it", what());
    !disk.fired().is_empty()
}

fn sweep(step: usize) -> usize {
    let (mut visited, mut point) = (0, 0);
    for case in [&CASES[0], &CASES[3]] {
        let (bytes, _) = case.whole();
        for question in &QUESTIONS {
            let disk = Disk::default();
            disk.put(Path::new(TARGET), &bytes);
            let (truth, end) = ask(&disk, question);
            end.expect(question.0);
            let (calls, before) = (disk.calls().len(), visited);
            for at in 0..calls {
                for fault in FAULTS {
                    for from_then_on in [false, true] {
                        point += 1;
                        if point % step == 0 {
                            let plan = Plan { at, fault, from_then_on };
                            visited += usize::from(visit(&bytes, question, &truth, plan));
                        }
                    }
                }
            }
            println!("{}, {}: {calls} calls, {} points", case.name, question.0, visited - before);
        }
    }
    visited
}

#[test]
fn failing_reads_give_no_wrong_answer() {
    let visited = sweep(17);
    assert!(visited > 50, "{visited} points");
}

/// `cargo test -p esdb-format --lib every_read_that_fails -- --ignored --nocapture`
#[test]
#[ignore = "all points of the sweep"]
fn every_read_that_fails_gives_no_wrong_answer() {
    println!("{} points", sweep(1));
}
