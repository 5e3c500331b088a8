//! `fixtures/v*`: files as the command made them from the lines beside them. Each version's are read for ever; today's writer still
//! produces those of its own version, byte for byte.
//!
//! `spec/vectors/update.sh` writes them anew, with the vectors, as long as the version is not released.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

struct Fixture {
    path: PathBuf,
    recorded: Value,
}

/// Everything in `fixtures/v1` and so on, in order.
fn fixtures() -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let versions =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut found: Vec<Fixture> = versions
        .flat_map(|version| fs::read_dir(version).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let recorded = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            Fixture { path: path.with_extension("esdb"), recorded }
        })
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty());
    found
}

impl Fixture {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The flags of `import` that it was made with; `None` if it was made of another fixture.
    fn flags(&self) -> Option<&str> {
        self.recorded["import"].as_str()
    }

    /// The one it was made of, or itself.
    fn source(&self) -> Self {
        let Some(name) = self.recorded["from"].as_str() else {
            return Self { path: self.path.clone(), recorded: self.recorded.clone() };
        };
        let path = self.path.with_file_name(name).with_extension("json");
        Self { recorded: serde_json::from_slice(&fs::read(&path).unwrap()).unwrap(), path }
    }

    /// The lines beside it, as `scan` prints them.
    fn lines(&self) -> String {
        let plain = self.path.with_extension("ndjson");
        let mut lines = String::new();
        match fs::File::open(&plain) {
            Ok(mut file) => file.read_to_string(&mut lines).unwrap(),
            Err(_) => {
                let packed = fs::File::open(plain.with_extension("ndjson.zst")).unwrap();
                zstd::Decoder::new(packed).unwrap().read_to_string(&mut lines).unwrap()
            }
        };
        lines
    }
}

/// Runs a line of words with a file behind its first one.
fn esdb(line: &str, file: &Path) -> Output {
    let mut words = line.split_whitespace();
    let verb = words.next().unwrap();
    Command::new(env!("CARGO_BIN_EXE_esdb")).arg(verb).arg(file).args(words).output().unwrap()
}

#[track_caller]
fn ok(output: Output, what: &str) -> Vec<u8> {
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn fixtures_of_every_version_give_what_is_recorded() {
    for fixture in fixtures() {
        let (path, name) = (&fixture.path, fixture.name());
        let verify = esdb("verify --deep", path);
        if let Some(reason) = fixture.recorded["refused"].as_str() {
            let talk = String::from_utf8([verify.stdout, verify.stderr].concat()).unwrap();
            assert!(verify.status.code() == Some(1) && talk.contains(reason), "{name}: {talk}");
            continue;
        }
        let said = String::from_utf8(ok(verify, &name)).unwrap();
        assert!(said.contains(fixture.recorded["verify"].as_str().unwrap_or("ok")), "{said}");
        let source = fixture.source();
        assert!(
            ok(esdb("scan", path), &name) == source.lines().as_bytes(),
            "{name}: other events than recorded"
        );
        for (ask, answer) in source.recorded["answers"].as_object().unwrap() {
            let printed = ok(esdb(ask, path), &name);
            assert_eq!(blake3::hash(&printed).to_hex().as_str(), answer, "{name}: {ask}");
        }
        let info: Value = serde_json::from_slice(&ok(esdb("info --json", path), &name)).unwrap();
        for key in ["events", "content_digest"] {
            assert_eq!(info[key], source.recorded[key], "{name}");
        }
    }
}

/// Lines in file order, late lines that make a small memory spill, and a merge of two halves: all give the committed bytes.
#[test]
fn todays_writer_still_produces_the_fixtures() {
    let update = std::env::var_os("ESDB_UPDATE_VECTORS").is_some();
    let own = format!("v{}", esdb_format::VERSION);
    for fixture in fixtures() {
        let Some(flags) = fixture.flags().map(str::to_owned) else { continue };
        if !fixture.path.parent().unwrap().ends_with(&own) {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let import = |lines: &str, name: &str, more: &str| {
            fs::write(path("lines"), lines).unwrap();
            let line = format!("import -q {flags} {more} -o {} ", path(name).display());
            ok(esdb(&line, &path("lines")), &fixture.name());
            fs::read(path(name)).unwrap()
        };
        let lines = fixture.lines();
        let bytes = import(&lines, "in-order", "");
        if update {
            fixture.record(&bytes);
        }
        assert!(fs::read(&fixture.path).unwrap() == bytes, "{}: other bytes than committed", fixture.name());

        // Equal timestamps stay in one half: among them the order of arrival counts.
        let is_late = |line: &&str| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["timestamp"].as_i64().unwrap().count_ones().is_multiple_of(2)
        };
        let (late, early): (Vec<&str>, Vec<&str>) = lines.split_inclusive('\n').partition(is_late);
        let late_lines = import(&(early.concat() + &late.concat()), "late", "--memory 8MiB --threads 1");
        assert!(late_lines == bytes, "{}: late lines", fixture.name());
        import(&early.concat(), "half", "");
        import(&late.concat(), "other-half", "");
        let merge = format!("merge -q -o {} {}", path("merged").display(), path("half").display());
        let level = flags.find("--level").map_or("", |at| &flags[at..]);
        ok(esdb(&format!("{merge} {level}"), &path("other-half")), &fixture.name());
        assert!(fs::read(path("merged")).unwrap() == bytes, "{}: merged", fixture.name());
    }
}

impl Fixture {
    /// Writes the file, and what is true of it.
    fn record(&self, bytes: &[u8]) {
        let mut recorded = self.recorded.clone();
        fs::write(&self.path, bytes).unwrap();
        let info: Value = serde_json::from_slice(&ok(esdb("info --json", &self.path), &self.name())).unwrap();
        for key in ["events", "content_digest"] {
            recorded[key] = info[key].clone();
        }
        for (ask, answer) in recorded["answers"].as_object_mut().unwrap() {
            let printed = ok(esdb(ask, &self.path), ask);
            *answer = blake3::hash(&printed).to_hex().as_str().into();
        }
        fs::write(self.path.with_extension("json"), format!("{recorded:#}\n")).unwrap();
    }
}
