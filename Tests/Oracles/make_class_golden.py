"""Makes Tests/BatchNormalizationTests/Golden/classes.json: the moments of a mixture of classes, from all values.

Each class has the weighted mean and the biased weighted variance of its values. The mixture has the mean Σ π μ and the
variance Σ π (σ² + μ²) − (Σ π μ)², in extended precision, over the classes with a value.

    pip install -r Tests/Oracles/requirements-keys.txt
    python Tests/Oracles/make_class_golden.py
"""

import json
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).resolve().parent.parent / "BatchNormalizationTests" / "Golden"
SHARES = {"a": 0.2, "b": 0.5, "c": 0.3}
HALF_LIFE = np.longdouble(12.5)


def counted(weights, half_life):
    """How much values with these weights count, the oldest first; 1 for the newest of weight 1."""
    weights = np.asarray(weights, np.longdouble)
    if half_life is None:
        return weights
    later = weights[::-1].cumsum()[::-1] - weights
    return 2 ** (-later / half_life) * (1 - 2 ** (-weights / half_life)) / (1 - 2 ** (-1 / half_life))


def mixture(classes, values, weights, shares, half_life):
    """The mean and the variance; None before the first value that counts."""
    parts = []
    for name in sorted({name for name in classes if name is not None}):
        share = 1.0 if shares is None else shares.get(name)
        is_own = [each == name and not np.isnan(x) and w > 0 for each, x, w in zip(classes, values, weights)]
        if share is None or not any(is_own):
            continue
        x = np.asarray(values, np.longdouble)[is_own]
        count = counted(np.asarray(weights)[is_own], half_life)
        mean = (count * x).sum() / count.sum()
        parts.append((share, mean, (count * (x - mean) ** 2).sum() / count.sum()))
    if not parts:
        return None, None
    share, mean, variance = np.asarray(parts, np.longdouble).T
    share = share / share.sum()
    whole = (share * mean).sum()
    return float(whole), float((share * (variance + mean**2)).sum() - whole**2)


def traced(classes, columns, weights, shares, half_life):
    """After each record, the moments of each feature."""
    found = {"mean": [], "variance": []}
    for count in range(1, len(classes) + 1):
        each = [mixture(classes[:count], x[:count], weights[:count], shares, half_life) for x in columns]
        found["mean"].append([mean for mean, _ in each])
        found["variance"].append([variance for _, variance in each])
    return found


def main():
    random = np.random.default_rng(18)
    # In runs, as in a stream that is sorted by class.
    classes = ["a"] * 40 + ["c"] * 5 + ["b"] * 45 + ["a"] * 10 + ["x"] * 10 + ["c"] * 30 + ["b"] * 20
    classes = [None if random.random() < 0.05 else name for name in classes]
    levels = {"a": 54.0, "b": -3.0, "c": 120.0, "x": 7.0, None: 1e4}
    columns = []
    for factor in (1.0, 1e-3):
        x = factor * (np.array([levels[name] for name in classes]) + random.standard_normal(len(classes)))
        x[random.random(len(classes)) < 0.1] = np.nan
        columns.append(x)
    weights = random.choice([0.0, 0.25, 1.0], size=len(classes), p=[0.1, 0.3, 0.6])
    kinds = {"balanced": None, "shares": SHARES}
    content = {
        "classes": classes,
        "values": [[None if np.isnan(x) else float(x) for x in column] for column in columns],
        "weights": [float(weight) for weight in weights],
        "shares": SHARES,
        "cumulative": {kind: traced(classes, columns, weights, shares, None) for kind, shares in kinds.items()},
        "halfLife": {kind: traced(classes, columns, weights, shares, HALF_LIFE) for kind, shares in kinds.items()},
    }
    (GOLDEN / "classes.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
