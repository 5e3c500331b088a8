"""An event, and the native line that stands for it (`esdb import`, `esdb scan`)."""

import base64
import json
from typing import NamedTuple


class Event(NamedTuple):
    space: bytes
    grouping: bytes
    timestamp: int
    pairs: list  # of (name, value), both bytes, sorted, each once
    data: bytes


def new_event(space, grouping, timestamp, pairs, data):
    return Event(space, grouping, timestamp, sorted(set(pairs)), data)


def file_order(event):
    return event.space, event.grouping, event.timestamp


def time_order(event):
    return event.space, event.timestamp, event.grouping


def is_utf8(text):
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


# --- to a line -------------------------------------------------------------------------------


def native_line(event):
    """The event as one native line, without its line end."""
    head = {}
    put_key(head, "space", event.space)
    put_key(head, "grouping", event.grouping)
    head["timestamp"] = event.timestamp
    put_pairs(head, event.pairs)
    return compact(head)[:-1].encode() + b"," + data_member(event.data) + b"}"


def put_key(head, name, key):
    if is_utf8(key):
        head[name] = key.decode()
    else:
        head[name + "_base64"] = to_base64(key)


def put_pairs(head, pairs):
    for name, value in pairs:
        if is_utf8(name) and is_utf8(value):
            head.setdefault("index", {}).setdefault(name.decode(), []).append(value.decode())
        else:
            head.setdefault("index_base64", []).append([to_base64(name), to_base64(value)])


def data_member(data):
    if not is_utf8(data):
        return b'"data_base64":"' + to_base64(data).encode() + b'"'
    if is_json_on_one_line(data):
        return b'"data":' + data
    return b'"data_text":' + compact(data.decode()).encode()


def is_json_on_one_line(data):
    if b"\n" in data or b"\r" in data or data != data.strip():
        return False
    try:
        json.loads(data.decode())
    except ValueError:
        return False
    return True


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def to_base64(value):
    return base64.b64encode(value).decode()


# --- from a line -----------------------------------------------------------------------------

DATA_KEYS = (b',"data":', b',"data_text":', b',"data_base64":')


def parse_native_line(line):
    """The event of one line that `esdb scan` printed, its data byte for byte."""
    line = line.removesuffix(b"\n")
    head, kind, text = split_at_data(line)
    return Event(
        key_of(head, "space"),
        key_of(head, "grouping"),
        head["timestamp"],
        pairs_of(head),
        payload(kind, text),
    )


def split_at_data(line):
    """Cuts a line before its last member, which is always the data.

    Inside a string the quotes of `,"data":` would be escaped, so those bytes can only mean the
    member itself or an index of that name; before the latter the object is still open.
    """
    start = line.find(b',"data')
    while start >= 0:
        for kind in DATA_KEYS:
            if line.startswith(kind, start):
                try:
                    head = json.loads(line[:start] + b"}")
                except ValueError:
                    break
                return head, kind, line[start + len(kind) : -1]
        start = line.find(b',"data', start + 1)
    raise ValueError(f"a line without data: {line[:200]!r}")


def key_of(head, name):
    if name in head:
        return head[name].encode()
    return from_base64(head.get(name + "_base64", ""))


def pairs_of(head):
    pairs = []
    for name, values in head.get("index", {}).items():
        for value in values if isinstance(values, list) else [values]:
            pairs.append((name.encode(), value.encode()))
    for name, value in head.get("index_base64", []):
        pairs.append((from_base64(name), from_base64(value)))
    return sorted(pairs)


def payload(kind, text):
    if kind == b',"data":':
        return text
    value = json.loads(text)
    return value.encode() if kind == b',"data_text":' else from_base64(value)


def from_base64(text):
    return base64.b64decode(text, validate=True)
