"""Prints what a file made of a set must hold, computed from the set's original files.

    reference.py --shared DIR [SET…]
"""

import argparse
import json
import os

import mapping
import native
import original
import sets
from document import document


def events_of(a_set, shared):
    """The events in the order of their arrival, and the number of records skipped."""
    contents = [original.read_bytes(path) for path in a_set.files(shared)]
    if a_set.name in native.EVENTS:
        return list(native.EVENTS[a_set.name](contents, a_set.unit)), 0
    if a_set.name in native.LINES:
        contents = [b"\n".join(native.LINES[a_set.name](contents))]
    return mapping.read(a_set, contents)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", nargs="*", help="default: all")
    parser.add_argument("--shared", default=os.environ.get("ESDB_SHARED"), help="else ESDB_SHARED")
    args = parser.parse_args()
    for a_set in map(sets.find, args.set) if args.set else sets.SETS:
        events, skipped = events_of(a_set, args.shared)
        report = {"set": a_set.name, "skipped": skipped, **document(events)}
        print(json.dumps(report, sort_keys=True))


if __name__ == "__main__":
    main()
