#!/usr/bin/env python3.11
"""Sketch of esdb encodings: bytes per event of every candidate, on real and synthetic data.

    python3.11 -m venv venv && venv/bin/pip install numpy zstandard lz4 cramjam
    venv/bin/python sketch.py [SET …]  ->  results.json (merged per set); `sketch.py --tables` prints the tables

Nothing is written as a real file: every part is a size formula, except zstd/lz4/snappy, which really run.
Conventions: a *frame* is up to 128 integers, cut per block (or per list); a short last frame packs n*width bits.
"""
import csv, io, json, math, os, random, struct, subprocess, sys, time
from datetime import datetime, timezone
from types import SimpleNamespace
import numpy as np, zstandard, lz4.block, cramjam

SHARED = os.environ.get("ESDB_SHARED", "../shared")
DATA, GO = SHARED + "/data/", SHARED + "/go-esdb/"
BLOCK_EVENTS, BLOCK_BYTES = 4096, 1 << 20

# ---------------------------------------------------------------- data sets: list of (space, grouping, ts, payload, {name: value})

def zst(path):
    return subprocess.run(["zstd", "-dc", DATA + path], capture_output=True, check=True).stdout

def epoch(text, unit):                      # ISO text -> integer in `unit` per second, exact
    text = text.replace("T", " ").rstrip("Z")
    whole, _, frac = text.partition(".")
    s = int(datetime.strptime(whole, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp())
    return s * unit + (int((frac + "000000")[:6]) * unit // 1_000_000 if frac else 0)

def compact(o):
    return json.dumps(o, separators=(",", ":"), ensure_ascii=False).encode()

def visit(host, city, visitor, ts):
    data = '{"type":"visit","host":"%s","city":"%s","visitor":"%s","timestamp":%d}' % (host, city, visitor, ts)
    return ("visit", host, ts, data.encode(), {"city": city, "visitor": visitor})

def visits():
    for kind, host, city, visitor, ts in csv.reader(open(GO + "ten_thousand_visits.csv", newline="")):
        yield visit(host, city, visitor, int(ts))

def visits1m():
    rows = list(csv.reader(open(GO + "ten_thousand_visits.csv", newline="")))
    rng = np.random.default_rng(1)
    people = sorted({r[1] for r in rows} | {r[3] for r in rows})[:1600]
    cities = sorted({r[2] for r in rows})
    zipf = 1 / np.arange(1, len(cities) + 1); zipf /= zipf.sum()
    n = 1_000_000
    ts = np.sort(rng.integers(1402000000, 1402000000 + 90 * 86400, n)).tolist()
    hosts, visitors = rng.integers(0, len(people), n).tolist(), rng.integers(0, len(people), n).tolist()
    for t, h, v, c in zip(ts, hosts, visitors, rng.choice(len(cities), n, p=zipf).tolist()):
        yield visit(people[h], cities[c], people[v], t)

def github():
    for line in zst("github-events-2021/events.jsonl.zst").splitlines():
        o = json.loads(line)
        yield o["repo"]["name"], "", epoch(o["created_at"], 1000), line, {"type": o["type"], "actor.login": o["actor"]["login"]}

def wiki():
    for line in zst("wiki-edits-2016/wikipedia.jsonl.zst").split(b"\n"):
        if line:
            o = json.loads(line)
            yield o["channel"], o["user"], epoch(o["timestamp"], 1000), line, {
                "countryIsoCode": o.get("countryIsoCode"), "isRobot": "true" if o["isRobot"] else "false"}

def dns():
    for line in zst("zeek-dns-syslog-2018/dns.jsonl.zst").split(b"\n"):
        if line:
            o = json.loads(line)
            yield o["id.orig_h"], o["uid"], epoch(o["ts"], 1_000_000), line, {
                "qtype_name": o.get("qtype_name"), "query": o.get("query")}

def shop():
    for r in csv.DictReader(io.StringIO(zst("shop-uci-online-retail/online_retail.csv.zst").decode(), newline="")):
        yield (r["CustomerID"] or "anonymous", r["InvoiceNo"], epoch(r["InvoiceDate"], 1), compact(r),
               {"StockCode": r["StockCode"], "Country": r["Country"]})

def nab():
    for r in csv.DictReader(io.StringIO(zst("iot-nab/nab.csv.zst").decode())):
        yield r["series"], "", epoch(r["timestamp"], 1), r["value"].encode(), {}

def product():                              # text from real page titles and article names
    rnd = random.Random(2); rng = np.random.default_rng(2)
    pages = [json.loads(l)["page"] for l in zst("wiki-edits-2016/wikipedia.jsonl.zst").splitlines()[:12000]]
    goods = sorted({r["Description"] for r in csv.DictReader(io.StringIO(zst("shop-uci-online-retail/online_retail.csv.zst").decode())) if r["Description"]})
    agents = ["Mozilla/5.0 (%s) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.%d.%d Safari/537.36" % (
        rnd.choice(["Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64", "Linux; Android 13; Pixel 7"]),
        rnd.randint(90, 120), rnd.randint(4000, 6000), rnd.randint(10, 200)) for _ in range(120)]
    types = ["page_view", "click", "identify", "search", "add_to_cart", "email_open", "email_click", "purchase", "signup", "refund", "login", "logout"]
    n = 200_000
    pz = lambda k, a=1.0: (lambda w: w / w.sum())(1 / np.arange(1, k + 1) ** a)
    users = rng.choice(20_000, n, p=pz(20_000)).tolist()
    kinds, camps = rng.choice(12, n, p=pz(12)).tolist(), rng.choice(500, n, p=pz(500)).tolist()
    ts = np.sort(rng.integers(0, 90 * 86400 * 1000, n) + 1700000000000).tolist()
    session = {}
    for t, u, k, c in zip(ts, users, kinds, camps):
        if u not in session or rnd.random() < 0.2:
            session[u] = ("%032x" % rnd.getrandbits(128), rnd.choice(agents))
        sid, agent = session[u]
        o = {"type": types[k], "id": "%016x" % rnd.getrandbits(64), "session": sid,
             "url": "https://shop.example.com/%s/%d" % (rnd.choice(["products", "articles", "help"]), rnd.randint(1, 5000))}
        if k in (4, 7, 9): o.update(item=rnd.choice(goods), price=rnd.randint(99, 19999) / 100, quantity=rnd.randint(1, 6), currency="EUR")
        if k in (0, 1, 3): o.update(title=rnd.choice(pages), referrer="https://www.example.org/search?q=" + rnd.choice(pages).replace(" ", "+"))
        if k not in (5, 6): o["user_agent"] = agent
        if k in (2, 8): o["traits"] = {"plan": rnd.choice(["free", "basic", "pro"]), "logins": rnd.randint(0, 500), "company": rnd.choice(goods).title()}
        if rnd.random() < 0.3: o["note"] = " ".join(rnd.choice(goods).lower() for _ in range(rnd.randint(1, 5)))
        index = {"type": types[k]}
        if rnd.random() < 0.1: index["campaign"] = o["campaign"] = "campaign-%04d" % c
        yield "customer-%05d" % u, "", t, compact(o), index

def sensor():
    rnd = random.Random(3); events = []
    for s in range(100):
        for g in range(4):
            start, value = 1700000000000 + rnd.randint(0, 60000), rnd.gauss(20, 5)
            for i in range(1250):
                value += rnd.gauss(0, 0.05)
                data = struct.pack("<fHH", round(value, 2), rnd.randint(0, 3), i) + rnd.randbytes(rnd.choice([0, 0, 4, 8]))
                events.append((f"device-{s:04d}", ("temp", "hum", "volt", "vib")[g], start + 1000 * i + rnd.randint(-2, 2), data,
                               {"quality": "good" if rnd.random() < .99 else "bad"}))
    return events

SETS = dict(visits=visits, visits1m=visits1m, github=github, wiki=wiki, dns=dns, shop=shop, nab=nab, product=product, sensor=sensor)

def rank(values):                           # byte strings -> (sorted distinct, code of each)
    distinct = sorted(set(values)); at = {v: i for i, v in enumerate(distinct)}
    return distinct, np.array([at[v] for v in values], dtype=np.int64)

def load(name):
    """Everything in file order, as arrays; blocks cut greedily."""
    rows = list(SETS[name]())
    d = SimpleNamespace(name=name, n=len(rows))
    d.spaces, sp = rank([r[0].encode() for r in rows])
    d.groupings, gr = rank([r[1].encode() for r in rows])
    ts = np.array([r[2] for r in rows], dtype=np.int64)
    order = np.lexsort((np.arange(d.n), ts, gr, sp))
    d.sp, d.gr, d.ts = sp[order], gr[order], ts[order]
    d.lens = np.array([len(r[3]) for r in rows], dtype=np.int64)[order]
    d.data = b"".join(rows[i][3] for i in order)
    d.off = np.concatenate(([0], np.cumsum(d.lens)))
    d.index = {}
    for key in sorted({k for r in rows[:5000] for k in r[4]}):
        values = [r[4].get(key) for r in rows]
        distinct, _ = rank([v.encode() for v in values if v is not None])
        at = {v.decode(): i for i, v in enumerate(distinct)}
        d.index[key] = distinct, np.array([-1 if v is None else at[v] for v in values])[order]
    starts = [0]
    while starts[-1] < d.n:
        i = starts[-1]
        fit = int(np.searchsorted(d.off, d.off[i] + BLOCK_BYTES, "right")) - 1
        starts.append(min(d.n, i + BLOCK_EVENTS, max(i + 1, fit)))
    d.blocks = np.array(starts)
    d.seg = np.diff(d.blocks)                               # events per block
    d.block_of = np.repeat(np.arange(len(d.seg)), d.seg)
    new_run = np.ones(d.n, bool)
    new_run[1:] = (d.sp[1:] != d.sp[:-1]) | (d.gr[1:] != d.gr[:-1])
    d.group_id = np.cumsum(new_run) - 1                     # file-wide (space, grouping) number
    new_run[d.blocks[:-1]] = True
    d.new_run = new_run                                     # run starts, cut at blocks
    d.runs_per_block = np.add.reduceat(new_run.astype(np.int64), d.blocks[:-1])
    return d

# ---------------------------------------------------------------- integer frames

def bitlen(a):
    return np.frexp(a.astype(np.float64))[1].astype(np.int64)

def vlen(a):                                # bytes of a LEB128 varint
    return np.maximum(1, -(-bitlen(np.asarray(a)) // 7))

def zigzag(a):
    return (a << 1) ^ (a >> 63)

def cut(seg, size=128):                     # segments -> frames: first row, rows
    seg = np.asarray(seg, dtype=np.int64)
    count = -(-seg // size)
    first = np.concatenate(([0], np.cumsum(seg)))[:-1]
    k = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(first, count) + k * size, np.minimum(size, np.repeat(seg, count) - k * size)

def frame_sizes(values, seg, exceptions=0, size=128, based=True):
    """Bytes of each frame. FoR: width byte, varint minimum, packed. With exceptions: where it pays, additionally
    count byte, high-width byte, one position byte each and the packed high bits."""
    start, rows = cut(seg, size)
    out = np.zeros(len(start), np.int64)
    signed = len(values) and values.min() < 0
    for a in range(0, len(start), 20_000):
        s, n = start[a:a + 20_000], rows[a:a + 20_000]
        mask = np.arange(size) < n[:, None]
        v = values[np.minimum(s[:, None] + np.arange(size), len(values) - 1)]
        low = np.where(mask, v, np.iinfo(np.int64).max).min(axis=1)
        if not based: low = np.zeros_like(low)
        bits = np.sort(bitlen(np.where(mask, v - low[:, None], 0)).astype(np.int8), axis=1)[:, ::-1].astype(np.int64)
        best = -(-n * bits[:, 0] // 8)
        for k in range(1, min(exceptions, size - 1) + 1):
            best = np.minimum(best, -(-n * bits[:, k] // 8) + 2 + k + -(-k * (bits[:, 0] - bits[:, k]) // 8))
        out[a:a + 20_000] = 1 + based * vlen(zigzag(low) if signed else low) + best
    return out

def packed(values, seg, exceptions=0, size=128):
    return int(frame_sizes(np.asarray(values, dtype=np.int64), seg, exceptions, size).sum())

PFOR = 127

def encode(values):                         # one PFOR frame for real: what frame_sizes() predicts (used by check() only)
    low = min(values); rest = [v - low for v in values]; best = None
    for w in sorted({v.bit_length() for v in rest} | {0}):
        big = [i for i, v in enumerate(rest) if v >> w]
        high = max((rest[i].bit_length() - w for i in big), default=0)
        bits = sum((v & (1 << w) - 1) << (i * w) for i, v in enumerate(rest))
        body = bits.to_bytes(-(-len(rest) * w // 8), "little")
        if big:
            body = bytes([len(big), high, *big]) + sum((rest[i] >> w) << (k * high) for k, i in enumerate(big)).to_bytes(-(-len(big) * high // 8), "little") + body
        if best is None or len(body) < len(best[1]): best = (bytes([w | (128 if big else 0)]), body)
    return best[0] + bytes(vlq(low)) + best[1]

def decode(b, n):
    w, exceptions, pos, low, shift = b[0] & 127, b[0] >> 7, 1, 0, 0
    while True:
        low |= (b[pos] & 127) << shift; shift += 7; pos += 1
        if b[pos - 1] < 128: break
    extra = []
    if exceptions:
        count, high = b[pos], b[pos + 1]; places = b[pos + 2:pos + 2 + count]; pos += 2 + count
        size = -(-count * high // 8); packed_high = int.from_bytes(b[pos:pos + size], "little"); pos += size
        extra = [(i, packed_high >> (k * high) & (1 << high) - 1) for k, i in enumerate(places)]
    bits = int.from_bytes(b[pos:], "little"); out = [bits >> (i * w) & (1 << w) - 1 for i in range(n)]
    for i, h in extra: out[i] |= h << w
    return [v + low for v in out]

def check():                                # predicted size = real size, and it decodes
    rng = np.random.default_rng(0)
    for _ in range(3000):
        n = int(rng.integers(1, 129)); v = (rng.integers(0, 1 << int(rng.integers(1, 20)), n) << (rng.random(n) < .05) * 14) + int(rng.integers(0, 1 << 20))
        b = encode(v.tolist())
        assert decode(b, n) == v.tolist() and len(b) == packed(v, [n], PFOR)
    print("3,000 frames: predicted size = real size, decoded back")

# ---------------------------------------------------------------- strings

def vlq(v):
    out = bytearray()
    while v > 127: out.append(v & 127 | 128); v >>= 7
    out.append(v)
    return out

def front(strings):                         # -> shared lengths, suffix lengths, suffixes, and the inline form as bytes
    shared, lengths, suffixes, inline, prev = [], [], [], bytearray(), b""
    for s in strings:
        k = 0
        for x, y in zip(prev, s):
            if x != y: break
            k += 1
        shared.append(k); lengths.append(len(s) - k); suffixes.append(s[k:]); prev = s
        inline += vlq(k) + vlq(len(s) - k) + s[k:]
    return shared, lengths, b"".join(suffixes), bytes(inline)

Z3 = zstandard.ZstdCompressor(level=3)
def squeeze(b, c=Z3):                       # as stored: raw when it does not shrink
    return min(len(b), len(c.compress(b))) if b else 0

def string_area(lists, dictionary=None):
    """Several string lists of one block in one area: [inline raw, inline zstd, split raw, split zstd, inline zstd+dict]."""
    fronts = [front(l) for l in lists if l]
    inline, suffixes = b"".join(f[3] for f in fronts), b"".join(f[2] for f in fronts)
    columns = sum(packed(f[0], [len(f[0])], PFOR) + packed(f[1], [len(f[1])], PFOR) for f in fronts)
    plain = b"".join(bytes(vlq(len(s))) + s for l in lists for s in l)
    return np.array([len(inline), squeeze(inline), columns + len(suffixes), columns + squeeze(suffixes),
                     squeeze(inline, dictionary) if dictionary else 0, len(plain), squeeze(plain)])

AREA = ["inline raw", "inline zstd-3", "split raw", "split zstd-3", "inline zstd-3+dict", "plain raw", "plain zstd-3"]

# ---------------------------------------------------------------- 1, 2: timestamps, lengths

def timestamps(d):
    low = np.minimum.reduceat(d.ts, d.blocks[:-1])
    rel = d.ts - low[d.block_of]
    gcd = np.maximum(1, np.gcd.reduceat(rel, d.blocks[:-1]))[d.block_of]
    firsts, inner = d.new_run, ~d.new_run
    delta = np.diff(d.ts, prepend=0)
    dd = np.where(np.roll(d.new_run, 1), delta, delta - np.roll(delta, 1))[inner]
    seg1, seg2 = d.runs_per_block, d.seg - d.runs_per_block
    both = lambda f, x, e: packed(f[firsts], seg1, e) + packed(x[inner], seg2, e)
    out = {"A FoR of t-min": packed(rel, d.seg), "A' PFOR of t-min": packed(rel, d.seg, PFOR),
           "B FoR of deltas": both(rel, delta, 0)}
    for n in (4, 8, 16, 32, PFOR): out[f"C PFOR, <= {n} exceptions"] = both(rel, delta, n)
    out["D delta-of-delta FoR"] = packed(rel[firsts], seg1) + packed(dd, seg2)
    out["D delta-of-delta PFOR"] = packed(rel[firsts], seg1, PFOR) + packed(dd, seg2, PFOR)
    out["C/g: C after dividing by the block's gcd"] = both(rel // gcd, np.where(inner, delta, 0) // gcd, PFOR)
    size = lambda v, s: np.array([packed(p, [len(p)], PFOR) for p in np.split(v, np.cumsum(s)[:-1])])
    a, c = size(rel, d.seg), size(rel[firsts], seg1) + size(delta[inner], seg2)
    out["best of A', C per block"] = int(np.minimum(a, c).sum())
    return out

def seconds_as_ms(d):                       # what the gcd saves when a file's unit is finer than its data
    return timestamps(SimpleNamespace(**{**vars(d), "ts": d.ts * 1000}))

def lengths(d):
    return {"FoR": packed(d.lens, d.seg), "PFOR <= 8": packed(d.lens, d.seg, 8), "PFOR": packed(d.lens, d.seg, PFOR)}

# ---------------------------------------------------------------- 3, 4: index columns, runs

def index_columns(d, dictionary):
    out, areas = {}, np.zeros(len(AREA), np.int64)
    per_block_lists = [[] for _ in d.seg]
    for name, (distinct, codes) in d.index.items():
        dense, sparse_rows, sparse_codes, seg, best = [], [], [], [], 0
        kinds = 0
        for b, (i, j) in enumerate(zip(d.blocks[:-1], d.blocks[1:])):
            c = codes[i:j]; present = np.flatnonzero(c >= 0)
            local, inverse = np.unique(c[present], return_inverse=True)
            kinds += len(local)
            full = np.zeros(j - i, np.int64); full[present] = inverse + 1
            if len(present) == j - i: full -= 1             # a full column needs no code for absence
            dense.append(full)
            sparse_rows.append(np.diff(present, prepend=-1) - 1); sparse_codes.append(inverse); seg.append(len(present))
            s = packed(sparse_rows[-1], [len(present)], PFOR) + packed(inverse, [len(present)], PFOR) if len(present) else 0
            best += min(packed(full, [j - i], PFOR), s)
            per_block_lists[b].append([distinct[k] for k in local])
        dense = np.concatenate(dense)
        out[name] = {"present": int((codes >= 0).sum()), "values": len(distinct), "values per block": kinds / len(d.seg),
                     "dense FoR": packed(dense, d.seg), "dense PFOR": packed(dense, d.seg, PFOR),
                     "sparse PFOR": packed(np.concatenate(sparse_rows), seg, PFOR) + packed(np.concatenate(sparse_codes), seg, PFOR),
                     "best per block": best}
    for lists in per_block_lists: areas += string_area(lists, dictionary)
    return out, dict(zip(AREA, areas.tolist()))

def runs(d, dictionary):
    starts = np.flatnonzero(d.new_run)
    events = np.diff(np.append(starts, d.n))
    per_space, seg, areas = [], [], np.zeros(len(AREA), np.int64)
    at = np.concatenate(([0], np.cumsum(d.runs_per_block)))
    for i, j in zip(at[:-1], at[1:]):
        sp, gr = d.sp[starts[i:j]], d.gr[starts[i:j]]
        spaces, count = np.unique(sp, return_counts=True)
        per_space.append(count); seg.append(len(spaces))
        areas += string_area([[d.spaces[k] for k in spaces], [d.groupings[k] for k in gr]], dictionary)
    per_space = np.concatenate(per_space)
    return {"runs": len(starts), "counts FoR": packed(events, d.runs_per_block) + packed(per_space, seg),
            "counts PFOR": packed(events, d.runs_per_block, PFOR) + packed(per_space, seg, PFOR)}, dict(zip(AREA, areas.tolist()))

# ---------------------------------------------------------------- 5: payload

FRAME_COST = 4 + 1.5
KIB = (4, 8, 16, 32, 64)

def cut_payload(d, target):                 # whole events, at most `target` bytes unless one event is larger
    out = []
    for b, e in zip(d.blocks[:-1].tolist(), d.blocks[1:].tolist()):
        while b < e:
            j = min(e, max(b + 1, int(np.searchsorted(d.off, d.off[b] + target, "right")) - 1))
            out.append(d.data[d.off[b]:d.off[j]]); b = j
    return out

def compressed(frames, compress):
    t = time.perf_counter()
    size = sum(min(len(f), len(compress(f))) for f in frames)
    return size, time.perf_counter() - t

def zc(level, dictionary=None):
    if dictionary: dictionary.precompute_compress(level=level)
    return zstandard.ZstdCompressor(level=level, dict_data=dictionary, write_dict_id=False).compress

def train(d, kib, limit=1 << 20, skip=0):
    a, b = np.searchsorted(d.off, [skip, limit], "left")
    samples = [s for s in (d.data[d.off[i]:d.off[i + 1]] for i in range(a, min(b, d.n))) if len(s) >= 8]
    try: return zstandard.train_dictionary(kib << 10, samples, level=3)
    except zstandard.ZstdError: return None                 # too little or too random to train on

def payload(d):
    out, raw = {}, len(d.data)
    dicts = {k: train(d, k) for k in KIB}
    out["dictionary bytes"] = {k: len(v) if v else None for k, v in dicts.items()}
    out["dictionary, zstd-19"] = {k: len(zstandard.compress(v.as_bytes(), 19)) if v else None for k, v in dicts.items()}
    grid = {}
    for f in (4, 8, 16, 32):
        frames = cut_payload(d, f << 10)
        out[f"frames {f}"] = len(frames)
        size, _ = compressed(frames, zc(3))
        grid[f"{f}"] = size + FRAME_COST * len(frames)
        for k, dic in dicts.items():
            if dic:
                size, _ = compressed(frames, zc(3, dic))
                grid[f"{f}+{k}"] = size + FRAME_COST * len(frames) + 2 * len(dic)
    out["zstd-3"] = grid
    # the decision a writer can take from the sample alone: train on 1 MiB, weigh that same 1 MiB; and a held-out half
    sample = SimpleNamespace(data=d.data[:1 << 20], off=d.off[:int(np.searchsorted(d.off, 1 << 20, "right"))])
    n = len(sample.off) - 1
    sample.blocks = np.minimum(n, np.arange(0, n + BLOCK_EVENTS, BLOCK_EVENTS)); sample.n = n
    frames = cut_payload(sample, 8 << 10)
    held = cut_payload(SimpleNamespace(data=d.data, off=d.off, blocks=np.array([np.searchsorted(d.off, len(sample.data) // 2), n])), 8 << 10)
    half = {k: train(sample, k, limit=len(sample.data) // 2) for k in KIB}
    out["sample"] = {"plain": compressed(frames, zc(3))[0], "held plain": compressed(held, zc(3))[0],
                     "dict": {k: compressed(frames, zc(3, v))[0] for k, v in dicts.items() if v},
                     "held": {k: compressed(held, zc(3, v))[0] for k, v in half.items() if v}, "bytes": len(sample.data)}
    return out, dicts

def codecs(d, dicts, f=8, k=16):            # other codecs and levels at one frame size, without and with a dictionary
    frames, out = cut_payload(d, f << 10), {}
    over = FRAME_COST * len(frames)
    todo = {f"zstd-{l}": zc(l) for l in (1, 3, 6, 9)}
    todo["lz4"] = lambda b: lz4.block.compress(b, store_size=False)
    todo["snappy"] = lambda b: bytes(cramjam.snappy.compress_raw(b))
    for name, c in todo.items():
        size, t = compressed(frames, c); out[name] = [size + over, len(d.data) / t / 1e6]
    if dicts.get(k):
        for l in (1, 3, 4, 5, 6, 9):
            dic = zstandard.ZstdCompressionDict(dicts[k].as_bytes())
            size, t = compressed(frames, zc(l, dic)); out[f"zstd-{l}+dict"] = [size + over + 2 * len(dic), len(d.data) / t / 1e6]
        dic = zstandard.ZstdCompressionDict(dicts[k].as_bytes()[-(k << 10) + 1024:], dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        size, t = compressed(frames, zc(3, dic)); out["zstd-3+raw dict"] = [size + over + 2 * len(dic), len(d.data) / t / 1e6]
    return out

def decode_times(d, dicts, k=16):           # microseconds to decode one frame (median), by frame size
    out = {}
    for f in (4, 8, 16, 32):
        frames = cut_payload(d, f << 10)[::7][:1500]
        for label, dic in (("", None), ("+dict", dicts.get(k))):
            if label and not dic: continue
            c, x = zc(3, dic), zstandard.ZstdDecompressor(dict_data=dic)
            times = []
            for z in [c(p) for p in frames]:
                t = time.perf_counter(); x.decompress(z); times.append(time.perf_counter() - t)
            out[f"{f}{label}"] = float(np.median(times) * 1e6)
    return out

# ---------------------------------------------------------------- 6: posting lists

PAGE_PER_FRAME, TABLE_PER_LIST = 6, 10

def postings(d, time_of):
    """time_of: ordinal -> time number. All lists of all names at once, in (name, value) order."""
    out = {"entries": 0, "lists": 0}
    key_bytes, all_lists, all_len = 0, [], []
    for name, (distinct, codes) in d.index.items():
        at = np.flatnonzero(codes >= 0)
        order = np.lexsort((time_of[at], codes[at]))
        all_lists.append(time_of[at][order]); all_len.append(np.bincount(codes[at], minlength=len(distinct)))
        key_bytes += len(front(distinct)[3])
    if not all_lists: return None
    numbers, n = np.concatenate(all_lists), np.concatenate(all_len)
    out.update(entries=len(numbers), lists=len(n), key_bytes=key_bytes + TABLE_PER_LIST * len(n))
    start, rows = cut(n)
    first = np.zeros(len(numbers), bool); first[start] = True
    gap = np.diff(numbers, prepend=0) - 1
    rest = gap[~first]
    body = {}                                               # bytes per frame without its first number
    for label, e in (("FoR", 0), ("PFOR", PFOR), ("PFOR without base", PFOR)):
        b = np.zeros(len(start), np.int64); b[rows > 1] = frame_sizes(rest, (rows - 1)[rows > 1], e, based="without" not in label); body[label] = b
    cum = np.concatenate(([0], np.cumsum(np.where(first, 0, vlen(np.maximum(gap, 0))))))
    body["varint"] = cum[start + rows] - cum[start]
    frames_per_list = -(-n // 128); list_of = np.repeat(np.arange(len(n)), frames_per_list)
    inline = (n <= 128)[list_of]
    head = np.where(inline, vlen(numbers[start]), PAGE_PER_FRAME)
    for label, b in body.items(): out[label] = int((b + head).sum())
    small = inline & (body["varint"] <= body["PFOR"])
    out["PFOR, varint where shorter (inline only)"] = int((np.where(small, body["varint"], body["PFOR"]) + head).sum())
    buckets = {}
    for lo, hi in ((1, 1), (2, 2), (3, 4), (5, 8), (9, 16), (17, 32), (33, 128)):
        m = inline & (rows >= lo) & (rows <= hi)
        if m.any(): buckets[f"{lo}-{hi}"] = [int(m.sum()), int(rows[m].sum()), *(int((body[k] + head)[m].sum()) for k in ("varint", "FoR", "PFOR", "PFOR without base"))]
    m = ~inline
    if m.any(): buckets[">128"] = [int((n > 128).sum()), int(rows[m].sum()), *(int((body[k] + head)[m].sum()) for k in ("varint", "FoR", "PFOR", "PFOR without base"))]
    out["by length"] = buckets
    return out

# ---------------------------------------------------------------- 7: time order

def time_order(d, ordinal_of):
    groups_of_space = np.bincount(d.sp[np.flatnonzero(np.diff(d.group_id, prepend=-1))], minlength=len(d.spaces))
    several = groups_of_space[d.sp] >= 2                    # same positions in both orders: a space is one range
    if not several.any(): return None
    space_first = np.searchsorted(d.sp, np.arange(len(d.spaces)))
    o = ordinal_of[several]; sp = d.sp[several]; rel = o - space_first[sp]
    seg = np.bincount(sp)[np.unique(sp)]
    out = {"rows": len(o), "spaces": len(seg), "groupings per space": float(groups_of_space[groups_of_space >= 2].mean())}
    for size in (128, 512, 2048):
        start, rows = cut(seg, size)
        t = {"A FoR of ordinals": frame_sizes(rel, seg, 0, size), "A' PFOR of ordinals": frame_sizes(rel, seg, PFOR if size == 128 else 0, size)}
        step = np.diff(rel, prepend=0) - 1; inner = np.ones(len(o), bool); inner[start] = False
        c = vlen(rel[start]) + 0
        c[rows > 1] += frame_sizes(zigzag(step[inner]), (rows - 1)[rows > 1], PFOR if size == 128 else 0, size)
        t["C PFOR of zigzag(step-1)"] = c
        b, bases_total, bases_flat, bases_seg = np.zeros(len(start), np.int64), 0, [], []
        for f, (s, n) in enumerate(zip(start.tolist(), rows.tolist())):
            g, at, inverse = np.unique(d.group_id[o[s:s + n]], return_index=True, return_inverse=True)
            bases = rel[s:s + n][at]
            if size == 128 and f % 50 == 0:                 # prove that it decodes
                nxt = bases.copy()
                for r, code in enumerate(inverse): assert nxt[code] == rel[s + r]; nxt[code] += 1
            k = len(g); bases_total += k
            b[f] = 1 + vlen(bases[0]) + -(-n * max(k - 1, 0).bit_length() // 8)
            bases_flat.append(np.diff(bases) - 1); bases_seg.append(k - 1)
        bases_seg = np.array(bases_seg)
        b[bases_seg > 0] += [x for x in per_segment(np.concatenate(bases_flat), bases_seg)]
        t["B bases + codes"] = b
        t["best of A, B, C per frame"] = np.minimum(np.minimum(t["A FoR of ordinals"], t["A' PFOR of ordinals"]), np.minimum(b, c))
        t["best of B, C per frame"] = np.minimum(b, c)
        out[str(size)] = {k: int(v.sum()) for k, v in t.items()} | {"frames": len(start), "bases per frame": bases_total / len(start)}
    return out

def per_segment(values, seg):               # PFOR bytes per non-empty segment (each cut in frames of 128)
    seg = seg[seg > 0]
    sizes = frame_sizes(values, seg, PFOR)
    return np.add.reduceat(sizes, np.concatenate(([0], np.cumsum(-(-seg // 128))[:-1]))) if len(seg) else []

# ---------------------------------------------------------------- all of it

def measure(name):
    t0 = time.time()
    d = load(name)
    r = {"events": d.n, "payload": len(d.data), "spaces": len(d.spaces), "groupings": int(d.group_id[-1] + 1),
         "blocks": len(d.seg), "unit": ""}
    ordinal_of = np.lexsort((np.arange(d.n), d.ts, d.sp))   # time number -> ordinal
    time_of = np.empty(d.n, np.int64); time_of[ordinal_of] = np.arange(d.n)
    r["load seconds"] = time.time() - t0
    r["timestamps"], r["lengths"] = timestamps(d), lengths(d)
    if name in ("visits1m", "shop"): r["times 1000"] = seconds_as_ms(d)
    r["payload sizes"], dicts = payload(d)
    dic = dicts.get(16); shared = None
    if dic: dic.precompute_compress(level=3); shared = zstandard.ZstdCompressor(level=3, dict_data=dic, write_dict_id=False)
    r["index"], r["index strings"] = index_columns(d, shared)
    r["runs"], r["run strings"] = runs(d, shared)
    r["codecs"] = codecs(d, dicts); r["decode"] = decode_times(d, dicts)
    r["postings"] = postings(d, time_of)
    r["time order"] = time_order(d, ordinal_of)
    at = np.flatnonzero(np.diff(d.group_id, prepend=-1))
    r["tables"] = len(front(d.spaces)[3]) + 12 * len(d.spaces) + (
        len(front([d.groupings[g] for g in d.gr[at]])[3]) + 10 * len(at) if len(at) > len(d.spaces) else 0)
    r["seconds"] = time.time() - t0
    return r

# ---------------------------------------------------------------- tables (Markdown): data sets as columns, bytes per event

def table(results, title, rows, digits=2):
    names = list(results)
    print(f"\n| {title} | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
    for label, f in rows:
        cells = []
        for r in results.values():
            try: v = f(r)
            except (KeyError, TypeError): v = None
            cells.append("–" if v is None else v if isinstance(v, str) else f"{v:.{digits}f}" if isinstance(v, float) else f"{v:,}")
        print(f"| {label} | " + " | ".join(cells) + " |")

BEST_FRAME, BEST_DICT = 8, 16

def small_dictionary(r, k):
    return r["payload sizes"]["dictionary, zstd-19"][str(k)]

def payload_choice(r):                      # dictionary (stored compressed, twice) only where it wins on the whole file
    return min(total_with(r, k, small_dictionary) for k in (0, BEST_DICT))

def level_choice(r, level):
    c, p = r["codecs"], r["payload sizes"]
    return min(c[f"zstd-{level}"][0], c[f"zstd-{level}+dict"][0] - 2 * p["dictionary bytes"]["16"] + 2 * small_dictionary(r, 16))

def parts(r):
    n, f = r["events"], r["payload sizes"][f"frames {BEST_FRAME}"]
    p = {"payload": payload_choice(r) - 4 * f, "timestamps": r["timestamps"]["C/g: C after dividing by the block's gcd"],
         "lengths": r["lengths"]["PFOR"], "codes": sum(x["best per block"] for x in r["index"].values()),
         "strings": r["index strings"]["inline zstd-3"], "runs": r["runs"]["counts PFOR"] + r["run strings"]["inline zstd-3"],
         "heads, checksums": 64 * r["blocks"] + 4 * f}
    if r["postings"]: p["postings"] = r["postings"]["PFOR without base"] + r["postings"]["key_bytes"]
    if r["time order"]: p["time order"] = r["time order"]["128"]["best of B, C per frame"] + 10 * r["time order"]["128"]["frames"]
    return p

def sample_choice(r, cost):                 # dictionary size a writer picks from the 1 MiB sample alone (0 = none)
    s = r["payload sizes"]["sample"]
    gain = {0: 0} | {int(k): s["plain"] - v - 2 * cost(r, k) for k, v in s["dict"].items()}
    return max(gain, key=gain.get)

def total_with(r, k, cost):
    g = r["payload sizes"]["zstd-3"]
    return g["8"] if not k else g[f"8+{k}"] - 2 * r["payload sizes"]["dictionary bytes"][str(k)] + 2 * cost(r, str(k))

def tables(R):
    per = lambda f: lambda r: (lambda v: v / r["events"] if v is not None else None)(f(r))
    keys = lambda part: list(next(iter(R.values()))[part])
    table(R, "set", [(k, lambda r, k=k: r[k]) for k in ("events", "spaces", "groupings", "blocks")] + [
        ("payload B", per(lambda r: float(r["payload"])))], 1)
    table(R, "1 timestamps", [(k, per(lambda r, k=k: r["timestamps"][k])) for k in keys("timestamps")])
    table(R, "1 same, ts × 1000", [(k, per(lambda r, k=k: r["times 1000"][k])) for k in keys("timestamps")])
    table(R, "2 lengths", [(k, per(lambda r, k=k: r["lengths"][k])) for k in keys("lengths")])
    names = [(s, n) for s, r in R.items() for n in r["index"]]
    table({f"{s}.{n}": R[s] | {"x": R[s]["index"][n]} for s, n in names}, "3 codes", [
        ("present %", lambda r: 100.0 * r["x"]["present"] / r["events"]), ("values, file", lambda r: r["x"]["values"]),
        ("values, block", lambda r: f'{r["x"]["values per block"]:.0f}')] + [
        (k, per(lambda r, k=k: r["x"][k])) for k in ("dense FoR", "dense PFOR", "sparse PFOR", "best per block")], 3)
    table(R, "3 value strings", [(k, per(lambda r, k=k: r["index strings"][k] if r["index"] else None)) for k in AREA])
    table(R, "4 runs", [("events per run", lambda r: r["events"] / r["runs"]["runs"]), ("counts FoR", per(lambda r: r["runs"]["counts FoR"])),
        ("counts PFOR", per(lambda r: r["runs"]["counts PFOR"]))] + [(k, per(lambda r, k=k: r["run strings"][k])) for k in AREA])
    z = lambda k: per(lambda r: r["payload sizes"]["zstd-3"][k])
    table(R, "5 zstd-3, frame + dictionary KiB", [(k, z(k)) for f in (4, 8, 16, 32) for k in [f"{f}"] + [f"{f}+{d}" for d in KIB]])
    table(R, "5 dictionary 16 KiB: stored zstd-19", [("bytes", lambda r: r["payload sizes"]["dictionary, zstd-19"]["16"])])
    raw = lambda r, k: r["payload sizes"]["dictionary bytes"][str(k)]
    for label, cost in (("dictionary stored raw twice", raw), ("dictionary stored zstd-19 twice", small_dictionary)):
        table(R, f"5 choice, {label}, 8 KiB frames", [
            ("none", per(lambda r: float(total_with(r, 0, cost)))),
            ("sample picks KiB", lambda r: f"{sample_choice(r, cost)}"),
            ("B/event then", per(lambda r: total_with(r, sample_choice(r, cost), cost))),
            ("best possible KiB", lambda r: str(min((0, *KIB), key=lambda k: total_with(r, k, cost)))),
            ("B/event then", per(lambda r: min(total_with(r, k, cost) for k in (0, *KIB))))])
    for f in (8, 16):
        table(R, f"5 frames of {f} KiB, fixed dictionary stored zstd-19 twice", [(f"{k} KiB", per(lambda r, k=k: float(
            r["payload sizes"]["zstd-3"][f"{f}+{k}"] - 2 * r["payload sizes"]["dictionary bytes"][str(k)] + 2 * small_dictionary(r, k)))) for k in KIB])
    table(R, "5 level, frames 8 KiB, dictionary 16 KiB zstd-19 twice where it wins", [(f"zstd-{l}", per(lambda r, l=l: float(level_choice(r, l)))) for l in (1, 3, 6, 9)])
    table(R, "5 codecs, 8 KiB frames, dict 16 KiB", [(k, per(lambda r, k=k: r["codecs"][k][0])) for k in keys("codecs")])
    table(R, "5 compress MB/s", [(k, lambda r, k=k: r["codecs"][k][1]) for k in keys("codecs")], 0)
    table(R, "5 decode µs/frame", [(k, lambda r, k=k: r["decode"][k]) for k in keys("decode")], 1)
    pe = lambda k: lambda r: r["postings"][k] / r["postings"]["entries"]
    table(R, "6 postings, B/entry", [("entries per list", lambda r: r["postings"]["entries"] / r["postings"]["lists"])] + [
        (k, pe(k)) for k in ("varint", "FoR", "PFOR", "PFOR without base", "PFOR, varint where shorter (inline only)", "key_bytes")])
    for b in ("1-1", "2-2", "3-4", "5-8", "9-16", "17-32", "33-128", ">128"):
        t = [r["postings"]["by length"][b] for r in R.values() if r["postings"] and b in r["postings"]["by length"]]
        lists, entries, *v = map(sum, zip(*t))
        print(f"| {b} | {lists} | {entries} | " + " | ".join(f"{x / entries:.2f}" for x in v) + " |")
    for size in ("128", "512", "2048"):
        table(R, f"7 time order, frames of {size}, B/row", [(k, lambda r, k=k: r["time order"][size][k] / r["time order"]["rows"]) for k in
            ("A FoR of ordinals", "A' PFOR of ordinals", "B bases + codes", "C PFOR of zigzag(step-1)", "best of B, C per frame", "best of A, B, C per frame")] + [
            ("bases per frame", lambda r: r["time order"][size]["bases per frame"])])
    order = ("payload", "timestamps", "lengths", "codes", "strings", "runs", "heads, checksums", "postings", "time order")
    table(R, "8 bottom line", [(k, per(lambda r, k=k: parts(r)[k])) for k in order] + [
        ("total", per(lambda r: sum(parts(r).values()))), ("raw payload", per(lambda r: float(r["payload"]))),
        ("tables, estimate, not in total", per(lambda r: r["tables"]))])

if __name__ == "__main__":
    try: results = json.load(open("results.json"))
    except FileNotFoundError: results = {}
    if sys.argv[1:] == ["--check"]: check(); sys.exit()
    if sys.argv[1:] == ["--tables"]:
        tables({n: results[n] for n in SETS}); sys.exit()
    for name in sys.argv[1:] or SETS:
        results[name] = measure(name)
        print(name, round(results[name]["load seconds"], 1), round(results[name]["seconds"], 1), "s", flush=True)
        json.dump(results, open("results.json", "w"), indent=1)
