"""Native lines: how `esdb scan` prints an event, as one line of JSON. They are the command's, not the format's."""

import base64, itertools, json, re  # noqa: E401
from collections import defaultdict


def is_text(*strings):
    """Whether all are UTF-8"""
    return all(data.decode(errors="ignore").encode() == data for data in strings)


def is_json(data):
    """RFC 8259, without white space around it or raw line breaks, at most 127 deep"""
    try:
        json.loads(data.decode(), parse_constant=int, parse_int=str, parse_float=str)  # int refuses NaN and Infinity
    except (ValueError, RecursionError):
        return False
    brackets = re.findall(rb"[\[\]{}]", re.sub(rb'"[^"\\]*(?:\\.[^"\\]*)*"', b"", data))
    depths = itertools.accumulate((1 if bracket in b"[{" else -1 for bracket in brackets), initial=0)
    return max(depths) <= 127 and data == data.strip() and b"\n" not in data and b"\r" not in data


def base64_of(data):
    return base64.b64encode(data).decode()


def field(name, data, text_name):
    """What is not UTF-8 goes to fields that end in _base64"""
    return {text_name: data.decode()} if is_text(data) else {f"{name}_base64": base64_of(data)}


def native_line(event):
    texts = defaultdict(list)
    for name, value in event.pairs:
        if is_text(name, value):
            texts[name.decode()].append(value.decode())
    others = [[base64_of(name), base64_of(value)] for name, value in event.pairs if not is_text(name, value)]
    line = field("space", event.space, "space") | field("grouping", event.grouping, "grouping") | {
        "timestamp": event.timestamp, "index": {name: some if len(some) > 1 else some[0] for name, some in texts.items()}}
    line |= {"index_base64": others} if others else {}
    line |= {} if is_json(event.data) else field("data", event.data, "data_text")
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode()
    return text[:-1] + b',"data":' + event.data + b"}\n" if is_json(event.data) else text + b"\n"
