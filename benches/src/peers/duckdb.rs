//! DuckDB over Parquet with zstd, in a Python process that `duckdb.py` describes. It says itself how long it took.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{Answered, Build, Parquet, Peer, Session};
use crate::events::Events;
use crate::question::{Question, Visitor};

pub(crate) struct DuckDb {
    pub(crate) threads: usize,
}

const SCRIPT: &str = include_str!("../../duckdb.py");

impl DuckDb {
    /// Tells why it cannot take part.
    pub(crate) fn available() -> Result<()> {
        let status = Command::new(python())
            .args(["-c", "import duckdb"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("{} does not run; see benches/README.md", python().display()))?;
        match status.success() {
            true => Ok(()),
            false => bail!("{} has no module duckdb; see benches/README.md", python().display()),
        }
    }
}

fn python() -> PathBuf {
    std::env::var_os("ESDB_PYTHON").map_or_else(|| "target/venv/bin/python".into(), PathBuf::from)
}

impl Peer for DuckDb {
    fn name(&self) -> &'static str {
        if self.threads == 1 { "duckdb" } else { "duckdb-2" }
    }

    fn builds_from_memory(&self) -> bool {
        false
    }

    fn build(&self, events: &Events, how: Build, path: &Path) -> Result<bool> {
        if how.threads > 1 {
            return Ok(false);
        }
        let source = path.with_extension("source");
        Parquet::snappy().build(events, how, &source)?;
        Process::start(2)?.call(&json!({"do": "build", "source": source, "path": path}))?;
        std::fs::remove_file(source)?;
        Ok(true)
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Session>> {
        thread_local! {
            static PROCESSES: RefCell<Vec<(usize, std::rc::Rc<RefCell<Process>>)>> = const { RefCell::new(Vec::new()) };
        }
        let process = PROCESSES.with_borrow_mut(|processes| -> Result<_> {
            if let Some((_, process)) = processes.iter().find(|(threads, _)| *threads == self.threads) {
                return Ok(std::rc::Rc::clone(process));
            }
            let process = std::rc::Rc::new(RefCell::new(Process::start(self.threads)?));
            processes.push((self.threads, std::rc::Rc::clone(&process)));
            Ok(process)
        })?;
        Ok(Box::new(Open { process, path: path.to_owned() }))
    }
}

struct Open {
    process: std::rc::Rc<RefCell<Process>>,
    path: PathBuf,
}

impl Session for Open {
    fn ask(&mut self, question: &Question, visitor: &mut Visitor) -> Result<Answered> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let request = match question {
            Question::Grouping { space, grouping } => {
                json!({"do": "grouping", "space": text(space), "grouping": text(grouping)})
            }
            Question::Stretch { space, start, end } => {
                json!({"do": "stretch", "space": text(space), "start": start, "end": end})
            }
            Question::StretchOfAll { start, end } => json!({"do": "stretch", "start": start, "end": end}),
            Question::CountByDay { name, day } => json!({"do": "count", "name": text(name), "day": day}),
            _ => return Ok(Answered::No),
        };
        let mut request = request;
        request["path"] = json!(self.path);
        let answer = self.process.borrow_mut().call(&request)?;
        for row in answer["rows"].as_array().context("no rows")? {
            match &row[1] {
                Value::Null => visitor.event(row[0].as_str().context("no data")?.as_bytes()),
                start => visitor.count(
                    row[0].as_str().context("no value")?.as_bytes(),
                    start.as_i64().context("no time")?,
                    row[2].as_u64().context("no count")?,
                ),
            }
        }
        Ok(Answered::Within(Duration::from_secs_f64(answer["seconds"].as_f64().context("no time")?)))
    }
}

/// A Python process that answers one line of JSON with another.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(threads: usize) -> Result<Self> {
        let mut child = Command::new(python())
            .args(["-c", SCRIPT, &threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take().context("no output")?);
        Ok(Self { child, input, output: BufReader::new(output) })
    }

    fn call(&mut self, request: &Value) -> Result<Value> {
        let input = self.input.as_mut().context("the process has ended")?;
        writeln!(input, "{request}")?;
        input.flush()?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("DuckDB cannot answer {request}"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input is the end of the process.
        self.input = None;
        let _ = self.child.wait();
    }
}
