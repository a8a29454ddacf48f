"""Trains River's linear regression on features that Evenkeel has scaled, beside River's own scalers.

Each record is predicted before the model learns it, and the figures are mean absolute errors. The preset must be
within 3 % of the better one of River's two scalers, whatever the size of the batches. The table
must be that of docs/COOKBOOK.md.

    make online-check
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

from river import datasets, linear_model, preprocessing

BATCH_SIZES = [1, 7, 32, 256]
LIMIT = 1.03

Records = list[tuple[dict[str, float], float]]


def trump() -> Records:
    return [({key: float(value) for key, value in x.items()}, y) for x, y in datasets.TrumpApproval()]


def chicks() -> Records:
    return [({"time": float(x["time"]), "diet": float(x["diet"])}, float(y)) for x, y in datasets.ChickWeights()]


def weather(sample: Path) -> Records:
    """Visibility from the other measurements of the sample; records with gaps are left out."""
    text = subprocess.run(["zstd", "-dc", sample], check=True, capture_output=True, text=True).stdout
    names = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure"]
    found = []
    for row in csv.DictReader(io.StringIO(text)):
        values = [row[name] for name in [*names, "visib"]]
        if all(value not in ("", "NA") for value in values):
            numbers = [float(value) for value in values]
            found.append((dict(zip(names, numbers)), numbers[-1]))
    return found[:10_000]


def error(scaled: Any, targets: list[float]) -> float:
    model = linear_model.LinearRegression()
    total = 0.0
    for x, y in zip(scaled, targets):
        total += abs(y - model.predict_one(x))
        if not math.isfinite(total):
            return math.inf
        model.learn_one(x, y)
    return total / len(targets)


def by_river(scaler: Any, records: Records) -> Any:
    for x, _ in records:
        scaler.learn_one(x)
        yield scaler.transform_one(x)


def by_evenkeel(binary: Path, records: Records, batch: int) -> Any:
    names = list(records[0][0])
    rows = [",".join(names)] + [",".join(repr(x[name]) for name in names) for x, _ in records]
    output = subprocess.run(
        [
            *(binary, "normalize", "--format", "csv", "--features", ",".join(names)),
            *("--preset", "online", "--batch-size", str(batch)),
            *("--precision", "float64", "--no-compress"),
        ],
        input="\n".join(rows) + "\n", check=True, capture_output=True, text=True,
    ).stdout
    for row in csv.DictReader(io.StringIO(output)):
        yield {name: float(value) for name, value in row.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument("--sample", type=Path, required=True, help="the weather sample")
    arguments = parser.parse_args()
    sets = {"TrumpApproval": trump(), "ChickWeights": chicks(), "weather": weather(arguments.sample)}
    table = ["| data | River StandardScaler | River AdaptiveStandardScaler | "
             + " | ".join(f"`online`, batches of {size}" for size in BATCH_SIZES) + " |",
             "|---" * (3 + len(BATCH_SIZES)) + "|"]
    failed = False
    for name, records in sets.items():
        targets = [y for _, y in records]
        scalers = [preprocessing.StandardScaler(), preprocessing.AdaptiveStandardScaler()]
        theirs = [error(by_river(scaler, records), targets) for scaler in scalers]
        ours = [
            error(by_evenkeel(arguments.evenkeel, records, size), targets) for size in BATCH_SIZES
        ]
        best = min(theirs)
        failed |= any(not value <= LIMIT * best for value in ours)
        table.append(f"| {name} | " + " | ".join(f"{value:.4g}" for value in theirs + ours) + " |")
    print("\n".join(table))
    if failed:
        sys.exit("an error is above its limit")
    page = Path(__file__).resolve().parents[2] / "docs" / "COOKBOOK.md"
    if "\n".join(table) not in page.read_text():
        sys.exit("expected this table in docs/COOKBOOK.md, found another one")


if __name__ == "__main__":
    main()
