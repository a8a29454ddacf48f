"""Measures Arrow streams through the binary, beside PyArrow with NumPy, Polars, `cat` and a zstd pipe.

The data: float32 features with nulls, a string id and a timestamp, in record batches of 4,096 rows, in memory where
there is /dev/shm. All candidates take turns; the medians of the rounds are shown, in ns a feature value.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import pyarrow as pa

import verdicts

PEERS = pathlib.Path(__file__).parent / "peers"
# The most of each peer's time, as the targets say.
TARGETS = {"none": {"PyArrow + NumPy": 0.25, "Polars": 0.25, "cat": 3.0},
           "zstd": {"PyArrow + NumPy": 0.3, "Polars": 0.3},
           "lz4": {"PyArrow + NumPy": 0.3},
           "wrapped": {"zstd pipe": 1.2}}


def write_input(directory, rows, features):
    random = np.random.default_rng(1)
    columns = {
        "id": pa.array([f"row-{i:08d}" for i in range(rows)]),
        "at": pa.array(np.arange(rows, dtype=np.int64) * 1000, pa.timestamp("us")),
    }
    for feature in range(features):
        values = (random.standard_normal(rows) * 3 + 5).astype(np.float32)
        columns[f"f{feature}"] = pa.array(values, mask=random.random(rows) < 0.02)
    table = pa.table(columns)
    for compression in ("none", "zstd", "lz4"):
        options = pa.ipc.IpcWriteOptions(compression=None if compression == "none" else compression)
        with pa.ipc.new_stream(directory / f"{compression}.arrows", table.schema, options=options) as w:
            w.write_table(table, max_chunksize=4096)
    with pa.ipc.new_stream(directory / "one.arrows", table.schema) as w:
        w.write_table(table.slice(0, 1))
    subprocess.run(["zstd", "-q", "-1", directory / "none.arrows", "-o", directory / "wrapped.arrows.zst"],
                   check=True)


def wall(command, **options):
    start = time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL, **options)
    return time.perf_counter() - start


def work(command):
    """The seconds that a Python peer says."""
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def zstd_alone(source, output):
    """The least that two cores need for the bodies: half the time in which libzstd decompresses and compresses them."""
    def buffers(file):
        return [buffer for batch in pa.ipc.open_stream(file) for column in batch.columns
                for buffer in column.buffers() if buffer is not None]

    codec = pa.Codec("zstd", 1)
    bodies = [(codec.compress(buffer), buffer.size) for buffer in buffers(source)]
    results = buffers(output)
    start = time.process_time()
    for body, size in bodies:
        codec.decompress(body, size)
    for result in results:
        codec.compress(result)
    return (time.process_time() - start) / 2


def candidates(evenkeel, directory, name):
    source = directory / (f"{name}.arrows.zst" if name == "wrapped" else f"{name}.arrows")
    output = directory / ("out.arrows.zst" if name == "wrapped" else "out.arrows")
    ours = [evenkeel, "normalize", str(source), "-o", str(output), "--mode", "batch", "--epsilon", "1e-5",
            "--clip", "off"]
    yield "evenkeel", lambda: wall([*ours, "--threads", "2"])
    yield "evenkeel, one thread", lambda: wall([*ours, "--threads", "1"])
    if name == "wrapped":
        pipe = f"zstd -dc '{source}' | zstd -q -1 > '{output}'"
        yield "zstd pipe", lambda: wall(["bash", "-c", pipe])
        return
    if name == "none":
        start = [evenkeel, "normalize", str(directory / "one.arrows"), "-o", str(directory / "one-out.arrows")]
        yield "start and end alone", lambda: wall(start)
        yield "cat", lambda: wall(["bash", "-c", f"cat '{source}' > '{output}'"])
    if name == "zstd":
        yield "libzstd alone, halved", lambda: zstd_alone(source, output)
    kind = [] if name == "none" else ["--compression", name]
    yield "PyArrow + NumPy", lambda: work(
        [sys.executable, str(PEERS / "pyarrow_numpy_arrow.py"), str(source), str(output), *kind])
    yield "Polars", lambda: work(
        [sys.executable, str(PEERS / "polars_arrow.py"), str(source), str(output), *kind])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", required=True)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    verdicts.add_option(parser)
    arguments = parser.parse_args()
    memory = pathlib.Path("/dev/shm")
    directory = pathlib.Path(tempfile.mkdtemp(dir=memory if os.access(memory, os.W_OK) else None))
    results = []
    try:
        write_input(directory, arguments.rows, arguments.features)
        for name, targets in TARGETS.items():
            every = list(candidates(arguments.evenkeel, directory, name))
            seconds = {label: [] for label, _ in every}
            for _ in range(arguments.rounds):
                for label, run in every:
                    seconds[label].append(run())
            medians = {label: statistics.median(all_of_it) for label, all_of_it in seconds.items()}
            print(f"\n{name}")
            for label, median in medians.items():
                value = median * 1e9 / (arguments.rows * arguments.features)
                # A ratio is that of one round, in which both met the same load.
                ratios = [ours / theirs for ours, theirs in zip(seconds["evenkeel"], seconds[label])]
                ratio = statistics.median(ratios)
                print(f"  {label:22} {value:6.1f} ns a value; evenkeel takes {ratio:.2f} of it")
                if label in targets:
                    subject = f"{name}, time against {label}"
                    results.append(verdicts.Verdict(subject, targets[label], ratios))
    finally:
        shutil.rmtree(directory)
    print()
    verdicts.conclude(results, arguments.strict)


if __name__ == "__main__":
    main()
