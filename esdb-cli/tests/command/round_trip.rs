//! `scan | import --like` gives the same file, to the last byte.

use crate::esdb::Folder;

#[track_caller]
fn holds(folder: &Folder, file: &str) {
    let lines = folder.run(&format!("scan {file}")).ok().stdout;
    folder.run_with(["import", "-q", "--like", file, "-o", "copy.esdb", "-"], &lines).ok();
    assert!(folder.read("copy.esdb") == folder.read(file), "{file}");
    std::fs::remove_file(folder.path("copy.esdb")).expect("remove");
}

#[test]
fn for_every_codec_and_unit() {
    let folder = Folder::new();
    let codecs = ["none", "snappy", "lz4", "zstd", "zstd --level 9", "zstd --level -7"];
    for (codec, unit) in codecs.into_iter().zip(["s", "ms", "us", "ns", "s", "ms"]) {
        let flags =
            format!("-q --force --codec {codec} --unit {unit} --frame-size 1KiB --meta a=1 -o a.esdb");
        folder.import("readme.ndjson", &flags).ok();
        holds(&folder, "a.esdb");
    }
}

#[test]
fn for_foreign_input_that_is_unsorted() {
    let folder = Folder::new();
    let flags = "-q --space user --timestamp time --index type=type --index product=product -o shop.esdb";
    folder.import("sample.ndjson", flags).ok();
    holds(&folder, "shop.esdb");
}

#[test]
fn for_many_events_with_a_dictionary() {
    let folder = Folder::new();
    let line = |n: u64| {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        format!(
            r#"{{"space":"customer-{}","grouping":"{}","timestamp":{},"index":{{"type":"t{}","tag":["a","{}"]}},"data":{{"url":"https://shop.example/products/{mixed}","n":{n}}}}}"#,
            mixed % 700,
            mixed % 3,
            mixed % 100_000,
            n % 5,
            mixed % 11
        )
    };
    let lines: Vec<String> = (0..30_000).map(line).collect();
    folder.run_with("import -q -o a.esdb".split(' '), lines.join("\n").as_bytes()).ok();
    holds(&folder, "a.esdb");
    let one = folder
        .run_with("import -q --threads 1 --memory 8MiB -o b.esdb".split(' '), lines.join("\n").as_bytes());
    one.ok();
    assert!(folder.read("a.esdb") == folder.read("b.esdb"));
}

#[test]
fn for_events_of_nothing() {
    let folder = Folder::new();
    folder.run_with("import -q -o none.esdb".split(' '), b"").ok();
    holds(&folder, "none.esdb");
    let nothing = r#"{"space":"","timestamp":-9223372036854775808,"index":{"":""},"data_text":""}"#;
    let lines =
        format!("{nothing}\n{nothing}\n{}\n", nothing.replace("-9223372036854775808", "9223372036854775807"));
    folder.run_with("import -q --unit ns -o empty.esdb".split(' '), lines.as_bytes()).ok();
    holds(&folder, "empty.esdb");
    assert_eq!(folder.run("count empty.esdb").ok().text(), "3\n");
}
