"""The bytes of an original file, and JSON whose numbers keep their text."""

import json
import subprocess


def read_bytes(path):
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc", path], check=True, stdout=subprocess.PIPE).stdout
    return path.read_bytes()


def refuse_constant(text):
    raise ValueError(f"{text} is not JSON")


JSON = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=refuse_constant)


def parse_json(text):
    """Parses JSON; a number becomes the text it was written with."""
    return JSON.decode(text.decode())


def lines(content):
    """The lines with something in them, without their line ends."""
    for line in content.split(b"\n"):
        if line.strip():
            yield line
