"""Normalises the float columns of an Arrow stream by its mini-batches, with Polars.

Prints the seconds that the work took, imports aside.
"""

import argparse
import time

import polars as pl

from polars_expressions import normalised


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--compression")
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--epsilon", type=float, default=1e-5)
    arguments = parser.parse_args()

    start = time.perf_counter()
    frame = pl.read_ipc_stream(arguments.input)
    result = normalised(frame, arguments.batch_size, arguments.epsilon)
    result.write_ipc_stream(arguments.output, compression=arguments.compression or "uncompressed")
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
