//! The vectors of the spec, through the library: what is good is good at every level, what is bad is noticed by the rule that it
//! breaks, and no question to any of them goes on without end.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::path::{Path, PathBuf};

use esdb_format::{CountBy, Error, ErrorKind, Reader, Recovery, Scan, VerifyLevel, WriterOptions};

/// The vectors of a folder, with what is recorded about them.
fn vectors(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors").join(folder);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "esdb"));
    files.sort();
    assert!(!files.is_empty());
    let recorded = |path: &PathBuf| std::fs::read_to_string(path.with_extension("json")).unwrap();
    files.into_iter().map(|path| (recorded(&path), path)).map(|(text, path)| (path, text)).collect()
}

/// A text or a number of a flat JSON object that has one member to a line.
fn member<'a>(json: &'a str, key: &str) -> &'a str {
    let start =
        json.find(&format!("\"{key}\": ")).unwrap_or_else(|| panic!("{key} in {json}")) + key.len() + 4;
    json[start..].lines().next().unwrap().trim_end_matches(',').trim_matches('"')
}

/// How many events a scan gives before it ends or fails.
fn walk(scan: impl Iterator<Item = esdb_format::Result<esdb_format::StoredEvent>>) -> (usize, bool) {
    let mut whole = true;
    let read = |event: esdb_format::Result<esdb_format::StoredEvent>| {
        event.and_then(|event| event.into_owned()).is_ok()
    };
    let count = scan.take(100_000).map(read).inspect(|ok| whole &= ok).count();
    assert!(count < 100_000, "no end");
    (count, whole)
}

/// Forwards, backwards, in a range and counted: whether all of it could be answered.
fn is_whole(make: impl Fn() -> Scan) -> bool {
    walk(make()).1 & walk(make().rev()).1 & make().total().is_ok() & walk(make().range(1..1_000)).1
}

/// Asks for everything; whether all of it could be answered.
fn ask(file: &Reader) -> bool {
    let mut whole = is_whole(|| file.scan());
    for space in file.spaces().flatten().take(40) {
        whole &= is_whole(|| file.space(&space.key).unwrap());
        for grouping in file.groupings(&space.key).into_iter().flatten().flatten().take(5) {
            whole &= is_whole(|| file.space(&space.key).unwrap().grouping(&grouping.key));
        }
    }
    for name in file.index_names().flatten().take(10) {
        for value in file.index_values(&name.key).into_iter().flatten().flatten().take(10) {
            whole &= is_whole(|| file.scan().index(&name.key, &value.key));
        }
        let hundred = |time: i64| (time.div_euclid(100).saturating_mul(100).min(time), time);
        for by in [&[CountBy::Index(name.key.clone())][..], &[CountBy::Index(name.key), CountBy::Time]] {
            whole &= file.scan().count_by(by, &hundred).is_ok();
        }
    }
    whole & file.scan().count_by(&[CountBy::Space], &|time| (time, time)).is_ok()
}

#[test]
fn good_vectors_are_whole_at_every_level() {
    for (path, recorded) in vectors("good") {
        let file = Reader::open(&path).unwrap();
        for level in [VerifyLevel::Quick, VerifyLevel::Checksums, VerifyLevel::Deep] {
            let found = file.verify(level);
            assert!(found.is_ok(), "{}: {:?}", path.display(), found.problems);
            let len = std::fs::metadata(&path).unwrap().len();
            assert!(level == VerifyLevel::Quick || found.bytes_checked == len, "{}", path.display());
        }
        assert!(ask(&file), "{}", path.display());
        assert_eq!(walk(file.scan()), (member(&recorded, "events").parse().unwrap(), true));
    }
}

#[test]
fn bad_vectors_are_noticed_by_their_rule() {
    let folder = tempfile::tempdir().unwrap();
    for (path, recorded) in vectors("bad") {
        let (rule, level) = (member(&recorded, "reject"), member(&recorded, "level"));
        let noticed = match Reader::open(&path) {
            Err(error) => {
                assert_eq!(level, "open", "{}: {error}", path.display());
                vec![error]
            }
            Ok(file) => {
                assert_ne!(level, "open", "{}", path.display());
                ask(&file);
                let shallow = file.verify(VerifyLevel::Checksums);
                assert!(level == "deep" || !shallow.is_ok(), "{}", path.display());
                file.verify(VerifyLevel::Deep).problems
            }
        };
        let by_rule = |error: &Error| error.problem().is_some_and(|problem| problem.rule == rule);
        // A foreign file breaks no rule by name: it is said what it is not.
        let foreign = |error: &Error| {
            recorded.contains("\"message\"") && error.to_string().contains(member(&recorded, "message"))
        };
        assert!(
            noticed.iter().any(|error| by_rule(error) || foreign(error)),
            "{}: {noticed:?}",
            path.display()
        );
        // Whatever can be saved makes a whole file.
        let Ok(broken) = Recovery::open(&path) else { continue };
        let saved = folder.path().join(path.file_name().unwrap());
        let Ok(writer) = WriterOptions::new().unit(broken.unit()).create(&saved) else { unreachable!() };
        if broken.write(writer).is_ok() {
            assert!(Reader::open(&saved).unwrap().verify(VerifyLevel::Deep).is_ok(), "{}", path.display());
        }
    }
}

#[test]
fn newer_files_are_no_damage() {
    for (path, _) in vectors("unsupported") {
        assert_eq!(Reader::open(&path).err().unwrap().kind(), ErrorKind::Unsupported, "{}", path.display());
    }
}

#[test]
fn unfinished_files_lack_their_end() {
    for (path, recorded) in vectors("unfinished") {
        let error = Reader::open(&path).err().unwrap();
        assert!(error.to_string().contains(member(&recorded, "message")), "{}: {error}", path.display());
    }
}
