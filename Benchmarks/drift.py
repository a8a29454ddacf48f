"""Times the charts of drift against the same work without them.

- The arithmetic of a mini-batch of 256 records, by KernelBenchmark: nanoseconds a feature and batch more, on one thread.
- The whole process, `evenkeel normalize` on files of 32 features in batches of 256: its processor time on and off.

Both cases of a pair run in turns, and the least of each counts.

Usage: drift.py --evenkeel BINARY --benchmark KernelBenchmark [--before KernelBenchmark] [--rounds 7] [--quick]
"""

import argparse
import os
import statistics
import subprocess
from pathlib import Path

from candidates import machine_facts

RECORDS = 256
FORMATS = ["csv", "ndjson", "arrow", "raw"]
# All have missing values.
STREAMS = {"a stream that does not drift": ["--season", "0", "--drift", "0"], "most features drift": []}
# Of a run's time, at 32 features.
TARGET = 0.03


def kernel(binary, features, is_on):
    """Nanoseconds a batch."""
    answer = subprocess.run(
        [binary], input=f"drift {RECORDS} {features} {is_on}\n", capture_output=True, text=True, check=True)
    return float(answer.stdout) * RECORDS * features


def measure_kernels(binaries, rounds):
    print(f"\n## Arithmetic: batches of {RECORDS} records of float32, one thread\n")
    print("| build | features | ns a batch, off | on | ns a feature and batch | share |")
    print("|---|--:|--:|--:|--:|--:|")
    for features in (4, 32, 256):
        times = {(name, is_on): [] for name in binaries for is_on in (0, 1)}
        for _ in range(rounds):
            for name, is_on in times:
                times[name, is_on].append(kernel(binaries[name], features, is_on))
        for name in binaries:
            off, on = min(times[name, 0]), min(times[name, 1])
            print(f"| {name} | {features} | {off:,.0f} | {on:,.0f} | {(on - off) / features:.1f} | {on / off - 1:.1%} |")


def processor_seconds(command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(map(str, command))}")
    return usage.ru_utime + usage.ru_stime


def plain_input(evenkeel, folder, form, rows, options):
    """A file without compression. `generate` makes no Arrow, so that is the CSV after normalising."""
    name = "-".join(["plain", str(rows), *(word.strip("-") for word in options)])
    plain = folder / f"{name}.{'arrows' if form == 'arrow' else form}"
    if plain.exists():
        return plain
    folder.mkdir(parents=True, exist_ok=True)
    if form == "arrow":
        text = plain_input(evenkeel, folder, "csv", rows, options)
        command = [evenkeel, "normalize", text, "--features", "f*", "--output-format", "arrow"]
    else:
        command = [evenkeel, "generate", "--rows", str(rows), "--features", "32", "--seed", "1", "--format", form, *options]
    subprocess.run([*command, "--no-compress", "-o", plain], check=True)
    return plain


def measure_processes(evenkeel, folder, rows, rounds, title, options):
    print(f"\n## Process, {title}: {rows:,} records of 32 features, batches of {RECORDS}, processor time\n")
    print(f"| format | ns a value, off | on | share | median of the pairs | at most {TARGET:.0%} |")
    print("|---|--:|--:|--:|--:|---|")
    for form in FORMATS:
        path = plain_input(evenkeel, folder, form, rows, options)
        command = [evenkeel, "normalize", path, "--format", form, "--batch-size", str(RECORDS), "--threads", "1"]
        command += ["--columns", "32"] if form == "raw" else ["--features", "f*"]
        command += ["--no-compress", "-o", "-"]
        pairs = []
        for _ in range(rounds):
            pairs.append([processor_seconds([*command, "--drift", case]) for case in ("off", "on")])
        off, on = (1e9 * min(times) / rows / 32 for times in zip(*pairs))
        median = statistics.median(on / off for off, on in pairs) - 1
        print(f"| {form} | {off:.2f} | {on:.2f} | {on / off - 1:.1%} | {median:.1%} | {'yes' if on / off - 1 <= TARGET else 'no'} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--evenkeel", type=Path, help="the binary; without it only the arithmetic is measured")
    parser.add_argument("--benchmark", help="the binary KernelBenchmark; without it only processes are measured")
    parser.add_argument("--before", help="an earlier KernelBenchmark to compare with")
    parser.add_argument("--folder", type=Path, default=Path(".build-bench"), help="for the data")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, three rounds")
    given = parser.parse_args()
    rounds = 3 if given.quick else given.rounds
    if given.evenkeel:
        print(machine_facts(given.evenkeel.resolve()))
    if given.benchmark:
        binaries = {"this": given.benchmark} | ({"before": given.before} if given.before else {})
        measure_kernels(binaries, rounds)
    if given.evenkeel:
        rows = 40_000 if given.quick else 400_000
        for title, options in STREAMS.items():
            measure_processes(given.evenkeel.resolve(), given.folder, rows, rounds, title, options)


if __name__ == "__main__":
    main()
