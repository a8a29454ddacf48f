"""Measures `evenkeel normalize` and its alternatives, all in one run.

Each round runs every candidate once, so that a machine that slows down slows all of them. The tables give
medians over the rounds. Do not compare numbers of different runs or machines. The ratios within one run can
be compared.
"""

import argparse
import os
import shlex
import shutil
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import verdicts
from candidates import Candidate, decompressed_bytes, generated, machine_facts

FEATURES = 32
BATCH = 256
HERE = Path(__file__).parent
PACKAGES = ["numpy", "orjson", "pyarrow", "polars", "river"]
# If a peer differs by more, it computes something else, and its time means nothing.
TOLERANCE = 1e-4


class Bench:
    """The candidates of one format over generated data of that format."""

    def __init__(self, evenkeel, folder, form, rows):
        self.evenkeel = str(evenkeel)
        self.folder = folder
        self.form = form
        self.rows = rows
        self.input = generated(evenkeel, folder, form, rows, FEATURES)
        self.input_bytes = decompressed_bytes(self.input)
        self.columns = ["--columns", str(FEATURES)] if form == "raw" else []

    def path(self, name):
        return self.folder / f"{name}.{self.form}.zst"

    def candidate(self, name, command, output, kind, **options):
        return Candidate(name, command, self.rows, self.input_bytes, output, kind, **options)

    def normalize(self, mode):
        output = self.path(f"evenkeel-{mode}")
        command = [self.evenkeel, "normalize", str(self.input), "-o", str(output)]
        command += ["--level", "1", "--batch-size", str(BATCH), "--mode", mode]
        command += ["--format", self.form, *self.columns]
        return self.candidate(f"evenkeel, {mode}", command, output, "evenkeel", mode=mode)

    def one_core(self, mode):
        """The same command with the same threads, all of them on one core."""
        both = self.normalize(mode)
        output = self.path(f"one-core-{mode}")
        core = str(min(os.sched_getaffinity(0)))
        command = ["taskset", "-c", core] + [
            str(output) if word == str(both.output) else word for word in both.command
        ]
        return self.candidate(f"evenkeel, {mode}, one core", command, output, "one core", mode=mode)

    def pipe(self, mode):
        """The cost of only reading and writing zstd, on the bytes that evenkeel wrote: the lower bound."""
        source, output = self.path(f"evenkeel-{mode}"), self.path(f"pipe-{mode}")
        line = f"zstd -q -dc {shlex.quote(str(source))} | zstd -q -1 -c > {shlex.quote(str(output))}"
        name = f"`zstd -dc \\| zstd -1` of {mode}"
        return self.candidate(name, ["sh", "-c", line], output, "pipe", mode=mode)

    def peer(self, name, script, *options, agrees=True):
        output = self.path(Path(script).stem)
        command = [sys.executable, str(HERE / "peers" / script), str(self.input), str(output), *options]
        return self.candidate(name, command, output, name, agrees=agrees, reports_seconds=True)

    def peers(self, sample_rows):
        batch = ["--batch-size", str(BATCH)]
        form = ["--format", self.form]
        yield self.peer("Polars", "polars_expressions.py", *form, *self.columns, *batch)
        if self.form == "raw":
            yield self.peer("PyArrow + NumPy", "pyarrow_numpy_raw.py", *self.columns, *batch)
        else:
            yield self.peer("PyArrow + NumPy", "pyarrow_numpy.py", *form, *batch)
        if self.form == "csv":
            sample = Bench(self.evenkeel, self.folder, self.form, sample_rows)
            yield sample.peer("River", "river_scaler.py", agrees=False)

    def candidates(self, sample_rows):
        # A pipe comes after the mode whose output it copies.
        everyone = []
        for mode in ["batch", "running"]:
            everyone += [self.normalize(mode), self.pipe(mode)]
        if self.form == "csv" and len(os.sched_getaffinity(0)) > 1:
            everyone.append(self.one_core("batch"))
        return everyone + list(self.peers(sample_rows))


def check_agreement(form, candidates):
    """Stops unless the numbers of every peer that must agree are those that evenkeel wrote."""
    ours = candidates[0]
    for peer in candidates:
        if peer.agrees:
            command = [sys.executable, str(HERE / "agreement.py"), form, str(FEATURES)]
            command += [str(ours.output), str(peer.output)]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            difference = float(printed)
            if not difference <= TOLERANCE:
                sys.exit(f"{form}: {peer.name} differs from {ours.name} by {difference:.3g}")
            print(f"{peer.name} agrees with {ours.name} within {difference:.1g}.")


def table(candidates):
    lines = [
        "| | seconds | spread | MB/s | ns/value | processor s | peak MiB | time against ours |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    first = candidates[0]
    for one in candidates:
        seconds = one.median_seconds
        spread = (max(one.seconds) - min(one.seconds)) / seconds
        lines.append(
            f"| {one.name} | {seconds:.2f} | {spread:.0%} | {one.input_bytes / seconds / 1e6:.0f} "
            f"| {seconds / one.records / FEATURES * 1e9:.1f} "
            f"| {statistics.median(one.cpu_seconds):.2f} | {one.peak_bytes / 2**20:.0f} "
            f"| {statistics.median(one.ratios(first)):.2f} |"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument("--folder", type=Path, default=Path(".build-bench"), help="for the data")
    parser.add_argument("--only", choices=["csv", "raw", "ndjson"], help="only one format")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, two rounds")
    verdicts.add_option(parser)
    arguments = parser.parse_args()
    for tool in ["zstd", "taskset"]:
        if not shutil.which(tool):
            sys.exit(f"the tool {tool} is not on the PATH")
    # 400,000 records are 108 MB of CSV, 51 MB of float32, 186 MB of NDJSON.
    rows, sample_rows = (40_000, 1_000) if arguments.quick else (400_000, 5_000)
    rounds = 2 if arguments.quick else arguments.rounds
    evenkeel = arguments.evenkeel.resolve()

    print(machine_facts(evenkeel, *(f"{name} {version(name)}" for name in PACKAGES)))
    results = []
    for form in [arguments.only] if arguments.only else ["csv", "raw", "ndjson"]:
        bench = Bench(evenkeel, arguments.folder, form, rows)
        candidates = bench.candidates(sample_rows)
        print(
            f"\n## {form}: {rows:,} records of {FEATURES} features, "
            f"{bench.input_bytes / 1e6:.0f} MB, batches of {BATCH}, median of {rounds} rounds\n"
        )
        for _ in range(rounds):
            for candidate in candidates:
                candidate.run()
        check_agreement(form, candidates)
        print("\n" + table(candidates), flush=True)
        results += verdicts.of_format(form, candidates)
    print("\n## Targets\n")
    verdicts.conclude(results, arguments.strict)


if __name__ == "__main__":
    main()
