"""Measures whether the time per value stays the same as work grows, along four axes.

records    32 features, from 10⁵ to 10⁷ records
features   4 to 4,096, with the same number of values; CSV without its column of times, and raw float32
batch      sizes from 16 to 65,536 over the same file
streams    1 to 200 streams of the daemon, from files, that share the same work

Each round runs all points of an axis twice: once in order, once in reverse order. So a machine that becomes
slower or faster does so for all points. A run of `normalize` is measured from the start to the end of the
process. A run of the daemon is measured from its start until the last stream has ended and kept its
checkpoint. Before each run, earlier writes are on the disk and the input is in memory.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import verdicts
from candidates import Candidate, generated, machine_facts

FEATURES = 32
BATCH = 256
LIMIT = 1.15
AXES = ["records", "features", "batch", "streams"]
CONFIGURATION = """
state_directory: {folder}/state
control: {{ listen: off }}
streams:"""
STREAM = """
  s{index}:
    source: {{ file: {{ path: {input} }} }}
    format: csv
    batch: {{ size: {batch} }}
    normalize: {{ mode: {mode} }}
    sink: {{ file: {{ path: {folder}/{index}.csv.zst }} }}
    compression: {{ level: 1 }}"""


@dataclass
class Point:
    """One size along an axis, and the times of its runs."""

    name: str
    values: int
    # Runs the point once and returns its seconds.
    run: object
    # The number of runs of a turn. Short runs are repeated, so that all turns take a similar time.
    repetitions: int = 1
    seconds: list[float] = field(default_factory=list)

    def turn(self):
        return statistics.mean(self.run() for _ in range(self.repetitions))

    def nanoseconds(self):
        return [seconds / self.values * 1e9 for seconds in self.seconds]


class Axes:
    """The axes. Generates the data when an axis needs it."""

    def __init__(self, evenkeel, folder, scratch, mode, scale):
        self.evenkeel = evenkeel
        self.folder = folder
        # The files of the daemons. They are removed at the very end: for minutes ext4 skips deleted inodes one
        # by one, and later runs would pay for that.
        self.scratch = scratch
        self.mode = mode
        # The divisor of all numbers of records.
        self.scale = scale

    def normalize(self, path, *options):
        """Returns a function that normalises the file and returns the seconds it took."""
        command = [str(self.evenkeel), "normalize", str(path), "--level", "1", "--mode", self.mode]
        candidate = Candidate(path.name, [*command, *options], 0, 0, None, "evenkeel")

        def run():
            read(path)
            candidate.run()
            return candidate.seconds[-1]

        return run

    def input(self, form, rows, features):
        return generated(self.evenkeel, self.folder, form, rows, features)

    def csv_of_features(self, rows, features):
        """CSV without the column of times, which would be a large part of the text with 4 features."""
        path = self.folder / f"features-{rows}x{features}.csv.zst"
        if not path.exists():
            partial = path.with_suffix(".partial")
            line = 'zstd -q -dc "$1" | cut -d, -f2- | zstd -q -1 -f -o "$2"'
            source = self.input("csv", rows, features)
            subprocess.run(["bash", "-o", "pipefail", "-c", line, "-", source, partial], check=True)
            partial.rename(path)
        return path

    def records(self):
        points = []
        for rows in [100_000, 1_000_000, 10_000_000]:
            rows //= self.scale
            run = self.normalize(self.input("csv", rows, FEATURES), "--format", "csv")
            repetitions = max(1, 5_000_000 // self.scale // rows)
            points.append(Point(f"{rows:,} records", rows * FEATURES, run, repetitions))
        yield f"records of {FEATURES} features, CSV, batches of {BATCH}", points

    def features(self):
        for form, values in [("csv", 12_800_000 // self.scale), ("raw", 51_200_000 // self.scale)]:
            points = []
            for features in [4, 32, 256, 4096]:
                rows = values // features
                options = ["--format", form]
                if form == "raw":
                    path = self.input("raw", rows, features)
                    options += ["--columns", str(features)]
                else:
                    path = self.csv_of_features(rows, features)
                run = self.normalize(path, *options)
                points.append(Point(f"{features:,} features", rows * features, run))
            yield f"features, {values:,} values, {form}, batches of {BATCH}", points

    def batch(self):
        # Enough records that the memory of the largest batches is used again and again.
        rows = 2_000_000 // self.scale
        path = self.input("csv", rows, FEATURES)
        points = []
        for size in [16, 256, 4096, 65536]:
            run = self.normalize(path, "--format", "csv", "--batch-size", str(size))
            points.append(Point(f"batches of {size:,}", rows * FEATURES, run))
        yield f"batch size, {rows:,} records of {FEATURES} features, CSV", points

    def streams(self):
        rows = 4_000_000 // self.scale
        points = []
        for count in [1, 20, 200]:
            path = self.input("csv", rows // count, FEATURES)
            points.append(
                Point(
                    f"{count} streams" if count > 1 else "1 stream",
                    rows * FEATURES,
                    lambda path=path, count=count: self.daemon(path, count),
                )
            )
        yield (
            f"streams in one process, {rows:,} records of {FEATURES} features in all, CSV, "
            f"batches of {BATCH}"
        ), points

    def daemon(self, path, count):
        """Runs the daemon with `count` streams over the same file. Returns the seconds until all have ended."""
        read(path)
        os.sync()
        folder = Path(tempfile.mkdtemp(dir=self.scratch)).resolve()
        streams = "".join(
            STREAM.format(
                index=index, input=path.resolve(), folder=folder, batch=BATCH, mode=self.mode
            )
            for index in range(count)
        )
        # Every stream needs its own name for the sink.
        for index in range(count):
            (folder / f"{index}.csv.zst").symlink_to("/dev/null")
        configuration = folder / "evenkeel.yaml"
        configuration.write_text(CONFIGURATION.format(folder=folder) + streams + "\n")
        start = time.perf_counter()
        daemon = subprocess.Popen(
            [self.evenkeel, "run", "--config", configuration], stderr=subprocess.PIPE, text=True
        )
        log = []
        while count > 0:
            line = daemon.stderr.readline()
            log.append(line)
            count -= "stream has ended" in line
            if not line or " error " in line or " critical " in line:
                daemon.kill()
                daemon.wait()
                sys.exit(f"a stream of the daemon failed:\n{''.join(log)}")
        seconds = time.perf_counter() - start
        daemon.send_signal(signal.SIGTERM)
        daemon.communicate()
        if daemon.returncode != 0:
            sys.exit(f"the daemon ended with {daemon.returncode}")
        return seconds


def read(path):
    """Reads a file, so that it is in memory even if other inputs have replaced it there."""
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass


def report(title, points, start_up, rounds):
    """Prints an axis, and returns its verdict: the slowest point against the fastest, per value."""
    median = statistics.median
    print(f"\n## Growth: {title}, median of {rounds} rounds\n")
    print("| | seconds | ns/value | without start-up | against the fastest |\n|---|--:|--:|--:|--:|")
    fastest = min(points, key=lambda point: median(point.nanoseconds()))
    against = {}
    for point in points:
        against[point.name] = [
            a / b for a, b in zip(point.nanoseconds(), fastest.nanoseconds(), strict=True)
        ]
        seconds = median(point.seconds)
        print(
            f"| {point.name} | {seconds:.3f} | {seconds / point.values * 1e9:.2f} "
            f"| {(seconds - start_up) / point.values * 1e9:.2f} "
            f"| {median(against[point.name]):.3f} |"
        )
    print(flush=True)
    slowest = max(against, key=lambda name: median(against[name]))
    return verdicts.Verdict(
        f"{title.split(', batches')[0]}: {slowest} against {fastest.name}", LIMIT, against[slowest]
    )


def measure(axes, names, rounds):
    """Prints the axes of those names, and returns their verdicts."""
    print(machine_facts(axes.evenkeel))
    start = axes.normalize(axes.input("csv", 1, FEATURES), "--format", "csv")
    start_up = statistics.median(start() for _ in range(10))
    print(f"\nA process that normalises one record takes {start_up * 1e3:.1f} ms: its start-up.")
    results = []
    for name in names:
        for title, points in getattr(axes, name)():
            for _ in range(rounds):
                there = [point.turn() for point in points]
                back = [point.turn() for point in reversed(points)]
                for point, one, other in zip(points, there, reversed(back), strict=True):
                    point.seconds.append((one + other) / 2)
            results.append(report(title, points, start_up, rounds))
    return results


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument("--folder", type=Path, default=Path(".build-bench"), help="for the data")
    parser.add_argument("--axis", choices=AXES, help="one alone")
    parser.add_argument("--mode", choices=["batch", "running"], default="batch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a twentieth of the data, two rounds")
    verdicts.add_option(parser)
    arguments = parser.parse_args()
    rounds = 2 if arguments.quick else arguments.rounds
    evenkeel = arguments.evenkeel.resolve()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="streams-", dir=arguments.folder) as scratch:
        scale = 20 if arguments.quick else 1
        axes = Axes(evenkeel, arguments.folder, scratch, arguments.mode, scale)
        results = measure(axes, [arguments.axis] if arguments.axis else AXES, rounds)
    verdicts.conclude(results, arguments.strict)


if __name__ == "__main__":
    main()
