"""Proves that real data survive: imports every set and compares what comes back.

    run.py --shared DIR --work DIR --esdb PATH [--only SET…]
    run.py --shared DIR --reference-only
"""

import argparse
import os
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

import observed
import original
import reference
import sets
from command import Esdb, Mismatch
from document import document, first_difference, sizes
from event import file_order

COLUMNS = "{:20} {:>9} {:>6} {:>9} {:>8} {:>12} {:>12}  {}"


def check(a_set, args):
    """Returns a row of the report; raises `Mismatch`."""
    expected = expected_document(a_set, args.shared)
    bytes_in = sum(len(original.read_bytes(path)) for path in a_set.files(args.shared))
    if args.reference_only:
        return row(a_set, expected, bytes_in, "-", "reference")
    esdb, file = Esdb(args.esdb), args.work / f"{a_set.name}.esdb"
    import_set(esdb, a_set, file, args)
    compare(a_set, args.shared, expected, observed.events_of(esdb.scan(file)))
    asked = observed.check_queries(esdb, file, expected, args.queries)
    check_copy(esdb, file)
    return row(a_set, expected, bytes_in, f"{file.stat().st_size:,}", f"ok, {asked} queries")


def expected_document(a_set, shared):
    events, skipped = reference.events_of(a_set, shared)
    if (len(events), skipped) != (a_set.events, a_set.skipped):
        raise Mismatch(
            f"the original gives {len(events)} events and {skipped} skipped records, "
            f"the table says {a_set.events} and {a_set.skipped}"
        )
    return document(events)


def import_set(esdb, a_set, file, args):
    flags, rejects = a_set.flags(), args.work / f"{a_set.name}.rejects"
    if a_set.skipped:
        rejects.unlink(missing_ok=True)
        flags += ["--rejects", rejects]
    if a_set.scripted:
        script = Path(__file__).with_name("native.py")
        command = [sys.executable, script, "--shared", args.shared, a_set.name]
        lines = subprocess.Popen(command, stdout=subprocess.PIPE)
        exit_code = esdb.import_from(lines, file, flags)
    else:
        exit_code = esdb.import_file(file, flags, a_set.files(args.shared))
    if exit_code != (3 if a_set.skipped else 0):
        raise Mismatch(f"import ended with {exit_code}")
    if a_set.skipped and len(list(original.lines(rejects.read_bytes()))) != a_set.skipped:
        raise Mismatch(f"{rejects} should hold {a_set.skipped} records")


def compare(a_set, shared, expected, events):
    difference = first_difference(expected, document(events))
    if difference:
        stored = sorted(reference.events_of(a_set, shared)[0], key=file_order)
        raise Mismatch(f"{difference}\n{first_differing_event(stored, events)}")


def first_differing_event(expected, found):
    for number, (want, got) in enumerate(zip_longest(expected, found)):
        if want != got:
            return f"event {number} in file order\n" + differing_parts(want, got)
    raise AssertionError("equal events give equal documents")


def differing_parts(want, got):
    if not (want and got):
        return f"  expected {want!r:.400}\n  found    {got!r:.400}"
    return "\n".join(
        f"  {name}: expected {wanted!r:.400}\n  {name}: found    {found!r:.400}"
        for name, wanted, found in zip(want._fields, want, got)
        if wanted != found
    )


def check_copy(esdb, file):
    copy = file.with_suffix(".copy.esdb")
    exit_code = esdb.import_from(esdb.start_scan(file), copy, ["--like", file])
    if exit_code != 0 or copy.read_bytes() != file.read_bytes():
        raise Mismatch("scan | import --like gives other bytes")
    copy.unlink()


def row(a_set, doc, bytes_in, bytes_out, verdict):
    events, spaces, groupings, pairs = (f"{size:,}" for size in sizes(doc))
    return COLUMNS.format(
        a_set.name, events, spaces, groupings, pairs, f"{bytes_in:,}", bytes_out, verdict
    )


def main():
    args = arguments()
    chosen = map(sets.find, args.only) if args.only else sets.SETS
    print(COLUMNS.format("set", "events", "spaces", "groupings", "pairs", "in", "out", ""))
    failed = False
    for a_set in chosen:
        try:
            print(check(a_set, args), flush=True)
        except (Mismatch, ValueError) as problem:
            failed = True
            print(f"{a_set.name:20} FAILED: {problem}", flush=True)
    sys.exit(1 if failed else 0)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", default=os.environ.get("ESDB_SHARED"), help="else ESDB_SHARED")
    parser.add_argument("--work", type=Path, help="where the files are made")
    parser.add_argument("--esdb", help="the command")
    parser.add_argument("--only", nargs="+", metavar="SET")
    parser.add_argument("--queries", type=int, default=40, help="queries per kind and direction")
    parser.add_argument("--reference-only", action="store_true", help="do not run the command")
    args = parser.parse_args()
    if not args.shared:
        parser.error("--shared or ESDB_SHARED must name the shared folder")
    if not args.reference_only:
        if not (args.esdb and args.work):
            parser.error("--esdb and --work are needed, or --reference-only")
        args.work.mkdir(parents=True, exist_ok=True)
    return args


if __name__ == "__main__":
    main()
