//! What is measured: building a file, and asking it.

use std::path::Path;
use std::time::Instant;

use esdb_format::{Codec, CountBy, EventBuf, Reader, Scan, WriterOptions};

use crate::workload::Workload;

/// A measured answer: the median over the rounds.
struct Answer {
    workload: Workload,
    codec: Codec,
    question: &'static str,
    seconds: f64,
    /// How many events, or bytes for sizes, one answer has.
    amount: u64,
}

/// Measures all questions and prints them.
pub(crate) fn run(workloads: &[Workload], scale: f64, rounds: usize, json: bool) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut answers = Vec::new();
    for &workload in workloads {
        let count = (workload.full_size() as f64 * scale) as u64;
        eprintln!("{}: making {count} events", workload.name());
        let events: Vec<EventBuf> = (0..count).map(|i| workload.event(i, count)).collect();
        for codec in [Codec::default(), Codec::Lz4] {
            eprintln!("{}, {}: measuring", workload.name(), codec.name());
            measure(workload, codec, &events, folder.path(), rounds, &mut answers)?;
        }
    }
    if json {
        print_json(&answers)
    } else {
        print_table(&answers)
    }
    Ok(())
}

fn measure(
    workload: Workload,
    codec: Codec,
    events: &[EventBuf],
    folder: &Path,
    rounds: usize,
    answers: &mut Vec<Answer>,
) -> anyhow::Result<()> {
    let path = folder.join(format!("{}-{}.esdb", workload.name(), codec.name()));
    let mut answer = |question, seconds, amount| {
        answers.push(Answer { workload, codec, question, seconds, amount });
    };
    for threads in [1, 2] {
        let mut build = || -> anyhow::Result<u64> {
            let options =
                WriterOptions::new().unit(workload.unit()).codec(codec).threads(threads).replace(true);
            // Everything in memory: what is measured is building, not spilling.
            let mut writer = options.memory(4 << 30).create(&path)?;
            for event in events {
                writer.add(event.as_event())?;
            }
            Ok(writer.finish()?.events)
        };
        let (seconds, amount) = median(rounds.min(3), &mut build)?;
        answer(if threads == 1 { "build, one thread" } else { "build, two threads" }, seconds, amount);
    }
    let file = Reader::open(&path)?;
    answer("file size, bytes", 0.0, file.file_len());

    let middle = &events[events.len() / 2];
    let (name, value) = middle.indexes[0].clone();
    let (rare_name, rare_value) = middle.indexes[middle.indexes.len() - 1].clone();
    let mut ask = |question, scan: &dyn Fn(&Reader) -> esdb_format::Result<Scan>| -> anyhow::Result<()> {
        let (seconds, amount) = median(rounds, &mut || Ok(visit(scan(&file)?)?))?;
        answer(question, seconds, amount);
        Ok(())
    };
    ask("full scan", &|file| Ok(file.scan()))?;
    ask("one grouping", &|file| Ok(file.space(&middle.space)?.grouping(&middle.grouping)))?;
    ask("one space", &|file| file.space(&middle.space))?;
    ask("index, first of the event", &|file| Ok(file.scan().index(&name, &value)))?;
    ask("index, last of the event", &|file| Ok(file.scan().index(&rare_name, &rare_value)))?;
    let (seconds, amount) = median(rounds, &mut || {
        let newest = Reader::open(&path)?.scan().index(&name, &value).next_back();
        Ok(newest.transpose()?.map_or(0, |_| 1))
    })?;
    answer("open, newest of an index", seconds, amount);
    let (seconds, amount) = median(rounds, &mut || {
        let scan = Reader::open(&path)?.scan().index(&name, &value);
        Ok(scan.rev().take(500).map(|event| event.map(|_| 1_u64)).sum::<esdb_format::Result<u64>>()?)
    })?;
    answer("open, 500 newest of an index", seconds, amount);
    let day = 86_400 * workload.unit().per_second();
    let stretch = |time: i64| (time.div_euclid(day) * day, time.div_euclid(day) * day + day - 1);
    let (seconds, amount) = median(rounds, &mut || {
        let counts = file.scan().count_by(&[CountBy::Index(name.clone()), CountBy::Time], &stretch)?;
        Ok(counts.values().sum())
    })?;
    answer("count by index value and day", seconds, amount);
    Ok(())
}

/// Goes through all events of a scan; returns how many there are.
fn visit(scan: Scan) -> esdb_format::Result<u64> {
    let (mut events, mut bytes) = (0, 0);
    let mut cursor = scan.cursor();
    while let Some(event) = cursor.next()? {
        events += 1;
        bytes += event.data().len();
    }
    std::hint::black_box(bytes);
    Ok(events)
}

/// The median time of `rounds` calls, after one that does not count, and what they return.
fn median(rounds: usize, call: &mut impl FnMut() -> anyhow::Result<u64>) -> anyhow::Result<(f64, u64)> {
    let amount = call()?;
    let mut seconds = Vec::new();
    for _ in 0..rounds.max(1) {
        let start = Instant::now();
        anyhow::ensure!(call()? == amount, "an answer changed from one call to the next");
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok((seconds[seconds.len() / 2], amount))
}

fn print_table(answers: &[Answer]) {
    println!(
        "{:<10} {:<6} {:<30} {:>12} {:>12} {:>12}",
        "workload", "codec", "question", "events", "time", "per event"
    );
    for Answer { workload, codec, question, seconds, amount } in answers {
        let each = seconds / (*amount).max(1) as f64;
        let (time, each) = match *seconds == 0.0 {
            true => (String::new(), String::new()),
            false => (duration(*seconds), duration(each)),
        };
        println!(
            "{:<10} {:<6} {question:<30} {amount:>12} {time:>12} {each:>12}",
            workload.name(),
            codec.name()
        );
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s if s >= 1e-6 => format!("{:.2} µs", s * 1e6),
        s => format!("{:.1} ns", s * 1e9),
    }
}

fn print_json(answers: &[Answer]) {
    let rows: Vec<_> = answers
        .iter()
        .map(|answer| {
            serde_json::json!({
                "workload": answer.workload.name(),
                "codec": answer.codec.name(),
                "question": answer.question,
                "seconds": answer.seconds,
                "amount": answer.amount,
            })
        })
        .collect();
    println!("{}", serde_json::Value::from(rows));
}
