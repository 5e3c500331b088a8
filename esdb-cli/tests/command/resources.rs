//! Cases R2 to R6: little of everything, odd names, and places where nothing may be written. It works, or a line says what is missing.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::Output;

use crate::esdb::Folder;
use crate::faults::{message, shell, with_input};

/// The import worked, or one line says why not and nothing is left.
fn assert_works_or_says(folder: &Folder, output: &Output, whole: &[u8], words: &str, what: &str) -> bool {
    let said = message(output);
    let worked = match output.status.code() {
        Some(0) => {
            assert!(said.is_empty() && folder.read("a.esdb") == whole, "{what}: {said}");
            true
        }
        Some(1) => {
            assert!(said.starts_with("esdb: ") && said.lines().count() == 1, "{what}: {said}");
            assert!(said.contains(words), "{what}: {said}");
            assert_eq!(folder.names(), ["in"], "{what}");
            false
        }
        code => panic!("{what}: {code:?}, {said}"),
    };
    let _ = fs::remove_file(folder.path("a.esdb"));
    worked
}

#[test]
fn a_limit_of_descriptors_is_an_error() {
    // More runs than descriptors.
    let (folder, whole) = with_input(150_000);
    let mut worked = 0;
    for limit in [4, 5, 6, 7, 8, 9, 10, 12, 64] {
        let script = format!("ulimit -n {limit}; exec \"$ESDB\" import -q --memory 8MiB -o a.esdb in");
        let output = shell(&folder, &script);
        worked += u32::from(assert_works_or_says(&folder, &output, &whole, "Too many open files", &script));
    }
    assert!((1..7).contains(&worked), "{worked} worked");
}

#[test]
fn a_merge_of_more_files_than_may_be_open_is_an_error() {
    let folder = Folder::new();
    let line = |n: u32| format!("{{\"space\":\"{n}\",\"timestamp\":{n},\"data\":{n}}}\n");
    let mut names = String::new();
    for n in 0..100 {
        folder.write("in", line(n));
        folder.run(&format!("import -q -o {n}.part in")).ok();
        names += &format!(" {n}.part");
    }
    folder.write("in", (0..100).map(line).collect::<String>());
    folder.run("import -q -o whole in").ok();
    for (limit, code) in [(16, 1), (1_000, 0)] {
        let output = shell(&folder, &format!("ulimit -n {limit}; exec \"$ESDB\" merge -q -o a.esdb {names}"));
        let said = message(&output);
        assert_eq!(output.status.code(), Some(code), "{said}");
        if code == 1 {
            assert!(said.ends_with(".part: cannot open: Too many open files (os error 24)\n"), "{said}");
            assert!(!folder.exists("a.esdb"));
        }
    }
    assert!(folder.read("a.esdb") == folder.read("whole"));
}

#[test]
fn a_small_stack_is_enough() {
    let (folder, whole) = with_input(20_000);
    folder.write("deep", format!("{{\"space\":\"s\",\"timestamp\":1,\"data\":{}}}", "[".repeat(100_000)));
    for script in [
        "import -q --force -o a.esdb in",
        "scan a.esdb",
        "scan -r a.esdb",
        "verify --deep a.esdb",
        "info a.esdb",
    ] {
        let output = shell(&folder, &format!("ulimit -s 256; exec \"$ESDB\" {script} >out"));
        assert!(output.status.success(), "{script}: {}", message(&output));
    }
    assert!(folder.read("a.esdb") == whole);
    let output = shell(&folder, "ulimit -s 256; exec \"$ESDB\" import -q -o b.esdb deep");
    assert_eq!(output.status.code(), Some(1), "{}", message(&output));
}

/// As somebody who may have so many processes and threads, and has none: root has no such limit.
#[test]
fn a_limit_of_threads_is_an_error() {
    let (folder, whole) = with_input(150_000);
    fs::set_permissions(folder.path(""), fs::Permissions::from_mode(0o777)).expect("chmod");
    fs::set_permissions(folder.path("in"), fs::Permissions::from_mode(0o644)).expect("chmod");
    let nobody = "setpriv --reuid=64321 --regid=64321 --clear-groups";
    if !shell(&folder, &format!("{nobody} \"$ESDB\" --version")).status.success() {
        println!("not tested: nobody else can be");
        return;
    }
    let mut worked = 0;
    for limit in [1, 2, 3, 5, 7, 12] {
        let import = format!(
            "{nobody} prlimit --nproc={limit} \"$ESDB\" import -q --memory 8MiB --threads 4 -o a.esdb in"
        );
        let output = shell(&folder, &import);
        let words = "Resource temporarily unavailable";
        worked += u32::from(assert_works_or_says(&folder, &output, &whole, words, &import));
    }
    assert!((1..5).contains(&worked), "{worked} worked");
}

#[test]
fn files_that_nobody_may_write_to_are_read() {
    let (folder, whole) = with_input(2_000);
    folder.write("a.esdb", &whole);
    let read = "chmod 0444 ro/a.esdb
        for verb in scan count 'verify --deep' info spaces; do \"$ESDB\" $verb ro/a.esdb >>out 2>message || exit 1; done
        \"$ESDB\" import -q -o ro/b.esdb in 2>message; echo $? >code; ls ro >names";
    let mounted = format!(
        "mount -t tmpfs none ro && cp a.esdb ro || exit 99; mount -o remount,ro ro || exit 99; {}",
        read.replace("chmod 0444 ro/a.esdb", "")
    );
    folder.write("script", mounted);
    let output = shell(&folder, "mkdir ro && unshare -rm sh script");
    match output.status.code() {
        Some(0) => {
            let code = String::from_utf8(folder.read("code")).expect("UTF-8");
            let said = String::from_utf8(folder.read("message")).expect("UTF-8");
            assert!(code == "1\n" && said.contains("Read-only file system"), "{code} {said}");
            assert_eq!(folder.read("names"), b"a.esdb\n");
        }
        Some(99) => println!("not tested: no file system can be mounted here"),
        _ if message(&output).contains("unshare") => println!("not tested: {}", message(&output)),
        code => panic!("{code:?}: {}", message(&output)),
    }
}

#[test]
fn no_environment_is_needed() {
    let (folder, whole) = with_input(70_000);
    let import = "import -q --memory 8MiB -o \"$DIR/a.esdb\" \"$DIR/in\" && \"$ESDB\" scan \"$DIR/a.esdb\" >\"$DIR/out\" && \"$ESDB\" verify --deep \"$DIR/a.esdb\" >\"$DIR/out\"";
    let at = "export DIR=\"$PWD\";";
    for script in [
        // Nothing but what the shell needs to find the command.
        format!("{at} env -i ESDB=\"$ESDB\" DIR=\"$DIR\" /bin/sh -c '\"$ESDB\" {import}'"),
        format!("{at} unset HOME TMPDIR; LC_ALL=C \"$ESDB\" {import}"),
        format!("{at} mkdir gone; cd gone; rmdir ../gone; \"$ESDB\" {import}"),
        format!("{at} HOME=/nonexistent LANG=xx_YY.bogus TZ=Nowhere/Else \"$ESDB\" {import}"),
    ] {
        let output = shell(&folder, &script);
        assert!(output.status.success() && message(&output).is_empty(), "{script}: {}", message(&output));
        assert!(folder.read("a.esdb") == whole, "{script}");
        fs::remove_file(folder.path("a.esdb")).expect("remove");
    }
    let script = format!("mount -t tmpfs none /proc || exit 99; \"$ESDB\" {import}");
    folder.write("script", script);
    let output = shell(&folder, &format!("{at} unshare -rm sh script"));
    if output.status.code() == Some(99) || message(&output).contains("unshare") {
        println!("not tested: /proc cannot be hidden here");
        return;
    }
    assert!(output.status.success(), "{}", message(&output));
    assert!(folder.read("a.esdb") == whole);
}

#[test]
fn long_and_odd_paths_work() {
    let (folder, whole) = with_input(100);
    let deep = "d".repeat(200) + "/";
    // With the temporary's ending a path of 4,095 bytes.
    let deep = deep.repeat(19);
    fs::create_dir_all(folder.path(&deep)).expect("folders");
    let odd = OsStr::from_bytes(b"\xff \x1b[31m\n.esdb");
    for name in [
        OsStr::new(&format!("{deep}a.esdb")),
        odd,
        OsStr::new("-x"),
        OsStr::new("--help"),
        OsStr::new("ä\u{202e}.esdb"),
    ] {
        let output = ["-o".as_ref(), name, "in".as_ref()];
        // A value may not look like a flag unless it is attached.
        let attached = [b"--output=", name.as_bytes()].concat();
        let words: &[&OsStr] = match name.as_bytes().starts_with(b"-") {
            true => &[OsStr::from_bytes(&attached), "in".as_ref()],
            false => &output,
        };
        let import = ["import".as_ref(), "-q".as_ref()];
        folder.run_words(import.into_iter().chain(words.iter().copied())).ok();
        assert!(fs::read(folder.path("").join(name)).expect("output") == whole);
        for verb in ["scan", "verify", "count", "info"] {
            folder.run_words([verb.as_ref(), "--".as_ref(), name]).ok();
        }
        // The message is one line without control characters, and the file stays.
        let again = folder.run_words(import.into_iter().chain(words.iter().copied()));
        assert!(again.code == 1 && again.stderr.lines().count() == 1, "{again:?}");
        assert!(again.stderr.trim_end().chars().all(|c| !c.is_control() && c != '\u{202e}'), "{again:?}");
        fs::remove_file(folder.path("").join(name)).expect("remove");
    }
    // The temporary's name is longer than the output's.
    let name = "n".repeat(250) + ".esdb";
    let run = folder.run(&format!("import -q -o {name} in"));
    assert!(run.code == 1 && run.stderr.ends_with("File name too long (os error 36)\n"), "{run:?}");
    let name = "n".repeat(220) + ".esdb";
    folder.run(&format!("import -q -o {name} in")).ok();
}

/// Case I6: a line of 1 GiB, in half of that.
#[test]
fn a_line_of_a_gibibyte_is_refused_in_little_memory() {
    let folder = Folder::new();
    let script = "ulimit -v 524288; head -c 1073741824 /dev/zero | tr '\\0' ' ' | \"$ESDB\" import -q --memory 8MiB -o a.esdb -";
    let output = shell(&folder, script);
    let limit = (2 * (64 << 20)) + (1 << 20);
    let expected =
        format!("<stdin>:1:1: the record has more than {limit} bytes, the limit for --max-event 67108864\n");
    assert_eq!((output.status.code(), message(&output)), (Some(1), expected));
    assert!(folder.names().is_empty());
}

/// Case I12: what comes through a pipe ends with a whole line or not at all.
#[test]
fn a_pipe_that_ends_within_a_line_is_an_error() {
    let folder = Folder::new();
    let line = r#"{"space":"s","timestamp":1,"data":1}"#;
    folder.write("whole", format!("{line}\n{line}"));
    folder.write("cut", format!("{line}\n{}", &line[..20]));
    assert!(shell(&folder, "mkfifo fifo").status.success());
    for input in ["fifo", "-"] {
        for (name, code, said) in [("whole", 0, ""), ("cut", 1, "2:20: invalid JSON: EOF while parsing")] {
            let feed = if input == "-" { format!("cat {name} | ") } else { format!("cat {name} >fifo & ") };
            let output = shell(&folder, &format!("{feed} \"$ESDB\" import -q --force -o a.esdb {input}"));
            assert_eq!(output.status.code(), Some(code), "{input}, {name}: {}", message(&output));
            assert!(message(&output).contains(said), "{}", message(&output));
        }
        assert_eq!(folder.run("count a.esdb").ok().text().trim(), "2");
    }
}

/// Case I12: a file that grows while it is read is read to where it ends then, in whole lines.
#[test]
fn an_input_that_grows_is_read_in_whole_lines() {
    let (folder, _) = with_input(20_000);
    let more = "{\"space\":\"s\",\"timestamp\":1,\"data\":1}\n".repeat(20_000);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::File::options().append(true).open(folder.path("in")).expect("open");
            for line in more.as_bytes().chunks(36 * 100) {
                std::io::Write::write_all(&mut file, line).expect("append");
            }
        });
        for _ in 0..5 {
            folder.run("import -q --force -o a.esdb in").ok();
            let count: u64 = folder.run("count a.esdb").ok().text().trim().parse().expect("a number");
            assert!((20_000..=40_000).contains(&count), "{count}");
        }
    });
    folder.run("import -q --force -o a.esdb in").ok();
    assert_eq!(folder.run("count a.esdb").ok().text().trim(), "40000");
}
