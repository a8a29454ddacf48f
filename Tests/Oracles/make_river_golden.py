"""Makes Tests/BatchNormalizationTests/Golden/river.json from River's StandardScaler.

    pip install -r Tests/Oracles/requirements-river.txt
    python Tests/Oracles/make_river_golden.py
"""

import json
import random
from pathlib import Path

from river.preprocessing import StandardScaler

GOLDEN = Path(__file__).resolve().parent.parent / "BatchNormalizationTests" / "Golden"
RECORDS = 400


def columns():
    """Ordinary values, a drift, a tiny unit, a rare flag and a constant."""
    source = random.Random(7)
    return {
        "plain": [source.gauss(3, 2) for _ in range(RECORDS)],
        "drifting": [0.05 * k + source.gauss(0, 1) for k in range(RECORDS)],
        "tiny": [source.gauss(0, 2e-7) for _ in range(RECORDS)],
        "flag": [float(k % 97 == 50) for k in range(RECORDS)],
        "constant": [0.1] * RECORDS,
    }


def main():
    given = columns()
    scaler = StandardScaler()
    scaled = {name: [] for name in given}
    for values in zip(*given.values()):
        record = dict(zip(given, values))
        scaler.learn_one(record)
        for name, y in scaler.transform_one(record).items():
            scaled[name].append(y)
    content = {
        "given": list(given.values()),
        "scaled": [scaled[name] for name in given],
        "runningMean": [scaler.means[name] for name in given],
        "runningVariance": [scaler.vars[name] for name in given],
    }
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    (GOLDEN / "river.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
