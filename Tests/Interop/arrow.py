"""Runs Arrow files of pyarrow, Polars, pandas and DuckDB through the binary, and reads its output with each of them.

Of every output: untouched columns, schema and metadata are equal, `validate(full=True)` finds nothing, null counts are
equal, and features are those that NumPy computes from the same mini-batches.
"""

import argparse
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.ipc

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "Tests/Oracles/arrow"))
import arrow_files  # noqa: E402

import arrow_conversions  # noqa: E402
from arrow_reading import (  # noqa: E402
    EPSILON, batch_ends, batch_lengths, flattened, normalized, numbers, read, run,
)

ROWS = 200
BATCHES = 4
LONG = 50_000
TOLERANCE = 1e-6


def compare(source, output, size, integers=()):
    before, after = read(source), read(output)
    after.validate(full=True)
    if not integers:
        assert before.schema.equals(after.schema, check_metadata=True), "schema"
    assert before.schema.metadata == after.schema.metadata, "metadata"
    assert batch_lengths(source) == batch_lengths(output), "record batches"
    old, new = flattened(before), flattened(after)
    ends = batch_ends(batch_lengths(source), size)
    features = 0
    for name, column in old.items():
        is_feature = column.type in (pa.float32(), pa.float64()) or name in integers
        if not is_feature:
            same = column.to_pylist() == new[name].to_pylist()
            assert same, f"{name} has changed"
            continue
        assert column.null_count == new[name].null_count, f"nulls of {name}"
        expected, found = normalized(numbers(column), ends), numbers(new[name])
        # A float32 output has its own rounding beside the tolerance.
        width = np.finfo(np.float32).eps if new[name].type == pa.float32() else 0
        np.testing.assert_allclose(
            found, expected, rtol=TOLERANCE + width, atol=TOLERANCE + 4 * width, err_msg=name)
        features += 1
    assert features >= 2, "no features"
    return after


def polars_frame(path):
    """The frame that Polars reads; None if it lacks a type or a feature of the format, at which it panics."""
    is_file = pathlib.Path(path).suffix in (".arrow", ".feather")
    try:
        if is_file:
            return pl.read_ipc(path)
        return pl.read_ipc_stream(path)
    except BaseException as error:  # noqa: B036, a panic is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return None


def read_by_all(source, output, table):
    """Reads the output with Polars, pandas and DuckDB. Polars must read it if it reads the input."""
    before = polars_frame(source)
    if before is not None:
        after = polars_frame(output)
        assert after is not None, "Polars reads the input, and not the output"
        assert before.columns == after.columns and before.dtypes == after.dtypes, "Polars' schema"
        assert before.null_count().equals(after.null_count()), "nulls in Polars"
    if output.suffix == ".arrow":
        frame = pd.read_feather(output, columns=["x", "y"])
    else:
        frame = table.select(["x", "y"]).to_pandas()
    assert len(frame) == table.num_rows
    selected = table.select(["x", "y"])  # noqa: F841, DuckDB finds it by its name
    count, mean = duckdb.sql("select count(*), avg(x) from selected").limit(1).fetchall()[0]
    assert count == table.num_rows
    np.testing.assert_allclose(mean, np.nanmean(numbers(selected["x"].combine_chunks())), atol=1e-6)
    return before is not None


def check_files(evenkeel, directory):
    failures, count, by_polars = [], 0, 0
    for source in list(arrow_files.write_all(directory / "in", ROWS, BATCHES)):
        if source.name == "pyarrow-legacy.arrows":
            # pyarrow writes custom metadata into old messages that it does not read itself.
            source.unlink()
            table = arrow_files.with_dictionaries(ROWS, BATCHES)
            legacy = [batch.select(["x", "text", "y"]) for batch in table]
            options = pa.ipc.IpcWriteOptions(
                use_legacy_format=True, metadata_version=pa.ipc.MetadataVersion.V4)
            with pa.ipc.new_stream(str(source), legacy[0].schema, options=options) as writer:
                for batch in legacy:
                    writer.write_batch(batch)
        for suffix in (".arrows", ".arrow"):
            for size in (1000, 64):
                output = directory / "out" / (source.stem + suffix)
                try:
                    run(evenkeel, source, output, "--batch-size", str(size))
                    by_polars += read_by_all(source, output, compare(source, output, size))
                    count += 1
                except (AssertionError, subprocess.CalledProcessError, pa.ArrowException) as error:
                    told = getattr(error, "stderr", None)
                    failures.append(f"{source.name} as {suffix}, {size}: {told or error}")
    assert by_polars > 20, "Polars reads few of the files"
    return failures, count


def check_integers(evenkeel, directory):
    source, output = directory / "in/pyarrow-zstd.arrows", directory / "out/integers.arrow"
    run(evenkeel, source, output, "--batch-size", "64",
        "--features", "n32,n64,x,y,plain,last,e[*],s.a")
    table = compare(source, output, 64, integers=("n32", "n64"))
    assert table.schema.field("n32").type == pa.float32()
    assert table.schema.field("n64").type == pa.float64()


def check_columns(evenkeel, directory):
    """Every second column of each file, in reverse: equal to those columns of the whole output."""
    count = 0
    for source in sorted((directory / "in").iterdir()):
        names = read(source).schema.names
        kept = [name for index, name in enumerate(names) if index % 2 == 0 or name == "x"][::-1]
        # Names that are spelled like paths need a backslash, and are in the tests of names.
        if not all(name.isidentifier() for name in kept):
            kept = [name for name in kept if name.isidentifier()]
        for suffix in (".arrows", ".arrow"):
            whole, output = directory / f"out/whole{suffix}", directory / f"out/columns{suffix}"
            run(evenkeel, source, whole, "--batch-size", "64", "--features", "x,y")
            run(evenkeel, source, output, "--batch-size", "64", "--features", "x,y",
                "--output-columns", ",".join(kept))
            before, after = read(whole), read(output)
            after.validate(full=True)
            expected = before.select(kept)
            assert after.schema.equals(expected.schema, check_metadata=True), f"{source.name}: schema"
            assert batch_lengths(whole) == batch_lengths(output), f"{source.name}: record batches"
            for name in kept:
                same = after[name].to_pylist() == expected[name].to_pylist()
                # NaN differs from itself.
                assert same or str(after[name]) == str(expected[name]), f"{source.name}: {name}"
            polars = polars_frame(output)
            assert polars is not None or polars_frame(whole) is None, f"{source.name}: Polars"
            count += 1
    assert count > 40, "few files"
    print(f"{count} files with fewer columns")


def check_pipe(evenkeel, directory):
    """An input through a pipe, and a stream that Python reads as it comes."""
    source = directory / "in/pandas.arrows"
    process = subprocess.Popen(
        [evenkeel, "normalize", "-", "--format", "arrow", "-o", "-", "--no-compress"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdin.write(source.read_bytes())
    process.stdin.close()
    rows = sum(batch.num_rows for batch in pa.ipc.open_stream(process.stdout))
    assert process.wait() == 0 and rows == ROWS * BATCHES


LIVE = """
state_directory: {directory}/state
control: {{ listen: unix:{directory}/control.sock }}
streams:
  live:
    source: {{ unix: {{ path: {directory}/in.sock }} }}
    format: {{ arrow: {{}} }}
    features: [x, y]
    batch: {{ size: 10, max_delay: 200ms }}
    sink: {{ unix: {{ path: {directory}/out.sock }} }}
    compression: off
  rotated:
    source: {{ file: {{ path: {directory}/in/long.arrow }} }}
    format: {{ arrow: {{}} }}
    batch: {{ size: 64 }}
    sink: {{ file: {{ path: {directory}/out/rotated.arrow, rotate: {{ size: 200KiB }} }} }}
"""


def connected(path):
    for _ in range(200):
        try:
            connection = socket.socket(socket.AF_UNIX)
            connection.connect(str(path))
            return connection
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nobody listens at {path}")


class Subscriber(threading.Thread):
    """Reads the output as it comes, and keeps two columns."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.connection = connected(path)
        self.rows = []
        self.has_ended = False
        self.start()

    def run(self):
        for batch in pa.ipc.open_stream(self.connection.makefile("rb")):
            self.rows += zip(batch["key"].to_pylist(), batch["word"].to_pylist())
        self.has_ended = True


class Producer:
    """Writes record batches with a dictionary of its own."""

    schema = pa.schema([
        ("key", pa.int32()), ("x", pa.float32()), ("y", pa.float64()),
        ("word", pa.dictionary(pa.int8(), pa.utf8())),
    ])

    def __init__(self, path, words):
        self.words = words
        self.file = connected(path).makefile("wb")
        options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
        self.writer = pa.ipc.new_stream(self.file, self.schema, options=options)

    def send(self, first, rows=7):
        codes = pa.array([i % len(self.words) for i in range(rows)], pa.int8())
        values = np.arange(rows)
        batch = pa.RecordBatch.from_arrays([
            pa.array(values + first, pa.int32()), pa.array(values, pa.float32()),
            pa.array(-values, pa.float64()),
            pa.DictionaryArray.from_arrays(codes, pa.array(self.words)),
        ], schema=self.schema)
        self.writer.write_batch(batch)
        self.file.flush()
        return list(zip(batch["key"].to_pylist(), batch["word"].to_pylist()))

    def close(self):
        self.writer.close()
        self.file.close()


def until(condition, what):
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def check_daemon(evenkeel, directory):
    """Two producers with their own dictionaries, an early and a late subscriber; and files that are rotated."""
    keys = pa.array(range(LONG), pa.int64())
    values = pa.array(np.arange(LONG) % 97, pa.float64())
    words = pa.array([f"w{i % 5}" for i in range(LONG)]).dictionary_encode()
    table = pa.table({"key": keys, "x": values, "word": words})
    with pa.ipc.new_file(str(directory / "in/long.arrow"), table.schema) as writer:
        writer.write_table(table, max_chunksize=1000)
    configuration = directory / "evenkeel.yaml"
    configuration.write_text(LIVE.format(directory=directory))
    with open(directory / "log", "w") as log:
        daemon = subprocess.Popen([evenkeel, "run", "--config", str(configuration)], stderr=log, stdout=log)
    try:
        early = Subscriber(directory / "out.sock")
        producers = [Producer(directory / "in.sock", [f"{name}{i}" for i in range(3)]) for name in "ab"]
        sent = []

        def send(producer, first):
            sent.extend(producers[producer].send(first))
            until(lambda: len(early.rows) == len(sent), "records")

        for number, producer in enumerate([0, 1, 0]):
            send(producer, number * 100)
        producers[0].words.append("a3")
        send(0, 300)
        before = len(sent)
        late = Subscriber(directory / "out.sock")
        time.sleep(0.5)
        for number, producer in enumerate([0, 1, 1, 0]):
            send(producer, 400 + number * 100)
        for producer in producers:
            producer.close()
        daemon.terminate()
        assert daemon.wait(20) == 0, "the daemon failed"
        until(lambda: early.has_ended and late.has_ended, "the end marks")
        assert early.rows == sent and late.rows == sent[before:], "a subscriber has other rows"
    finally:
        daemon.kill()
    files = sorted((directory / "out").glob("rotated*"))
    tables = [read(path) for path in files if path.stat().st_size]
    assert len(tables) > 2, "no file was rotated"
    rows = sorted(value for table in tables for value in table["key"].to_pylist())
    assert rows == list(range(LONG)), "rotated files have other rows"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--evenkeel", required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / "in").mkdir()
        (directory / "out").mkdir()
        failures, count = check_files(arguments.evenkeel, directory)
        check_integers(arguments.evenkeel, directory)
        check_columns(arguments.evenkeel, directory)
        arrow_conversions.check_all(arguments.evenkeel, directory)
        check_daemon(arguments.evenkeel, directory)
        check_pipe(arguments.evenkeel, directory)
    for failure in failures:
        print(failure)
    print(f"{count} passed, {len(failures)} failed")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
