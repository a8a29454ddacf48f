"""The experiment on raw features: γ′ and β′ learned by gradient descent from x itself.

The target is x̂: the loss is the mean of (γ′x + β′ − x̂)² / 2. Its Hessian is [[E x², E x], [E x, 1]] for any x with
these moments, so the number of steps has a closed form. It is compared with real steps if there are few.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import evenkeel

FEATURES = ["visib", "wind_speed", "humid", "temp", "pressure"]
# The loss has arrived at this share of that of γ′ = β′ = 0.
ARRIVED = 0.01
# So many steps are taken for real.
REAL_STEPS = 100_000


@dataclass
class RawFeature:
    name: str
    mean: float
    deviation: float
    # The greatest curvature of the loss divided by the smallest, for x and for x̂.
    condition: float
    # Steps of gradient descent at the best fixed rate.
    steps: int


def raw_features(program: Path, sample: Path) -> list[RawFeature]:
    with tempfile.TemporaryDirectory(prefix="evenkeel-") as folder:
        path = Path(folder) / "weather.safetensors"
        command = [program, "fit", sample, "-o", path, "--features", ",".join(FEATURES)]
        subprocess.run(command, check=True)
        checkpoint = evenkeel.Checkpoint.load(path)
    moments = {
        name: (float(mean), math.sqrt(variance))
        for name, mean, variance in zip(checkpoint.features, checkpoint.mean, checkpoint.variance)
    }
    return [raw_feature(name, *moments[name]) for name in FEATURES]


def raw_feature(name: str, mean: float, deviation: float) -> RawFeature:
    variance = deviation * deviation
    square = mean * mean + variance
    greatest = (square + 1 + math.hypot(square - 1, 2 * mean)) / 2
    # The determinant is the variance; so no digits are lost here.
    smallest = variance / greatest
    condition = greatest / smallest
    # At the rate 2 / (greatest + smallest) every step divides the loss by the same number.
    steps = math.ceil(math.log(ARRIVED) / (2 * math.log1p(-2 / (condition + 1))))
    if steps <= REAL_STEPS:
        found = real_steps(mean, variance, 2 / (greatest + smallest))
        if found != steps:
            raise SystemExit(f"{name}: expected {steps} steps, found {found}")
    return RawFeature(name, mean, deviation, condition, steps)


def real_steps(mean: float, variance: float, rate: float) -> int:
    """The steps of gradient descent until the loss has arrived."""
    square, deviation = mean * mean + variance, math.sqrt(variance)
    # The distances from the target 1/σ and −μ/σ.
    scale, shift = -1 / deviation, mean / deviation
    steps = 0
    while square * scale * scale + 2 * mean * scale * shift + shift * shift > ARRIVED:
        scale, shift = (
            scale - rate * (square * scale + mean * shift),
            shift - rate * (mean * scale + shift),
        )
        steps += 1
    return steps
