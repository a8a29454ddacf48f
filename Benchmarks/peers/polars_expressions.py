"""Normalises zstd-compressed CSV, NDJSON or raw float32 by its mini-batches, with Polars.

Prints the seconds that the work took, imports aside.
"""

import argparse
import time

import numpy as np
import polars as pl
import pyarrow as pa


def normalised(frame, batch_size, epsilon):
    """(x - mean) / sqrt(var + epsilon) of each column and batch; nulls are left out of both."""
    x = pl.col(pl.Float64, pl.Float32)
    deviation = (x.var(ddof=0).over("batch") + epsilon).sqrt()
    # Groups of a column that is known to be sorted are found without hashing.
    return (
        frame.with_columns(batch=(pl.int_range(pl.len()) // batch_size).set_sorted())
        .with_columns(((x - x.mean().over("batch")) / deviation).cast(pl.Float32))
        .drop("batch")
    )


def text(arguments):
    """CSV and NDJSON, which Polars streams from file to file."""
    scan = pl.scan_csv if arguments.format == "csv" else pl.scan_ndjson
    frame = normalised(scan(arguments.input), arguments.batch_size, arguments.epsilon)
    sink = frame.sink_csv if arguments.format == "csv" else frame.sink_ndjson
    sink(arguments.output, compression="zstd", compression_level=1)


def raw(arguments):
    """Rows of float32, which Polars itself neither reads nor writes: NumPy views, Arrow's zstd."""
    with pa.input_stream(arguments.input, compression="zstd", buffer_size=1 << 20) as source:
        rows = np.frombuffer(source.read(), dtype="<f4").reshape(-1, arguments.columns)
    frame = pl.from_numpy(rows, orient="row").fill_nan(None)
    result = normalised(frame, arguments.batch_size, arguments.epsilon).fill_null(float("nan"))
    # Arrow's zstd level is 1.
    with pa.output_stream(arguments.output, compression="zstd", buffer_size=1 << 20) as sink:
        sink.write(result.to_numpy(order="c").data)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--format", choices=["csv", "ndjson", "raw"], required=True)
    parser.add_argument("--columns", type=int, help="of raw rows")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--epsilon", type=float, default=1e-5)
    arguments = parser.parse_args()

    start = time.perf_counter()
    if arguments.format == "raw":
        raw(arguments)
    else:
        text(arguments)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
