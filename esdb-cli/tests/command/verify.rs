//! What `verify` says of whole files and of damaged ones.

use std::fs;

use crate::esdb::{Folder, fixture};

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

/// A folder `archive` of `count` copies of `a.esdb`, in folders of ten.
fn archive(count: usize) -> Folder {
    let folder = readme();
    let bytes = folder.read("a.esdb");
    for number in 0..count {
        fs::create_dir_all(folder.path(&format!("archive/{:03}", number / 10))).expect("folder");
        folder.write(&name(number), &bytes);
    }
    folder
}

fn name(number: usize) -> String {
    format!("archive/{:03}/{number:04}.esdb", number / 10)
}

/// Verifies a folder of `count` files of which three are damaged and, where that has an effect, one may not be read.
fn damaged_files_of_a_folder_are_named(count: usize) {
    let folder = archive(count);
    let damaged = [3, count / 2, count - 1];
    damaged.into_iter().for_each(|number| damage(&folder, &name(number)));
    fs::write(folder.path("archive/000/a.esdb.tmp-1-0"), "unfinished").expect("write");
    fs::write(folder.path("archive/notes.txt"), "text").expect("write");
    let unreadable = folder.path(&name(7));
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        symlink(folder.path("archive"), folder.path("archive/000/round")).expect("link");
        symlink(folder.path("a.esdb"), folder.path("archive/000/link.esdb")).expect("link");
        fs::set_permissions(&unreadable, fs::Permissions::from_mode(0o000)).expect("mode");
    }
    let is_read = fs::File::open(unreadable).is_ok();
    let run = folder.run("verify archive");
    assert_eq!(run.code, 1);
    let expected_error = format!("esdb: {}: cannot open: ", name(7));
    assert!(is_read && run.stderr.is_empty() || run.stderr.starts_with(&expected_error), "{}", run.stderr);
    let said = |number: usize| {
        let name = format!("{}: ", name(number));
        run.text().lines().filter_map(move |line| line.strip_prefix(&name).map(str::to_owned))
    };
    for number in 0..count {
        let lines: Vec<String> = said(number).collect();
        if damaged.contains(&number) {
            assert!(lines[0].starts_with("corrupt payload frame at byte "), "{lines:?}");
        } else if number != 7 || is_read {
            assert_eq!(lines, ["ok"]);
        }
    }
    let names: Vec<&str> = run.text().lines().filter_map(|line| line.split(':').next()).collect();
    assert!(names.is_sorted());
    assert_eq!(names.len(), (0..count).map(|number| said(number).count()).sum::<usize>(), "other files");
}

#[test]
fn a_folder_is_verified_file_by_file() {
    damaged_files_of_a_folder_are_named(30);
}

/// `cargo test -p esdb-cli --test command -- --ignored a_folder_of_a_thousand`
#[test]
#[ignore = "the full count of case F14"]
fn a_folder_of_a_thousand_files_is_verified() {
    damaged_files_of_a_folder_are_named(1_000);
}

#[test]
fn each_of_five_damaged_places_is_named() {
    let folder = Folder::new();
    let lines: String = (0..20_000)
        .map(|n| {
            format!(
                "{{\"space\":\"s\",\"timestamp\":{n},\"index\":{{\"k\":\"{}\"}},\"data\":\"{n:064}\"}}\n",
                n * 7_919 % 8_191 % 9
            )
        })
        .collect();
    folder.run_with("import -q --codec none -o a.esdb".split(' '), lines.as_bytes()).ok();
    let mut bytes = folder.read("a.esdb");
    let len = bytes.len();
    // A frame, the columns of a block, a frame of another block, a page, the header.
    let data = |n: u32| format!("{n:064}").into_bytes();
    let place = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|window| window == what);
    let block = bytes.windows(8).enumerate().filter(|(_, window)| *window == b"\x89ESDBB\r\n").nth(2);
    let places = [
        place(&bytes, &data(100)).expect("data"),
        block.expect("block").0 + 70,
        place(&bytes, &data(19_000)).expect("data"),
        len - 1_500,
        30,
    ];
    places.iter().for_each(|&at| bytes[at] ^= 1);
    folder.write("a.esdb", &bytes);
    let run = folder.run("verify a.esdb --json");
    let found: serde_json::Value = serde_json::from_slice(&run.stdout).expect("JSON");
    let sections: Vec<&str> =
        found["problems"].as_array().expect("list").iter().filter_map(|p| p["section"].as_str()).collect();
    assert_eq!(sections.iter().filter(|section| **section == "payload frame").count(), 2, "{sections:?}");
    for section in ["header", "event block", "posting list", "file"] {
        assert!(sections.contains(&section), "{section} of {sections:?}");
    }
    assert_eq!(run.code, 1);
}

#[test]
fn a_cut_file_tells_that_its_end_is_missing() {
    let folder = readme();
    let bytes = folder.read("a.esdb");
    for len in (8..bytes.len()).step_by(149).chain([bytes.len() - 1]) {
        folder.write("cut.esdb", &bytes[..len]);
        let run = folder.run("verify cut.esdb");
        assert_eq!(run.code, 1, "cut to {len}");
        let expected = format!(
            "cut.esdb: the end of the file is missing: it was cut off, or never finished ({len} bytes are there"
        );
        assert!(run.text().starts_with(&expected), "{}", run.text());
        assert_eq!(folder.run("scan cut.esdb").code, 1);
    }
}

/// Case F16: by each way to copy a file that is here.
#[cfg(unix)]
#[test]
fn copies_are_whole() {
    let folder = readme();
    let mut names = vec!["a".to_owned()];
    for (name, tool, script) in [
        ("cp", "cp", "cp a.esdb cp.esdb"),
        ("sparse", "cp", "cp --sparse=always a.esdb sparse.esdb"),
        // Shares the bytes where the file system can.
        ("reflink", "cp", "cp --reflink=auto a.esdb reflink.esdb"),
        ("link", "ln", "ln a.esdb link.esdb"),
        ("tar/a", "tar", "mkdir tar && tar -cf - a.esdb | tar -xf - -C tar"),
        ("rsync", "rsync", "rsync --checksum a.esdb rsync.esdb"),
        // Parts of an old version stay in place.
        (
            "delta",
            "rsync",
            "(head -c 900 a.esdb; echo other) > delta.esdb && rsync --no-whole-file -I a.esdb delta.esdb",
        ),
        ("zip/a", "zip", "zip -q t.zip a.esdb && python3 -m zipfile -e t.zip zip"),
        ("gzip", "gzip", "gzip -c a.esdb | gzip -dc > gzip.esdb"),
    ] {
        let sh = |script: &str| {
            let done =
                std::process::Command::new("sh").args(["-c", script]).current_dir(folder.path("")).status();
            done.expect("sh").success()
        };
        if !sh(&format!("command -v {tool} >/dev/null")) {
            println!("not tested: {tool} is not here");
            continue;
        }
        assert!(sh(script), "{script}");
        assert!(folder.read(&format!("{name}.esdb")) == folder.read("a.esdb"), "{name}");
        names.push(name.to_owned());
    }
    let run = folder.run("verify --deep .").ok();
    names.sort();
    let mut lines: Vec<&str> = run.text().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, names.iter().map(|name| format!("./{name}.esdb: ok")).collect::<Vec<_>>());
}

#[test]
fn a_manifest_tells_other_files_apart() {
    let folder = archive(3);
    let lines = folder.run("verify --digest archive").ok();
    assert_eq!(lines.text().lines().count(), 3);
    // Names are relative to the folder of the manifest.
    folder.write("archive/MANIFEST", lines.text().replace("archive/", ""));
    let verify = "verify --manifest archive/MANIFEST";
    let ok = |number| format!("{}: ok\n", name(number));
    assert_eq!(folder.run(verify).ok().text(), [ok(0), ok(1), ok(2)].concat());

    // A file of the same size, whole in itself.
    let other = fs::read_to_string(fixture("readme.ndjson")).expect("fixture").replace("42.99", "42.98");
    let flags = "import -q --unit s --codec none --force -o other.esdb".split(' ');
    folder.run_with(flags, other.as_bytes()).ok();
    assert_eq!(folder.read("other.esdb").len(), folder.read("a.esdb").len());
    fs::rename(folder.path("other.esdb"), folder.path(&name(0))).expect("rename");
    assert_eq!(folder.run(&format!("verify {}", name(0))).ok().text(), ok(0));
    damage(&folder, &name(1));
    fs::remove_file(folder.path(&name(2))).expect("remove");
    let run = folder.run(verify);
    assert_eq!(run.code, 1);
    let lines: Vec<&str> = run.text().lines().collect();
    assert_eq!(lines[0], format!("{}: whole, but another file than the manifest states", name(0)));
    assert!(lines[1].starts_with(&format!("{}: corrupt payload frame at byte ", name(1))), "{}", lines[1]);
    assert!(run.stderr.starts_with(&format!("esdb: {}: cannot open: ", name(2))), "{}", run.stderr);
    let json = folder.run(&format!("{verify} --json"));
    let first: serde_json::Value =
        serde_json::from_str(json.text().lines().next().expect("line")).expect("JSON");
    assert_eq!((&first["ok"], &first["another_file"]), (&false.into(), &true.into()));

    folder.write("bad", "some text\n");
    folder
        .run("verify --manifest bad")
        .failed_with("esdb: bad: line 1: FILEDIGEST  CONTENTDIGEST  NAME expected, \"some text\" found");
    folder.run("verify").refused_with("required");
    folder.run("verify a.esdb --manifest bad").refused_with("cannot be used with");
}

#[test]
fn digests_of_damaged_files_are_not_printed() {
    let folder = readme();
    damage(&folder, "b.esdb");
    let run = folder.run("verify --digest a.esdb b.esdb");
    assert_eq!((run.code, run.text().lines().count()), (1, 1));
    assert!(run.text().ends_with("  a.esdb\n"), "{}", run.text());
    assert!(run.stderr.starts_with("b.esdb: corrupt payload frame at byte "), "{}", run.stderr);
}

/// Verifies a folder again and again while files are imported into it and merged.
fn verify_beside_writers(times: usize) {
    let folder = archive(2);
    let lines: String = (0..30_000)
        .map(|n| format!("{{\"space\":\"s\",\"timestamp\":{n},\"data\":\"{n:032}\"}}\n"))
        .collect();
    std::thread::scope(|scope| {
        let writers = scope.spawn(|| {
            for _ in 0..times {
                let import = "import -q --force -o archive/i.esdb".split(' ');
                folder.run_with(import, lines.as_bytes()).ok();
                folder.run("merge -q --force archive/000/0000.esdb a.esdb -o archive/m.esdb").ok();
            }
        });
        let mut rounds = 0;
        while !writers.is_finished() || rounds == 0 {
            let run = folder.run("verify --no-mmap archive").ok();
            assert!(run.text().lines().all(|line| line.ends_with(".esdb: ok")), "{}", run.text());
            rounds += 1;
        }
        writers.join().expect("writers");
    });
    assert_eq!(folder.run("verify archive").ok().text().lines().count(), 4);
}

#[test]
fn writers_raise_no_false_alarm() {
    verify_beside_writers(4);
}

/// `cargo test -p esdb-cli --test command -- --ignored many_writers`
#[test]
#[ignore = "takes a minute"]
fn many_writers_raise_no_false_alarm() {
    verify_beside_writers(200);
}
