"""Writes the Arrow files of Tests/CodecsTests/Golden/arrow."""

import itertools
import pathlib

import arrow_files
import pyarrow as pa

ROWS = 24
BATCHES = 3

# One of each kind that its readers must tell apart; `make arrow-interop` reads all.
KEPT = {
    "duckdb.arrows",
    "pandas.arrow",
    "pandas.arrows",
    "polars-lazy.arrow",
    "polars-newest-lz4.arrows",
    "polars-newest-none.arrow",
    "polars-oldest-zstd.arrow",
    "pyarrow-bomb.arrows",
    "pyarrow-deltas.arrows",
    "pyarrow-legacy.arrows",
    "pyarrow-lz4.arrow",
    "pyarrow-lz4.arrows",
    "pyarrow-none.arrow",
    "pyarrow-none.arrows",
    "pyarrow-words-lz4.arrows",
    "pyarrow-words-none.arrows",
    "pyarrow-words-zstd.arrows",
    "pyarrow-words.arrow",
    "pyarrow-words.ndjson",
    "pyarrow-zstd.arrow",
    "pyarrow-zstd.arrows",
}

directory = pathlib.Path(__file__).parents[2] / "CodecsTests/Golden/arrow"
directory.mkdir(parents=True, exist_ok=True)
for path in itertools.chain(
    arrow_files.write_all(directory, ROWS, BATCHES), arrow_files.write_words(directory)
):
    if path.name not in KEPT:
        path.unlink()

# Gradients of two features, for Tests/StreamTests/GradientSplitTests.swift.
batches = [
    ([0, 1, 2], [10, None, 12], [[1, 2], [0.5, -1.5], [0, 0]], [[0, 0], [2, 0.25], [1, 1]], [1] * 3),
    ([3], [1], [[1, 1]], [[1, 1]], [None]),
    ([4, 5], [1, 1], [[1, 1], [None, 1]], [[1, 1], [1, 1]], [None, None]),
]
for name, weight, bias, compression in [
    ("gradients", pa.list_(pa.float64(), 2), pa.list_(pa.float64(), 2), None),
    # pyarrow makes these of Python's lists, and large lists for long columns.
    ("gradients-lists", pa.list_(pa.float64()), pa.list_(pa.float64()), None),
    ("gradients-large", pa.large_list(pa.float32()), pa.list_(pa.float32(), 2), "zstd"),
]:
    schema = pa.schema(
        [
            ("version", pa.int64()),
            ("count", pa.int64()),
            ("weight_grad", weight),
            ("bias_grad", bias),
            ("after_batch", pa.int64()),
        ]
    )
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(directory / f"{name}.arrows", schema, options=options) as writer:
        for columns in batches:
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema)]
            writer.write_batch(pa.record_batch(arrays, schema=schema))

# Whole numbers in Python become Int64.
whole = pa.table({"version": [0], "weight_grad": [[1, 2]], "bias_grad": [[0, 1]]})
with pa.ipc.new_stream(directory / "gradients-whole.arrows", whole.schema) as writer:
    writer.write_table(whole)

# Names of features, which lines of JSON may have and Arrow may not.
named = pa.table({"version": [0], "weight_grad": [[1.0, 2.0]], "bias_grad": [[0.0, 1.0]], "features": [["b", "a"]]})
with pa.ipc.new_stream(directory / "gradients-named.arrows", named.schema) as writer:
    writer.write_table(named)

# Rows of y and of its gradient; the last step has none.
rows = [
    {
        "version": [0, 1],
        "y": [[[1.0, 2.0], [3.0, None]], [[5.0, 6.0]]],
        "y_grad": [[[0.5, 0.0], [1.0, None]], [[-1.0, 1.0]]],
    },
    {"version": [2], "y": [None], "y_grad": [[[1.0, 1.0]]]},
]
vectors = pa.list_(pa.list_(pa.float64()))
pairs = pa.large_list(pa.list_(pa.float32(), 2))
schema = pa.schema([("version", pa.int64()), ("y", vectors), ("y_grad", pairs)])
with pa.ipc.new_stream(directory / "gradient-rows.arrows", schema) as writer:
    for columns in rows:
        writer.write_table(pa.table(columns, schema=schema))
