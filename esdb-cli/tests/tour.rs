//! The tour of the README, command by command: each prints what the README says.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The commands of all `console` blocks, each with the lines that it must print.
fn commands(readme: &str) -> Vec<(String, String)> {
    let (mut commands, mut inside): (Vec<(String, String)>, _) = (Vec::new(), false);
    for line in readme.lines() {
        if line.starts_with("```") {
            inside = line == "```console";
        } else if inside {
            match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(command), _) => commands.push((command.to_owned(), String::new())),
                (None, Some((_, expected))) => {
                    expected.push_str(line);
                    expected.push('\n');
                }
                (None, None) => panic!("output before the first command: {line}"),
            }
        }
    }
    commands
}

#[test]
#[cfg(unix)]
fn the_tour_of_the_readme_is_true() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("fixtures")).unwrap();
    fs::copy(root.join("fixtures/sample.ndjson"), folder.path().join("fixtures/sample.ndjson")).unwrap();
    let esdb = Path::new(env!("CARGO_BIN_EXE_esdb")).parent().unwrap();
    let path =
        env::join_paths([esdb.to_owned()].into_iter().chain(env::split_paths(&env::var_os("PATH").unwrap())));
    let commands = commands(&fs::read_to_string(root.join("README.md")).unwrap());
    assert!(commands.len() >= 10, "{} commands", commands.len());
    for (command, expected) in commands {
        let output = Command::new("sh")
            .args(["-c", &command])
            .current_dir(folder.path())
            .env("PATH", path.as_ref().unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{command}: {said}");
        assert_eq!(said, expected, "{command}");
    }
}
