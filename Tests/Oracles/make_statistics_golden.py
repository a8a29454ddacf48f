"""Runs the recipes of docs/CHECKPOINTS.md (Import) with scikit-learn, River, Keras and Stable-Baselines3.

Writes into Tests/EndToEndTests/Golden the JSON that each recipe makes, and `transformed.json`: rows, and the same rows as
the library scales them.

    pip install -r Tests/Oracles/requirements-statistics.txt
    python Tests/Oracles/make_statistics_golden.py
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"

import gymnasium
import keras
import numpy as np
import pandas as pd
import river.preprocessing
import sklearn.preprocessing
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "Tests" / "EndToEndTests" / "Golden"
NAMES = ["temp", "dewp", "rare"]


def recipes() -> dict[str, str]:
    """The code of each recipe of the page by its library; that of all of them is under the empty name."""
    page = (ROOT / "docs" / "CHECKPOINTS.md").read_text()
    block = re.search(r"Some recipes:\n\n<!-- .* -->\n```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert block is not None
    shared, *others = re.split(r"^# (\S+): ", block[1], flags=re.MULTILINE)
    # The rest of the first line is still the comment.
    pairs = zip(others[::2], (text.split("\n", 1)[1] for text in others[1::2]))
    return {"": shared, **dict(pairs)}


def rows(count: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    made = random.normal([11.5, 1e6, 0.0], [9.0, 20.0, 1e-3], size=(count, 3))
    made[:, 2] *= random.random(count) < 0.1
    return made.astype(np.float32).astype(np.float64)


def scikit_learn(learnt: np.ndarray, given: np.ndarray) -> tuple[dict[str, Any], Any]:
    # A missing value, so that the counts of the features differ.
    learnt = learnt.copy()
    learnt[5, 1] = np.nan
    scaler = sklearn.preprocessing.StandardScaler().fit(pd.DataFrame(learnt, columns=NAMES))
    return {"scaler": scaler}, scaler.transform(pd.DataFrame(given, columns=NAMES))


def by_river(learnt: np.ndarray, given: np.ndarray) -> tuple[dict[str, Any], Any]:
    scaler = river.preprocessing.StandardScaler()
    for row in learnt:
        scaler.learn_one(dict(zip(NAMES, row)))
    scaled = [scaler.transform_one(dict(zip(NAMES, row))) for row in given]
    return {"scaler": scaler}, [[row[name] for name in NAMES] for row in scaled]


def by_keras(learnt: np.ndarray, given: np.ndarray) -> tuple[dict[str, Any], Any]:
    layer = keras.layers.BatchNormalization()
    # Keras computes in 4 bytes, so the offset of the second feature is made small.
    for batch in np.split(learnt - [0, 1e6, 0], 8):
        layer(batch, training=True)
    layer.gamma.assign([1.5, -0.25, 3.0])
    layer.beta.assign([0.5, -1.0, 2.0])
    scaled = keras.ops.convert_to_numpy(layer(given - [0, 1e6, 0], training=False))
    return {"layer": layer, "names": NAMES, "count": len(learnt)}, scaled


def stable_baselines3(learnt: np.ndarray, given: np.ndarray) -> tuple[dict[str, Any], Any]:
    env = VecNormalize(DummyVecEnv([lambda: gymnasium.make("CartPole-v1")] * 2))
    env.seed(7)
    env.action_space.seed(7)
    env.reset()
    for _ in range(200):
        env.step(np.array([env.action_space.sample() for _ in range(2)]))
    given[:] = env.get_original_obs()[0] * np.arange(3, 63, 3)[:, None]
    names = ["position", "velocity", "angle", "spin"]
    return {"env": env, "names": names}, env.normalize_obs(given)


Library = Callable[[np.ndarray, np.ndarray], tuple[dict[str, Any], Any]]
LIBRARIES: dict[str, tuple[Library, int]] = {
    "scikit-learn": (scikit_learn, 3),
    "River": (by_river, 3),
    "Keras": (by_keras, 3),
    "Stable-Baselines3": (stable_baselines3, 4),
}


def main() -> None:
    code = recipes()
    assert set(code) == {"", *LIBRARIES}, set(code)
    GOLDEN.mkdir(exist_ok=True)
    transformed = {}
    for library, (run, width) in LIBRARIES.items():
        given = rows(20, 2) if width == 3 else np.zeros((20, width))
        names, expected = run(rows(512, 1), given)
        if library == "Keras":
            given = given - [0, 1e6, 0]
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            exec(code[""] + code[library], names)
            text = Path("s.json").read_text()
            os.chdir(ROOT)
        (GOLDEN / f"{library.lower()}.json").write_text(text + "\n")
        transformed[library.lower()] = {
            "given": np.asarray(given, dtype=float).tolist(),
            "expected": np.asarray(expected, dtype=float).tolist(),
        }
    text = json.dumps(transformed, separators=(",", ":"), allow_nan=False)
    (GOLDEN / "transformed.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
