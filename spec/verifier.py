"""`reader.py verify`: every MUST of format.md that a file can break; the tables are recomputed from the events.

The order of checks decides what rule a file is said to break when it breaks several:

    footer: magic F2, version V1, length and checksum F2, F3, F4; in its copy of the header V1, V2, H2, L1, D1, D2
    facts: checksum X3, then as read X3, C1, L1, X2; extra sections X4
    header H1, F4; first dictionary D1, D2, Z1, Z2
    each block: its entry in the table of blocks (pages as below, T1, F1), head B1, L1, B2, T1; checksum of columns B1, the
        areas in their order; time range T1; frames B11, Z1, Z2; order of its events B5
    second dictionary; number of events and time range F5
    the other tables against the events: spaces T2, groupings T3, index names and values T4, posting lists T5, time order T7, T6
    statistics X1; every byte owned by one part F1; file digest, content digest G1
    last what says "a writer MUST" and does not hinder a reader: I3, K2, B3, B9, B10, P5, W2, in the order of meeting

    a page: length L1, checksum P1, its own form (L1, P4, K1, P2), then what its parent says of it (P3, P4, P2, P3)
"""

import bisect
import collections
import itertools
import math
import sys
import zlib

import blake3

from reader import (BLOCK_MARKER, DICTIONARY_MARKER, KIB, MIB, TREES, VALUES, Block, Cursor, File, Reject, Run, ascending, key64,
                    need, need_checksum)

PARTS = ("header", "dictionary", "event blocks", "second dictionary", "time order", VALUES, "index names", "spaces",
         "groupings", "blocks", *("root of " + tree for tree in TREES), "extra sections", "facts", "footer")
STATISTICS = ("spaces", "groupings", "index names", "pairs", "index entries", "blocks", "payload frames", "bytes of data",
              "stored bytes of payload frames", "bytes of columns", "bytes of time order",
              "bytes of posting lists, values, index names", "bytes of spaces", "bytes of groupings", "bytes of blocks")
Facts = collections.namedtuple("Facts", "statistics level metadata extra")

departures = []  # the first rule for writers that was found broken


def writer_must(holds, rule, message):
    if not holds and not departures:
        departures.append(Reject(rule, message))


class StrictCursor(Cursor):
    """A cursor that also looks at what a writer must choose."""

    def frame(self, n):
        start = self.at
        values = super().frame(n)
        used, self.at = self.at, start
        first, base = self.uint(1), self.varint()
        high = self.data[self.at + 1] if first & 128 else 0
        self.at = used
        best = best_widths([value - base for value in values])
        writer_must(base == min(values) and (first & 127, high) == best, "I3",
                    f"{self.place}: frame at its byte {start}: base {base}, widths {first & 127}, {high}, not {best}")
        return values

    def front_coded(self, previous, shared, length):
        string = super().front_coded(previous, shared, length)
        writer_must(string[shared:shared + 1] != previous[shared:shared + 1] or len(previous) == shared or not length, "K2",
                    f"{self.place}: more than {shared} bytes could be shared before its byte {self.at}")
        return string


def best_widths(values):
    """I3: the width that makes the shortest frame (the largest of equals), and the high width, 0 without exceptions"""
    bits = sorted(value.bit_length() for value in values)
    best, shortest = 0, math.inf
    for width in range(bits[-1], -1, -1):
        exceptions = len(bits) - bisect.bisect_right(bits, width)
        size = (len(bits) * width + 7) // 8
        if exceptions:
            size += 2 + exceptions + (exceptions * (bits[-1] - width) + 7) // 8
        if size < shortest:
            best, shortest = width, size
    return best, bits[-1] - best


class Tally:
    """Number and time range of the events of a space, grouping, name or pair, and what else is known of them."""

    def __init__(self, key=None, first=0):
        self.key, self.first, self.count, self.earliest, self.latest = key, first, 0, math.inf, -math.inf
        self.parts, self.times = [], []  # groupings of a space; time numbers of a pair

    def add(self, timestamp):
        self.count += 1
        self.earliest, self.latest = min(self.earliest, timestamp), max(self.latest, timestamp)

    def said(self):
        return [self.count, self.earliest, self.latest - self.earliest]

    def run(self):
        return Run(self.first, *self.said(), len(self.parts) or 1, self.parts[0].key if len(self.parts) == 1 else None)


class Recomputed:
    """What follows from the events, which are given in file order."""

    def __init__(self, unit):
        self.digest = blake3.blake3(bytes([unit]))
        self.all, self.spaces, self.multi, self.last, self.rows = Tally(), [], [], None, []
        self.names = collections.defaultdict(lambda: (Tally(), collections.defaultdict(Tally)))  # name: all, by value

    def add(self, event):
        last, self.last = self.last, event[:3]
        need(last is None or last <= self.last, "B5", f"event {self.all.count}: {self.last} comes after {last}")
        if last is None or last[0] != event.space:
            self.close_space()
            self.spaces.append(Tally(event.space, self.all.count))
        space = self.spaces[-1]
        if not space.parts or space.parts[-1].key != event.grouping:
            space.parts.append(Tally(event.grouping, self.all.count))
        self.rows.append((event.timestamp, self.all.count, event.pairs))
        for tally in self.all, space, space.parts[-1]:
            tally.add(event.timestamp)
        self.add_to_digest(event)

    def close_space(self):
        """§2: sorted by time, then by ordinal, the events of a space are in time order"""
        rows = sorted(self.rows, key=lambda row: row[:2])
        for number, (timestamp, _, pairs) in enumerate(rows, self.all.count - len(rows)):
            for name, value in pairs:
                entries, values = self.names[name]
                entries.add(timestamp)
                values[value].add(timestamp)
                values[value].times.append(number)
        if self.spaces and len(self.spaces[-1].parts) > 1:
            self.multi.append((self.spaces[-1].first, [row[:2] for row in rows]))
        self.rows = []

    def add_to_digest(self, event):
        """§8"""
        texts = [sized(text) for pair in event.pairs for text in pair]
        self.digest.update(b"".join([sized(event.space), sized(event.grouping), event.timestamp.to_bytes(8, "little", signed=True),
                                     len(event.pairs).to_bytes(4, "little"), *texts, sized(event.data)]))

    def time_frames(self):
        """§6.5: first time number, first timestamp and ordinals of each entry of time order"""
        for first, rows in self.multi:
            for i in range(0, len(rows), 128):
                yield first + i, rows[i][0], [ordinal for _, ordinal in rows[i:i + 128]]


def sized(data):
    return len(data).to_bytes(4, "little") + data


class Verifier(File):
    cursor = StrictCursor

    def __init__(self, path):
        departures.clear()
        self.parts, self.claimed = collections.defaultdict(list), 0
        super().__init__(path)

    def claim(self, part, offset, length):
        self.parts[part].append((offset, length))
        self.claimed += length
        need(self.claimed <= self.size, "F1", f"{part} at {offset}: more bytes are in use than the file has")

    def walked(self, tree, handle, page, stated):
        root = stated.level is None
        self.claim("root of " + tree.part if root and tree.part in TREES else tree.part, handle.offset, handle.length)
        place, enough = f"page at {handle.offset}", 2 if page.level else 1
        writer_must(page.last < 8 * KIB or len(page.keys) <= enough, "P5", f"{place}: {page.last} bytes before its last entry")
        full = page.size >= 8 * KIB and len(page.keys) >= enough
        writer_must(full or stated.next is None, "P5", f"{place}: closed with {page.size} bytes of entries")
        writer_must(not root or page.level == 0 or len(page.keys) > 1, "P5", f"{place}: a root above a single page")

    def verify(self):
        facts = self.read_facts()
        self.claim("footer", self.size - 288, 288)
        self.read_header()
        self.claim("header", 0, 64)
        events = self.check_blocks(self.check_dictionary("dictionary", 64))
        found = [events.all.count, events.all.earliest, events.all.latest] if events.all.count else [0, 0, 0]
        said = [self.count, self.earliest, self.latest]
        need(said == found, "F5", f"footer: number of events and time range {said}, found {found}")
        self.check_spaces(events)
        self.check_groupings(events)
        self.check_names(events)
        self.check_time_order(events)
        self.check_statistics(facts, events)
        self.check_ownership()
        self.check_digests(events)
        for departure in departures:
            raise departure
        return facts

    def read_facts(self):
        """§7"""
        offset, length, checksum = self.facts_handle
        data = self.read(offset, length, "X3", "facts")
        need_checksum(data, checksum, "X3", "facts")
        cursor = self.cursor(data, "X3", "facts")
        statistics, level = [cursor.varint() for _ in STATISTICS], cursor.svarint()
        metadata = [(cursor.take(cursor.varint()), cursor.take(cursor.varint())) for _ in counted(cursor)]
        extra = [(cursor.varint(), *cursor.handle()) for _ in counted(cursor)]
        cursor.end()
        need(sum(len(key) + len(value) for key, value in metadata) <= 16 * MIB, "L1", "facts: too much user metadata")
        need(ascending([key for key, _ in metadata]), "X2", "facts: keys of user metadata do not ascend")
        need(all(a[1] <= b[1] for a, b in itertools.pairwise(extra)), "X4", "facts: extra sections are out of order")
        for kind, at, size, said in extra:
            need_checksum(self.read(at, size, "X4", "extra section"), said, "X4", f"extra section of kind {kind} at {at}")
            self.claim("extra sections", at, size)
        self.claim("facts", offset, length)
        return Facts(statistics, level, metadata, extra)

    def check_dictionary(self, part, at):
        """D1, D2; gives where the section ends"""
        if not self.dictionary_length:
            need(self.read(at, 8, "F1", part) != DICTIONARY_MARKER, "D1", f"{part} at {at}: the header says there is none")
            return at
        length = self.read_dictionary(at)[1]
        self.claim(part, at, length)
        return at + length

    def check_blocks(self, at):
        """Every block, the table of blocks (T1) and that nothing lies between blocks; then the second dictionary"""
        events, self.sums, before = Recomputed(self.unit), [0] * 5, None
        for entry in itertools.starmap(self.block_entry, self.entries(self.trees["blocks"])):
            self.check_block_begins(at, entry.offset)
            block = Block(self, entry, events.all.count)
            for row in range(block.count):
                events.add(block.event(row))
            # "bytes of columns" of §7: the sample files count the heads of blocks too, format.md does not say so
            fields = 1, len(block.frames), sum(block.lengths), block.payload_length, 56 + block.columns_length
            self.sums = [a + b for a, b in zip(self.sums, fields)]
            before = self.check_writer_of_block(block, before)
            self.claim("event blocks", entry.offset, entry.length)
            at = entry.offset + entry.length
        self.check_block_begins(at, None)
        self.check_dictionary("second dictionary", at)
        events.close_space()
        return events

    def check_block_begins(self, at, offset):
        if offset != at:
            need(self.read(at, 8, "F1", "blocks") != BLOCK_MARKER, "T1", f"blocks: the block at {at} has no entry")
            need(offset is None, "F1", f"block at {offset}: expected at {at}")

    def check_writer_of_block(self, block, before):
        """B3, B9, B10, and the step and smallest of times, which have no rule of their own but W2"""
        keys = [sum(map(len, run)) + sum(len(name) + len(value) for name, value in pairs)
                for run, pairs in zip(block.keys, block.pairs)]
        limits, sizes = (4096, MIB, 4 * MIB), (block.count, sum(block.lengths), sum(keys))
        good = block.count == 1 or all(size <= limit for size, limit in zip(sizes, limits))
        writer_must(good, "B3", f"{block.place}: events, data, keys are {sizes}")
        more = zip(before or limits, (1, block.lengths[0], keys[0]), limits)
        writer_must(any(size + first > limit for size, first, limit in more), "B3", f"{block.place}: begins too early")
        for form, rows in block.forms:
            writer_must(form == 0 or list(rows) != list(range(block.count)), "B9", f"{block.place}: form 1 without need")
        most = self.frame_size
        for frame, after in itertools.pairwise([*block.frames, None]):
            end = after.row if after else block.count
            writer_must(frame.plain <= most or end == frame.row + 1, "B10", f"{block.place}: a frame of {frame.plain} bytes")
            good = not after or frame.plain + block.lengths[end] > most
            writer_must(good, "B10", f"{block.place}: frame with {frame.plain} bytes ends too early")
        step, *times = block.time_parts
        good = min(times[0]) == 0 and step == 1 if not any(map(any, times)) else math.gcd(*itertools.chain(*times)) == 1
        writer_must(good and min(times[0]) == 0, "W2", f"{block.place}: step {step} or smallest timestamp")
        return sizes

    def check_spaces(self, events):
        for entry, space in itertools.zip_longest(self.entries(self.trees["spaces"]), events.spaces):
            need(entry and space and entry[0] == space.key, "T2", f"spaces: {entry} where {space and space.key} is expected")
            found = self.space_run(entry[1])
            need(found == space.run(), "T2", f"spaces: {space.run()} expected for {space.key!r}, found {found}")

    def check_groupings(self, events):
        expected = ((space, part) for space in events.spaces if len(space.parts) > 1 for part in space.parts)
        for entry, (space, part) in itertools.zip_longest(self.entries(self.trees["groupings"]), expected, fillvalue=(None, None)):
            good = entry[0] and space and entry[0] == key64(space.first) + part.key
            need(good, "T3", f"groupings: {entry} where {part and part.key} is expected")
            found = self.grouping_run(entry[1], space.first)
            need(found == part.run(), "T3", f"groupings: {part.run()} expected for {entry[0]!r}, found {found}")

    def check_names(self, events):
        for entry, name in itertools.zip_longest(self.entries(self.trees["index names"]), sorted(events.names)):
            need(entry and entry[0] == name, "T4", f"index names: {entry} where {name!r} is expected")
            (tally, values), (found, tree) = events.names[name], self.index_name(entry[1])
            said = [len(values), *tally.said()]
            need(found == said, "T4", f"index names: {said} expected for {name!r}, found {found}")
            for pair, value in itertools.zip_longest(self.entries(tree), sorted(values)):
                need(pair and pair[0] == value, "T4", f"values of {name!r}: {pair} where {value!r} is expected")
                self.check_value(f"{name!r}={value!r}", pair[1], values[value])

    def check_value(self, pair, entry, tally):
        found, cursor = self.index_value(entry)
        need(found == tally.said(), "T4", f"values: {tally.said()} expected for {pair}, found {found}")
        times = self.posting_list(tally.count, cursor, 0, self.count)
        need(times == tally.times, "T5", f"posting list of {pair}: not the events that have the pair")

    def check_time_order(self, events):
        for entry, expected in itertools.zip_longest(self.entries(self.trees["time order"]), events.time_frames()):
            need(entry and expected, "T6", f"time order: {entry} where {expected and expected[:2]} is expected")
            first, *said = expected
            timestamp, ordinals = self.time_frame(entry[1])
            need(len(ordinals) == len(said[1]), "T7", f"time order: a frame of {len(ordinals)} at {first}")
            good = entry[0] == key64(first) and [timestamp, ordinals] == said
            need(good, "T6", f"time order: the entry at {first} is not that of the events")

    def check_statistics(self, facts, events):
        """X1"""
        def size(*parts):
            return sum(length for part in parts for _, length in self.parts[part])
        names = events.names.values()
        expected = [len(events.spaces), sum(len(space.parts) for space in events.spaces), len(names),
                    sum(len(values) for _, values in names), sum(tally.count for tally, _ in names), *self.sums,
                    size("time order", "root of time order"), size(VALUES, "index names", "root of index names"),
                    *(size(tree, "root of " + tree) for tree in TREES[2:])]
        for name, found, true in zip(STATISTICS, facts.statistics, expected):
            need(found == true, "X1", f"facts: {name}: {true} expected, found {found}")
        need(facts.level == 0 or self.codec not in ("none", "snappy"), "X1", f"facts: level {facts.level} of {self.codec}")

    def check_ownership(self):
        """F1; pages out of order inside of one part break P5 only"""
        extents = [(offset, number, length) for number, part in enumerate(PARTS) for offset, length in self.parts[part]]
        end = order = 0
        for offset, number, length in sorted(extents):
            need(offset == end, "F1", f"{PARTS[number]} at {offset}: expected at {end}")
            need(number >= order, "F1", f"{PARTS[number]} at {offset}: after {PARTS[order]}")
            end, order = offset + length, number
        need(end == self.size, "F1", f"parts end at {end}, the file at {self.size}")
        writer_must(extents == sorted(extents), "P5", "pages are not in post-order")

    def check_digests(self, events):
        """G1; the file digest covers all but itself and the last 24 bytes of the footer"""
        digest = blake3.blake3()
        for at in range(0, self.size - 56, MIB):
            digest.update(self.read(at, min(MIB, self.size - 56 - at), "F3", "file"))
        need(digest.digest() == self.file_digest, "G1", f"file digest: found {digest.hexdigest()}")
        need(events.digest.digest() == self.content_digest, "G1", f"content digest: found {events.digest.hexdigest()}")


def counted(cursor):
    """As many turns as the next varint says; each reads from the cursor, whose bytes end"""
    return itertools.repeat(None, min(cursor.varint(), sys.maxsize))


def verify(path):
    for kind, *_ in Verifier(path).verify().extra:
        print(f"extra section of kind {kind}: not understood", file=sys.stderr)
    print("ok")


def info(path):
    file = Verifier(path)
    facts = file.read_facts()
    print(f"events: {file.count}, from {file.earliest} to {file.latest} {('s', 'ms', 'us', 'ns')[file.unit]}")
    print(f"codec: {file.codec}, level {facts.level}, frame size {file.frame_size}, dictionary {file.dictionary_length}")
    for name, number in zip(STATISTICS, facts.statistics):
        print(f"{name}: {number}")
    for key, value in facts.metadata:
        print(f"metadata {key!r}: {value!r}")
