"""Times keys, for several numbers of them, against the same work without keys.

- The arithmetic of a mini-batch of 256 records, by KernelBenchmark: nanoseconds a value on one thread. Batches of random keys
  come in turns, all of the keys known, none in a cache at 10⁶.
- The least of that: the copies of the rows of the keys alone, and these with the loops over keys.
- The whole process, `evenkeel normalize` on raw float32 rows with a column of keys: processor time and the peak of memory.

All cases run in turns, and the least of each counts.

Usage: keys.py --evenkeel BINARY --benchmark KernelBenchmark [--before KernelBenchmark] [--features 32] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

KEYS = [0, 1_000, 100_000, 1_000_000]
# As the program has it (docs/decisions/0012).
HEAP = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}


def processor_seconds(command: list[str]) -> tuple[float, int]:
    """The seconds in the program and the kernel, and the peak of resident memory in KiB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def kernel(binary: str, features: int, keys: int, case: str = "keyed") -> float:
    """Nanoseconds a value of a batch in a process of its own, since keys take memory."""
    answer = subprocess.run(
        [binary], input=f"{case} 256 {features} {keys}\n", capture_output=True, text=True, check=True,
        env=HEAP)
    return float(answer.stdout)


def measure_delta(binary: str, features: int) -> None:
    answer = subprocess.run(
        [binary], input=f"delta {features} 1000000 100000\n", capture_output=True, text=True, check=True,
        env=HEAP)
    print(f"\nA barrier gathers 100,000 changed keys of 1,000,000 in {float(answer.stdout):.0f} ms.")


def measure_floor(binary: str, features: int, rounds: int) -> None:
    """The case `keyed` runs in turn with both, so that the three have the same conditions."""
    cases = ("rows", "loops", "keyed")
    times = {(case, keys): [] for keys in KEYS[1:] for case in cases}
    for _ in range(rounds):
        for case, keys in times:
            times[case, keys].append(kernel(binary, features, keys, case))
    print("\n## The least: ns a value\n")
    print("| keys | copies of rows | copies and loops | all |")
    print("|--:|--:|--:|--:|")
    for keys in KEYS[1:]:
        print(f"| {keys:,} | " + " | ".join(f"{min(times[case, keys]):.2f}" for case in cases) + " |")


def measure_kernels(binaries: dict[str, str], features: int, rounds: int) -> None:
    times = {(name, keys): [] for name in binaries for keys in KEYS}
    for _ in range(rounds):
        for name, keys in times:
            times[name, keys].append(kernel(binaries[name], features, keys))
    for name in binaries:
        print(f"\n## Arithmetic{name}: ns a value, 256 records × {features} float32, one thread\n")
        print("| keys | ns a value | over none |")
        print("|--:|--:|--:|")
        for keys in KEYS:
            best = min(times[name, keys])
            print(f"| {keys:,} | {best:.2f} | {best / min(times[name, 0]):.2f} |")
    if len(binaries) > 1:
        now, before = binaries
        ratios = [f"{keys:,}: {min(times[now, keys]) / min(times[before, keys]):.2f}" for keys in KEYS]
        print(f"\nTime over that before, by keys: {', '.join(ratios)}")


def measure_processes(evenkeel: str, features: int, rounds: int, records: int) -> None:
    random = np.random.default_rng(1)
    print(f"\n## Process: {records:,} raw float32 rows of {features} features\n")
    print("| keys | ns a value more than without | peak MiB more than without |")
    print("|--:|--:|--:|")
    common = [
        "--format", "raw", "--columns", str(features + 1), "--threads", "1", "--no-compress",
        "--batch-size", "256", "--exclude", f"f{features}", "-o", "-"]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "rows.f32"
        for count in KEYS[1:]:
            with path.open("wb") as file:
                for start in range(0, records, 100_000):
                    rows = random.standard_normal((min(100_000, records - start), features + 1), dtype=np.float32)
                    # Each key at least once, and then at random.
                    numbers = np.arange(start, start + len(rows))
                    rows[:, -1] = np.where(numbers < count, numbers, random.integers(0, count, len(rows)))
                    file.write(rows.tobytes())
            command = [evenkeel, "normalize", str(path), *common]
            plain, keyed = [], []
            for _ in range(rounds):
                plain.append(processor_seconds(command))
                keyed.append(processor_seconds([*command, "--key", f"f{features}"]))
            (less, low), (more, high) = min(plain), min(keyed)
            print(f"| {count:,} | {1e9 * (more - less) / (records * features):.1f} | {(high - low) / 1024:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evenkeel", help="the binary; without it only the arithmetic is measured")
    parser.add_argument("--benchmark", required=True, help="the binary KernelBenchmark")
    parser.add_argument("--before", help="an earlier KernelBenchmark to compare with")
    parser.add_argument("--records", type=int, default=1_500_000)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    binaries = {"": given.benchmark}
    if given.before:
        binaries[", before"] = given.before
    measure_kernels(binaries, given.features, given.rounds)
    measure_floor(given.benchmark, given.features, given.rounds)
    measure_delta(given.benchmark, given.features)
    if given.evenkeel:
        measure_processes(given.evenkeel, given.features, given.rounds, given.records)


if __name__ == "__main__":
    main()
