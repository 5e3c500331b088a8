//! What `verify` says of whole files and of damaged ones.

use crate::esdb::Folder;

fn readme() -> Folder {
    let folder = Folder::new();
    folder.import("readme.ndjson", "-q --unit s --codec none -o a.esdb").ok();
    folder
}

/// Copies the file with one bit flipped in the data of an event.
fn damage(folder: &Folder, name: &str) {
    let mut bytes = folder.read("a.esdb");
    let place = bytes.windows(5).position(|window| window == b"42.99").expect("data");
    bytes[place] ^= 1;
    folder.write(name, bytes);
}

#[test]
fn whole_files_are_ok_at_every_level() {
    let folder = readme();
    for flag in ["", "--quick", "--deep", "--no-mmap"] {
        assert_eq!(folder.run(&format!("verify a.esdb {flag}")).ok().text(), "a.esdb: ok\n");
    }
    folder.run("verify a.esdb --quick --deep").refused_with("cannot be used with");
}

#[test]
fn a_flipped_bit_is_named_with_its_place() {
    let folder = readme();
    damage(&folder, "b.esdb");
    let run = folder.run("verify a.esdb b.esdb");
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    let lines: Vec<&str> = run.text().lines().collect();
    assert_eq!(lines[0], "a.esdb: ok");
    assert!(lines[1].starts_with("b.esdb: corrupt payload frame at byte "), "{}", lines[1]);
    assert!(lines[1..].iter().all(|line| line.starts_with("b.esdb: corrupt ")), "{lines:?}");
}

#[test]
fn json_names_section_offset_and_rule() {
    let folder = readme();
    damage(&folder, "b.esdb");
    let run = folder.run("verify --json a.esdb b.esdb");
    assert_eq!(run.code, 1);
    let lines: Vec<serde_json::Value> =
        run.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&lines[0]["file"], &lines[0]["ok"]), (&"a.esdb".into(), &true.into()));
    assert_eq!(lines[0]["bytes_checked"], folder.read("a.esdb").len());
    assert_eq!(lines[1]["ok"], false);
    let problem = &lines[1]["problems"][0];
    assert_eq!(problem["section"], "payload frame");
    assert!(problem["offset"].is_u64() && problem["rule"].is_string() && problem["reason"].is_string());
}

#[test]
fn files_that_can_not_be_opened_do_not_end_the_others() {
    let folder = readme();
    let bytes = folder.read("a.esdb");
    folder.write("cut.esdb", &bytes[..bytes.len() - 1]);
    folder.write("text", "no events");
    let run = folder.run("verify none cut.esdb text a.esdb");
    assert_eq!(run.code, 1);
    assert!(run.stderr.starts_with("esdb: none: cannot open: "), "{}", run.stderr);
    let lines: Vec<&str> = run.text().lines().collect();
    assert!(lines[0].starts_with("cut.esdb: the end of the file is missing"), "{}", lines[0]);
    assert_eq!(lines[1..], ["text: not an esdb file", "a.esdb: ok"]);
}
