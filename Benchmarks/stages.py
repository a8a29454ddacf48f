"""Times each stage of the data path by itself, on one thread, over the inputs of run.py.

A record goes through decompression, decoding, normalisation, encoding and compression batch by
batch (StageBenchmark, Swift); what a stage takes is summed up. The formats take turns, and the
table gives medians over the rounds, in nanoseconds per value.
"""

import argparse
import statistics
import subprocess
from pathlib import Path

from candidates import decompressed_bytes, generated, machine_facts
from run import BATCH, FEATURES

FORMATS = ["csv", "raw", "ndjson"]
MODES = ["batch", "running"]
STAGES = ["decompress", "decode", "normalize", "encode", "compress"]


def measure(benchmark, form, mode, path):
    """Nanoseconds per value by stage."""
    command = [benchmark, form, str(FEATURES), mode, str(BATCH), path]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {stage: float(time) for stage, time in map(str.split, printed.splitlines())}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmark", type=Path, required=True, help="the binary StageBenchmark")
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument("--folder", type=Path, default=Path(".build-bench"), help="for the data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, two rounds")
    arguments = parser.parse_args()
    rounds = 2 if arguments.quick else arguments.rounds
    rows = 40_000 if arguments.quick else 400_000
    evenkeel, benchmark = arguments.evenkeel.resolve(), arguments.benchmark.resolve()
    inputs = {
        form: generated(evenkeel, arguments.folder, form, rows, FEATURES) for form in FORMATS
    }
    measured = {(form, mode): [] for mode in MODES for form in FORMATS}
    for _ in range(rounds):
        for form, mode in measured:
            measured[form, mode].append(measure(benchmark, form, mode, inputs[form]))

    def median(form, stage, *modes):
        """Over both modes where the stage does not know of them."""
        return statistics.median(one[stage] for mode in modes for one in measured[form, mode])

    print(machine_facts(evenkeel))
    print(
        f"\n## Stages: {rows:,} records of {FEATURES} features, batches of {BATCH}, one thread, "
        f"ns/value, median of {rounds} rounds\n"
    )
    print("| stage | " + " | ".join(FORMATS) + " |\n|---|" + "--:|" * len(FORMATS))

    def row(name, times):
        print(f"| {name} | " + " | ".join(f"{time:.2f}" for time in times) + " |")

    for stage in STAGES:
        if stage == "normalize":
            for mode in MODES:
                row(f"normalize, {mode}", [median(form, stage, mode) for form in FORMATS])
        else:
            row(stage, [median(form, stage, *MODES) for form in FORMATS])
    for mode in MODES:
        sums = [
            statistics.median(sum(one.values()) for one in measured[form, mode])
            for form in FORMATS
        ]
        row(f"all, {mode}", sums)
    bytes_per_value = [decompressed_bytes(path) / rows / FEATURES for path in inputs.values()]
    row("bytes of input per value", bytes_per_value)


if __name__ == "__main__":
    main()
