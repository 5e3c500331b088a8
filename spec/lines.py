"""Native lines: how `esdb scan` prints an event, as one line of JSON. They are the command's, not the format's."""

import base64
import itertools
import json
import re
from collections import defaultdict


def text_of(data):
    """Of UTF-8; else nothing"""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def is_json(text):
    """RFC 8259, without white space around it or raw line breaks, at most 127 deep"""
    brackets = re.findall(r"[\[\]{}]", re.sub(r'"[^"\\]*(?:\\.[^"\\]*)*"', "", text))
    try:
        json.loads(text, parse_constant=int, parse_int=str, parse_float=str)  # int refuses NaN and Infinity
    except (ValueError, RecursionError):
        return False
    depth = max(itertools.accumulate((1 if bracket in "[{" else -1 for bracket in brackets), initial=0))
    return depth <= 127 and text == text.strip(" \t") and "\n" not in text and "\r" not in text


def quoted(data, encoded=False):
    return json.dumps(base64.b64encode(data).decode() if encoded else data.decode(), ensure_ascii=False)


def field(name, data, text_name):
    """What is not UTF-8 goes to fields that end in _base64"""
    return f'"{name}_base64":{quoted(data, True)}' if text_of(data) is None else f'"{text_name}":{quoted(data)}'


def native_line(event):
    texts, others, data = defaultdict(list), [], text_of(event.data)
    for name, value in event.pairs:
        if text_of(name) is None or text_of(value) is None:
            others.append(f"[{quoted(name, True)},{quoted(value, True)}]")
        else:
            texts[quoted(name)].append(quoted(value))
    texts = [f"{name}:{values[0]}" if len(values) == 1 else f"{name}:[{','.join(values)}]" for name, values in texts.items()]
    parts = [field("space", event.space, "space"), field("grouping", event.grouping, "grouping"),
             f'"timestamp":{event.timestamp}', f'"index":{{{",".join(texts)}}}',
             *([f'"index_base64":[{",".join(others)}]'] if others else []),
             f'"data":{data}' if data is not None and is_json(data) else field("data", event.data, "data_text")]
    return ("{" + ",".join(parts) + "}\n").encode()
