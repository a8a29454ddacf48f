"""Normalises a zstd-compressed CSV value by value, with River's adaptive standard scaler.

River keeps exponentially weighted moments and updates them with every record, so its numbers are
those of a batch size of 1. Prints the seconds that the work took, imports aside.
"""

import argparse
import csv
import io
import time

import pyarrow as pa
from river import preprocessing


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    arguments = parser.parse_args()

    start = time.perf_counter()
    scaler = preprocessing.AdaptiveStandardScaler(fading_factor=0.1)
    with (
        pa.input_stream(arguments.input, compression="zstd") as source,
        pa.output_stream(arguments.output, compression="zstd") as sink,
        io.TextIOWrapper(source, newline="") as text,
        io.TextIOWrapper(sink, newline="") as output,
    ):
        reader = csv.DictReader(text)
        writer = csv.DictWriter(output, reader.fieldnames, lineterminator="\n")
        writer.writeheader()
        for record in reader:
            features = {
                name: float(value)
                for name, value in record.items()
                if name != "time" and value
            }
            scaler.learn_one(features)
            record.update(scaler.transform_one(features))
            writer.writerow(record)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
