"""Normalises zstd-compressed CSV or NDJSON by its mini-batches, with Polars expressions.

Prints the seconds that the work took, imports aside.
"""

import argparse
import time

import polars as pl


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--format", choices=["csv", "ndjson"], required=True)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--epsilon", type=float, default=1e-5)
    arguments = parser.parse_args()

    start = time.perf_counter()
    scan = pl.scan_csv if arguments.format == "csv" else pl.scan_ndjson
    x = pl.col(pl.Float64)
    deviation = (x.var(ddof=0).over("batch") + arguments.epsilon).sqrt()
    frame = (
        scan(arguments.input)
        .with_columns(batch=pl.int_range(pl.len()) // arguments.batch_size)
        .with_columns(((x - x.mean().over("batch")) / deviation).cast(pl.Float32))
        .drop("batch")
    )
    sink = frame.sink_csv if arguments.format == "csv" else frame.sink_ndjson
    sink(arguments.output, compression="zstd", compression_level=1)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
