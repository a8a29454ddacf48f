"""Runs the release binary under valgrind, over formats and settings, and fails for any read or write of memory that is not
its own. The optimiser of Swift 6.3.1 has freed an array that was still used, which no debug build shows.

Usage: memcheck.py --evenkeel BINARY
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

ROWS = 600
COMMANDS = [
    "normalize in.csv --exclude w -o out.csv",
    "normalize in.csv --features a,b --mode batch -o out.csv",
    "normalize in.csv --features a,b --mode renorm --preset pytorch -o out.csv",
    "normalize in.csv --features a,b --warm-up-emit hold -o out.csv",
    "normalize in.csv --features a,b --preset online -o out.ndjson --output-format ndjson",
    "normalize in.csv --features a,b --key site --batch-size 7 --threads 2 -o out.csv --checkpoint-out state",
    "normalize in.csv --features a,b --key site --key-max 2 --weight-column w -o out.arrows",
    "normalize in.csv --features a,b --key site --checkpoint-in state --stamp v --output-columns a,site -o out.csv",
    "normalize in.csv --features a,b --time-column t --half-life-event-time 1h --drift on -o out.csv",
    "normalize in.csv --features a,b --weight-class site --weight-column w --batch-size 9 -o out.csv --checkpoint-out state",
    "normalize in.csv --features a,b --weight-class site --weight-prior J=1,E=3 --drift on -o out.csv",
    "normalize in.ndjson --features a --key site -o again.ndjson",
    "normalize out.arrows --features a -o again.arrow",
    "fit in.csv --features a,b -o state",
    "inspect state --json",
]


def write_input(directory: Path) -> None:
    lines, objects = ["t,site,w,a,b"], []
    for row in range(ROWS):
        a = "" if row % 13 == 5 else f"{row * 37 % 101 / 8}"
        site = "JEL"[row % 3]
        lines.append(f"2025-01-01T{row // 60 % 24:02}:{row % 60:02}:00Z,{site},{row % 5 / 4},{a},{row % 7}")
        objects.append(f'{{"site":"{site}","a":{a or "null"}}}')
    (directory / "in.csv").write_text("\n".join(lines) + "\n")
    (directory / "in.ndjson").write_text("\n".join(objects) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evenkeel", required=True)
    given = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_input(directory)
        # valgrind cannot read the debug information of Swift.
        binary = directory / "evenkeel"
        subprocess.run(["objcopy", "--strip-debug", given.evenkeel, str(binary)], check=True)
        for command in COMMANDS:
            run = subprocess.run(
                ["valgrind", "--undef-value-errors=no", "--num-callers=12", str(binary), *command.split()],
                cwd=directory, capture_output=True, text=True, check=False)
            faults = run.stderr.count("Invalid ") + run.stderr.count("Process terminating")
            print(f"{'ok  ' if run.returncode == 0 and not faults else 'FAIL'} {command}")
            if run.returncode or faults:
                failures += 1
                print(run.stderr[-4000:])
    if failures:
        raise SystemExit(f"{failures} of {len(COMMANDS)} commands failed under valgrind")


if __name__ == "__main__":
    main()
