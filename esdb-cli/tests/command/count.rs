//! Counts by index value, space, grouping, hour, day and month.

use crate::esdb::Folder;

const LINES: &str = r#"
{"space":"1","grouping":"x","timestamp":"2026-01-31T23:59:59Z","index":{"type":"a"},"data":1}
{"space":"1","grouping":"y","timestamp":"2026-02-01T00:00:00Z","index":{"type":["a","b"]},"data":2}
{"space":"1","grouping":"x","timestamp":"2026-02-01T00:59:59Z","index":{"type":"b"},"data":3}
{"space":"2","grouping":"x","timestamp":"2026-02-28T12:00:00Z","data":4}
{"space":"2","grouping":"x","timestamp":"1969-12-31T23:59:59Z","index":{"type":"long value"},"data":5}
"#;

fn folder() -> Folder {
    let folder = Folder::new();
    folder.run_with("import -q --unit s -o a.esdb".split(' '), LINES.as_bytes()).ok();
    folder
}

#[test]
fn tables_are_aligned() {
    let folder = folder();
    let expected = "\
type        count
a               2
b               2
long value      1
";
    assert_eq!(folder.run("count a.esdb --by index type").ok().text(), expected);
    let expected = "\
space  month    count
1      2026-01      1
1      2026-02      2
2      1969-12      1
2      2026-02      1
";
    assert_eq!(folder.run("count a.esdb --by space month").ok().text(), expected);
    assert_eq!(folder.run("count a.esdb --by space --by month").ok().text(), expected);
}

#[test]
fn buckets_are_those_of_utc() {
    let folder = folder();
    let expected = "\
day         count
1969-12-31      1
2026-01-31      1
2026-02-01      2
2026-02-28      1
";
    assert_eq!(folder.run("count a.esdb --by day").ok().text(), expected);
    let expected = "\
hour                  count
2026-01-31T23:00:00Z      1
2026-02-01T00:00:00Z      2
";
    assert_eq!(folder.run("count a.esdb -s 1 --by hour").ok().text(), expected);
    // A printed bucket selects itself.
    assert_eq!(folder.run("count a.esdb -S 2026-02 -U 2026-03").ok().text(), "3\n");
    assert_eq!(folder.run("count a.esdb -S 2026-02-01T00:00:00Z -U 2026-02-02").ok().text(), "2\n");
}

#[test]
fn keys_come_in_the_order_asked_for() {
    let folder = folder();
    let expected = "\
day         type  count
2026-01-31  a         1
2026-02-01  a         1
2026-02-01  b         2
";
    assert_eq!(folder.run("count a.esdb -s 1 --by day index type").ok().text(), expected);
    let expected = "\
grouping  count
x             2
y             1
";
    assert_eq!(folder.run("count a.esdb -s 1 --by grouping").ok().text(), expected);
}

#[test]
fn json_is_a_line_for_each_key() {
    let folder = folder();
    let expected = r#"{"space":"1","month":"2026-01","index":{"type":"a"},"count":1}
{"space":"1","month":"2026-02","index":{"type":"a"},"count":1}
{"space":"1","month":"2026-02","index":{"type":"b"},"count":2}
{"space":"2","month":"1969-12","index":{"type":"long value"},"count":1}
"#;
    assert_eq!(folder.run("count a.esdb --json --by space index type month").code, 0);
    let run = folder.run("count a.esdb --json --by space month index type").ok();
    assert_eq!(run.text(), expected);
    assert_eq!(folder.run("count a.esdb --json").ok().text(), "{\"count\":5}\n");
}

#[test]
fn the_ends_of_time_are_counted_as_numbers() {
    let folder = Folder::new();
    let lines = "{\"space\":\"\",\"timestamp\":9223372036854775807,\"data\":1}\n\
                 {\"space\":\"\",\"timestamp\":-9223372036854775808,\"data\":1}\n";
    folder.run_with("import -q --unit s -o a.esdb".split(' '), lines.as_bytes()).ok();
    for by in ["hour", "day", "month"] {
        let run = folder.run(&format!("count a.esdb --json --by {by}")).ok();
        let first = format!("{{\"{by}\":-9223372036854775808,\"count\":1}}\n");
        assert!(run.text().starts_with(&first), "{}", run.text());
        assert_eq!(run.text().lines().count(), 2);
    }
}

#[test]
fn no_data_is_read() {
    let folder = Folder::new();
    let flags =
        "-q --codec none --space user --timestamp time --grouping session --index type=type -o a.esdb";
    folder.import("sample.ndjson", flags).ok();
    let mut bytes = folder.read("a.esdb");
    // Every payload begins with this text: without it no frame passes its check.
    let mark = b"{\"time\":\"2026-03-";
    let places: Vec<usize> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(mark)).collect();
    assert_eq!(folder.run("count a.esdb").ok().text(), format!("{}\n", places.len()));
    let questions = ["", "--by index type day", "-i type=page --by space", "-S 2026-03-05 --by hour"];
    let answers = || questions.map(|flags| folder.run(&format!("count a.esdb {flags}")).ok().stdout);
    let before = answers();
    places.iter().for_each(|&at| bytes[at..at + mark.len()].fill(b'#'));
    folder.write("a.esdb", &bytes);
    assert_eq!(answers(), before);
    assert_eq!(folder.run("scan a.esdb").code, 1);
}

#[test]
fn keys_that_can_not_be_meant_are_usage_errors() {
    let folder = folder();
    for (by, part) in [
        ("index", "\"index\" needs a NAME"),
        ("index --by day", "\"index\" needs a NAME"),
        ("year", "\"year\" is not index NAME, space, grouping, hour, day or month"),
        ("day hour", "one of hour, day, month"),
        ("space space", "each key once"),
    ] {
        folder.run(&format!("count a.esdb --by {by}")).refused_with(part);
    }
}
