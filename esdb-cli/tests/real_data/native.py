"""Prints one of the scripted sets as lines for `esdb import`.

    native.py --shared DIR pcap-modbus | esdb import --unit us -o pcap.esdb -
"""

import argparse
import csv
import io
import os
import signal
import struct
import sys
from decimal import Decimal

import exact_time
import original
import sets
from event import native_line, new_event

# --- events ----------------------------------------------------------------------------------


def alerts(contents, unit):
    """A pretty-printed array; each payload is an object with its line breaks and indentation."""
    for text, alert in objects_of_array(contents[0].decode(), 0):
        pairs = [
            (b"signature", alert["alert"]["signature_id"].encode()),
            (b"severity", alert["alert"]["severity"].encode()),
            (b"port", alert["dest_port"].encode()),
        ]
        yield new_event(
            alert["src_ip"].encode(),
            alert["flow_id"].encode(),
            exact_time.from_text(alert["timestamp"], unit),
            pairs,
            text.encode(),
        )


def flights(contents, unit):
    """Departure by the timetable, airport time taken as UTC."""
    for line in original.lines(contents[0]):
        flight = original.parse_json(line)
        clock = flight["CRSDepTime"].zfill(4)
        pairs = [(b"origin", flight["Origin"].encode()), (b"dest", flight["Dest"].encode())]
        pairs += [(b"diverted", airport.encode()) for airport in flight["DivAirports"]]
        if flight["DepDelay"] is not None:
            pairs.append((b"delay", flight["DepDelay"].encode()))
        yield new_event(
            flight["Carrier"].encode(),
            (flight["TailNum"] or "").encode(),
            exact_time.from_text(f"{flight['FlightDate']}T{clock[:2]}:{clock[2:]}:00Z", unit),
            pairs,
            line,
        )


PERIOD_STARTS = {"1H": 0, "2H": 3_600, "E1": 7_200, "E2": 8_400, "P": 9_600}


def soccer(contents, unit):
    """Kick-off plus the start of the period plus the second in it, rounded to the unit."""
    ticks = 10 ** exact_time.DIGITS[unit]
    kick_offs = {}
    for line in original.lines(contents[0]):
        match = original.parse_json(line)
        kick_offs[match["wyId"]] = exact_time.from_text(match["dateutc"], unit, zone_is_utc=True)
    for line in original.lines(contents[1]):
        event = original.parse_json(line)
        start = kick_offs[event["matchId"]] + PERIOD_STARTS[event["matchPeriod"]] * ticks
        pairs = [(b"event", event["eventName"].encode()), (b"player", event["playerId"].encode())]
        pairs += [(b"tag", tag["id"].encode()) for tag in event["tags"]]
        yield new_event(
            event["matchId"].encode(),
            event["teamId"].encode(),
            start + round(Decimal(event["eventSec"]) * ticks),
            pairs,
            line,
        )


def packets(contents, unit):
    """Ethernet frames: space, grouping, destination and function are the packet's own bytes."""
    capture, ticks = contents[0], 10 ** exact_time.DIGITS[unit] // 10**6
    magic, link_type = struct.unpack_from("<I16xI", capture)
    assert (magic, link_type) == (0xA1B2C3D4, 1), "not a little-endian Ethernet capture"
    offset = 24
    while offset < len(capture):
        seconds, micros, length, _ = struct.unpack_from("<IIII", capture, offset)
        packet = capture[offset + 16 : offset + 16 + length]
        offset += 16 + length
        yield new_event(
            packet[26:30],
            packet[34:38],
            (seconds * 10**6 + micros) * ticks,
            packet_pairs(packet),
            packet,
        )


def packet_pairs(packet):
    """Frames here are plain: 14 bytes Ethernet, 20 bytes IPv4, then TCP."""
    pairs = [(b"destination", packet[30:34]), (b"length", str(len(packet)).encode())]
    modbus = packet[34 + (packet[46] >> 4) * 4 : 14 + int.from_bytes(packet[16:18], "big")]
    if 502 in struct.unpack_from(">HH", packet, 34) and len(modbus) >= 8:
        pairs.append((b"function", modbus[7:8]))
    return pairs


MONTHS = {"Nov": "2014-11", "Dec": "2014-12", "Jan": "2015-01", "Feb": "2015-02", "Mar": "2015-03"}


def calendar(contents, unit):
    """Rows as they stand, Windows-1252 quotes included; Latin-1 carries every byte unchanged."""
    for snapshot, content in zip((b"2015-01-14", b"2015-01-30"), contents):
        header, *lines = original.lines(content)
        for line in lines:
            row = dict(zip(cells(header), cells(line), strict=True))
            day, month = row[b"Date"].decode().split("-")
            pairs = [(b"snapshot", snapshot), (b"party", row[b"Party"])]
            pairs += [(b"type", row[b"Type"])] if row[b"Type"] else []
            pairs += [(b"event", row[b"Event"])] if row[b"Event"] else []
            yield new_event(
                row[b"Person"],
                row[b"State"],
                exact_time.from_text(f"{MONTHS[month]}-{day.zfill(2)}T00:00:00Z", unit),
                pairs,
                line,
            )


def cells(line):
    (row,) = csv.reader(io.StringIO(line.decode("latin-1")), strict=True)
    return [cell.encode("latin-1") for cell in row]


# --- foreign lines ---------------------------------------------------------------------------


def features(contents):
    """The features of a GeoJSON document, one a line, their text untouched."""
    text = contents[0].decode()
    for feature, _ in objects_of_array(text, text.index('"features":') + len('"features":')):
        yield feature.encode()


def objects_of_array(text, start):
    """Per object of the array that begins at `start`: its text and its value."""
    position = text.index("[", start) + 1
    while True:
        position = skip(text, position, " \r\n\t,")
        if text[position] == "]":
            return
        value, end = original.JSON.raw_decode(text, position)
        yield text[position:end], value
        position = end


def skip(text, position, characters):
    while text[position] in characters:
        position += 1
    return position


EVENTS = {
    "alerts-suricata": alerts,
    "flights-airline": flights,
    "soccer-euro": soccer,
    "pcap-modbus": packets,
    "calendar-candidates": calendar,
}
LINES = {"quakes-usgs": features}


def print_lines(a_set, shared, out):
    contents = [original.read_bytes(path) for path in a_set.files(shared)]
    if a_set.name in LINES:
        lines = LINES[a_set.name](contents)
    else:
        lines = map(native_line, EVENTS[a_set.name](contents, a_set.unit))
    for line in lines:
        out.write(line + b"\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("set", choices=sorted([*EVENTS, *LINES]))
    parser.add_argument("--shared", default=os.environ.get("ESDB_SHARED"), help="else ESDB_SHARED")
    args = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    print_lines(sets.find(args.set), args.shared, sys.stdout.buffer)


if __name__ == "__main__":
    main()
