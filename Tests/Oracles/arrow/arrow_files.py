"""Arrow streams and files as pyarrow, Polars, pandas and DuckDB write them.

Feature `x` is Float32 and `y` Float64 in all of them; the other columns differ by their writer.
"""

import datetime
import decimal
import json
import pathlib

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

COMPRESSIONS = (None, "zstd", "lz4")


def feature(rows, start, scale, null_every, dtype):
    """Values with a trend, and every so many null; exact in 32 bits."""
    index = np.arange(start, start + rows)
    values = ((index * 37 % 101) * 0.25 * scale - 7).astype(dtype)
    nulls = index % null_every == null_every - 1 if null_every else np.zeros(rows, bool)
    return values, nulls


def column(rows, start, scale, null_every, dtype):
    values, nulls = feature(rows, start, scale, null_every, dtype)
    return pa.array(values, mask=nulls)


def every_type(rows, start):
    """A batch of 22 types besides the features."""
    index = list(range(start, start + rows))
    text = [None if i % 9 == 4 else "text " + "é" * (i % 7) for i in index]
    long_text = [None if i % 9 == 4 else "longer than an inline view " + str(i) for i in index]
    epoch = datetime.datetime(2026, 11, 27)
    days = [epoch + datetime.timedelta(minutes=i) for i in index]
    embedding = np.arange(3 * rows, dtype=np.float32) * 0.5 + start
    union = pa.UnionArray.from_dense(
        pa.array([i % 2 for i in range(rows)], pa.int8()),
        pa.array([i // 2 for i in range(rows)], pa.int32()),
        [pa.array(index, pa.int64()), pa.array(text, pa.utf8())],
        ["number", "text"],
    )
    lists = [None if i % 6 == 5 else list(range(i % 4)) for i in index]
    return {
        "x": column(rows, start, 1, 7, np.float32),
        "half": pa.array(np.arange(rows, dtype=np.float16)),
        "y": column(rows, start, -3, 5, np.float64),
        "e": pa.FixedSizeListArray.from_arrays(pa.array(embedding), 3),
        "n32": pa.array([None if i % 11 == 3 else i * 10 for i in index], pa.int32()),
        "n64": pa.array([i * -1000 for i in index], pa.int64()),
        "tiny": pa.array([i % 100 for i in index], pa.int8()),
        "flag": pa.array([None if i % 5 == 1 else i % 3 == 0 for i in index]),
        "text": pa.array(text, pa.utf8()),
        "large": pa.array(text, pa.large_utf8()),
        "text_view": pa.array(long_text, pa.string_view()),
        "binary_view": pa.array([i.to_bytes(20, "little") for i in index], pa.binary_view()),
        "plain": column(rows, start, 2, 0, np.float32),
        "price": pa.array([decimal.Decimal(i) / 100 for i in index], pa.decimal128(12, 2)),
        "time": pa.array(days, pa.timestamp("us", tz="Europe/Berlin")),
        "list": pa.array(lists, pa.list_(pa.int32())),
        "s": pa.StructArray.from_arrays(
            [column(rows, start, 1, 4, np.float64), pa.array(text)],
            ["a", "b"],
            mask=pa.array([i % 8 == 6 for i in index]),
        ),
        "map": pa.array([[("k", i)] * (i % 3) for i in index], pa.map_(pa.utf8(), pa.int32())),
        "null": pa.nulls(rows),
        "list_view": pa.array(lists, pa.list_view(pa.int32())),
        "runs": pa.RunEndEncodedArray.from_arrays(
            pa.array([rows // 2, rows], pa.int32()), pa.array([1.5, 2.5])
        ),
        "union": union,
        "duration": pa.array([datetime.timedelta(seconds=i) for i in index]),
        "fixed": pa.array([bytes([i % 256] * 5) for i in index], pa.binary(5)),
        "last": column(rows, start, 0.5, 3, np.float32),
    }


def with_dictionaries(rows, batches):
    """Batches of every type and of two dictionaries, one of which grows."""
    words = ["red", "green", "blue", "grey", "white", "black", "pink"]
    made = []
    for number in range(batches):
        columns = every_type(rows, number * rows)
        known = 2 + number
        codes = pa.array([None if i % 10 == 9 else i % known for i in range(rows)], pa.int8())
        columns["colour"] = pa.DictionaryArray.from_arrays(codes, pa.array(words[:known]))
        size = pa.array([i % 3 for i in range(rows)], pa.int16())
        columns["size"] = pa.DictionaryArray.from_arrays(size, pa.array(["s", "m", "l"]))
        made.append(pa.RecordBatch.from_pydict(columns))
    schema = made[0].schema.with_metadata({"origin": "Tests/Oracles/arrow", "é": "ü"})
    return [batch.replace_schema_metadata(schema.metadata) for batch in made]


def write_pyarrow(path, batches, compression, is_file, **options):
    settings = pa.ipc.IpcWriteOptions(
        compression=compression, emit_dictionary_deltas=True, **options
    )
    new = pa.ipc.new_file if is_file else pa.ipc.new_stream
    with new(str(path), batches[0].schema, options=settings) as writer:
        for number, batch in enumerate(batches):
            writer.write_batch(batch, custom_metadata={"number": str(number)})


def write_words(directory):
    """Dictionary-encoded columns that grow and are replaced, and their rows as pyarrow reads them, in JSON."""
    directory = pathlib.Path(directory)
    day = datetime.date(2026, 11, 27)
    time = datetime.datetime(2026, 11, 27, 12, 30, 0, 250000)
    values = {
        "text": (pa.utf8(), ["red", 'gr"een', "blué", "a,b", "", None]),
        "large": (pa.large_utf8(), ["long " * 5 + str(i) for i in range(5)] + [None]),
        "number": (pa.int64(), [7, -8, 9, 10, 11, None]),
        "half": (pa.float64(), [0.5, 1.5, -2.5, 3.5, 4.5, None]),
        "price": (pa.decimal128(6, 2), [decimal.Decimal(i) / 4 for i in range(5)] + [None]),
        "day": (pa.date32(), [day + datetime.timedelta(days=i) for i in range(5)] + [None]),
        "time": (pa.timestamp("ms"), [time + datetime.timedelta(days=i) for i in range(5)] + [None]),
    }
    integers = [pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64()]
    batches = []
    for number, (first, known) in enumerate([(0, 2), (0, 3), (0, 6), (2, 6), (2, 6)]):
        rows = range(number * 8, number * 8 + 8)
        codes = [None if i % 5 == 4 else i % (known - first) for i in rows]
        columns = {"x": pa.array([i + 0.5 for i in rows], pa.float32())}
        for (name, (kind, words)), integer in zip(values.items(), integers, strict=True):
            columns[name] = pa.DictionaryArray.from_arrays(
                pa.array(codes, integer), pa.array(words[first:known], kind)
            )
        columns["u64"] = pa.DictionaryArray.from_arrays(
            pa.array(codes, pa.uint64()), pa.array([str(i) for i in range(known)])
        )
        columns["bytes"] = pa.DictionaryArray.from_arrays(
            pa.array(codes, pa.int32()), pa.array([b"%d" % i for i in range(known)])
        )
        columns["s"] = pa.StructArray.from_arrays(
            [columns["text"], columns["x"]], ["word", "v"],
            mask=pa.array([i % 7 == 6 for i in rows]),
        )
        batches.append(pa.RecordBatch.from_pydict(columns))
    for compression in COMPRESSIONS:
        path = directory / f"pyarrow-words-{compression or 'none'}.arrows"
        write_pyarrow(path, batches, compression, is_file=False)
        yield path
    path = directory / "pyarrow-words.arrow"
    write_pyarrow(path, batches[:3], "zstd", is_file=True)
    yield path
    path = directory / "pyarrow-words.ndjson"
    with open(path, "w", encoding="utf-8") as output:
        for row in pa.ipc.open_stream(directory / "pyarrow-words-none.arrows").read_all().to_pylist():
            struct = row.pop("s") or {"word": None, "v": None}
            del row["bytes"]
            row["s.word"], row["s.v"] = struct["word"], struct["v"]
            price = row["price"]
            row["day"] = row["day"] and row["day"].isoformat()
            row["time"] = row["time"] and row["time"].isoformat(timespec="milliseconds")
            row["price"] = None if price is None else "PRICE"
            line = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
            output.write(line.replace('"PRICE"', str(price)) + "\n")
    yield path
    bomb = pa.DictionaryArray.from_arrays(pa.array([0], pa.int8()), pa.array(["a" * (65 << 20)]))
    batch = pa.RecordBatch.from_pydict({"x": pa.array([0.5], pa.float32()), "text": bomb})
    path = directory / "pyarrow-bomb.arrows"
    write_pyarrow(path, [batch], "zstd", is_file=False)
    yield path


def polars_frame(rows):
    values, nulls = feature(rows, 0, 1, 7, np.float32)
    doubles, missing = feature(rows, 0, -3, 5, np.float64)
    return pl.DataFrame(
        {
            "x": pl.Series(values).set(pl.Series(nulls), None),
            "id": pl.Series(["row %d, longer than a view" % i for i in range(rows)]),
            "y": pl.Series(doubles).set(pl.Series(missing), None),
            "day": pl.Series([datetime.date(2026, 1, 1)] * rows),
            "kind": pl.Series(["a", "b", None, "c"] * (rows // 4), dtype=pl.Categorical),
            "size": pl.Series(["s", "m", "l", "s"] * (rows // 4), dtype=pl.Enum(["s", "m", "l"])),
            "tags": pl.Series([["u", "v"], []] * (rows // 2)),
            "big": pl.Series(range(rows), dtype=pl.UInt64),
        }
    )


def pandas_frame(rows):
    values, nulls = feature(rows, 0, 1, 7, np.float32)
    doubles, _ = feature(rows, 0, -3, 0, np.float64)
    frame = pd.DataFrame(
        {
            "x": values,
            "y": doubles,
            "city": pd.Categorical(["Oslo", "Rome"] * (rows // 2)),
            "note": ["a", None] * (rows // 2),
        },
        index=pd.date_range("2026-01-01", periods=rows, freq="h", name="hour"),
    )
    frame.loc[nulls, "x"] = np.nan
    return frame


DUCKDB_QUERY = """
  select (case when i % 7 = 6 then null else i * 0.25 end)::float as x,
    'id ' || i as id, (i * -0.75)::double as y, [i, i + 1] as pair,
    {'a': i * 0.5::double, 'b': i} as s, i::decimal(9, 2) as price,
    timestamp '2026-01-01' + interval (i) hour as at, i % 2 = 0 as even
  from range(ROWS) as numbers(i)
"""


def write_all(directory, rows, batches):
    """Writes every kind of file; yields the path of each."""
    directory = pathlib.Path(directory)
    made = with_dictionaries(rows, batches)
    growing = [batch.select(["x", "y", "colour"]) for batch in made]
    for compression in COMPRESSIONS:
        suffix = compression or "none"
        path = directory / f"pyarrow-{suffix}.arrows"
        write_pyarrow(path, made, compression, is_file=False)
        yield path
        path = directory / f"pyarrow-{suffix}.arrow"
        write_pyarrow(path, made, compression, is_file=True, unify_dictionaries=False)
        yield path
    legacy = [batch.select(["x", "text", "y", "union"]) for batch in made]
    path = directory / "pyarrow-legacy.arrows"
    write_pyarrow(
        path, legacy, None, is_file=False, use_legacy_format=True,
        metadata_version=pa.ipc.MetadataVersion.V4,
    )
    yield path
    path = directory / "pyarrow-deltas.arrows"
    write_pyarrow(path, growing, None, is_file=False)
    yield path
    frame = polars_frame(rows * batches)
    for compression in ("uncompressed", "zstd", "lz4"):
        suffix = "none" if compression == "uncompressed" else compression
        for level in ("newest", "oldest"):
            options = {"compression": compression, "compat_level": getattr(pl.CompatLevel, level)()}
            path = directory / f"polars-{level}-{suffix}.arrows"
            frame.write_ipc_stream(path, **options)
            yield path
            path = directory / f"polars-{level}-{suffix}.arrow"
            frame.write_ipc(path, **options)
            yield path
    path = directory / "polars-lazy.arrow"
    frame.lazy().sink_ipc(path, compression="zstd")
    yield path
    table = pa.Table.from_pandas(pandas_frame(rows * batches))
    for is_file in (False, True):
        path = directory / ("pandas.arrow" if is_file else "pandas.arrows")
        write_pyarrow(path, table.to_batches(max_chunksize=rows), None, is_file)
        yield path
    path = directory / "pandas.feather"
    pandas_frame(rows * batches).reset_index().to_feather(path)
    yield path
    query = DUCKDB_QUERY.replace("ROWS", str(rows * batches))
    reader = duckdb.sql(query).to_arrow_reader(rows)
    path = directory / "duckdb.arrows"
    write_pyarrow(path, list(reader), None, is_file=False)
    yield path
