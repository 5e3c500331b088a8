#!/usr/bin/env python3
"""Checks that spec, vectors, second reader and command agree.

    python spec/check.py [--esdb PATH]

1. Every rule of format.md has a vector that names it, and every rule that a vector names is in format.md.
2. The second reader (reader.py) judges every vector as its .json records.
3. The bytes of example.md are those of good/one.esdb.
4. With --esdb, the command: for every good vector and for files that it imports here, `esdb scan` prints the same as the second
   reader, byte for byte, for many selections, forwards and backwards.

What the command says of the vectors is judged by esdb-cli/tests/vectors.rs.
"""

import argparse, base64, json, pathlib, re, subprocess, sys, tempfile  # noqa: E401
from collections import Counter

import blake3

import lines
import reader

HERE = pathlib.Path(__file__).parent
MISMATCHES, CHECKED = [], Counter()


def expect(holds, kind, message):
    CHECKED[kind] += 1
    if not holds:
        MISMATCHES.append(message)
        print(f"mismatch: {message}", file=sys.stderr)


def vectors():
    """Name, path and record of every vector"""
    for path in sorted((HERE / "vectors").glob("*/*.esdb")):
        yield f"{path.parent.name}/{path.stem}", path, json.loads(path.with_suffix(".json").read_text())


def check_rules():
    stated = set(re.findall(r"\[([A-Z]\d+)\]", (HERE / "format.md").read_text()))
    named = {}
    for name, _, record in vectors():
        for rule in record["rules"]:
            named.setdefault(rule, []).append(name)
    for rule in sorted(stated | named.keys()):
        expect(rule in named, "rules", f"format.md states {rule}, and no vector names it")
        expect(rule in stated, "rules", f"{named.get(rule)} name {rule}, which format.md does not state")


def judged(path):
    """The rule that the second reader names and its words; "ok" if it finds nothing wrong"""
    try:
        file = reader.File(path)
        reader.verify(file)
        return "ok", ""
    except reader.Reject as error:
        return error.args


def check_second_reader():
    for name, path, record in vectors():
        rule, words = judged(path)
        if record["expect"] == "ok":
            printed = [lines.native_line(event) for event in reader.scan(reader.File(path))] if rule == "ok" else []
            digest = blake3.blake3(b"".join(printed)).hexdigest()
            expect(rule == "ok", "vectors, second reader", f"{name}: the second reader says {words}")
            expect((len(printed), digest) == (record["events"], record["lines_blake3"]), "vectors, second reader",
                   f"{name}: the second reader prints other lines: {len(printed)} of {digest}")
        elif record["expect"] == "reject":
            expect(rule == record["reject"], "vectors, second reader",
                   f"{name}: {record['reject']} is recorded, the second reader says {words or rule}")
        else:
            expect(rule in record["rules"] and record["message"] in words, "vectors, second reader",
                   f"{name}: {record['message']!r} is recorded, the second reader says {words or rule}")


def check_example():
    """The bytes in example.md: in its indented blocks, each line an offset, bytes in hex, and after two spaces their meaning"""
    rows = re.findall(r"^    ([0-9a-f]{3})  ((?:[0-9a-f]{2} ?)+)(?:  |$)", (HERE / "example.md").read_text(), re.MULTILINE)
    data = b""
    for offset, text in rows:
        expect(int(offset, 16) == len(data), "bytes of the example", f"example.md: a line at {len(data):03x} says {offset}")
        data += bytes.fromhex(text)
    whole = (HERE / "vectors/good/one.esdb").read_bytes()
    expect(data == whole, "bytes of the example", f"example.md: {len(data)} bytes, which are not the {len(whole)} of good/one.esdb")


# The command


def run(command, *arguments):
    return subprocess.run([command, *map(str, arguments)], capture_output=True)


def selections(events):
    """Arguments of reader.scan: the whole file; spaces, groupings, index values and times, some of them absent"""
    yield {}
    yield {"space": b"no such space"}
    spaces = [space for space, _ in Counter(event.space for event in events).most_common()]
    for space in dict.fromkeys(spaces[:1] + spaces[-1:]):
        rows = [event for event in events if event.space == space]
        times = sorted(event.timestamp for event in rows)
        since, until = times[len(times) // 3], times[len(times) * 2 // 3]
        pairs = [pair for pair, _ in Counter(pair for event in rows for pair in event.pairs).most_common()]
        yield {"space": space}
        yield {"space": space, "since": since, "until": until}
        yield {"space": space, "grouping": rows[-1].grouping}
        yield {"space": space, "grouping": rows[0].grouping, "since": since}
        yield {"space": space, "grouping": b"no such grouping"}
        yield {"since": since, "until": until}
        for pair in dict.fromkeys(pairs[:1] + pairs[-1:]):
            yield {"pairs": [pair]}
            yield {"space": space, "pairs": [pair]}
            yield {"space": space, "pairs": [pair], "since": since, "until": until}
            yield {"space": space, "grouping": rows[0].grouping, "pairs": [pair], "until": until}
        for other in pairs[1:3] + pairs[-2:]:
            yield {"pairs": [pairs[0], other]}  # of one name: any of them; of two: both
        yield {"pairs": [(b"no such name", b"")]}


def flags(selection):
    """The same for the command; everything in base64, but what is simple text"""
    for name in "space", "grouping":
        if name in selection:
            text = selection[name]
            plain = re.fullmatch(rb"[a-z0-9][a-z0-9 -]*", text)
            yield from (f"--{name}", text.decode()) if plain else (f"--{name}-base64={base64.b64encode(text).decode()}",)
    for pair in selection.get("pairs", ()):
        if all(re.fullmatch(rb"[a-z0-9]+", text) for text in pair):
            yield from ("-i", b"=".join(pair).decode())
        else:
            yield "--index-base64=" + ":".join(base64.b64encode(text).decode() for text in pair)
    for name in "since", "until":
        if name in selection:
            yield f"--{name}={selection[name]}"


def check_scans(command, name, path):
    file = reader.File(path)
    for selection in selections(reader.read_blocks(file)[1]):
        for reverse in False, True:
            expected = b"".join(map(lines.native_line, reader.scan(file, **selection, reverse=reverse)))
            arguments = [*flags(selection), *(["-r"] if reverse else [])]
            done = run(command, "scan", path, *arguments)
            same = done.returncode == 0 and done.stdout == expected
            expect(same, "scans", f"{name}: esdb scan {' '.join(arguments)}: {difference(done, expected)}")


def difference(done, expected):
    if done.returncode:
        return f"exit code {done.returncode}: {done.stderr.decode(errors='replace').strip()}"
    ours, theirs = expected.splitlines(), done.stdout.splitlines()
    first = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    return (f"{len(theirs)} lines, the second reader {len(ours)}; line {first + 1} is "
            f"{theirs[first:first + 1]}, the second reader {ours[first:first + 1]}")


def events_to_import(count):
    """Events for `esdb import`: several spaces, groupings and indexes, text and bytes, in no order"""
    number = 1
    for i in range(count):
        number = number * 48271 % 0x7FFFFFFF  # looks random and never changes
        event = {"space": f"customer-{number % 5}", "grouping": f"session-{number // 5 % 4}",
                 "timestamp": 1_700_000_000_000 + number // 20 % 40_000, "index": {"type": ["page", "click", "buy"][number % 7 % 3]},
                 "data": {"url": f"https://shop.example/item/{number % 100}", "n": i, "nested": [None, True, 1.5e3, "é\n"]}}
        if number % 3 == 0:
            event["index"]["tag"] = [f"t{number % 11}", "every"]
        if number % 13 == 0:
            event["index_base64"] = [[base64.b64encode(b"\xff\x00").decode(), base64.b64encode(bytes([number % 3, 0xfe])).decode()]]
        if number % 17 == 0:
            del event["data"]
            event["data_text" if number % 2 else "data_base64"] = ' {"not": "trimmed"}' if number % 2 else "AP+A"
        if number % 19 == 0:
            del event["space"], event["grouping"]
            event |= {"space_base64": "/wBh", "grouping_base64": ["ww==", ""][number % 2]}
        yield json.dumps(event, ensure_ascii=False) + "\n"


def check_fresh_files(command):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "events.ndjson"
        source.write_text("".join(events_to_import(6_000)), encoding="utf-8")
        for codec in reader.CODECS:
            path = pathlib.Path(folder) / f"{codec}.esdb"
            done = run(command, "import", "--codec", codec, "--frame-size", 512, "-o", path, source)
            if done.returncode:
                expect(False, "fresh files", f"esdb import --codec {codec}: {done.stderr.decode(errors='replace').strip()}")
                continue
            rule, words = judged(path)
            expect(rule == "ok", "fresh files", f"a file of codec {codec}: the second reader says {words}")
            found = reader.File(path)
            expect(found.count == 6_000, "fresh files", f"a file of codec {codec}: {found.count} events of 6000")
            expect(codec != "zstd" or found.dictionary_length, "fresh files", "a file of codec zstd has no dictionary")
            check_scans(command, f"a fresh file of codec {codec}", path)


def main():
    parser = argparse.ArgumentParser(description="Checks that spec, vectors, second reader and command agree.")
    parser.add_argument("--esdb", metavar="PATH", help="the command, to be compared with the second reader")
    command = parser.parse_args().esdb
    check_rules()
    check_second_reader()
    check_example()
    if command:
        for name, path, record in vectors():
            if record["expect"] == "ok":
                check_scans(command, name, path)
        check_fresh_files(command)
    print(", ".join(f"{kind}: {count}" for kind, count in CHECKED.items()) + f"; mismatches: {len(MISMATCHES)}")
    return 1 if MISMATCHES else 0


if __name__ == "__main__":
    sys.exit(main())
