"""Normalises zstd-compressed CSV or NDJSON by its mini-batches, with PyArrow and NumPy.

Prints the seconds that the work took, imports aside.
"""

import argparse
import time

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.json

BLOCK_BYTES = 4 << 20


def normalised(column, batch_size, epsilon):
    """(x - mean) / sqrt(var + epsilon) of each batch, missing (NaN) values left out of both."""
    full = len(column) - len(column) % batch_size
    parts = [column[:full].reshape(-1, batch_size), column[full:].reshape(1, -1)]
    results = []
    for batches in parts:
        if batches.size == 0:
            continue
        present = ~np.isnan(batches)
        # A sum over zeros is several times faster than nanmean and nanvar.
        count = np.maximum(present.sum(axis=1, keepdims=True), 1)
        mean = np.where(present, batches, 0.0).sum(axis=1, keepdims=True) / count
        centred = batches - mean
        squares = np.where(present, centred * centred, 0.0)
        variance = squares.sum(axis=1, keepdims=True) / count
        results.append((centred / np.sqrt(variance + epsilon)).astype(np.float32).ravel())
    return np.concatenate(results) if results else column.astype(np.float32)


def read(path, form):
    """The table; times as text, so that they are written as they came."""
    if form == "csv":
        return pa.csv.read_csv(
            path,
            read_options=pa.csv.ReadOptions(block_size=BLOCK_BYTES),
            convert_options=pa.csv.ConvertOptions(column_types={"time": pa.string()}),
        )
    return pa.json.read_json(
        path,
        read_options=pa.json.ReadOptions(block_size=BLOCK_BYTES),
        parse_options=pa.json.ParseOptions(
            explicit_schema=pa.schema([("time", pa.string())])
        ),
    )


def write_csv(names, columns, sink):
    # NaN becomes null, which is written as an empty field.
    columns = [
        pa.array(column, from_pandas=True) if isinstance(column, np.ndarray) else column
        for column in columns
    ]
    options = pa.csv.WriteOptions(quoting_style="none")
    pa.csv.write_csv(pa.table(columns, names=names), sink, options)


def write_ndjson(names, columns, sink):
    """Arrow does not write JSON; of Python's writers orjson is the fastest. NaN becomes null."""
    # Six decimals: about the length of a 4-byte float's shortest text, which Python does not know.
    lists = [
        np.round(column.astype(np.float64), 6).tolist()
        if isinstance(column, np.ndarray)
        else column.to_pylist()
        for column in columns
    ]
    for row in zip(*lists):
        sink.write(orjson.dumps(dict(zip(names, row)), None, orjson.OPT_APPEND_NEWLINE))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--format", choices=["csv", "ndjson"], required=True)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--epsilon", type=float, default=1e-5)
    arguments = parser.parse_args()

    start = time.perf_counter()
    table = read(arguments.input, arguments.format)
    columns = []
    for column in table.columns:
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            values = column.to_numpy().astype(np.float64, copy=False)
            columns.append(normalised(values, arguments.batch_size, arguments.epsilon))
        else:
            columns.append(column)
    write = write_csv if arguments.format == "csv" else write_ndjson
    # Arrow's zstd level is 1.
    with pa.output_stream(arguments.output, compression="zstd", buffer_size=1 << 20) as sink:
        write(table.column_names, columns, sink)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
