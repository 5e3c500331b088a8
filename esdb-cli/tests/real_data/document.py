"""What must be equal on both sides: counts and digests of everything a file can be asked for.

An entry is `COUNT SHA256`, the hash of the payloads in time order, each after its length as
8 bytes little-endian. Over all spaces, time order goes space by space in byte order.
"""

import hashlib
from collections import defaultdict

from event import file_order, time_order


class Entry:
    __slots__ = ("count", "sha")

    def __init__(self):
        self.count = 0
        self.sha = hashlib.sha256()

    def add(self, framed):
        self.count += 1
        self.sha.update(framed)

    def __str__(self):
        return f"{self.count} {self.sha.hexdigest()}"


def document(events):
    """The document of events that are given in the order of their arrival."""
    entries = defaultdict(Entry)
    for event in sorted(events, key=time_order):
        framed = frame(event.data)
        entries["spaces", event.space].add(framed)
        entries["groupings", event.space, event.grouping].add(framed)
        for name, value in event.pairs:
            entries["indexes", name, value].add(framed)
            entries["space indexes", event.space, name, value].add(framed)
    nested = {"spaces": {}, "groupings": {}, "indexes": {}, "space indexes": {}}
    for path, entry in entries.items():
        put(nested, path, str(entry))
    return {**nested, "whole file": str(whole_file(events))}


def whole_file(events):
    """Every part of every event, in file order."""
    entry = Entry()
    for event in sorted(events, key=file_order):
        parts = [event.space, event.grouping, b"%d" % event.timestamp]
        parts += [part for pair in event.pairs for part in pair]
        entry.add(b"".join(map(frame, [*parts, event.data])))
    return entry


def frame(data):
    return len(data).to_bytes(8, "little") + data


def entry_of(payloads):
    entry = Entry()
    for payload in payloads:
        entry.add(frame(payload))
    return str(entry)


def put(nested, path, value):
    kind, *keys, last = path
    place = nested[kind]
    for key in keys:
        place = place.setdefault(to_text(key), {})
    place[to_text(last)] = value


def to_text(key):
    """Any bytes as text, reversibly: what is not UTF-8 becomes lone surrogates."""
    return key.decode("utf-8", "surrogateescape")


def to_bytes(text):
    return text.encode("utf-8", "surrogateescape")


def flatten(nested):
    """Paths of bytes and the entries there, in byte order."""
    if isinstance(nested, str):
        return [((), nested)]
    flat = [
        ((to_bytes(key), *path), entry)
        for key, below in nested.items()
        for path, entry in flatten(below)
    ]
    return sorted(flat)


def first_difference(expected, found, path=()):
    """A line about the first key that differs, or None."""
    if expected == found:
        return None
    if not (isinstance(expected, dict) and isinstance(found, dict)):
        return f"{' / '.join(map(repr, path))}: expected {brief(expected)}, found {brief(found)}"
    for key in sorted(expected.keys() | found.keys()):
        difference = first_difference(expected.get(key), found.get(key), (*path, key))
        if difference:
            return difference
    raise AssertionError("unequal documents differ somewhere")


def brief(entry):
    if entry is None:
        return "nothing"
    return f"{len(entry)} keys" if isinstance(entry, dict) else entry


def sizes(doc):
    """Events, spaces, groupings, index pairs."""
    return (
        int(doc["whole file"].split()[0]),
        len(doc["spaces"]),
        len(flatten(doc["groupings"])),
        len(flatten(doc["indexes"])),
    )
