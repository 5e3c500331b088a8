"""DuckDB over Parquet: one request in JSON a line on standard input, one answer a line on standard output.

    {"do": "build", "source": "a.parquet", "path": "b.parquet"}     writes b from a, sorted, with zstd
    {"do": "grouping", "path": …, "space": …, "grouping": …}        payloads, oldest first
    {"do": "stretch", "path": …, ["space": …,] "start": …, "end": …}
    {"do": "count", "path": …, "name": …, "day": …}                 events by index value and day

An answer has "seconds", what the query took until all rows were there, and "rows".
"""

import json
import sys
import time

import duckdb

connection = duckdb.connect()
connection.execute(f"SET threads = {int(sys.argv[1])}")
# It would go to standard output, between the answers.
connection.execute("SET enable_progress_bar = false")


def quoted(text):
    return "'" + str(text).replace("'", "''") + "'"


def build(request):
    connection.execute(f"""
        COPY (SELECT * EXCLUDE file_row_number FROM read_parquet({quoted(request["source"])}, binary_as_string = true, file_row_number = true)
              ORDER BY space, "grouping", ts, file_row_number)
        TO {quoted(request["path"])} (FORMAT parquet, COMPRESSION zstd)""")
    return []


def grouping(request):
    return connection.execute(
        'SELECT data FROM read_parquet(?, file_row_number = true) WHERE space = ? AND "grouping" = ? '
        'ORDER BY ts, file_row_number',
        [request["path"], request["space"], request["grouping"]]).fetchall()


def stretch(request):
    where, values = "ts >= ? AND ts < ?", [request["start"], request["end"]]
    if "space" in request:
        where, values = where + " AND space = ?", values + [request["space"]]
    return connection.execute(
        f'SELECT data FROM read_parquet(?, file_row_number = true) WHERE {where} '
        'ORDER BY space, ts, "grouping", file_row_number',
        [request["path"], *values]).fetchall()


def count(request):
    name = '"' + request["name"].replace('"', '""') + '"'
    return connection.execute(
        f"SELECT {name}, ts // ? * ?, count(*) FROM read_parquet(?) WHERE {name} IS NOT NULL GROUP BY ALL",
        [request["day"], request["day"], request["path"]]).fetchall()


for line in sys.stdin:
    request = json.loads(line)
    start = time.perf_counter()
    rows = globals()[request["do"]](request)
    seconds = time.perf_counter() - start
    rows = [list(row) if len(row) > 1 else [row[0], None] for row in rows]
    print(json.dumps({"seconds": seconds, "rows": rows}), flush=True)
