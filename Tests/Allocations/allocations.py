"""Counts heap allocations per record in the steady state, and fails where there are too many.

The release binary normalises N and then 4 N made records with count.c preloaded; what the second run
allocates beyond the first, over the 3 N records that it has beyond them, is the steady state. A
batch and a unit may allocate, a record may not. First a program that is known to allocate five times
a record shows that the count is right and that it would be refused.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

FEATURES = 32
BATCH = 256
RECORDS = 20_000
# Eight a batch, its share of a unit's among them. A record has none of its own.
LIMIT = 8 / BATCH
FORMATS = ["csv", "ndjson", "raw"]
# The options of each mode, and the share of the limit that it may have. The charts of drift are some thirty columns: those
# that a snapshot shows to others are copied when they change next.
MODES = {
    "batch": (["--mode", "batch"], 1),
    "running": (["--mode", "running"], 1),
    "running, drift on": (["--mode", "running", "--drift", "on"], 1.5),
}
HERE = Path(__file__).parent


class Counter:
    """Runs commands with the shim in front of malloc(3)."""

    def __init__(self, folder):
        self.shim = folder / "count.so"
        self.result = folder / "count.txt"
        compile_c("-shared", "-fPIC", HERE / "count.c", "-o", self.shim)

    def count(self, *command):
        self.result.unlink(missing_ok=True)
        environment = os.environ | {
            "LD_PRELOAD": str(self.shim), "EVENKEEL_ALLOCATIONS": str(self.result)
        }
        subprocess.run(command, check=True, env=environment)
        return int(self.result.read_text())

    def per_record(self, command_for):
        """Allocations per record; `command_for` makes the command for a number of records."""
        few, many = (self.count(*command_for(records)) for records in (RECORDS, 4 * RECORDS))
        return (many - few) / (3 * RECORDS)


def compile_c(*arguments):
    subprocess.run(["cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", *arguments], check=True)


def generated(evenkeel, folder, form, records):
    path = folder / f"{records}.{form}.zst"
    command = [evenkeel, "generate", "--rows", str(records), "--features", str(FEATURES)]
    subprocess.run([*command, "--seed", "1", "--format", form, "-o", path], check=True)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument("--folder", type=Path, default=Path(".build-allocations"))
    parser.add_argument("--limit", type=float, default=LIMIT, help="allocations per record")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    evenkeel = arguments.evenkeel.resolve()
    counter = Counter(folder)

    known = folder / "known"
    compile_c(HERE / "known.c", "-o", known)
    expected, found = 5, counter.per_record(lambda records: [known, str(records)])
    if found != expected or found <= arguments.limit:
        sys.exit(f"the count is wrong: expected {expected} allocations a record, found {found}")

    print(f"| {FEATURES} features, batches of {BATCH} | allocations per record | per batch |")
    print("|---|--:|--:|")
    refused = []
    for form in FORMATS:
        inputs = {
            records: generated(evenkeel, folder, form, records)
            for records in (RECORDS, 4 * RECORDS)
        }
        for mode, (options, share) in MODES.items():

            def normalize(records):
                command = [evenkeel, "normalize", inputs[records], "-o", folder / f"output.{form}.zst"]
                command += ["--format", form, *options, "--batch-size", str(BATCH)]
                return command + (["--columns", str(FEATURES)] if form == "raw" else [])

            found = counter.per_record(normalize)
            print(f"| {form}, {mode} | {found:.4f} | {found * BATCH:.1f} |", flush=True)
            if found > share * arguments.limit:
                refused.append(f"{form}, {mode}")
    if refused:
        sys.exit(f"more than {arguments.limit:g} allocations per record: {'; '.join(refused)}")


if __name__ == "__main__":
    main()
