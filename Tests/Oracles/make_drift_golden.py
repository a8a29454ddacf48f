"""Makes Tests/BatchNormalizationTests/Golden/key_deviations.json: how many keys of a batch are away from their own moments
before it, by the formula of docs/SEMANTICS.md in NumPy.

    python Tests/Oracles/make_drift_golden.py
"""

import json
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parent.parent / "BatchNormalizationTests" / "Golden"
FEATURES, KEYS, RECORDS, BATCHES = 9, 12, 60, 40


def counts(history, batch):
    """The keys that are judged, and those that are away, of each feature. Both are lists of (key, weight, values)."""
    judged, away = [0] * FEATURES, [0] * FEATURES
    for key in {key for key, _, _ in batch}:
        before = np.array([row for k, w, row in history if k == key and w > 0]).reshape(-1, FEATURES)
        now = np.array([row for k, w, row in batch if k == key and w > 0]).reshape(-1, FEATURES)
        for j in range(FEATURES):
            known, new = before[:, j][~np.isnan(before[:, j])], now[:, j][~np.isnan(now[:, j])]
            if len(known) < 32 or len(new) == 0 or known.var() == 0:
                continue
            judged[j] += 1
            error = known.std() * np.sqrt(1 / len(new) + 1 / len(known))
            away[j] += bool(abs(new.mean() - known.mean()) > 2 * error)
    return judged, away


def main():
    random = np.random.default_rng(20)
    history, batches = [], []
    for number in range(BATCHES):
        batch = []
        for _ in range(RECORDS):
            # Some keys are seldom, and one comes late.
            key = int(min(random.geometric(0.15) - 1, KEYS - 1))
            key = KEYS if number > 30 and random.random() < 0.2 else key
            row = np.round(5.0 * key + random.standard_normal(FEATURES), 4)
            # From here on, every second key has moved in the second feature.
            row[1] += 4 * (number >= 30 and key % 2 == 0)
            row[2] = 7.0
            row[3:][random.random(FEATURES - 3) < 0.2] = np.nan
            batch.append((key, float(random.random() > 0.1), row))
        judged, away = counts(history, batch)
        history += batch
        batches.append({
            "keys": [f"k{key}" for key, _, _ in batch],
            "weights": [weight for _, weight, _ in batch],
            "values": [[None if np.isnan(v) else float(v) for v in row] for _, _, row in batch],
            "judged": judged,
            "away": away,
        })
    text = json.dumps({"batches": batches}, separators=(",", ":"))
    (GOLDEN / "key_deviations.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
