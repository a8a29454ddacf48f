"""The bodies of changes that a client sends."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from evenkeel.answers import Json
from evenkeel.tensorfile import TensorFile

__all__ = ["numbers", "parameters", "rows", "vector"]

# A JSON body has 1 MiB at most, and a number in it about 20 bytes. A file may be as large as the features need.
_MOST_JSON_FEATURES = 10_000


def vector(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The values as a vector. Raises ValueError if they are none, or not finite."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError("expected a vector of finite numbers, found others")
    return array


def numbers(values: npt.ArrayLike) -> list[float]:
    """The same as a list."""
    found: list[float] = vector(values).tolist()
    return found


def parameters(
    weight: npt.ArrayLike,
    bias: npt.ArrayLike,
    features: Sequence[str] | None,
    if_version: int | None,
) -> tuple[str, Json | bytes]:
    """The query and the body of new γ and β: JSON, or a safetensors file of many features."""
    tensors = {"weight": vector(weight), "bias": vector(bias)}
    if len(tensors["weight"]) > _MOST_JSON_FEATURES:
        names = {} if features is None else {"evenkeel.features": json.dumps(list(features))}
        query = "" if if_version is None else f"?if_version={int(if_version)}"
        return query, TensorFile(tensors, names).serialize()
    body: Json = {name: tensor.tolist() for name, tensor in tensors.items()}
    body |= {} if features is None else {"features": list(features)}
    body |= {} if if_version is None else {"if_version": int(if_version)}
    return "", body


def rows(y: npt.ArrayLike, y_grad: npt.ArrayLike) -> Json:
    """Rows of y and of ∂L/∂y. Raises ValueError if they are of two shapes, or not finite."""
    values = np.asarray(y, dtype=np.float64)
    gradients = np.asarray(y_grad, dtype=np.float64)
    if values.ndim != 2 or values.shape != gradients.shape:
        raise ValueError(
            f"y, y_grad: expected two tables of one shape, found {values.shape} and {gradients.shape}"
        )
    is_missing = np.isnan(values)
    gradients = np.where(is_missing, 0.0, gradients)
    if np.isinf(values).any() or not np.isfinite(gradients).all():
        raise ValueError("y, y_grad: expected finite numbers, but for a y that is missing")
    table = [[None if value != value else value for value in row] for row in values.tolist()]
    return {"y": table, "y_grad": gradients.tolist()}
