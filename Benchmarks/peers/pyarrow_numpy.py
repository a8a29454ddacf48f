"""Normalises a zstd-compressed CSV by its mini-batches, with PyArrow and NumPy.

Prints the seconds that the work took, imports aside.
"""

import argparse
import time

import numpy as np
import pyarrow as pa
import pyarrow.csv


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


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--epsilon", type=float, default=1e-5)
    arguments = parser.parse_args()

    start = time.perf_counter()
    # As text, so that the times are written as they came.
    table = pa.csv.read_csv(
        arguments.input,
        read_options=pa.csv.ReadOptions(block_size=4 << 20),
        convert_options=pa.csv.ConvertOptions(column_types={"time": pa.string()}),
    )
    columns = []
    for name, column in zip(table.column_names, table.columns):
        if pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
            values = column.to_numpy().astype(np.float64, copy=False)
            values = normalised(values, arguments.batch_size, arguments.epsilon)
            # NaN becomes null, which is written as an empty field.
            column = pa.array(values, from_pandas=True)
        columns.append(column)
    result = pa.table(columns, names=table.column_names)
    # Arrow's zstd level is 1.
    with pa.output_stream(arguments.output, compression="zstd") as sink:
        pa.csv.write_csv(result, sink, pa.csv.WriteOptions(quoting_style="none"))
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
