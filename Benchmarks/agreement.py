"""Compares two files of normalised records, value by value, and prints how far they differ."""

import argparse
import subprocess

import numpy as np
import polars as pl


def features(form, path, count):
    """The features of a file as rows of doubles, NaN where missing."""
    if form == "raw":
        content = subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout
        return np.frombuffer(content, dtype="<f4").reshape(-1, count).astype(np.float64)
    names = [f"f{index}" for index in range(count)]
    # The first batches may hold whole columns of missing values or integers.
    types = {name: pl.Float64 for name in names}
    if form == "csv":
        frame = pl.read_csv(path, schema_overrides=types)
    else:
        frame = pl.read_ndjson(path, schema_overrides=types)
    return frame.select(names).fill_null(float("nan")).to_numpy()


def largest_difference(form, ours, theirs, count):
    """The largest |a − b| / max(1, |b|), infinite where the shapes or the gaps differ."""
    a, b = features(form, ours, count), features(form, theirs, count)
    if a.shape != b.shape or not np.array_equal(np.isnan(a), np.isnan(b)):
        return float("inf")
    return float(np.nanmax(np.abs(a - b) / np.maximum(1, np.abs(b)), initial=0))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("form", choices=["csv", "raw", "ndjson"])
    parser.add_argument("count", type=int, help="the number of features")
    parser.add_argument("ours")
    parser.add_argument("theirs")
    arguments = parser.parse_args()
    print(largest_difference(arguments.form, arguments.ours, arguments.theirs, arguments.count))


if __name__ == "__main__":
    main()
