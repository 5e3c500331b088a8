"""Foreign NDJSON and CSV to events: a second reading of the rules of `esdb import`."""

import csv
import io

import exact_time
import original
from event import compact, new_event


def read(a_set, contents):
    """Returns the events of the given file contents and the number of records skipped."""
    records = ndjson_records if a_set.mapping.format == "ndjson" else csv_records
    events, skipped = [], 0
    for content in contents:
        for find, whole in records(content):
            try:
                events.append(event_of(a_set, find, whole))
            except ValueError:
                if not a_set.mapping.skip_bad:
                    raise
                skipped += 1
    return events, skipped


def ndjson_records(content):
    """Per record: a function from field to value, and the whole line."""
    for line in original.lines(content):
        record = original.parse_json(line)
        yield (lambda field, record=record: find_in_json(record, field)), (lambda line=line: line)


def csv_records(content):
    """Per row: a function from column to cell, and the row as a JSON object."""
    rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    header = next(rows)
    position = {name: number for number, name in enumerate(header)}
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"{len(row)} cells under {len(header)} columns")
        yield (
            lambda field, row=row: row[position[field]] or None,
            lambda row=row: compact(dict(zip(header, row))).encode(),
        )


def find_in_json(record, field):
    """The value at a JSON Pointer or under a top-level key; None where there is none."""
    if not field.startswith("/"):
        return record.get(field)
    for step in field[1:].split("/"):
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(record, dict):
            record = record.get(step)
        elif isinstance(record, list) and step.isdigit() and int(step) < len(record):
            record = record[int(step)]
        else:
            return None
    return record


def event_of(a_set, find, whole):
    mapping = a_set.mapping
    pairs = [
        (name.encode(), value)
        for name, field in mapping.indexes.items()
        for value in values(find(field))
    ]
    return new_event(
        required(find, mapping.space, mapping.default_space),
        single(find(mapping.grouping)) if mapping.grouping else b"",
        timestamp_of(a_set, find),
        pairs,
        find(mapping.data).encode() if mapping.data else whole(),
    )


def timestamp_of(a_set, find):
    mapping = a_set.mapping
    text = required(find, mapping.timestamp).decode()
    if mapping.timestamp_unit:
        return exact_time.from_number(text, mapping.timestamp_unit, a_set.unit)
    return exact_time.from_text(text, a_set.unit, zone_is_utc=mapping.timezone == "UTC")


def required(find, field, default=None):
    value = find(field)
    if value is None:
        value = default
    if value is None:
        raise ValueError(f"no {field}")
    return single(value)


def single(value):
    found = values(value)
    if len(found) > 1:
        raise ValueError("several values where one is wanted")
    return found[0] if found else b""


def values(value):
    if value is None:
        return []
    if isinstance(value, list):
        return [scalar(item) for item in value if item is not None]
    return [scalar(value)]


def scalar(value):
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, str):
        return value.encode()
    raise ValueError("an object or a nested array is no value")
