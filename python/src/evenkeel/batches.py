"""`Batch`: some records of a stream, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from evenkeel.frames import Matrix, frame_of
from evenkeel.patterns import select

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["Batch"]


class Batch:
    """Some records in the order of the stream.

    `columns` maps each name to a vector: numbers for features, strings and other objects for the rest.
    """

    def __init__(self, columns: Mapping[str, npt.NDArray[Any]], features: Sequence[str]) -> None:
        self._columns = columns
        self.features = list(features)

    @property
    def columns(self) -> Mapping[str, npt.NDArray[Any]]:
        """All columns by name."""
        return self._columns

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        return self.columns[name]

    def numpy(
        self,
        features: str | Sequence[str] | None = None,
        dtype: npt.DTypeLike = np.float64,
    ) -> Matrix:
        """The features as a matrix of shape [records, features]; NaN is a missing value."""
        names = self.features if features is None else select(features, self.features)
        matrix = np.empty((len(self), len(names)), dtype=dtype)
        for j, name in enumerate(names):
            matrix[:, j] = self.columns[name]
        return matrix

    def pandas(self) -> pandas.DataFrame:
        """All columns as a pandas frame."""
        return frame_of("pandas", self.columns)

    def polars(self) -> polars.DataFrame:
        """All columns as a Polars frame."""
        frame: polars.DataFrame = frame_of("polars", self.columns)
        return frame

    def arrow(self) -> pyarrow.RecordBatch:
        """All columns as an Arrow record batch."""
        return frame_of("pyarrow", self.columns)

    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[object, object]:
        """The record batch for libraries that read Arrow's C data interface, such as `pyarrow.record_batch`."""
        exported: tuple[object, object] = self.arrow().__arrow_c_array__(requested_schema)
        return exported

    def __repr__(self) -> str:
        return f"<Batch of {len(self)} records, {len(self.features)} features>"
