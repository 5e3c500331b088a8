"""Prints what a file holds, computed from what the command prints about it.

    esdb scan FILE | observed.py
"""

import json
import sys

import command
from command import Mismatch
from document import document, entry_of, flatten
from event import file_order, parse_native_line

SELECTORS = {
    "spaces": command.select_space,
    "groupings": command.select_grouping,
    "indexes": command.select_index,
    "space indexes": command.select_space_index,
}


def events_of(lines):
    """The events of a whole-file scan, whose order must be file order."""
    events = [parse_native_line(line) for line in lines]
    for number, (event, next_event) in enumerate(zip(events, events[1:]), start=2):
        if file_order(next_event) < file_order(event):
            raise Mismatch(f"line {number} of the scan is not in file order")
    return events


def check_queries(esdb, file, doc, per_kind):
    """Asks for some entries of each kind in the document, forwards and in reverse."""
    asked = 0
    for kind, selectors in SELECTORS.items():
        for path, expected in sample(flatten(doc[kind]), per_kind):
            lines = esdb.scan_both_ways(file, selectors(*path))
            found = entry_of(parse_native_line(line).data for line in lines)
            if found != expected:
                raise Mismatch(f"{kind} {path}: expected {expected}, found {found}")
            asked += 2
    return asked


def sample(entries, size):
    """Evenly spaced by count of events, the smallest and the largest among them."""
    by_count = sorted(entries, key=lambda entry: int(entry[1].split()[0]))
    if len(by_count) <= size:
        return by_count
    step = (len(by_count) - 1) / max(size - 1, 1)
    return [by_count[round(number * step)] for number in range(size)]


def main():
    events = events_of(sys.stdin.buffer)
    print(json.dumps(document(events), sort_keys=True))


if __name__ == "__main__":
    main()
