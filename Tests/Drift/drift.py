"""Measures how often the drift charts alarm on streams that do not drift, how soon they find changes, and what other
detectors do on the same streams. The real program reads made files.

Usage: drift.py [--evenkeel PROGRAM] [--seeds 100] [--batches 10000] [--peers] [--only NAME]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

SIZE = 256
# One false alarm is wanted in so many batches.
WANTED = 1000


def correlated(random, count: int, correlation: float) -> np.ndarray:
    noise = random.standard_normal(count)
    start = [correlation * random.standard_normal()]
    scale = np.sqrt(1 - correlation**2)
    return lfilter([scale], [1, -correlation], noise, zi=start)[0]


def bursty(random, count: int) -> np.ndarray:
    """Values come in bursts: between them, most are missing, so that batches have 30 to 256 values."""
    share = np.repeat(random.uniform(0.1, 1, count // 1000 + 1), 1000)[:count]
    values = random.standard_normal(count)
    values[random.random(count) > share] = np.nan
    return values


def made(name: str, seed: int, count: int) -> np.ndarray:
    """A stream that does not drift."""
    random = np.random.default_rng([seed, sum(map(ord, name))])
    match name:
        case "independent":
            return random.standard_normal(count)
        case "correlated 0.9":
            return correlated(random, count, 0.9)
        case "correlated 0.99":
            return correlated(random, count, 0.99)
        case "t with 5 degrees":
            return random.standard_t(5, count)
        case "bursty":
            return bursty(random, count)
        case "missing 5 %":
            values = random.standard_normal(count)
            values[random.random(count) < 0.05] = np.nan
            return values
        case "daily season":
            return random.standard_normal(count) + np.sin(2 * np.pi * np.arange(count) / 1440)
        case "keys":
            # Each of 100 keys has a level of its own.
            keys = random.integers(0, 100, count)
            return np.stack([random.standard_normal(count) + 3 * (keys % 7), keys.astype(float)], axis=1)
    raise ValueError(name)


STREAMS = [
    "independent", "correlated 0.9", "correlated 0.99", "t with 5 degrees", "bursty", "missing 5 %", "daily season", "keys",
]
# Those of a stream with a column of keys.
KEY_OPTIONS = ["--exclude", "f1", "--key", "f1"]


class Program:
    def __init__(self, path: str, directory: Path):
        self.path = path
        self.directory = directory

    def drift(self, values: np.ndarray, *options: str) -> dict:
        """The verdict of `evenkeel drift` on one feature."""
        return self.drift_columns(values[:, None], *options)

    def drift_columns(self, values: np.ndarray, *options: str) -> dict:
        """Its verdict on several."""
        with tempfile.NamedTemporaryFile(dir=self.directory, suffix=".f32") as file:
            values.astype("<f4").tofile(file)
            file.flush()
            done = subprocess.run(
                [
                    self.path, "drift", file.name, "--format", "raw", "--columns", str(values.shape[1]),
                    "--batch-size", str(SIZE), "--threads", "1", "--json", *options,
                ],
                capture_output=True, text=True)
        if done.returncode not in (0, 3):
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout)


def false_alarms(program: Program, name: str, seeds: int, batches: int, reference: str) -> float:
    """The alarms in so many batches in which one is wanted."""

    def alarms(seed: int) -> int:
        values = made(name, seed, batches * SIZE)
        options = ["--false-alarms", f"1 per {WANTED} batches", *reference.split()]
        if values.ndim > 1:
            return program.drift_columns(values, *options, *KEY_OPTIONS)["alarms"]
        return program.drift(values, *options)["alarms"]

    with ThreadPoolExecutor(1) as pool:
        found = list(pool.map(alarms, range(seeds)))
    return sum(found) * WANTED / (seeds * (batches - 100))


def delay(program: Program, spreads: float, seeds: int, options: list[str], features: int = 1) -> tuple[float, int]:
    """The mean number of batches until a shift of the mean is found, and the greatest."""
    before, after = 1000, 200
    delays = []
    for seed in range(seeds):
        random = np.random.default_rng([seed, 7])
        values = random.standard_normal(((before + after) * SIZE, features))
        values[before * SIZE:, 0] += spreads / np.sqrt(SIZE)
        told = program.drift_columns(values, *options)["events"]
        # Since the batch at which it was told: the event carries only since when.
        batch = next((e["batch"] for e in told if e["event"] == "drift" and e["feature"] == "f0" and e["batch"] > before), None)
        delays.append((batch or before + after) - before)
    return float(np.mean(delays)), max(delays)


CHANGES = {
    "unit": "°C become °F", "bias": "two deviations more", "dead": "the sensor repeats a value",
    "noise": "the noise grows", "missing": "bursts of missing values", "outliers": "every 50th value is 50 deviations off",
}


def changes(program: Program, kind: str, seeds: int) -> tuple[float, int, int]:
    """Changes that `generate` makes: the mean delay, the greatest, and how often it is found within five batches."""
    before, after = 1000, 40
    delays = []
    for seed in range(seeds):
        with tempfile.NamedTemporaryFile(dir=program.directory, suffix=".csv") as file:
            subprocess.run(
                [
                    program.path, "generate", "--rows", str((before + after) * SIZE), "--features", "32", "--season", "0",
                    "--drift", "0", "--seed", str(seed), "--changes", f"{kind}@{before * SIZE}:f0", "--no-compress", "-o",
                    file.name,
                ],
                check=True)
            done = subprocess.run(
                [program.path, "drift", file.name, "--features", "f*", "--json", "--threads", "1"],
                capture_output=True, text=True)
        if done.returncode not in (0, 3):
            raise RuntimeError(done.stderr)
        told = json.loads(done.stdout)["events"]
        batch = next((e["batch"] for e in told if e["event"] == "drift" and e["feature"] == "f0" and e["batch"] > before), None)
        delays.append((batch or before + after) - before)
    return float(np.mean(delays)), max(delays), sum(delay <= 5 for delay in delays)


def peers(names: list[str]) -> dict[str, dict[str, str]]:
    """The alarms of other detectors, with their defaults, on streams that do not drift, in 1,000 batches or as said."""
    import pandas
    from evidently import Report
    from evidently.presets import DataDriftPreset
    from river import drift

    found: dict[str, dict[str, str]] = {}
    for name in names:
        values = made(name, 0, 1000 * SIZE)
        values = values if values.ndim == 1 else values[:, 0]
        present = values[~np.isnan(values)]
        row: dict[str, str] = {}
        for label, detector, limit in [
            ("River PageHinkley", drift.PageHinkley(), 100_000),
            ("River ADWIN", drift.ADWIN(), 100_000),
            ("River KSWIN", drift.KSWIN(seed=1), 10_000),
        ]:
            alarms = 0
            for value in present[:limit]:
                detector.update(float(value))
                alarms += detector.drift_detected
            row[label] = f"{alarms * 1000 * SIZE / limit:,.0f}"
        # Each batch against the first ten.
        reference = pandas.DataFrame({"x": values[:10 * SIZE]})
        alarms, compared = 0, 100
        for batch in range(10, 10 + compared):
            current = pandas.DataFrame({"x": values[batch * SIZE:(batch + 1) * SIZE]})
            result = Report([DataDriftPreset()]).run(current, reference).dict()
            share = next(m["value"]["share"] for m in result["metrics"] if "share" in (m["value"] if isinstance(m["value"], dict) else {}))
            alarms += share > 0
        row["Evidently, a batch"] = f"{alarms * 1000 / compared:,.0f}"
        found[name] = row
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--evenkeel", default=".build/release/evenkeel")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--batches", type=int, default=10_000)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--only")
    arguments = parser.parse_args()
    names = [name for name in STREAMS if not arguments.only or arguments.only in name]
    failures = []
    with tempfile.TemporaryDirectory() as directory:
        program = Program(arguments.evenkeel, Path(directory))
        other = peers(names) if arguments.peers else {}
        columns = list(next(iter(other.values()))) if other else []
        print("Alarms in 1,000 batches of a stream that does not drift, where one is wanted:\n")
        print("| stream | `slow` | `start` | `slow`, `distribution` |" + "".join(f" {column} |" for column in columns))
        print("|---|---|---|---|" + "---|" * len(columns))
        for name in names:
            rates = [false_alarms(program, name, arguments.seeds, arguments.batches, r) for r in ("--follow", "", "--follow --distribution")]
            print(
                f"| {name} | " + " | ".join(f"{rate:.2f}" for rate in rates) + " |"
                + "".join(f" {other[name][column]} |" for column in columns), flush=True)
            failures += [f"{name}: {rate:.2f} alarms, one is wanted" for rate in rates if not 0.5 <= rate <= 2]
        if arguments.only:
            return 1 if failures else 0
        seeds = min(arguments.seeds, 20)
        print("\nBatches until a shift of the mean is found:\n")
        print("| a false alarm in | 1 spread | 2 spreads | 3 spreads | 5 spreads |\n|---|---|---|---|---|")
        for title, options, features in [
            ("1,000 batches", ["--false-alarms", "1 per 1000 batches"], 1),
            ("10,000 batches", ["--false-alarms", "1 per 10000 batches"], 1),
            ("30 days, 32 features", [], 32),
        ]:
            found = [delay(program, s, seeds, options, features) for s in (1, 2, 3, 5)]
            print(f"| {title} | " + " | ".join(f"{mean:.1f}" for mean, _ in found) + " |", flush=True)
        print("\nBatches until the default finds a change that `generate` makes:\n")
        print("| change | mean | most | within five |\n|---|---|---|---|")
        for kind, words in CHANGES.items():
            mean, most, soon = changes(program, kind, seeds)
            print(f"| `{kind}`: {words} | {mean:.1f} | {most} | {soon} of {seeds} |", flush=True)
            if kind in ("unit", "bias", "dead", "outliers") and soon < seeds:
                failures.append(f"{kind}: found within five batches in {soon} of {seeds} streams")
    for failure in failures:
        print(f"FAILED {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
