"""Writes the Parquet files of this directory with pyarrow, and expected.json: the cells that each column has.

    python -m venv venv && venv/bin/pip install pyarrow==26.0.1 && venv/bin/python make.py

A cell is null for a blank, a text, or a list of these.
"""
import datetime as dt
import decimal
import json
import pathlib
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
N = 60
expected = {"columns": {}, "files": {}}


def nulls(values, every):
    return [None if i % every == every - 1 else v for i, v in enumerate(values)]


def text(v):
    """The cell of a value, by rules that are written down in docs/data.md."""
    if v is None:
        return None
    if isinstance(v, bool):
        return "1" if v else "0"
    if isinstance(v, float):
        if v != v:
            return None
        s = repr(v)
        return s[:-2] if s.endswith(".0") else s
    if isinstance(v, dt.datetime):
        s = v.strftime("%Y-%m-%d %H:%M:%S")
        if v.microsecond:
            s += ("." + "%06d" % v.microsecond).rstrip("0")
        return s + ("Z" if v.tzinfo else "")
    if isinstance(v, dt.date):
        return v.isoformat()
    if isinstance(v, dt.time):
        s = v.strftime("%H:%M:%S")
        return s + ("." + "%06d" % v.microsecond).rstrip("0") if v.microsecond else s
    if isinstance(v, list):
        return [text(x) for x in v]
    return str(v)


UTC = dt.timezone.utc
BASE = dt.datetime(1969, 12, 31, 23, 59, 58)
COLUMNS = {
    "text": (pa.string(), nulls([f"t{i % 7}é" for i in range(N)], 5)),
    "words": (pa.string(), [f"word number {i} of many" for i in range(N)]),
    "i8": (pa.int8(), nulls([i - 30 for i in range(N)], 7)),
    "i32": (pa.int32(), [i * 1001 - 30000 for i in range(N)]),
    "i64": (pa.int64(), nulls([(-3) ** (i % 35) for i in range(N)], 4)),
    "u32": (pa.uint32(), [2**32 - 1 - i for i in range(N)]),
    "u64": (pa.uint64(), [2**64 - 1 - i for i in range(N)]),
    "f64": (pa.float64(), nulls([i / 8 - 2 if i % 9 else float("nan") for i in range(N)], 6)),
    "bool": (pa.bool_(), nulls([i % 3 == 0 for i in range(N)], 8)),
    "flag": (pa.bool_(), [i % 5 == 0 for i in range(N)]),
    "date": (pa.date32(), nulls([dt.date(1960, 1, 1) + dt.timedelta(days=700 * i) for i in range(N)], 11)),
    "ms": (pa.timestamp("ms"), [BASE + dt.timedelta(milliseconds=250 * i) for i in range(N)]),
    "us": (pa.timestamp("us", "UTC"), nulls([BASE.replace(tzinfo=UTC) + dt.timedelta(microseconds=1000001 * i) for i in range(N)], 9)),
    "ns": (pa.timestamp("ns"), [BASE + dt.timedelta(hours=i) for i in range(N)]),
    "clock": (pa.time64("us"), [dt.time(i % 24, i, 59, 500 * i) for i in range(N)]),
    "dec": (pa.decimal128(9, 2), nulls([decimal.Decimal(i * 37 - 500) / 100 for i in range(N)], 10)),
    "bigdec": (pa.decimal128(38, 10), [decimal.Decimal(-(10**20) + i).scaleb(-10) for i in range(N)]),
    "empty": (pa.string(), [None] * N),
    "tags": (pa.list_(pa.string()), nulls([[f"a{k}" if k % 3 else None for k in range(i % 5)] for i in range(N)], 6)),
    "ids": (pa.list_(pa.int64()), [list(range(i % 40)) for i in range(N)]),
    "user": (pa.struct([("id", pa.int32()), ("name", pa.string())]),
             nulls([{"id": i, "name": None if i % 2 else f"u{i}"} for i in range(N)], 12)),
    "clicks": (pa.list_(pa.struct([("item", pa.string()), ("n", pa.int32())])),
               [[{"item": f"x{k}", "n": k} for k in range(i % 4)] for i in range(N)]),
}


def cells(name, values):
    if name == "user":
        return {f"user.{k}": [None if v is None else text(v[k]) for v in values] for k in ("id", "name")}
    if name == "clicks":
        return {f"clicks.{k}": [[text(e[k]) for e in v] for v in values] for k in ("item", "n")}
    if name == "dec":
        return {name: [None if v is None else f"{v:.2f}" for v in values]}
    if name == "bigdec":
        return {name: [f"{v:.10f}" for v in values]}
    return {name: [text(v) for v in values]}


def write(file, names, rows=N, **options):
    table = pa.table({n: pa.array(COLUMNS[n][1][:rows], COLUMNS[n][0]) for n in names})
    pq.write_table(table, HERE / file, **options)
    expected["files"][file] = {"rows": rows, "columns": [c for n in names for c in cells(n, [])]}


ALL = list(COLUMNS)
FLAT = [n for n in ALL if n not in ("tags", "ids", "user", "clicks")]
write("snappy.parquet", ALL, compression="snappy")
write("zstd_v2.parquet", ALL, compression="zstd", data_page_version="2.0", row_group_size=23, data_page_size=64, write_batch_size=5)
write("gzip_plain.parquet", ALL, compression="gzip", use_dictionary=False, row_group_size=31)
write("plain_v2.parquet", ALL, compression="none", use_dictionary=False, data_page_version="2.0", data_page_size=100, write_batch_size=3)
write("small_pages.parquet", ALL, compression="snappy", data_page_size=40, write_batch_size=4, dictionary_pagesize_limit=60)
write("checksums.parquet", FLAT, compression="snappy", write_page_checksum=True)
write("not_compliant.parquet", ["tags", "ids"], use_compliant_nested_type=False)
write("int96.parquet", ["ms", "ns"], use_deprecated_int96_timestamps=True)
write("v1.0.parquet", [n for n in FLAT if n not in ("ns",)], version="1.0")
write("delta.parquet", ["i32", "i64", "words", "text", "dec", "f64"], use_dictionary=False, compression="none", column_encoding={
    "i32": "DELTA_BINARY_PACKED", "i64": "DELTA_BINARY_PACKED", "words": "DELTA_BYTE_ARRAY", "text": "DELTA_LENGTH_BYTE_ARRAY",
    "dec": "BYTE_STREAM_SPLIT", "f64": "BYTE_STREAM_SPLIT"})
write("delta_flba.parquet", ["bigdec"], use_dictionary=False, column_encoding={"bigdec": "DELTA_BYTE_ARRAY"})
write("rle_bool.parquet", ["bool", "flag"], use_dictionary=False, data_page_version="2.0", column_encoding={"bool": "RLE", "flag": "RLE"})
write("no_rows.parquet", ["text", "tags"], rows=0)

# Half-precision numbers, floats of 32 bits and ids, whose digits Python does not write as Go does.
small = pa.table({
    "f32": pa.array([0.1, 1.5, None, 16777216.0, 1e-7], pa.float32()),
    "f16": pa.array([0.5, -2.0, None, 1024.0, 0.25], pa.float16()),
    "id": pa.array([uuid.UUID(int=i * 2**64).bytes for i in range(5)], pa.uuid() if hasattr(pa, "uuid") else pa.binary(16)),
})
pq.write_table(small, HERE / "floats.parquet")
expected["columns"] |= {
    "f32": ["0.1", "1.5", None, "16777216", "1e-07"], "f16": ["0.5", "-2", None, "1024", "0.25"],
    "id": [str(uuid.UUID(int=i * 2**64)) for i in range(5)],
}
expected["files"]["floats.parquet"] = {"rows": 5, "columns": ["f32", "f16", "id"]}
for n, (_, values) in COLUMNS.items():
    expected["columns"].update(cells(n, values))
(HERE / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, separators=(",", ":")) + "\n")
