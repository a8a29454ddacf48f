"""Makes Tests/BatchNormalizationTests/Golden/keys.json: moments by key as pandas and Polars compute them, and the z-scores
by the formula of TensorFlow Transform's scale_to_z_score_per_key, which is (x - mean of the key) / its deviation.

    pip install -r Tests/Oracles/requirements-keys.txt
    python Tests/Oracles/make_key_golden.py
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl

GOLDEN = Path(__file__).resolve().parent.parent / "BatchNormalizationTests" / "Golden"


def nullable(values):
    return [None if value is None or np.isnan(value) else float(value) for value in values]


def main():
    random = np.random.default_rng(18)
    keys = random.choice(["JFK", "EWR", "LGA", "SWF"], size=160, p=[0.5, 0.3, 0.19, 0.01])
    levels = {"JFK": 54.0, "EWR": 1e6, "LGA": -3.0, "SWF": 0.0}
    values = np.array([levels[key] for key in keys]) + random.standard_normal(160)
    values[random.random(160) < 0.15] = np.nan
    grouped = pd.DataFrame({"key": keys, "x": values}).groupby("key", sort=False)["x"]

    def traced(window):
        """After each record, the moments of its key; biased."""
        mean = window.mean().reset_index(level=0, drop=True).sort_index()
        variance = window.var(**({"bias": True} if hasattr(window, "adjust") else {"ddof": 0}))
        return {
            "mean": nullable(mean),
            "variance": nullable(variance.reset_index(level=0, drop=True).sort_index()),
        }

    frame = pl.DataFrame({"key": keys, "x": values}).with_columns(pl.col("x").fill_nan(None))
    over = frame.select(
        mean=pl.col("x").mean().over("key"), variance=pl.col("x").var(ddof=0).over("key"))
    mean, deviation = over["mean"].to_numpy(), np.sqrt(over["variance"].to_numpy())
    content = {
        "keys": list(keys),
        "values": nullable(values),
        "cumulative": traced(grouped.expanding()),
        "halfLife": traced(grouped.ewm(halflife=12.5, adjust=True, ignore_na=True)),
        "over": {"mean": nullable(over["mean"]), "variance": nullable(over["variance"])},
        "scores": nullable((values - mean) / np.where(deviation > 0, deviation, np.nan)),
    }
    (GOLDEN / "keys.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
