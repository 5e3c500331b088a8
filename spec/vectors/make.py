#!/usr/bin/env python3
"""Makes the vectors that no writer writes: bad/, unsupported/, unfinished/, a few of good/; two fixtures; and README.md.

    python spec/vectors/make.py

A good vector is taken apart, changed by one small function (the table of mutations, below), and put together again: every
offset, length, checksum and digest is true anew, so that one rule is broken and no other. Only where a vector is about a
checksum or an offset itself it is left false. The output depends on nothing but good/ and this file.

`Archive` is the file in pieces: header, dictionaries, blocks (`Block`: head, areas of the columns, payload), trees (`Node`:
a page; a value is a list of bytes and of what it points to), facts, footer.
"""

import itertools, json, math, pathlib, struct, sys, tempfile, zlib  # noqa: E401

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import blake3  # noqa: E402

import reader  # noqa: E402
from reader import Cursor, Handle  # noqa: E402

# Primitives, written


def varint(value):
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    return bytes([*data, value])


def svarint(value):
    return varint((value << 1 ^ value >> 63) & (1 << 64) - 1)


def packed(values, width):
    bits = sum(value << i * width for i, value in enumerate(values))
    return bits.to_bytes((len(values) * width + 7) // 8, "little")


def frame(values):
    """§4.1; I3: the shortest, among equals the widest"""
    base = min(values)
    parts = [value - base for value in values]
    found = []
    for width in range(max(parts).bit_length(), -1, -1):
        positions = [i for i, part in enumerate(parts) if part >> width]
        high = max(parts).bit_length() - width
        data = bytes([width | (128 if positions else 0)]) + varint(base)
        data += bytes([len(positions), high]) if positions else b""
        data += packed([part & (1 << width) - 1 for part in parts], width) + bytes(positions)
        found.append(data + packed([parts[i] >> width for i in positions], high))
    return min(found, key=len)  # the first of equals


def column(values):
    return b"".join(frame(values[i:i + 128]) for i in range(0, len(values), 128))


def front_coded(strings, previous=b""):
    data = b""
    for string in strings:
        shared = shared_length(previous, string)
        data += varint(shared) + varint(len(string) - shared) + string[shared:]
        previous = string
    return data


def shared_length(a, b):
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def short_lengths(*lengths):
    """§6.2: of what a key shares and of its suffix"""
    shared, suffix = (min(length, 15) for length in lengths)
    return bytes([shared << 4 | suffix]) + b"".join(varint(length - 15) for length in lengths if length >= 15)


def u32(value):
    return value.to_bytes(4, "little")


def key64(value):
    return value.to_bytes(8, "big")


def sums(items):
    """0, the first, the first two, … all together"""
    return [0, *itertools.accumulate(items)]


HEADER_FIELDS = struct.Struct("<HBBIIIII")  # §3.2: bytes 8 to 31


# The file in pieces


class Node:
    """A page. `edit` changes its bytes before its checksum is taken, `damage` after that."""

    def __init__(self, level, entries):
        self.level, self.entries, self.edit, self.damage, self.lie = level, entries, None, None, None
        self.handle = None  # where it was put

    def encode(self):
        data, restarts, last = b"", b"", b""
        for i, (key, parts) in enumerate(self.entries):
            if i % 16 == 0:
                restarts, last = restarts + struct.pack("<H", len(data)), b""
            value, shared = b"".join(map(encode_part, parts)), shared_length(last, key)
            data += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
            last = key
        data = bytearray(bytes([self.level]) + struct.pack("<H", len(self.entries)) + restarts + data)
        if self.edit:
            self.edit(data)
        return data

    def children(self):
        return [part for _, parts in self.entries for part in parts if isinstance(part, Node)]

    def value(self, i):
        return self.entries[i][1]


class Leaf(Node):
    """§6.2: a leaf of spaces or groupings. A value is the list that reader.read_extents makes of an entry. `change` is a function that
    changes the list of its `ExtentFrame`s, `lie` adds to the stated lengths of keys and of only groupings."""

    def __init__(self, name, entries, stored):
        super().__init__(0, entries)
        self.name, self.stored, self.change, self.lengths, self.starts, self.edit_keys = name, stored, None, [0, 0], 0, None

    def encode(self):
        keys, restarts, last, frames = b"", b"", b"", []
        for i, (key, _) in enumerate(self.entries):
            if i % 16 == 0:
                restarts, last = restarts + struct.pack("<H", len(keys)), b""
            shared = shared_length(last, key)
            keys += short_lengths(shared, len(key) - shared) + key[shared:]
            last = key
        keys = bytearray(keys)
        if self.edit_keys:
            self.edit_keys(keys)
        only = [row[5] for _, row in self.entries if self.name == "spaces" and row[4] == 1]
        strings, at = bytes(keys) + b"".join(only), 0
        for i in range(0, len(self.entries), 128):
            rows = [row for _, row in self.entries[i:i + 128]]
            frames.append(ExtentFrame(self.name, rows, at))
            at += sum(frames[-1].lengths)
        if self.change:
            self.change(frames)
        frames = [frame.encode() for frame in frames]
        starts = struct.pack(f"<{len(frames)}H", *(start + self.starts for start in sums(map(len, frames))[:-1]))
        plain, stored = self.stored
        stored = stored if plain == strings else strings
        lengths = [len(keys) + self.lengths[0], len(strings) - len(keys) + self.lengths[1], len(stored)]
        data = bytearray(b"\0" + struct.pack("<H", len(self.entries)) + restarts)
        if self.entries:
            data += starts + b"".join(map(varint, lengths)) + stored + b"".join(frames)
        if self.edit:
            self.edit(data)
        return data

    def children(self):
        return []


class ExtentFrame:
    """Up to 128 entries of a `Leaf`"""

    def __init__(self, name, rows, at):
        self.name, self.first, self.at, self.surplus = name, rows[0][0], at, b""
        self.counts = [row[1] - 1 for row in rows]
        self.gaps = [b[0] - a[0] - a[1] for a, b in zip(rows, rows[1:])] if name == "groupings" else []
        self.base = min(row[2] for row in rows)
        firsts, spans = [row[2] - self.base for row in rows], [row[3] for row in rows if row[1] > 1]
        self.step = math.gcd(*firsts, *spans) or 1
        self.firsts, self.spans = ([time // self.step for time in times] for times in (firsts, spans))
        self.more = [row[4] - 1 for row in rows if row[1] > 1] if name == "spaces" else []
        self.lengths = [len(row[5]) for row in rows if row[4] == 1] if name == "spaces" else []

    def encode(self):
        data = varint(self.first) + (varint(self.at) if self.name == "spaces" else b"") + svarint(self.base) + varint(self.step)
        columns = self.counts, self.gaps, self.firsts, self.spans, self.more, self.lengths
        return data + b"".join(map(column, columns)) + self.surplus


def encode_part(part):
    """Bytes as they are, a handle of what was put already; behind that of a block the length of its row areas"""
    if isinstance(part, (Node, Block)):
        handle = said(part)
        rows = varint(part.rows_length + part.rows_lie) if isinstance(part, Block) else b""
        return varint(handle.offset) + varint(handle.length) + u32(handle.checksum) + rows
    return part


def said(thing):
    """The handle that is written of a page or block: the true one, unless it has a function `lie`"""
    return thing.lie(thing.handle) if thing.lie else thing.handle


RUNS, TIMES, LENGTHS, FRAMES, KEYS, VALUES, INDEXES = range(7)  # §5.2: the areas; from INDEXES on the index columns


class Block:
    """§5. `areas` as in §5.2, uncompressed; `sizes` says other uncompressed lengths of areas than the true ones. `surplus` follows the
    row areas; `change_labels` changes the bytes of the label areas, after their lengths and checksums were taken."""

    def __init__(self, file, handle):
        data = file.read("", "", *handle[:2])
        fields = reader.BLOCK_HEAD.unpack(data[:60])
        (self.marker, _, self.ordinal, self.count, rows, labels, _, _,
         self.dictionary_checksum, self.unit, self.codec, self.has_dictionary, self.zero, _) = fields
        self.payload, self.handle, self.damage, self.lie = data[60 + rows + labels:], handle, None, None
        cursor = Cursor(data[60:60 + rows + labels], "", "")
        self.spaces, self.groupings, self.frames, self.names, *sizes = [cursor.varint() for _ in range(8)]
        plain_sizes = {}
        for i in range(KEYS, INDEXES + self.names):
            if i < INDEXES:
                plain_sizes[i] = cursor.varint()
            sizes.append(cursor.varint())
            cursor.take(4)
        self.areas = [cursor.take(size) for size in sizes]
        self.stored, self.sizes, self.offset_lie, self.payload_lie, self.rows_lie = {}, {}, 0, 0, 0
        self.surplus, self.change_labels = b"", None
        for i, size in plain_sizes.items():
            plain = reader.undo_piece(self.codec, self.areas[i], size, "")
            self.stored[i], self.areas[i] = (plain, self.areas[i]), plain

    def encode(self, offset):
        areas = list(self.areas)
        for i, (plain, stored) in self.stored.items():
            areas[i] = stored if areas[i] == plain else areas[i]
        rows = b"".join(map(varint, [self.spaces, self.groupings, self.frames, self.names, *map(len, areas[:KEYS])]))
        for i, area in enumerate(areas[KEYS:], KEYS):
            plain = varint(self.sizes.get(i, len(self.areas[i]))) if i in self.stored else b""
            rows += plain + varint(len(area)) + u32(zlib.crc32(area))
        rows += b"".join(areas[:KEYS]) + self.surplus
        self.rows_length = len(rows)
        labels = bytearray(b"".join(areas[KEYS:]))
        self.places = [60 + len(rows) + at for at in sums(map(len, areas[KEYS:]))]  # of the label areas, and of the payload
        if self.change_labels:
            self.change_labels(labels)
        head = self.marker + struct.pack(
            "<QQIIIQIIBBBB", offset + self.offset_lie, self.ordinal, self.count, len(rows), len(labels),
            len(self.payload) + self.payload_lie, zlib.crc32(rows), self.dictionary_checksum, self.unit, self.codec,
            self.has_dictionary, self.zero)
        return bytearray(head + u32(zlib.crc32(head)) + rows + labels + self.payload)

    def cursor(self, area):
        return Cursor(self.areas[area], "", "")

    def keys(self):
        """Its spaces, its groupings"""
        cursor = self.cursor(KEYS)
        return cursor.strings(self.spaces), cursor.strings(self.groupings)

    def set_keys(self, spaces, groupings):
        self.areas[KEYS] = front_coded(spaces) + front_coded(groupings)

    def runs(self):
        cursor = self.cursor(RUNS)
        return cursor.column(self.spaces), cursor.column(self.groupings)

    def set_runs(self, spaces, groupings):
        self.areas[RUNS] = column(spaces) + column(groupings)

    def times(self):
        """Smallest, step, first ones, other ones"""
        cursor = self.cursor(TIMES)
        return [cursor.svarint(), cursor.varint(), cursor.column(self.groupings), cursor.column(self.count - self.groupings)]

    def set_times(self, smallest, step, first, others):
        self.areas[TIMES] = svarint(smallest) + varint(step) + column(first) + column(others)

    def lengths(self):
        return self.cursor(LENGTHS).column(self.count)

    def frame_columns(self):
        """Numbers of events minus 1, stored lengths, checksums"""
        cursor = self.cursor(FRAMES)
        return [cursor.column(self.frames), cursor.column(self.frames), [cursor.uint(4) for _ in range(self.frames)]]

    def set_frames(self, counts, stored, checksums):
        self.areas[FRAMES] = column(counts) + column(stored) + b"".join(map(u32, checksums))

    def set_payload(self, payload):
        """Another payload in the same frames"""
        counts, stored, _ = self.frame_columns()
        starts = sums(stored)
        self.payload = payload
        self.set_frames(counts, stored, [zlib.crc32(payload[a:b]) for a, b in zip(starts, starts[1:])])

    def values(self):
        """[name, its values] of all names"""
        cursor, name, found = self.cursor(VALUES), b"", []
        for _ in range(self.names):
            name, = cursor.strings(1, name)
            found.append([name, cursor.strings(cursor.varint())])
        return found

    def set_values(self, names):
        self.areas[VALUES], previous = b"", b""
        for name, values in names:
            self.areas[VALUES] += front_coded([name], previous) + varint(len(values)) + front_coded(values)
            previous = name

    def index(self, i):
        """Rows and codes of the i-th index column; `common` is its first number"""
        cursor = self.cursor(INDEXES + i)
        count = cursor.varint() if cursor.uint(1) else self.count
        rows = sums(cursor.column(count))[1:] if self.areas[INDEXES + i][0] else list(range(count))
        self.common = cursor.varint()
        return [*zip(rows, cursor.column(count))]

    def set_index(self, i, entries):
        rows = [row for row, _ in entries]
        steps = [b - a for a, b in zip([0, *rows], rows)]
        codes = varint(self.common) + column([code for _, code in entries])
        self.areas[INDEXES + i] = b"\1" + varint(len(entries)) + column(steps) + codes


class Archive:
    """`edit` and `damage` are functions that change the bytes of a part, before and after its checksum is taken."""

    def __init__(self, path):
        self.path = path
        file = reader.File(path)
        self.file = file
        header = file.read("", "", 0, 64)
        (self.version, self.unit, self.codec, self.required, self.optional, self.frame_size, self.dictionary_length,
         self.dictionary_checksum) = HEADER_FIELDS.unpack(header[8:32])
        self.blocks, self.order = [], list(reader.TREES)
        self.roots = {tree: self.node(file.roots[tree][0], tree) for tree in reader.TREES}
        self.counts = {tree: file.roots[tree][1] for tree in reader.TREES}
        at = sum(self.blocks[-1].handle[:2]) if self.blocks else 64
        self.dictionaries = [self.dictionary_at(at) for at in (64, at)] if self.dictionary_length else []
        cursor = Cursor(file.read("", "", *file.facts[:2]), "", "")
        self.statistics, self.level = [cursor.varint() for _ in range(15)], cursor.svarint()
        self.metadata = [[cursor.take(cursor.varint()), cursor.take(cursor.varint())] for _ in range(cursor.varint())]
        self.extra, self.extra_said = [], []  # sections: kind and bytes; functions that make more entries of their list
        self.count, self.earliest, self.latest = file.count, file.earliest, file.latest
        self.content_digest = file.content_digest
        self.gaps = {}  # bytes before "block 0", "block 1", …, "roots"
        self.edit, self.damage = {}, {}  # by part

    def node(self, handle, kind):
        """The page at a handle with all below it"""
        level, *entries = reader.read_page(self.file, handle, name=kind)
        if level == 0 and kind in ("spaces", "groupings"):
            return Leaf(kind, [[key, list(row)] for key, row in zip(*entries)], self.strings_at(handle))
        node = Node(level, [])
        for key, value in zip(*entries):
            value = [self.node(value[0], kind), varint(value[1])] if level else self.split(kind, value)
            node.entries.append([key, value])
        return node

    def split(self, kind, value):
        cursor = Cursor(value, "", "")
        if kind == "blocks":
            self.blocks.append(Block(self.file, cursor.handle()))
            cursor.varint()
            return [self.blocks[-1], value[cursor.at:]]
        numbers = [cursor.varint() for _ in range({"index names": 4, "values": 3}.get(kind, 0))]
        if not numbers or kind == "values" and numbers[0] <= 128:
            return [value]
        start = cursor.at
        return [value[:start], self.node(cursor.handle(), {"index names": "values", "values": "list"}[kind])]

    def strings_at(self, handle):
        """Of a leaf of spaces or groupings, uncompressed and stored"""
        cursor = Cursor(self.file.read("", "", *handle[:2]), "", "")
        cursor.take(1)
        count = cursor.uint(2)
        if count == 0:
            return b"", b""
        cursor.take((count + 15) // 16 * 2 + (count + 127) // 128 * 2)
        keys, only, stored = [cursor.varint() for _ in range(3)]
        stored = cursor.take(stored)
        return reader.undo_piece(self.codec, stored, keys + only, ""), stored

    def dictionary_at(self, at):
        stored, = struct.unpack("<I", self.file.read("", "", at + 20, 4))
        return self.file.read("", "", at + 32, stored)

    # Putting it together

    def header(self):
        data = bytearray(reader.HEADER_MAGIC + HEADER_FIELDS.pack(
            self.version, self.unit, self.codec, self.required, self.optional, self.frame_size, self.dictionary_length,
            self.dictionary_checksum) + bytes(28))
        self.change(self.edit, "header", data)
        data += u32(zlib.crc32(data))
        self.change(self.damage, "header", data)
        return data

    def change(self, changes, part, data):
        if part in changes:
            changes[part](data)

    def put(self, thing, data):
        """Appends the bytes of a block or page; its handle is that of the bytes before its `damage`"""
        offset = len(self.out)
        checksum = int.from_bytes(data[56:60], "little") if isinstance(thing, Block) else zlib.crc32(data)
        thing.handle = Handle(offset, len(data), checksum)
        if thing.damage:
            thing.damage(data)
        self.out += data

    def put_below(self, node):
        """Pages in post-order: those below a page"""
        for child in node.children():
            self.put_below(child)
            self.put(child, child.encode())

    def put_dictionary(self, number):
        if number >= len(self.dictionaries):
            return
        stored = self.dictionaries[number]
        data = bytearray(reader.DICTIONARY_MARKER + struct.pack(
            "<QIII", len(self.out), self.dictionary_length, len(stored), self.dictionary_checksum) + stored)
        self.change(self.edit, f"dictionary {number}", data)
        data[28:28] = u32(zlib.crc32(data))
        self.change(self.damage, f"dictionary {number}", data)
        self.out += data

    def gap(self, place):
        self.out += self.gaps.get(place, b"")

    def encode(self):
        self.out = bytearray(self.header())
        self.put_dictionary(0)
        for number, block in enumerate(self.blocks):
            self.gap(f"block {number}")
            self.put(block, block.encode(len(self.out)))
        self.put_dictionary(1)
        sizes = {}
        for tree in reader.TREES:
            start = len(self.out)
            self.put_below(self.roots[tree])
            sizes[tree] = len(self.out) - start
        self.gap("roots")
        for tree in self.order:
            self.put(self.roots[tree], self.roots[tree].encode())
            sizes[tree] += self.roots[tree].handle.length
        extra = []
        for kind, data in self.extra:
            extra.append(varint(kind) + varint(len(self.out)) + varint(len(data)) + u32(zlib.crc32(data)))
            data = bytearray(data)
            self.change(self.damage, "extra section", data)
            self.out += data
        statistics = list(self.statistics)
        statistics[8:10] = (sum(len(block.payload) for block in self.blocks),
                            sum(block.handle.length - len(block.payload) for block in self.blocks))
        statistics[10:] = [sizes[tree] for tree in reader.TREES]
        self.change(self.edit, "statistics", statistics)
        facts = b"".join(map(varint, statistics)) + svarint(self.level) + varint(len(self.metadata))
        facts += b"".join(varint(len(text)) + text for pair in self.metadata for text in pair)
        extra += [make(self) for make in self.extra_said]
        facts = bytearray(facts + varint(len(extra)) + b"".join(extra))
        self.change(self.edit, "facts", facts)
        facts_handle = struct.pack("<QII", len(self.out), len(facts), zlib.crc32(facts))
        self.change(self.damage, "facts", facts)
        self.out += facts
        return bytes(self.out + self.footer(facts_handle))

    def footer(self, facts_handle):
        roots = [(*said(self.roots[tree]), self.counts[tree]) for tree in reader.TREES]
        data = bytearray(struct.pack("<Q", len(self.out) + 288) + self.out[8:32] + self.out[60:64] + bytes(4))
        data += struct.pack("<Qqq", self.count, self.earliest, self.latest)
        data += b"".join(reader.ROOT.pack(*root) for root in roots) + facts_handle + self.content_digest
        self.change(self.edit, "footer", data)
        data += blake3.blake3(self.out + data).digest()
        end = bytearray(struct.pack("<IH6s", 288, min(self.version, 0xFFFF), bytes(6)) + reader.FOOTER_MAGIC)
        self.change(self.edit, "end", end)
        self.change(self.damage, "file digest", data)
        data += u32(zlib.crc32(data + end)) + end
        self.change(self.damage, "footer", data)
        return data


def content_digest(data, otherwise):
    """That of the events as a reader sees them that checks nothing; `otherwise` if it stumbles"""
    need, reader.need = reader.need, lambda *_: None
    try:
        with tempfile.NamedTemporaryFile(suffix=".esdb") as temporary:
            temporary.write(data)
            temporary.flush()
            file = reader.File(temporary.name)
            return reader.content_digest(file.unit, reader.read_blocks(file)[1])
    except Exception:  # whatever nonsense leads to
        return otherwise
    finally:
        reader.need = need


# The table of mutations

VECTORS = []  # (folder, name, from, what its JSON says, function)


def vector(folder, name, source, comment, **said):
    def register(function):
        VECTORS.append((folder, name, source, {"comment": comment, **said}, function))
        return function
    return register


def bad(name, source, comment, level="verify", rules=None, **said):
    """A vector that breaks the rule its name begins with"""
    rule = name.split("-")[0]
    return vector("bad", name, source, comment, expect="reject", reject=rule, rules=rules or [rule], level=level, **said)


def flip(at, bit=1):
    """Damage: one bit of a part; negative places count from its end"""
    def change(data):
        data[at] ^= bit
    return change


def put(at, new):
    def change(data):
        data[at:at + len(new)] = new
    return change


def insert(at, new):
    def change(data):
        data[at:at] = new
    return change


def leaf(archive, tree):
    """The first leaf of one of the five trees"""
    node = archive.roots[tree]
    while node.level:
        node = node.value(0)[0]
    return node


def values_tree(archive, name):
    return next(parts[1] for key, parts in leaf(archive, "index names").entries if key == name)


def change_value(node, i, *numbers, kinds="vvsv"):
    """Adds to the numbers that the i-th value of a leaf begins with"""
    parts, cursor = node.value(i), Cursor(node.value(i)[0], "", "")
    new = [cursor.varint() if kind == "v" else cursor.svarint() for kind in kinds]
    new = [a + b for a, b in zip(new, numbers)]
    parts[0] = b"".join((varint if kind == "v" else svarint)(a) for kind, a in zip(kinds, new)) + parts[0][cursor.at:]


def change_row(node, i, *numbers):
    """Adds to the numbers of an entry of a leaf of spaces or groupings: first ordinal, events, smallest timestamp, span, groupings"""
    row = node.value(i)
    row[:len(numbers)] = [a + b for a, b in zip(row, numbers)]


def frame_of(tree, **numbers):
    """The first extent frame of a tree's first leaf states other numbers"""
    def change(a):
        leaf(a, tree).change = lambda frames: frames[0].__dict__.update(numbers)
    return change


# §1, §3: the file as a whole


@bad("C1-not-shortest", "one", "The first number of the facts takes two bytes where one would do.", "open")
def _(a):
    a.edit["facts"] = first_number(b"\x81\x00")


@bad("C1-too-long", "one", "The first number of the facts takes eleven bytes.", "open")
def _(a):
    a.edit["facts"] = first_number(b"\x81" + b"\x80" * 9 + b"\x00")


@bad("C1-too-large", "one", "The first number of the facts does not fit 64 bits.", "open")
def _(a):
    a.edit["facts"] = first_number(b"\xff" * 9 + b"\x02")


def first_number(new):
    def change(data):
        data[0:1] = new
    return change


@bad("C1-in-page", "one", "A number of a page's entry is not in its shortest form.")
def _(a):
    parts = leaf(a, "index names").value(0)
    parts[0] = b"\x81\x00" + parts[0][1:]


@bad("F1-gap", "one", "Eight bytes between the block and the pages belong to nothing.")
def _(a):
    a.gaps["roots"] = bytes(8)


@bad("F1-gap-before-blocks", "one", "Eight bytes between the header and the first block belong to nothing.")
def _(a):
    a.gaps["block 0"] = bytes(8)


@bad("F1-overlap", "one", "An extra section lies over the root of blocks.")
def _(a):
    def section(archive):
        handle = archive.roots["blocks"].handle
        return varint(9) + varint(handle.offset) + varint(handle.length) + u32(handle.checksum)
    a.extra_said.append(section)


@bad("F1-roots-order", "one", "The roots of spaces and groupings have changed places.")
def _(a):
    a.order[2:4] = a.order[3], a.order[2]


@bad("F1-post-order", "two-levels", "The two leaves of the tree of spaces have changed places.")
def _(a):
    root = a.roots["spaces"]
    children = root.children()
    root.children = lambda: children[::-1]


@bad("F2-not-ours", "one", "A text.", "open", message="not an esdb file")
def _(a):
    return b"This is not an archive of events, and longer than a footer. " * 8


@bad("F2-checksum", "one", "One bit of the footer is flipped.", "open")
def _(a):
    a.damage["footer"] = flip(200)


@bad("F2-length", "one", "The footer's length is not 288.", "open")
def _(a):
    a.edit["end"] = put(0, u32(320))


@bad("F3-length", "one", "The footer states a length that is not the file's.", "open")
def _(a):
    a.edit["footer"] = flip(0)


@bad("F3-cut", "one", "The first 64 bytes of the file are missing.", "open")
def _(a):
    return a.encode()[64:]


@bad("F4-frame-size", "one", "The footer states another frame size than the header.")
def _(a):
    a.edit["footer"] = put(20, u32(8192))


@bad("F4-header-checksum", "one", "The footer states another checksum of the header.")
def _(a):
    a.edit["footer"] = flip(32)


@bad("F4-zero-36", "one", "Byte 36 of the footer is not zero.", "open")
def _(a):
    a.edit["footer"] = flip(36)


@bad("F4-zero-274", "one", "Byte 274 of the footer is not zero.", "open")
def _(a):
    a.edit["end"] = flip(6)


@bad("F4-version", "one", "The version at the footer's end is 0.", "open")
def _(a):
    a.edit["end"] = put(4, bytes(2))


@bad("F5-count", "one", "The footer states two events where there is one.")
def _(a):
    a.count = 2


@bad("F5-time", "ties", "The footer states a largest timestamp that no event has.", "deep")
def _(a):
    a.latest += 1


@bad("F5-empty", "empty", "A file without events whose footer states a timestamp.", "open")
def _(a):
    a.earliest = a.latest = 1


@bad("H1-magic", "one", "The file does not begin with the magic.")
def _(a):
    a.edit["header"] = put(0, b"\x89ESDC")


@bad("H1-checksum", "one", "One bit of the header is flipped, under the checksum that it had.")
def _(a):
    a.damage["header"] = flip(40)


@bad("H1-zero", "one", "A byte of the header that must be zero is not.")
def _(a):
    a.edit["header"] = flip(40)


@bad("H1-version", "empty", "Version 0, in the header and its copy in the footer.", "open")
def _(a):
    a.edit["header"] = put(8, b"\0\0")


@bad("H2-unit", "empty", "Unit 4.", "open")
def _(a):
    a.unit = 4


@bad("H2-codec", "empty", "Codec 4.", "open")
def _(a):
    a.codec = 4


@bad("H2-frame-size-small", "one", "A frame size of 255 bytes.", "open")
def _(a):
    a.frame_size = 255


@bad("H2-frame-size-large", "one", "A frame size of 1 MiB and one byte.", "open")
def _(a):
    a.frame_size = (1 << 20) + 1


@bad("D1-codec", "codec-lz4", "A dictionary is announced in a file of codec lz4.", "open")
def _(a):
    a.dictionary_length, a.dictionary_checksum = 100, 1
    for block in a.blocks:
        block.has_dictionary, block.dictionary_checksum = 1, 1


@bad("D1-checksum", "codec-zstd", "A checksum of a dictionary that the file does not have.", "open")
def _(a):
    a.dictionary_checksum = 1
    for block in a.blocks:
        block.dictionary_checksum = 1


@bad("D1-missing", "dictionary", "The second copy of the dictionary is missing.")
def _(a):
    del a.dictionaries[1]


@bad("D2-flip", "dictionary", "One bit of the first dictionary is flipped.")
def _(a):
    a.damage["dictionary 0"] = flip(100)


@bad("D2-offset", "dictionary", "The second dictionary states another offset than its own.")
def _(a):
    a.edit["dictionary 1"] = flip(8)


@bad("D2-other", "dictionary", "The second dictionary is another one: its checksum does not match what is decompressed.")
def _(a):
    plain = bytearray(reader.undo_piece(3, a.dictionaries[1], a.dictionary_length, ""))
    plain[-1] ^= 1
    a.dictionaries[1] = bytes(plain)  # stored as it is


# §3.1: limits, all without the bytes that would justify the numbers


@bad("L1-dictionary", "empty", "A dictionary of 128 KiB and one byte is announced.", "open")
def _(a):
    a.codec, a.dictionary_length, a.dictionary_checksum = 3, (128 << 10) + 1, 1


@bad("L1-page", "one", "A root is a page of 256 KiB and one byte, and the file has less.", "open")
def _(a):
    a.roots["spaces"].lie = lambda handle: handle._replace(length=(256 << 10) + 1)


@bad("L1-level", "one", "A page of level 32: a tree with more levels than a tree may have.")
def _(a):
    a.roots["spaces"] = Node(32, [[b"", [varint(64), varint(10), bytes(4), varint(0)]]])


@bad("L1-block", "one", "A block states 4,097 events.")
def _(a):
    a.blocks[0].count = 4097


@bad("L1-keys", "codec-lz4", "A keys area of more than 32 MiB is announced.")
def _(a):
    a.blocks[0].sizes[KEYS] = (32 << 20) + 1


@bad("L1-data", "one", "An event of 1 GiB of data is announced.")
def _(a):
    a.blocks[0].areas[LENGTHS] = column([1 << 30])


@bad("L1-events", "empty", "The footer states 2^63 events.", "open")
def _(a):
    a.count = 1 << 63


# §4: primitives, pages and trees


@bad("I1-width", "ties", "A frame of values of 65 bits.")
def _(a):
    a.blocks[0].areas[LENGTHS] = b"\x41" + a.blocks[0].areas[LENGTHS][1:]


@bad("I1-beyond", "ties", "A frame reaches beyond its area.")
def _(a):
    a.blocks[0].areas[LENGTHS] = frame([*range(12)])[:-1]


@bad("I1-position", "ties", "An exception of a frame of 12 values is at position 12.")
def _(a):
    a.blocks[0].areas[LENGTHS] = b"\x81\x01\x01\x06" + packed([0] * 10 + [1] * 2, 1) + b"\x0c" + packed([63], 6)


@bad("I1-positions", "ties", "The exceptions of a frame do not ascend.")
def _(a):
    a.blocks[0].areas[LENGTHS] = b"\x81\x01\x02\x06" + packed([0] * 10 + [1] * 2, 1) + b"\x04\x03" + packed([63, 63], 6)


@bad("I1-high-part", "ties", "An exception of a frame has the high part zero.")
def _(a):
    a.blocks[0].areas[LENGTHS] = b"\x81\x01\x01\x06" + packed([0] * 10 + [1] * 2, 1) + b"\x04" + packed([0], 6)


@bad("I2-unused-bits", "ties", "Bits after the last value of a frame are not zero.")
def _(a):
    area = bytearray(frame([1] * 10 + [2] * 2))
    area[-1] |= 0x80
    a.blocks[0].areas[LENGTHS] = bytes(area)


@bad("I2-overflow", "ties", "A value of a frame does not fit 64 bits.")
def _(a):
    a.blocks[0].areas[LENGTHS] = b"\x01" + b"\xff" * 9 + b"\x01" + packed([0] * 10 + [1] * 2, 1)


@bad("K1-block", "ties", "A space of a block shares more bytes with the one before than that has.")
def _(a):
    a.blocks[0].areas[KEYS] = b"\0\1a" + b"\2\0" + front_coded([b"", b""])


@bad("K1-page", "tags", "A key of a page shares more bytes with the one before than that has.")
def _(a):
    node = values_tree(a, b"type")
    first = node.entries[0]
    node.edit = put(5 + 3 + len(first[0]) + len(first[1][0]), varint(len(first[0]) + 1))


@bad("K1-first", "one", "The first key of a page shares a byte with a key before it.")
def _(a):
    leaf(a, "index names").edit = put(5, b"\1")


@bad("K1-extents", "ties", "A space shares more bytes with the one before than that has.")
def _(a):
    leaf(a, "spaces").edit_keys = put(2, b"\x21")


@bad("Z1-longer", "one", "A piece of more stored bytes than it has.")
def _(a):
    a.blocks[0].sizes[KEYS] = len(a.blocks[0].areas[KEYS]) - 1


@bad("Z1-none", "one", "A piece is compressed in a file of codec none.")
def _(a):
    a.blocks[0].sizes[KEYS] = len(a.blocks[0].areas[KEYS]) + 1


@bad("Z2-shrink", "codec-snappy", "A piece of snappy of more than 32 times its stored bytes.")
def _(a):
    block = a.blocks[0]
    block.sizes[KEYS] = 32 * len(block.stored[KEYS][1]) + 1


@bad("Z2-length", "codec-lz4", "A piece of lz4 gives other than the stated number of bytes.")
def _(a):
    a.blocks[0].sizes[KEYS] = len(a.blocks[0].areas[KEYS]) + 1


@bad("Z2-garbage", "codec-zstd", "A payload frame that is no frame of zstd, with a true checksum.", "deep")
def _(a):
    block = a.blocks[0]
    block.set_payload(bytes(4) + block.payload[4:])


@bad("P1-flip", "one", "One bit of a page is flipped.")
def _(a):
    a.roots["spaces"].damage = flip(-1)


@bad("P1-other-page", "tags", "The handle of a page points at another page of the same length, which says something else.")
def _(a):
    node = values_tree(a, b"type")
    node.damage = lambda data: put(0, bytes(data).replace(b"click", b"clack"))(data)


@bad("P1-outside", "one", "A page begins in the file and ends outside of it.")
def _(a):
    a.edit["footer"] = put(64 + 24 * 2, struct.pack("<QI", 600, 100))


@bad("P1-child", "two-levels", "One bit of a page below the root is flipped.")
def _(a):
    a.roots["spaces"].value(1)[0].damage = flip(-1)


@bad("P2-order", "ties", "The keys of a page descend.")
def _(a):
    a.roots["spaces"].entries.reverse()


@bad("P2-equal", "ties", "A page has a key twice.")
def _(a):
    a.roots["spaces"].entries[1][0] = b"a"


@bad("P2-parent", "two-levels", "A key of a parent is smaller than the first key of its child.")
def _(a):
    entry = a.roots["spaces"].entries[1]
    entry[0] = entry[0][:-1]


@bad("P2-between", "two-levels", "The last key of a page is greater than the first key of the next page.")
def _(a):
    a.roots["spaces"].value(0)[0].entries[-1][0] = b"g"


@bad("P3-level", "two-levels", "A page of level 2 stands right above leaves.")
def _(a):
    a.roots["spaces"].level = 2


@bad("P3-before", "two-levels", "A page states one leaf entry too many before its second child.")
def _(a):
    node = a.roots["spaces"]
    node.value(1)[1] = varint(len(node.value(0)[0].entries) + 1)


@bad("P3-root", "ties", "The footer states three spaces where the tree has two.")
def _(a):
    a.counts["spaces"] = 3


@bad("P3-name", "tags", "A name states one value more than its tree has.")
def _(a):
    change_value(leaf(a, "index names"), 0, 1, 0, 0, 0)


@bad("P4-restart", "one", "A restart offset does not point at its entry.")
def _(a):
    leaf(a, "index names").edit = flip(3)


@bad("P4-page", "one", "A byte is left over after the last entry of a page.")
def _(a):
    leaf(a, "index names").edit = lambda data: data.append(0)


@bad("P4-short", "one", "A page ends before its last entry does.")
def _(a):
    leaf(a, "index names").edit = lambda data: data.pop()


@bad("P4-value", "one", "A byte is left over in the value of an index name.")
def _(a):
    leaf(a, "index names").value(0).append(b"\0")


@bad("P4-posting-list", "one", "A byte is left over after a posting list.")
def _(a):
    values_tree(a, b"type").value(0)[0] += b"\0"


@bad("P4-empty-page", "empty", "A page without entries that is not a leaf.")
def _(a):
    a.roots["index names"].level = 1


@bad("P4-extents-restart", "ties", "A restart offset of a leaf of spaces does not point at its key.")
def _(a):
    leaf(a, "spaces").edit = flip(3)


@bad("P4-extents-keys", "ties", "A byte is left over after the last key of a leaf of spaces.")
def _(a):
    leaf(a, "spaces").edit_keys = lambda keys: keys.append(0)


@bad("P4-extents-start", "ties", "The first extent frame of a leaf begins a byte later.")
def _(a):
    leaf(a, "spaces").starts = 1


@bad("P4-extents-beyond", "many-keys", "The second extent frame of a leaf begins behind the leaf.")
def _(a):
    node = leaf(a, "spaces")
    node.edit = put(3 + (len(node.entries) + 15) // 16 * 2 + 2, b"\xff\xff")


@bad("P4-extents-left-over", "ties", "A byte is left over in an extent frame.")
def _(a):
    frame_of("spaces", surplus=b"\0")(a)


@bad("P4-extents-short", "ties", "A leaf of spaces ends before its last extent frame does.")
def _(a):
    frame_of("spaces", encode=lambda: varint(0))(a)


@bad("P4-groupings-left-over", "metadata", "A byte of a leaf's only groupings belongs to none.")
def _(a):
    leaf(a, "spaces").value(0)[5] += b"g"
    frame_of("spaces", lengths=[1])(a)


@bad("P4-groupings-beyond", "metadata", "The only grouping of a space ends behind the leaf's strings.")
def _(a):
    frame_of("spaces", lengths=[2])(a)


@bad("P4-groupings-start", "metadata", "The only groupings of an extent frame do not begin where they should.")
def _(a):
    leaf(a, "spaces").value(0)[5] += b"g"
    frame_of("spaces", lengths=[1], at=1)(a)


@bad("L1-extents", "many-keys", "A leaf of spaces has 257 entries.")
def _(a):
    root = a.roots["spaces"]
    first, second = (root.value(i)[0] for i in (0, 1))
    moved = second.entries.pop(0)
    first.entries.append(moved)
    root.entries[1][0], root.value(1)[1] = second.entries[0][0], varint(len(first.entries))


@bad("L1-strings", "ties", "The keys of a leaf are announced to be longer than a page.")
def _(a):
    leaf(a, "spaces").lengths[0] = 256 << 10


@bad("L1-only-grouping", "metadata", "The only grouping of a space has 65,536 bytes.")
def _(a):
    leaf(a, "spaces").value(0)[5] = bytes(65536)


@bad("Z1-strings", "ties", "The strings of a leaf are stored in more bytes than they have.")
def _(a):
    leaf(a, "spaces").lengths[0] = -1


@bad("P6-step", "ties", "The step of an extent frame is 0.")
def _(a):
    frame_of("spaces", step=0)(a)


@bad("P6-smallest", "ties", "The smallest timestamp of an extent frame is that of no entry.")
def _(a):
    def change(frames):
        frames[0].base, frames[0].firsts = frames[0].base - frames[0].step, [first + 1 for first in frames[0].firsts]
    leaf(a, "spaces").change = change


@bad("P6-first", "ties", "The smallest timestamp of a space is above 2^63 - 1.")
def _(a):
    frame_of("spaces", base=(1 << 63) - 1)(a)


@bad("P6-span", "step", "The largest timestamp of a grouping is above 2^63 - 1.")
def _(a):
    frame_of("groupings", spans=[(1 << 63) - 1] * 2)(a)


@bad("P6-ordinals", "ties", "The ordinals of a space end at 2^63.")
def _(a):
    frame_of("spaces", first=(1 << 63) - 12)(a)


@bad("P6-gap", "step", "Ordinals of groupings exceed 64 bits.")
def _(a):
    frame_of("groupings", gaps=[(1 << 64) - 1])(a)


@bad("P6-groupings", "ties", "A space of more groupings than events.")
def _(a):
    def change(frames):
        frames[0].more[0] = frames[0].counts[0] + 1
        frames[0].lengths.pop()
    leaf(a, "spaces").change = change


# §5: event blocks


@bad("B1-marker", "one", "A block without its marker.")
def _(a):
    a.blocks[0].marker = b"\x89ESDBX\r\n"


@bad("B1-offset", "one", "A block that states another offset than its own.")
def _(a):
    a.blocks[0].offset_lie = 1


@bad("B1-head", "one", "One bit of a block's head is flipped.")
def _(a):
    a.blocks[0].damage = flip(24)


@bad("B1-rows", "one", "One bit of a block's row areas is flipped.")
def _(a):
    a.blocks[0].damage = flip(70)


def flip_label(a, area):
    """The lowest bit of the last byte of a label area of the first block"""
    block = a.blocks[0]
    block.damage = lambda data: flip(block.places[area - KEYS + 1] - 1)(data)


@bad("B1-keys", "ties", "One bit of a block's keys is flipped.")
def _(a):
    flip_label(a, KEYS)


@bad("B1-values", "tags", "One bit of a block's index values is flipped.")
def _(a):
    flip_label(a, VALUES)


@bad("B1-index", "tags", "One bit of the first one of a block's index columns is flipped.")
def _(a):
    flip_label(a, INDEXES)


@bad("B1-zero", "one", "Byte 55 of a block's head is not zero.")
def _(a):
    a.blocks[0].zero = 1


@bad("B1-unit", "one", "A block of another unit than the file's.")
def _(a):
    a.blocks[0].unit = 1


@bad("B1-codec", "one", "A block of another codec than the file's.")
def _(a):
    a.blocks[0].codec = 1


@bad("B1-dictionary", "dictionary", "A block that states another dictionary than the file's.")
def _(a):
    a.blocks[0].dictionary_checksum ^= 1


@bad("B1-outside", "one", "A block ends outside of the file, as its head and the table of blocks say.")
def _(a):
    block = a.blocks[0]
    length = len(block.payload) + 1000
    block.areas[LENGTHS], block.payload_lie = column([length]), 1000
    block.set_frames([0], [length], [0])
    block.lie = lambda handle: handle._replace(length=handle.length + 1000)


@bad("B2-ordinal", "two-blocks", "The second block begins with an ordinal that leaves one out, in its head and in the table.")
def _(a):
    a.blocks[1].ordinal += 1
    a.roots["blocks"].entries[1][0] = key64(a.blocks[1].ordinal)


@bad("B2-first", "one", "The first block begins with ordinal 1, in its head and in the table.")
def _(a):
    a.blocks[0].ordinal = 1
    a.roots["blocks"].entries[0][0] = key64(1)


@bad("B4-rows", "ties", "A byte is left over after the last one of the row areas.")
def _(a):
    a.blocks[0].surplus = b"\0"


@bad("B4-labels", "ties", "A byte is left over after the last one of the label areas.")
def _(a):
    a.blocks[0].change_labels = lambda labels: labels.append(0)


@bad("B4-labels-short", "ties", "The label areas end before the last index column does.")
def _(a):
    a.blocks[0].change_labels = lambda labels: labels.pop()


@bad("B4-area", "ties", "A byte is left over in the area of lengths.")
def _(a):
    a.blocks[0].areas[LENGTHS] += b"\0"


@bad("B4-keys", "ties", "The keys area ends before its last string does.")
def _(a):
    a.blocks[0].areas[KEYS] = a.blocks[0].areas[KEYS][:-1]


@bad("B5-space-order", "ties", "The spaces of a block descend.")
def _(a):
    a.blocks[0].set_keys([b"b", b"a"], [b"", b""])


@bad("B5-grouping-order", "step", "The groupings of a space descend.")
def _(a):
    a.blocks[0].set_keys([b"s"], [b"b", b"a"])


@bad("B5-grouping-twice", "step", "A space has a grouping twice.")
def _(a):
    a.blocks[0].set_keys([b"s"], [b"a", b"a"])


@bad("B5-step", "ties", "The step of the times of a block is 0.", "deep")
def _(a):
    smallest, _, first, others = a.blocks[0].times()
    a.blocks[0].set_times(smallest, 0, first, others)


@bad("B5-smallest", "ties", "The smallest difference of the first timestamps from the smallest timestamp is not 0.", "deep")
def _(a):
    smallest, step, first, others = a.blocks[0].times()
    a.blocks[0].set_times(smallest - 1, step, [time + 1 for time in first], others)


@bad("B5-overflow", "ties", "A timestamp above 2^63 - 1.", "deep")
def _(a):
    _, step, first, others = a.blocks[0].times()
    a.blocks[0].set_times((1 << 63) - 1, step, first, others)


@bad("B5-between-blocks", "two-blocks", "A grouping that goes on in the second block goes back in time there.", "deep")
def _(a):
    _, *others = a.blocks[1].times()
    a.blocks[1].set_times(0, *others)
    parts = a.roots["blocks"].value(1)
    cursor = Cursor(parts[1], "", "")
    parts[1] = svarint(cursor.svarint() * 0) + parts[1][cursor.at:]


@bad("B6-groupings", "ties", "The groupings of the spaces do not add up.")
def _(a):
    spaces, groupings = a.blocks[0].runs()
    a.blocks[0].set_runs([spaces[0] + 1, *spaces[1:]], groupings)


@bad("B6-events", "ties", "The events of the groupings do not add up.")
def _(a):
    spaces, groupings = a.blocks[0].runs()
    a.blocks[0].set_runs(spaces, [groupings[0] + 1, *groupings[1:]])


@bad("B6-frames", "frames", "The events of the frames do not add up.")
def _(a):
    counts, stored, checksums = a.blocks[0].frame_columns()
    a.blocks[0].set_frames([counts[0] + 1, *counts[1:]], stored, checksums)


@bad("B6-spaces", "ties", "A block of more spaces than groupings.")
def _(a):
    a.blocks[0].spaces = 3


@bad("B7-payload", "one", "A byte of the payload belongs to no frame.")
def _(a):
    a.blocks[0].payload += b"\0"


@bad("B7-frames", "one", "The frames are longer than the payload.")
def _(a):
    a.blocks[0].payload = a.blocks[0].payload[:-1]


@bad("B8-form", "one", "An index column of form 2.", "deep")
def _(a):
    a.blocks[0].areas[INDEXES] = b"\2" + a.blocks[0].areas[INDEXES][1:]


@bad("B8-names", "tags", "The names of a block descend.", "deep")
def _(a):
    block = a.blocks[0]
    block.set_values(block.values()[::-1])
    block.areas[INDEXES:INDEXES + 2] = block.areas[INDEXES:INDEXES + 2][::-1]


@bad("B8-values", "tags", "The values of a name descend.", "deep")
def _(a):
    tag, (name, values) = a.blocks[0].values()
    a.blocks[0].set_values([tag, [name, values[::-1]]])


@bad("B8-unused", "one", "A value of a name does not occur in its column.", "deep")
def _(a):
    a.blocks[0].set_values([[b"type", [b"page", b"unused"]]])


@bad("B8-no-values", "one", "A name without values.", "deep")
def _(a):
    a.blocks[0].set_values([[b"type", []]])


@bad("B8-place", "one", "A place that no value has.", "deep")
def _(a):
    a.blocks[0].areas[INDEXES] = b"\0" + varint(0) + column([1])


@bad("B8-common", "one", "A most common value that is none.", "deep")
def _(a):
    a.blocks[0].areas[INDEXES] = b"\0" + varint(1) + column([0])


@bad("B8-row", "nothing", "A row of an index column that the block does not have.", "deep")
def _(a):
    a.blocks[0].common = 0
    a.blocks[0].set_index(0, [(2, 0)])


@bad("B8-entries", "tags", "An event has a pair twice.", "deep")
def _(a):
    entries = a.blocks[0].index(0)
    a.blocks[0].set_index(0, [entries[0], *entries])


@bad("B11-flip", "frames", "One bit of a payload frame is flipped.", rules=["B11", "R1"])
def _(a):
    a.blocks[0].damage = flip(-1)


@bad("B11-first-frame", "codec-zstd", "One bit of the first payload frame is flipped.", rules=["B11", "R1"])
def _(a):
    a.blocks[0].damage = lambda data: flip(a.blocks[0].places[-1] + 20)(data)


# §6: trees that do not say what the events say


@bad("T1-time", "two-blocks", "The table of blocks states a time range that is not the block's.", "deep")
def _(a):
    parts = a.roots["blocks"].value(1)
    cursor = Cursor(parts[1], "", "")
    parts[1] = svarint(cursor.svarint() - 1) + varint(cursor.varint() + 1)


@bad("T1-checksum", "one", "The table of blocks states another checksum than the block's head.")
def _(a):
    a.blocks[0].lie = lambda handle: handle._replace(checksum=handle.checksum ^ 1)


@bad("T1-length", "one", "The table of blocks states another length than the block's head.")
def _(a):
    a.blocks[0].lie = lambda handle: handle._replace(length=handle.length + 1)


@bad("T1-rows", "one", "The table of blocks states another length of the row areas than the block's head.")
def _(a):
    a.blocks[0].rows_lie = -1


@bad("T1-ordinal", "two-blocks", "The table of blocks states another first ordinal than the block's head.")
def _(a):
    a.roots["blocks"].entries[1][0] = key64(a.blocks[1].ordinal + 1)


@bad("T2-count", "ties", "A space states one event more than it has.", "deep")
def _(a):
    change_row(a.roots["spaces"], 1, 0, 1)


@bad("T2-ordinal", "ties", "The first space begins with ordinal 1.", "deep")
def _(a):
    change_row(a.roots["spaces"], 0, 1)


@bad("T2-time", "ties", "A space states a time range that is not its.", "deep")
def _(a):
    change_row(a.roots["spaces"], 0, 0, 0, -1, 1)


@bad("T2-groupings", "step", "A space states one grouping more than it has.", "deep")
def _(a):
    change_row(a.roots["spaces"], 0, 0, 0, 0, 0, 1)


@bad("T2-missing", "ties", "A space has no entry.", "deep", rules=["T2", "R1"])
def _(a):
    a.roots["spaces"].entries.pop()
    a.counts["spaces"] = 1


@bad("T2-surplus", "ties", "An entry for a space without events.", "deep")
def _(a):
    first, count, *others = a.roots["spaces"].value(1)
    a.roots["spaces"].entries.append([b"c", [first + count, 1, *others]])
    a.counts["spaces"] = 3


@bad("T2-grouping", "metadata", "A space states another grouping than its only one.", "deep")
def _(a):
    a.roots["spaces"].value(0)[5] = a.roots["spaces"].value(0)[5][:-1] + b"h"


@bad("T3-missing", "step", "A grouping has no entry.", "deep", rules=["T3", "R1"])
def _(a):
    a.roots["groupings"].entries.pop()
    a.counts["groupings"] = 1


@bad("T3-surplus", "ties", "An entry for the grouping of a space that has no other.", "deep")
def _(a):
    a.roots["groupings"].entries.append([key64(0), [0, 6, 4, 1, 1, b""]])
    a.counts["groupings"] = 1


@bad("T3-count", "step", "A grouping states one event more than it has.", "deep")
def _(a):
    change_row(a.roots["groupings"], 1, 0, 1)


@bad("T3-ordinal", "step", "The second grouping of a space begins one ordinal later.", "deep")
def _(a):
    change_row(a.roots["groupings"], 1, 1)


@bad("T4-name-time", "tags", "A name states a time range that is not its.", "deep")
def _(a):
    change_value(leaf(a, "index names"), 0, 0, 0, -1, 1)


@bad("T4-name-entries", "tags", "A name states one entry more than it has.", "deep")
def _(a):
    change_value(leaf(a, "index names"), 0, 0, 1, 0, 0)


@bad("T4-name-missing", "tags", "An index name has no entry.", "deep", rules=["T4", "R1"])
def _(a):
    a.roots["index names"].entries.pop()
    a.counts["index names"] = 1


@bad("T4-value-time", "tags", "An index value states a time range that is not its.", "deep")
def _(a):
    change_value(values_tree(a, b"tag"), 0, 0, -1, 1, kinds="vsv")


@bad("T4-value-name", "one", "An index value that no event has, in place of one.", "deep")
def _(a):
    values_tree(a, b"type").entries[0][0] = b"pane"


def list_frames(a):
    """The leaf of the posting list of type=click, and its frames"""
    node = next(parts[1] for key, parts in values_tree(a, b"type").entries if key == b"click")
    frames = []
    for key, (value,) in node.entries:
        cursor = Cursor(value, "", "")
        count = cursor.varint()
        frames.append(cursor.ascending_frame(int.from_bytes(key, "big"), count))
    return node, frames


def set_list_frames(node, frames):
    gaps = [[b - a - 1 for a, b in zip(numbers, numbers[1:])] for numbers in frames]
    node.entries = [[key64(numbers[0]), [varint(len(numbers)) + (b"\xFF" + column(differences) if differences else b"")]]
                    for numbers, differences in zip(frames, gaps)]


@bad("T5-missing", "long-list", "An event is missing from a posting list.", "deep", rules=["T5", "R1"])
def _(a):
    node, frames = list_frames(a)
    set_list_frames(node, [*frames[:-1], frames[-1][:-1]])


@bad("T5-surplus", "long-list", "A posting list has an event that does not have the pair.", "deep")
def _(a):
    node, frames = list_frames(a)
    set_list_frames(node, [*frames[:-1], [*frames[-1], frames[-1][-1] + 1]])


@bad("T5-other", "long-list", "A posting list has another event in place of one.", "deep")
def _(a):
    node, frames = list_frames(a)
    set_list_frames(node, [[*frames[0][:-1], frames[0][-1] - 1 if frames[0][-2] + 1 < frames[0][-1] else frames[0][-1] + 1],
                           *frames[1:]])


@bad("T5-inline", "one", "A posting list in the value names an event that the file does not have.", "deep")
def _(a):
    parts = values_tree(a, b"type").value(0)
    parts[0] = parts[0][:-1] + varint(1)


@bad("T5-order", "long-list", "The last time number of a posting list's frame is not below the first of the next.", "deep")
def _(a):
    node, frames = list_frames(a)
    set_list_frames(node, [[*frames[0][:-1], frames[1][0]], *frames[1:]])


@bad("T5-frame", "long-list", "A frame of a posting list that is not the last has 1,023 time numbers.", "deep")
def _(a):
    node, frames = list_frames(a)
    set_list_frames(node, [frames[0][:-1], [frames[0][-1], *frames[1]], *frames[2:]])


@bad("T5-frame-long", "long-list", "A frame of a posting list has 1,025 time numbers.", "deep")
def _(a):
    node, frames = list_frames(a)
    set_list_frames(node, [[*frames[0], frames[1][0]], frames[1][1:]])


def set_last_frame(a, first, *others):
    """The last frame of the posting list becomes these bytes"""
    node, frames = list_frames(a)
    node.entries[-1][1] = [varint(len(frames[-1])) + bytes([first]) + b"".join(others)]


@bad("A1-width", "long-list", "Low parts of an ascending frame are wider than 62 bits.", "deep")
def _(a):
    set_last_frame(a, 63, varint(0))


@bad("A1-ones", "long-list", "An ascending frame has fewer ones than numbers.", "deep")
def _(a):
    others = len(list_frames(a)[1][-1]) - 1
    set_last_frame(a, 0, varint(0), bytes((others + 7) // 8))


@bad("A1-end", "long-list", "The last one of an ascending frame is not its last bit.", "deep")
def _(a):
    others = len(list_frames(a)[1][-1]) - 1
    set_last_frame(a, 0, varint(8), ((1 << others) - 1).to_bytes((others + 15) // 8, "little"))


@bad("A1-order", "long-list", "Numbers of an ascending frame do not ascend.", "deep")
def _(a):
    others = len(list_frames(a)[1][-1]) - 1
    lows = [3, *[0] * (others - 1)]
    set_last_frame(a, 2, varint(0), packed(lows, 2), packed([1] * others, 1))


class TimeFrame:
    """§6.5: an entry of time order"""

    def __init__(self, node, i):
        self.parts = node.value(i)
        cursor = Cursor(self.parts[0], "", "")
        self.count, self.timestamp, different = cursor.varint(), cursor.svarint(), cursor.varint()
        self.bases = cursor.numbers(cursor.varint(), different)
        self.codes = cursor.packed(self.count, (different - 1).bit_length())

    def store(self):
        gaps = [b - a - 1 for a, b in zip(self.bases, self.bases[1:])]
        self.parts[0] = (varint(self.count) + svarint(self.timestamp) + varint(len(self.bases)) + varint(self.bases[0])
                         + column(gaps) + packed(self.codes, (len(self.bases) - 1).bit_length()))


@bad("T6-swapped", "time-frames", "Two events have changed places in the time order.", "deep")
def _(a):
    frame = TimeFrame(a.roots["time order"], 0)
    frame.codes[0:2] = frame.codes[1], frame.codes[0]
    frame.store()


@bad("T6-base", "time-frames", "The time order names events of another place of the grouping.", "deep")
def _(a):
    frame = TimeFrame(a.roots["time order"], 1)
    frame.bases[0] -= 1
    frame.store()


@bad("T6-timestamp", "time-frames", "A frame of the time order states another first timestamp.", "deep")
def _(a):
    frame = TimeFrame(a.roots["time order"], 0)
    frame.timestamp -= 1
    frame.store()


@bad("T6-missing", "time-frames", "A space with two groupings has no last frame in the time order.", "deep", rules=["T6", "R1"])
def _(a):
    a.roots["time order"].entries.pop()
    a.counts["time order"] -= 1


@bad("T6-surplus", "ties", "A frame in the time order for a space with one grouping.", "deep")
def _(a):
    value = bytes([6]) + svarint(4) + bytes([1]) + varint(0)
    a.roots["time order"].entries.append([key64(0), [value]])
    a.counts["time order"] = 1


@bad("T7-count", "time-frames", "The first frame of a space's time order has 4,095 events, the second one the rest.", "deep")
def _(a):
    node = a.roots["time order"]
    first, second = TimeFrame(node, 0), TimeFrame(node, 1)
    moved = first.codes.pop()
    first.count, second.count, second.timestamp = 4095, second.count + 1, second.timestamp - 1
    second.codes.insert(0, moved)
    second.bases[moved] -= 1
    node.entries[1][0] = key64(4095)
    first.store()
    second.store()


@bad("T7-code-unused", "time-frames", "A base of the time order has no code.")
def _(a):
    frame = TimeFrame(a.roots["time order"], 1)
    frame.codes = [0] * frame.count
    frame.store()


@bad("T7-code-large", "long-list", "A code of the time order names no base.")
def _(a):
    node = a.roots["time order"]
    frame = next(frame for frame in (TimeFrame(node, i) for i in range(len(node.entries))) if len(frame.bases) == 4)
    frame.bases.pop()
    frame.store()


@bad("T7-no-events", "time-frames", "A frame of the time order states no events.")
def _(a):
    frame = TimeFrame(a.roots["time order"], 1)
    frame.count, frame.bases, frame.codes = 0, frame.bases[:1], []
    frame.store()


# §7, §8: facts, digests; §9


for number, name in enumerate(["spaces", "groupings", "names", "pairs", "entries", "blocks", "frames", "data", "stored", "columns"]):
    @bad(f"X1-{name}", "one", f"The statistics state one too many: {name}.", "deep")
    def _(a, number=number):
        def change(statistics):
            statistics[number] += 1
        a.edit["statistics"] = change


@bad("X1-bytes-of-trees", "one", "The statistics state one byte too many of blocks' tree.", "deep")
def _(a):
    def change(statistics):
        statistics[14] += 1
    a.edit["statistics"] = change


@bad("X2-order", "metadata", "The keys of the user metadata descend.", "open")
def _(a):
    a.metadata.reverse()


@bad("X2-twice", "metadata", "A key of the user metadata stands twice.", "open")
def _(a):
    a.metadata[2][0] = a.metadata[1][0]


@bad("X3-flip", "one", "One bit of the facts is flipped.", "open")
def _(a):
    a.damage["facts"] = flip(-3)


@bad("X3-left-over", "one", "A byte is left over after the facts.", "open")
def _(a):
    a.edit["facts"] = lambda data: data.append(0)


@bad("X3-short", "one", "The facts end before their last number.", "open")
def _(a):
    a.edit["facts"] = lambda data: data.pop()


@bad("X3-outside", "one", "The facts reach beyond the file.", "open")
def _(a):
    a.edit["footer"] = put(184, struct.pack("<QI", 600, 100))


@bad("X3-count", "empty", "2^60 entries of user metadata are announced in a few bytes.", "open", rules=["X3", "R2"])
def _(a):
    a.edit["facts"] = lambda data: put(16, varint(1 << 60))(data)


@bad("X4-checksum", "one", "One bit of an extra section is flipped.")
def _(a):
    a.extra.append([7, b"whatever kind 7 may be"])
    a.damage["extra section"] = flip(3)


@bad("G1-file", "one", "The file digest is not that of the file.")
def _(a):
    a.damage["file digest"] = flip(232)


@bad("G1-content", "one", "The content digest is not that of the events.", "deep")
def _(a):
    a.edit["footer"] = flip(200)


# What is no damage

NEWER, FEATURES = "newer than this program reads", "features that this program does not know"
MISSING = "the end of the file is missing"


@vector("unsupported", "V1-version-2", "one", "A file of version 2.", expect="unsupported", message=NEWER, rules=["V1"])
def _(a):
    a.version = 2


@vector("unsupported", "V1-other-footer", "one", "A file of version 65535, of which nothing but the last 20 bytes is as in version 1.",
        expect="unsupported", message=NEWER, rules=["V1"])
def _(a):
    data = a.encode()
    return data[:8] + b"\xff\xff" + bytes(len(data) - 30) + u32(400) + b"\xff\xff" + bytes(6) + data[-8:]


@vector("unsupported", "V2-flag", "one", "A file with a required flag.", expect="unsupported", message=FEATURES, rules=["V2"])
def _(a):
    a.required = 1


@vector("unsupported", "V2-last-flag", "codec-zstd", "A file with the highest of the required flags.",
        expect="unsupported", message=FEATURES, rules=["V2"])
def _(a):
    a.required = 1 << 31


@vector("good", "optional-flag", "one", "A file with optional flags that nobody knows.", rules=["V3"])
def _(a):
    a.optional = 0x80000001


@vector("good", "extra-section", "one", "A file with two extra sections of kinds that nobody knows, one of them empty.", rules=["X4", "F1"])
def _(a):
    a.extra += [[7, b"whatever kind 7 may be"], [1000, b""]]


def unfinished(name, source, comment):
    return vector("unfinished", name, source, comment, expect="unfinished", message=MISSING, rules=["F2"])


@unfinished("header-only", "frames", "Nothing but the header: 64 bytes.")
def _(a):
    return a.encode()[:64]


@unfinished("in-header", "frames", "Cut within the header.")
def _(a):
    return a.encode()[:40]


@unfinished("in-blocks", "two-blocks", "Cut in the middle of the second block.")
def _(a):
    data = a.encode()
    return data[:a.blocks[1].handle.offset + a.blocks[1].handle.length // 2]


@unfinished("without-footer", "tags", "Whole, but for the footer.")
def _(a):
    return a.encode()[:-288]


@unfinished("one-byte-short", "one", "Whole, but for the last byte.")
def _(a):
    return a.encode()[:-1]


# Writing it all


def write_fixtures():
    """What no writer of this version writes, of files as users have them"""
    folder = HERE.parent.parent / "fixtures" / "v1"
    for name, change in ("optional-section", lambda a: a.extra.append([7, b"whatever kind 7 may be"])), \
                        ("required-flag", lambda a: setattr(a, "required", 1)):
        archive = Archive(folder / "shop.esdb")
        change(archive)
        (folder / f"{name}.esdb").write_bytes(archive.encode())


def write(folder, name, source, said, change):
    archive = Archive(HERE / "good" / f"{source}.esdb")
    data = change(archive)
    if data is None:
        archive.content_digest = content_digest(archive.encode(), archive.content_digest)
        data = archive.encode()
    (HERE / folder).mkdir(exist_ok=True)
    (HERE / folder / f"{name}.esdb").write_bytes(data)
    said = {**said, "from": f"good/{source}.esdb"}
    if folder == "good":
        same = json.loads((HERE / "good" / f"{source}.json").read_text())
        said = {**{key: same[key] for key in ("expect", "events", "content_digest", "lines_blake3")}, **said, "made_by": "make.py"}
    (HERE / folder / f"{name}.json").write_text(json.dumps(said, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


README = """# Test vectors

Small files, each with a `.json` of the same name that says what a reader must make of it. This page is made by
[`make.py`](make.py) from their comments.

| folder | what a reader does | `.json` |
|---|---|---|
| `good/` | reads them | number of `events`, `content_digest`, BLAKE3 of the native lines that `esdb scan` prints |
| `bad/` | rejects them with the rule in `reject` | `level`: who notices: `open`, `verify` or `verify --deep`; `from`: the good one it was made of |
| `unsupported/` | says that they are newer than it is; this is not damage | `message`: words of what it says |
| `unfinished/` | says that the end is missing | `message` |

`rules` are the rules of [`format.md`](../format.md) that a vector stands for. Each bad vector breaks one rule; all checksums and
digests in it are true, unless it is about one.

    spec/vectors/update.sh                           writes good/ and fixtures/ anew with today's writer, and makes the others of them
    python spec/check.py --esdb target/debug/esdb    judges them by the second reader and by the command

Once a version of the format is released its vectors are not made anew.
"""


def readme():
    page = README
    for folder in "good", "bad", "unsupported", "unfinished":
        page += f"\n## {folder}\n\n"
        for path in sorted((HERE / folder).glob("*.json")):
            page += f"- `{path.stem}`: {json.loads(path.read_text())['comment']}\n"
    (HERE / "README.md").write_text(page)


if __name__ == "__main__":
    for folder in "bad", "unsupported", "unfinished":
        for path in (HERE / folder).glob("*"):
            path.unlink()
    for row in VECTORS:
        write(*row)
    write_fixtures()
    readme()
