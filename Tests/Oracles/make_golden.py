"""Makes the golden files of BatchNormalizationTests from PyTorch, Keras, scikit-learn, pandas and
NIST's reference data sets. Tests/Oracles/make_river_golden.py makes River's, make_key_golden.py those of keys.

    pip install -r Tests/Oracles/requirements.txt
    python Tests/Oracles/make_golden.py

Seeded and single-threaded: the same versions give the same files.
"""

import decimal
import json
import os
from fractions import Fraction
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import StandardScaler

import nist

GOLDEN = Path(__file__).resolve().parent.parent / "BatchNormalizationTests" / "Golden"
FEATURES = 4
BATCH_SIZES = [32, 32, 32, 32, 7]
GAMMA = [1.5, -0.25, 0.0, 3.0]
BETA = [0.5, -1.0, 2.0, 0.0]


def batches(seed, level, spread):
    """Drifting batches, each value representable in 4 bytes."""
    random = np.random.default_rng(seed)
    return [
        (np.array(level) + 0.3 * k * np.array(spread)
         + random.standard_normal((size, FEATURES)) * spread * (1 + 0.1 * k)).astype(np.float32)
        for k, size in enumerate(BATCH_SIZES)
    ]


def columns(rows):
    """A matrix of rows as a list of columns; missing values as null."""
    return [[None if np.isnan(x) else float(x) for x in column] for column in np.asarray(rows).T]


def vector(values):
    return [float(x) for x in np.asarray(values).ravel()]


def write(name, content):
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    (GOLDEN / f"{name}.json").write_text(text + "\n")


def pytorch_case(name, data, dtype, momentum, affine):
    layer = torch.nn.BatchNorm1d(FEATURES, momentum=momentum, dtype=dtype)
    if affine:
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(GAMMA))
            layer.bias.copy_(torch.tensor(BETA))
    steps = []
    for batch in data:
        x = torch.tensor(batch, dtype=dtype)
        with torch.no_grad():
            evaluated = layer.eval()(x).numpy()
            trained = layer.train()(x).numpy()
        steps.append({
            "evaluatedBefore": columns(evaluated),
            "trained": columns(trained),
            "runningMean": vector(layer.running_mean),
            "runningVariance": vector(layer.running_var),
        })
    return {
        "name": name, "momentum": momentum, "epsilon": layer.eps,
        "precision": "float64" if dtype == torch.float64 else "float32",
        "weight": vector(layer.weight.detach()), "bias": vector(layer.bias.detach()),
        "batchesTracked": int(layer.num_batches_tracked), "steps": steps,
    }


def pytorch():
    # The 4-byte module rounds x - mean to the width of x, so its data stay near their deviation.
    wide = batches(1, [1000.0, -5.0, 1e-3, 0.0], [2.0, 30.0, 1e-3, 1.0])
    near = batches(2, [1.0, -2.0, 0.0, 0.5], [1.0, 2.0, 0.5, 3.0])
    write("pytorch", {
        "wide": [columns(b) for b in wide],
        "near": [columns(b) for b in near],
        "cases": [
            pytorch_case("momentum 0.1", wide, torch.float64, 0.1, False),
            pytorch_case("momentum 0.01, affine", wide, torch.float64, 0.01, True),
            pytorch_case("momentum None, affine", wide, torch.float64, None, True),
            pytorch_case("momentum 0.1, affine, 4 bytes", near, torch.float32, 0.1, True),
            pytorch_case("momentum None, 4 bytes", near, torch.float32, None, False),
        ],
    })


def keras_golden():
    # Keras takes E[x^2] - E[x]^2, which cancels at large offsets: its data stay near 0.
    data = batches(3, [10.0, -5.0, 0.0, 3.0], [2.0, 30.0, 0.5, 1.0])
    layer = keras.layers.BatchNormalization(dtype="float64")
    clipping = {"rmin": 1 / 3, "rmax": 3, "dmax": 5}
    renorm = keras.layers.BatchNormalization(
        dtype="float64", renorm=True, renorm_clipping=clipping)
    for each in (layer, renorm):
        each.build((None, FEATURES))
        each.gamma.assign(GAMMA)
        each.beta.assign(BETA)
    steps = []
    for batch in data:
        x = batch.astype(np.float64)
        # Keras averages the deviation for its r and d; ours come from the running variance.
        mean, variance = (keras.ops.convert_to_numpy(v)
                          for v in (layer.moving_mean, layer.moving_variance))
        renorm.renorm_mean.assign(mean)
        renorm.renorm_stddev.assign(np.sqrt(variance + layer.epsilon))
        with torch.no_grad():
            outputs = {
                "evaluatedBefore": layer(x, training=False),
                "renormalised": renorm(x, training=True),
                "trained": layer(x, training=True),
            }
        steps.append({
            **{key: columns(keras.ops.convert_to_numpy(y)) for key, y in outputs.items()},
            "runningMean": vector(keras.ops.convert_to_numpy(layer.moving_mean)),
            "runningVariance": vector(keras.ops.convert_to_numpy(layer.moving_variance)),
        })
    write("keras", {
        "batches": [columns(b) for b in data], "weight": GAMMA, "bias": BETA, "steps": steps,
        "renormMaxScale": clipping["rmax"], "renormMaxShift": clipping["dmax"],
    })


def standardised_exactly(seen, batch):
    """The values of a batch by the moments of all values seen, in rational arithmetic, rounded once."""
    decimal.getcontext().prec = 60
    result = []
    for values, column in zip(seen, batch.T):
        mean = sum(values) / len(values)
        variance = sum((x - mean) ** 2 for x in values) / len(values)
        deviation = (decimal.Decimal(variance.numerator) / variance.denominator).sqrt()
        distances = [None if np.isnan(x) else Fraction(float(x)) - mean for x in column]
        result.append([
            None if d is None else float(decimal.Decimal(d.numerator) / d.denominator / deviation)
            for d in distances
        ])
    return result


def scikit_learn():
    data = [b.astype(np.float64) for b in batches(4, [1e6, -5.0, 0.0, 7.0], [2.0, 30.0, 0.5, 1.0])]
    random = np.random.default_rng(5)
    for batch in data:
        batch[:, 2][random.random(len(batch)) < 0.3] = np.nan
    scaler = StandardScaler()
    centring = StandardScaler(with_std=False)
    scaling = StandardScaler(with_mean=False)
    steps = []
    seen = [[] for _ in range(FEATURES)]
    for batch in data:
        for each in [scaler, centring, scaling]:
            each.partial_fit(batch)
        for values, column in zip(seen, batch.T):
            values += [Fraction(float(x)) for x in column if not np.isnan(x)]
        steps.append({
            "values": [int(n) for n in np.broadcast_to(scaler.n_samples_seen_, FEATURES)],
            "runningMean": vector(scaler.mean_), "runningVariance": vector(scaler.var_),
            "transformed": columns(scaler.transform(batch)),
            "centred": columns(centring.transform(batch)),
            "scaled": columns(scaling.transform(batch)),
            "exact": standardised_exactly(seen, batch),
        })
    write("scikit_learn", {"batches": [columns(b) for b in data], "steps": steps})


def pandas():
    random = np.random.default_rng(6)
    values = 20 + random.standard_normal(120).cumsum() + random.standard_normal(120)
    gaps = values.copy()
    gaps[random.random(120) < 0.25] = np.nan
    milliseconds = np.round(1000 * random.exponential(2.0, 120)).astype(int)
    milliseconds[0] = 0
    # From 1970 on: pandas takes times as doubles of nanoseconds, 256 ns apart in this century.
    times = pd.to_datetime(milliseconds.cumsum() * 10**6)
    series, gappy = pd.Series(values), pd.Series(gaps)

    def golden(ewm):
        # The biased variance: the plain weighted mean of squared deviations.
        return {"mean": nullable(ewm.mean()), "variance": nullable(ewm.var(bias=True))}

    def nullable(result):
        return [None if np.isnan(x) else float(x) for x in result]

    sizes = [9, 32, 2, 17, 60]
    ends = np.cumsum(sizes)
    parts = [values[end - size:end] for size, end in zip(sizes, ends)]
    write("pandas", {
        "values": nullable(series), "gaps": nullable(gappy),
        "elapsedSeconds": vector(milliseconds / 1000),
        "alpha": golden(series.ewm(alpha=0.1, adjust=True)),
        "smallAlpha": golden(series.ewm(alpha=1e-9, adjust=True)),
        "alphaGaps": golden(gappy.ewm(alpha=0.1, adjust=True, ignore_na=True)),
        "halfLife": golden(series.ewm(halflife=12.5, adjust=True)),
        "halfLifeGaps": golden(gappy.ewm(halflife=12.5, adjust=True, ignore_na=True)),
        "halfLifeSeconds": nullable(
            series.ewm(halflife="7s", times=times, adjust=False).mean()),
        "batchSizes": sizes,
        "batchMeans": nullable(
            pd.Series([p.mean() for p in parts]).ewm(alpha=0.3, adjust=True).mean()),
        "batchVariances": nullable(
            pd.Series([p.var(ddof=1) for p in parts]).ewm(alpha=0.3, adjust=True).mean()),
    })


def main():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    # Keras computes in 8 bytes with TensorFlow alone; lift that bound for PyTorch, whose rounding
    # would hide a wrong formula.
    keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    GOLDEN.mkdir(parents=True, exist_ok=True)
    pytorch()
    keras_golden()
    scikit_learn()
    pandas()
    write("nist", {"sets": list(nist.data_sets())})


if __name__ == "__main__":
    main()
