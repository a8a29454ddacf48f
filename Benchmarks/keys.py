"""Times keys: the processor time of `evenkeel normalize` on raw float32 rows with a column of keys, for several numbers of
keys, against the same run without keys. In turns; the least of each counts.

Usage: keys.py --evenkeel BINARY [--records 400000] [--features 32] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import tempfile
from pathlib import Path

import numpy as np


def processor_seconds(command: list[str]) -> tuple[float, int]:
    """The seconds in the program and the kernel, and the peak of resident memory in KiB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evenkeel", required=True)
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    random = np.random.default_rng(1)
    rows = random.standard_normal((given.records, given.features + 1), dtype=np.float32)
    values = given.records * given.features
    common = [
        given.evenkeel, "normalize", "-", "--format", "raw", "--columns", str(given.features + 1), "--threads", "1",
        "--no-compress", "--batch-size", "256", "--exclude", f"f{given.features}", "-o", "-"]
    with tempfile.TemporaryDirectory() as directory:
        for count in (1_000, 100_000):
            rows[:, -1] = random.integers(0, count, given.records)
            path = Path(directory) / "rows.f32"
            path.write_bytes(rows.tobytes())
            command = [str(path) if part == "-" and index == 2 else part for index, part in enumerate(common)]
            plain, keyed, memory = [], [], 0
            for _ in range(given.rounds):
                plain.append(processor_seconds(command)[0])
                seconds, memory = processor_seconds([*command, "--key", f"f{given.features}"])
                keyed.append(seconds)
            difference = 1e9 * (min(keyed) - min(plain)) / values
            print(
                f"{count:>8,} keys: {1e9 * min(keyed) / values:5.1f} ns a value with keys, "
                f"{1e9 * min(plain) / values:5.1f} without: {difference:5.1f} more; "
                f"peak {memory / 1024:.0f} MiB")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
