"""Normalises zstd-compressed rows of little-endian float32 by their mini-batches, with NumPy.

Prints the seconds that the work took, imports aside.
"""

import argparse
import time

import numpy as np
import pyarrow as pa


def normalised(rows, epsilon):
    """(x - mean) / sqrt(var + epsilon) of each column, missing (NaN) values left out of both."""
    present = ~np.isnan(rows)
    # A sum over zeros is several times faster than nanmean and nanvar.
    count = np.maximum(present.sum(axis=0), 1)
    mean = np.where(present, rows, 0.0).sum(axis=0, dtype=np.float64) / count
    centred = rows - mean
    variance = np.where(present, centred * centred, 0.0).sum(axis=0) / count
    return (centred / np.sqrt(variance + epsilon)).astype("<f4")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--columns", type=int, required=True)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--epsilon", type=float, default=1e-5)
    arguments = parser.parse_args()

    start = time.perf_counter()
    batch_bytes = arguments.batch_size * arguments.columns * 4
    # Arrow decompresses as fast as the zstd tool; its zstd level is 1.
    with (
        pa.input_stream(arguments.input, compression="zstd", buffer_size=1 << 20) as source,
        pa.output_stream(
            arguments.output, compression="zstd", buffer_size=1 << 20
        ) as sink,
    ):
        while batch := source.read(batch_bytes):
            rows = np.frombuffer(batch, dtype="<f4").reshape(-1, arguments.columns)
            sink.write(normalised(rows, arguments.epsilon).data)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
