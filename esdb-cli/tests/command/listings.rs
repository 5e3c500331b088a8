//! `spaces`, `groupings`, `indexes` and `info`.

use crate::esdb::Folder;

fn readme() -> Folder {
    let folder = Folder::new();
    folder.import("readme.ndjson", "-q --unit s --meta made=2014 -o a.esdb").ok();
    folder
}

#[test]
fn spaces_have_counts_and_times() {
    let folder = readme();
    let expected = "       count   groupings  first                 last                  space
           5           1  2014-06-23T14:48:39Z  2014-06-23T14:48:43Z  1
           3           1  2014-06-23T14:48:39Z  2014-06-23T14:48:41Z  2
           6           1  2014-06-23T14:48:39Z  2014-06-23T14:48:43Z  3
";
    assert_eq!(folder.run("spaces a.esdb").ok().text(), expected);
    let first = folder.run("spaces a.esdb --json").ok();
    let expected = r#"{"space":"1","count":5,"groupings":1,"first":"2014-06-23T14:48:39Z","last":"2014-06-23T14:48:43Z"}"#;
    assert_eq!(first.text().lines().next(), Some(expected));
}

#[test]
fn groupings_are_those_of_a_space() {
    let folder = Folder::new();
    let line = |grouping, time| {
        format!("{{\"space\":\"s\",\"grouping\":\"{grouping}\",\"timestamp\":{time},\"data\":0}}\n")
    };
    let lines = [line("b", 3), line("", 2), line("b", 1)].concat();
    folder.run_with("import -q -o a.esdb".split(' '), lines.as_bytes()).ok();
    let expected = r#"{"grouping":"","count":1,"first":"1970-01-01T00:00:00.002Z","last":"1970-01-01T00:00:00.002Z"}
{"grouping":"b","count":2,"first":"1970-01-01T00:00:00.001Z","last":"1970-01-01T00:00:00.003Z"}
"#;
    assert_eq!(folder.run("groupings a.esdb -s s --json").ok().text(), expected);
    assert_eq!(folder.run("groupings a.esdb -s none --json").ok().text(), "");
    folder.run("groupings a.esdb").refused_with("--space");
}

#[test]
fn indexes_are_names_or_values_of_a_space_or_of_all() {
    let folder = readme();
    let found = |line: &str| {
        let run = folder.run(&format!("indexes a.esdb --json {line}")).ok();
        let until_times = |line: &str| line.split(",\"first\"").next().expect("time").to_owned();
        run.text().lines().map(until_times).collect::<Vec<_>>()
    };
    assert_eq!(found(""), [r#"{"index":"type","count":14,"values":3"#]);
    assert_eq!(found("-s 2"), [r#"{"index":"type","count":3,"values":2"#]);
    assert_eq!(found("-s none"), [""; 0]);
    let values =
        [r#"{"value":"click","count":4"#, r#"{"value":"page","count":8"#, r#"{"value":"purchase","count":2"#];
    assert_eq!(found("type"), values);
    assert_eq!(found("type -s 2"), [r#"{"value":"click","count":1"#, r#"{"value":"page","count":2"#]);
    assert_eq!(found("none"), [""; 0]);
    let run = folder.run("indexes a.esdb type -s 1").ok();
    assert!(
        run.text().ends_with("           1  2014-06-23T14:48:43Z  2014-06-23T14:48:43Z  purchase\n"),
        "{}",
        run.text()
    );
}

#[test]
fn info_accounts_for_every_byte() {
    let folder = readme();
    let found: serde_json::Value =
        serde_json::from_slice(&folder.run("info a.esdb --json").ok().stdout).expect("JSON");
    let expected = [
        ("format", 1),
        ("events", 14),
        ("spaces", 3),
        ("groupings", 3),
        ("index_names", 1),
        ("index_values", 3),
        ("index_entries", 14),
        ("bytes", folder.read("a.esdb").len()),
    ];
    for (key, value) in expected {
        assert_eq!(found[key], value, "{key}");
    }
    let sections = found["sections"].as_object().expect("object").values();
    let sum: u64 = sections.map(|bytes| bytes.as_u64().expect("number")).sum();
    assert_eq!(found["bytes"], sum);
    assert_eq!(found["metadata"], serde_json::json!([{"key": "made", "value": "2014"}]));

    let run = folder.run("info a.esdb").ok();
    for line in [
        "format          1\n",
        "unit            s\n",
        "codec           zstd, level 3\n",
        "meta made       2014\n",
    ] {
        assert!(run.text().contains(line), "{line}{}", run.text());
    }
    let percent = |line: &str| line.split_whitespace().rev().nth(1)?.parse::<f64>().ok();
    let section_lines = run.text().split("\n\n").nth(1).expect("table").lines().skip(1);
    let sum: f64 = section_lines.filter_map(percent).sum();
    assert!((99.5..100.5).contains(&sum), "{sum}");
}
