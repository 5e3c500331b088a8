//! The end of a program by a signal: a test alone in its process, whose writers are all given up.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use esdb_format::{Event, Writer, WriterOptions, abandon_writers};

#[test]
fn abandoned_writers_leave_nothing_and_publish_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    let path = folder.path().join("file.esdb");
    let mut writer = Writer::create(&path).unwrap();
    writer.add(Event::new("s", 1, "data")).unwrap();
    assert_eq!(files(), 1);
    abandon_writers();
    assert_eq!(files(), 0);
    assert!(writer.finish().is_err());
    let refused = WriterOptions::new().create(&path).err().unwrap().to_string();
    assert!(refused.contains("were abandoned"), "{refused}");
    assert_eq!(files(), 0);
}
