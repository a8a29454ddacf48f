"""Compares the output bytes of two versions of `evenkeel normalize` under the same settings.

Both binaries read the same inputs: the sample, the golden files, and generated data of every format. Their
decompressed output must be the same to the byte, and so must their exit code. A version that spells a default
otherwise is told so by `--before` or `--after`, options that only the old or only the new one gets.
"""

import argparse
import itertools
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "Tests/CodecsTests/Golden"
ROWS = 20_000

MODES = ["running", "batch", "renorm"]
# Each names its estimator and momentum, so that a version with other defaults can be compared.
STATISTICS = [
    ["--estimator", "batch_norm", "--momentum", "0.1"],
    ["--estimator", "total", "--momentum", "cumulative"],
    ["--estimator", "total", "--half-life-records", "500"],
    ["--estimator", "batch_norm", "--momentum", "0.01", "--variance", "biased", "--bias-correction", "false"],
    ["--estimator", "batch_norm", "--momentum", "0.1", "--update-first", "--variance-floor", "1e-3"],
]
# None leaves a last batch of one record: versions differ in what its unbiased variance, 0/0, does.
BATCHES = ["6", "256", "4096"]
OUTPUTS = [
    [],
    ["--precision", "float64"],
    ["--output-format", "ndjson"],
    ["--output-format", "csv"],
    ["--output-format", "raw"],
    ["--on-missing", "impute"],
    ["--on-missing", "reject", "--on-bad-record", "skip"],
    ["--threads", "1"],
]


def generated(evenkeel, folder):
    """Inputs of each format, as lists of arguments."""
    inputs = []
    for form in ["csv", "ndjson", "raw"]:
        for name, options in [("full", ["--missing", "0"]), ("missing", ["--missing", "0.05"])]:
            path = folder / f"{name}.{form}.zst"
            command = [evenkeel, "generate", "--rows", str(ROWS), "--features", "8", "--seed", "5"]
            made = subprocess.run(
                command + options + ["--format", form, "-o", str(path)], capture_output=True, text=True
            )
            if made.returncode != 0:
                sys.exit(f"{shlex.join(command)}: {made.stderr}")
            columns = ["--columns", "8"] if form == "raw" else []
            inputs.append([str(path), "--format", form, *columns])
    return inputs


def inputs(evenkeel, folder):
    stations = ["--features", "temperature,humidity,pressure"]
    return [
        [str(ROOT / "samples/weather.csv.zst"), "--features", "temp,dewp,humid,wind_*,precip,pressure,visib"],
        [str(GOLDEN / "stations.csv"), *stations],
        [str(GOLDEN / "stations.csv.zst"), "--dictionary", str(GOLDEN / "stations.dict"), *stations],
        [str(GOLDEN / "long-window.csv.zst"), "--long", "30"],
        *generated(evenkeel, folder),
    ]


def settings():
    """Every mode with every kind of statistics and batch, then every output with the first of these."""
    for mode, statistics, size in itertools.product(MODES, STATISTICS, BATCHES):
        yield ["--mode", mode, "--batch-size", size, *statistics]
    for mode, output in itertools.product(MODES, OUTPUTS):
        yield ["--mode", mode, *STATISTICS[0], *output]


def run(evenkeel, arguments):
    """The exit code and the output, decompressed: `normalize` writes plain text to a pipe when told."""
    done = subprocess.run(
        [evenkeel, "normalize", *arguments, "--no-compress", "-o", "-"], capture_output=True
    )
    return done.returncode, done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--old", required=True, help="the binary of the version before")
    parser.add_argument("--new", required=True)
    parser.add_argument("--before", default="", help="options that only the old one gets")
    parser.add_argument("--after", default="", help="options that only the new one gets")
    arguments = parser.parse_args()
    counts = {"equal": 0, "refused by both": 0, "different": 0}
    with tempfile.TemporaryDirectory() as folder:
        for source, chosen in itertools.product(inputs(arguments.old, Path(folder)), settings()):
            old = run(arguments.old, source + chosen + shlex.split(arguments.before))
            new = run(arguments.new, source + chosen + shlex.split(arguments.after))
            if old != new:
                counts["different"] += 1
                print(f"different ({old[0]}, {new[0]}): {shlex.join(source + chosen)}")
            else:
                counts["equal" if old[0] == 0 else "refused by both"] += 1
    print(", ".join(f"{count} {name}" for name, count in counts.items()))
    return 1 if counts["different"] or not counts["equal"] else 0


if __name__ == "__main__":
    sys.exit(main())
