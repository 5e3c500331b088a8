"""Imports ten_thousand_visits.csv and compares every answer with ten_thousand_visits.ndjson.

    visits.py --esdb PATH --shared DIR --work DIR [--every]

The whole-file scan is checked against every space, grouping and index value; the command is
asked for the space, all cities and a sample of the rest, or with --every for each of them.
"""

import argparse
import base64
import csv
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import command
import observed
from command import Esdb, Mismatch
from event import compact, native_line, new_event, parse_native_line, time_order

SAMPLE = 300


# --- what is imported ------------------------------------------------------------------------


def events_of_csv(path):
    """Columns: space, grouping, city, visitor, timestamp; there is no header."""
    with path.open(newline="") as rows:
        for kind, host, city, visitor, timestamp in csv.reader(rows):
            visit = {
                "type": kind,
                "host": host,
                "city": city,
                "visitor": visitor,
                "timestamp": int(timestamp),
            }
            pairs = [(b"city", city.encode()), (b"visitor", visitor.encode())]
            data = compact(visit).encode()
            yield new_event(kind.encode(), host.encode(), int(timestamp), pairs, data)


def print_native(path):
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for event in events_of_csv(path):
        sys.stdout.buffer.write(native_line(event) + b"\n")


# --- what is expected ------------------------------------------------------------------------


def expected_answers(path):
    """Per selection its events as (timestamp, grouping, payload), in time order.

    The expectations come newest first with ties as added, so sorting them by time and grouping,
    which keeps ties, gives time order.
    """
    answers, listed = {}, defaultdict(list)
    with path.open() as lines:
        for line in map(json.loads, lines):
            if line["q"] == "grouping":
                space, grouping = decode(line["space"]), decode(line["grouping"])
                stored = [(time, grouping, decode(data)) for time, data in line["events"]]
                listed[space].append(stored)
                answers["groupings", space, grouping] = in_time_order(stored)
            elif line["q"] == "index":
                space, pair = decode(line["space"]), (decode(line["name"]), decode(line["value"]))
                stored = [listed[space][group][number] for group, number in line["at"]]
                answers["space indexes", space, *pair] = in_time_order(stored)
    for space, groups in listed.items():
        answers["spaces", space] = in_time_order(sum(groups, []))
    return answers


def in_time_order(stored):
    return sorted(stored, key=lambda event: event[:2])


def decode(text):
    return base64.b64decode(text, validate=True)


# --- what comes back -------------------------------------------------------------------------


def answers_of_scan(events):
    answers = defaultdict(list)
    for event in sorted(events, key=time_order):
        answers["spaces", event.space].append(stored(event))
        answers["groupings", event.space, event.grouping].append(stored(event))
        for pair in event.pairs:
            answers["space indexes", event.space, *pair].append(stored(event))
    return dict(answers)


def stored(event):
    return event.timestamp, event.grouping, event.data


def check_scan(esdb, file, expected):
    found = answers_of_scan(observed.events_of(esdb.scan(file)))
    for selection in sorted(expected.keys() | found.keys()):
        compare(selection, expected.get(selection), found.get(selection))


def check_queries(esdb, file, expected, selections):
    for selection in selections:
        kind, *path = selection
        for arguments in ways_to_ask(kind, path):
            lines = esdb.scan_both_ways(file, arguments)
            answer = [stored(parse_native_line(line)) for line in lines]
            compare(selection, expected[selection], answer)


def ways_to_ask(kind, path):
    """There is one space only, so an index gives the same with and without it."""
    if kind == "space indexes":
        yield command.select_index(*path[1:])
    yield observed.SELECTORS[kind](*path)


def compare(selection, expected, found):
    if expected != found:
        raise Mismatch(f"{selection}: expected {brief(expected)}, found {brief(found)}")


def brief(answer):
    return f"{len(answer)} events, first {answer[:1]}" if answer else "nothing"


def choose(expected, every):
    selections = sorted(expected)
    if every:
        return selections
    step = len(selections) // SAMPLE
    always = [selection for selection in selections if selection[2:3] == (b"city",)]
    always += [selection for selection in selections if selection[0] == "spaces"]
    return sorted({*always, *selections[::step]})


def main():
    args = arguments()
    golden = Path(args.shared) / "go-esdb"
    visits = golden / "ten_thousand_visits.csv"
    if args.print_native:
        return print_native(visits)
    args.work.mkdir(parents=True, exist_ok=True)
    esdb, file = Esdb(args.esdb), args.work / "visits.esdb"
    expected = expected_answers(golden / "ten_thousand_visits.ndjson")
    selections = choose(expected, args.every)
    try:
        import_visits(esdb, file, args.shared)
        check_scan(esdb, file, expected)
        check_queries(esdb, file, expected, selections)
    except Mismatch as mismatch:
        sys.exit(f"visits FAILED: {mismatch}")
    print(f"visits: {len(expected):,} answers in the scan, {len(selections):,} asked for: ok")


def import_visits(esdb, file, shared):
    lines = subprocess.Popen(
        [sys.executable, __file__, "--shared", shared, "--print-native"], stdout=subprocess.PIPE
    )
    if esdb.import_from(lines, file, ["--unit", "s"]) != 0:
        raise Mismatch("import skipped something")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", default=os.environ.get("ESDB_SHARED"), help="else ESDB_SHARED")
    parser.add_argument("--work", type=Path, help="where the file is made")
    parser.add_argument("--esdb", help="the command")
    parser.add_argument("--every", action="store_true", help="ask for each of the 3,214 answers")
    parser.add_argument("--print-native", action="store_true", help="only print the native lines")
    args = parser.parse_args()
    if not args.shared:
        parser.error("--shared or ESDB_SHARED must name the shared folder")
    if not args.print_native and not (args.esdb and args.work):
        parser.error("--esdb and --work are needed, or --print-native")
    return args


if __name__ == "__main__":
    main()
