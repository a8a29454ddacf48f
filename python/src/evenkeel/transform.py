"""The transform of docs/SEMANTICS.md by running moments: what a frozen stream in mode `running` does.

It is evaluated in the daemon's own operations and in their order, so the results have the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Transform", "TransformSettings"]

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TransformSettings:
    """The settings that running moments are applied with."""

    # ε: added to the variance, in the squared unit of the feature, or a share of the variance.
    epsilon: float
    is_relative: bool = False
    # The least variance to normalise by, in the squared unit of the feature.
    variance_floor: float = 0.0
    # The limit on |x̂|, in deviations.
    clip: float | None = None

    @staticmethod
    def read(
        settings: Mapping[str, str], *, epsilon: float | None = None, clip: float | None = None
    ) -> TransformSettings:
        """The settings that a checkpoint records, completed by those that it does not.

        Raises ValueError if neither says ε, or if they contradict each other.
        """
        relative = settings.get("epsilon.relative")
        recorded = settings.get("epsilon")
        if relative is not None and epsilon is not None:
            raise ValueError(
                f"epsilon: expected none, because the checkpoint records epsilon.relative {relative}, "
                f"found {epsilon!r}"
            )
        if relative is None and recorded is None and epsilon is None:
            raise ValueError(
                "epsilon: the checkpoint does not record it; pass the value that the stream uses, "
                "for example epsilon=1e-5"
            )
        if recorded is not None and epsilon is not None and float(recorded) != epsilon:
            raise ValueError(
                f"epsilon: expected {recorded}, which the checkpoint records, found {epsilon!r}"
            )
        known = relative if relative is not None else recorded
        return TransformSettings(
            epsilon=float(known) if known is not None else float(epsilon or 0.0),
            is_relative=relative is not None,
            variance_floor=float(settings.get("variance_floor", "0")),
            clip=clip,
        )

    def denominator(self, variance: Doubles) -> Doubles:
        """max(σ², floor) · (1 + r), or max(σ², floor) + ε, in the squared unit of each feature."""
        least: Doubles = np.maximum(variance, self.variance_floor)
        return least * (1 + self.epsilon) if self.is_relative else least + self.epsilon

    def deviation(self, variance: Doubles) -> Doubles:
        """The square root of the denominator, in the unit of each feature."""
        deviation: Doubles = np.sqrt(self.denominator(variance))
        return deviation


@dataclass(frozen=True)
class Transform:
    """y = clamp(x − center, low, high) · scale + shift, with one number a feature in each vector."""

    center: Doubles
    deviation: Doubles
    scale: Doubles
    shift: Doubles
    clip: float | None

    @staticmethod
    def by_moments(
        mean: Doubles, variance: Doubles, weight: Doubles, bias: Doubles, settings: TransformSettings
    ) -> Transform:
        """y = γ · (x − μ) / σ + β, with |x̂| limited by `clip`; y = β where σ is 0.

        Source: Ioffe & Szegedy 2015, "Batch Normalization", algorithm 1.
        """
        deviation = settings.deviation(variance)
        scale = np.divide(weight, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        return Transform(mean, deviation, scale, bias, settings.clip)

    def forward(self, x: Doubles, *, impute: bool = False) -> Doubles:
        """y of values of shape [n, d]; NaN stays, or becomes β with `impute`."""
        y = x - self.center
        if self.clip is not None:
            limit = np.where(self.deviation > 0, self.clip * self.deviation, np.inf)
            # np.clip passes NaN on.
            np.clip(y, -limit, limit, out=y)
        y *= self.scale
        y += self.shift
        if impute:
            np.copyto(y, np.broadcast_to(self.shift, y.shape), where=np.isnan(x))
        return y

    def inverse(self, y: Doubles, names: Sequence[str]) -> Doubles:
        """x of values y of shape [n, d]; of what was clipped, the limit; μ of a feature with σ = 0.

        Raises ValueError for a feature with γ = 0, whose values are gone.
        """
        constant = self.deviation == 0
        lost = [name for name, gone in zip(names, (self.scale == 0) & ~constant) if gone]
        if lost:
            raise ValueError(f"feature {lost[0]!r}: expected a weight that is not 0, found 0")
        scale = np.where(constant, np.inf, self.scale)
        x: Doubles = (y - self.shift) / scale + self.center
        return x
