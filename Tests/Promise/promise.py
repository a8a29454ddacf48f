"""Measures the claim of the README's first paragraph on the real binary, in full length.

Each of twelve made streams is cut into batches as a clock or `batch.size` would cut it. The defaults must bring the
output to a deviation between 0.8 and 1.35 and a |mean| below 0.35, as medians of 20 seeds over records 500 to 200,000,
and no |y| may be above 100. Each seed is a feature of its own, which the program normalises by itself.
`PromiseTests` asks the same of shorter streams.

    make promise-check
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Callable

import numpy as np

SEEDS, RECORDS, FIRST = 20, 200_000, 500
# A rate in records a second and `batch.size`. `max_delay` of 1 s cuts first if fewer records come in a second.
CUTTINGS = [(0.87, 256), (7, 256), (10_000, 32), (10_000, 256)]
DEVIATIONS, MEAN, GREATEST = (0.8, 1.35), 0.35, 100

Made = Callable[[np.random.Generator], np.ndarray]
SHAPE = (RECORDS, SEEDS)


def autoregressive(factor: float) -> Made:
    def made(random: np.random.Generator) -> np.ndarray:
        x = random.standard_normal(SHAPE) * (1 - factor * factor) ** 0.5
        for row in range(1, RECORDS):
            x[row] += factor * x[row - 1]
        return x

    return made


def flag(one_in: int) -> Made:
    return lambda random: (random.integers(0, one_in, SHAPE) == 0).astype(float)


def seasonal(random: np.random.Generator) -> np.ndarray:
    hours = np.arange(RECORDS, dtype=float)[:, None]
    return 10 * (1 - hours / 24 % 1) + 3 * (hours / 8760 % 1) + random.standard_normal(SHAPE)


# The values of a stream, and whether its mean and its deviation are promised.
STREAMS: dict[str, tuple[Made, bool, bool]] = {
    "independent": (lambda random: 5 + 3 * random.standard_normal(SHAPE), True, True),
    "AR(1) 0.99": (autoregressive(0.99), True, True),
    "AR(1) 0.999": (autoregressive(0.999), True, True),
    "seasonal": (seasonal, True, True),
    "random walk": (lambda random: random.standard_normal(SHAPE).cumsum(axis=0), False, True),
    "heavy tails": (lambda random: random.standard_t(3, SHAPE), True, True),
    "log-normal": (lambda random: np.exp(random.standard_normal(SHAPE)), True, True),
    "a flag of 1 in 100": (flag(100), True, True),
    "a flag of 1 in 1,000": (flag(1000), True, True),
    "a flag of 1 in 10,000": (flag(10_000), True, False),
    "a tiny scale": (lambda random: 2e-4 * random.standard_normal(SHAPE), True, True),
    "an offset of 1e9": (lambda random: 1e9 + random.standard_normal(SHAPE), True, True),
}


def normalized(binary: Path, x: np.ndarray, batch: int) -> np.ndarray:
    command = [binary, "normalize", "--format", "raw", "--columns", str(SEEDS), "--scalar", "float64"]
    command += ["--precision", "float64", "--no-compress", "--batch-size", str(batch)]
    output = subprocess.run(command, input=x.tobytes(), check=True, stdout=subprocess.PIPE).stdout
    return np.frombuffer(output).reshape(SHAPE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    arguments = parser.parse_args()
    batches = [min(size, max(1, int(rate))) for rate, size in CUTTINGS]
    print("| stream | " + " | ".join(f"batches of {size}" for size in batches) + " | greatest \\|y\\| |")
    print("|---" * (len(batches) + 2) + "|")
    failed = False
    for number, (name, (made, has_mean, has_deviation)) in enumerate(STREAMS.items()):
        x = made(np.random.default_rng(number))
        cells, greatest = [], 0.0
        for batch in batches:
            y = normalized(arguments.evenkeel, x, batch)
            mean = float(np.median(np.abs(y[FIRST:].mean(axis=0))))
            deviation = float(np.median(y[FIRST:].std(axis=0)))
            greatest = max(greatest, float(np.abs(y).max()))
            cells.append(f"{mean:.3f} ± {deviation:.3f}")
            failed |= has_mean and not mean < MEAN
            failed |= has_deviation and not DEVIATIONS[0] <= deviation <= DEVIATIONS[1]
        failed |= not greatest <= GREATEST * (1 + 1e-11)
        print(f"| {name} | " + " | ".join(cells) + f" | {greatest:.4g} |", flush=True)
    if failed:
        sys.exit("a figure is outside of what is promised")


if __name__ == "__main__":
    main()
