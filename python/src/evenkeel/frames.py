"""Columns by name in frames of pandas, Polars and PyArrow; none of the three is needed by this module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from evenkeel.patterns import require_names

__all__ = ["Frame", "as_frame", "checked_matrix", "frame_of"]

Matrix = npt.NDArray[np.floating[Any]]


class Frame(Protocol):
    """A table of one library. Matrices have shape [rows, names], float32 or float64; NaN is missing."""

    @property
    def names(self) -> list[str]:
        """The names of the columns."""

    def numeric_names(self) -> list[str]:
        """The columns that hold floats or integers."""

    def matrix(self, names: Sequence[str]) -> Matrix:
        """The values of columns; float32 if all of them are."""

    def only(self, names: Sequence[str], values: Matrix) -> Any:
        """A table of the library with these columns alone, rows labelled as before."""

    def replaced(self, names: Sequence[str], values: Matrix) -> Any:
        """The same table with the values of these columns replaced."""


def as_frame(table: object) -> Frame | None:
    """The table as a `Frame`, or None if it is of no known library."""
    library = type(table).__module__.split(".")[0]
    kind = type(table).__name__
    if library == "polars" and kind == "LazyFrame":
        raise TypeError("expected a DataFrame, found a LazyFrame; call collect() first")
    if library == "pandas" and kind == "DataFrame":
        return _PandasFrame(table)
    if library == "polars" and kind == "DataFrame":
        return _PolarsFrame(table)
    if library == "pyarrow" and kind in ("Table", "RecordBatch"):
        return _ArrowFrame(table)
    return None


def frame_of(library: str, columns: Mapping[str, npt.NDArray[Any]]) -> Any:
    """A table of "pandas", "polars" or "pyarrow" with these columns."""
    if library == "pandas":
        import pandas

        return pandas.DataFrame(dict(columns))
    if library == "polars":
        import polars

        return polars.DataFrame(
            {name: _polars_column(name, values) for name, values in columns.items()}
        )
    if library == "pyarrow":
        import pyarrow

        return pyarrow.record_batch(
            {name: pyarrow.array(values, from_pandas=True) for name, values in columns.items()}
        )
    raise ValueError(f"expected pandas, polars or pyarrow, found {library!r}")


def _polars_column(name: str, values: npt.NDArray[Any]) -> Any:
    import polars

    if values.dtype == object:
        return polars.Series(name, values.tolist(), strict=False)
    return polars.Series(name, values)


def checked_matrix(values: npt.ArrayLike, names: Sequence[str]) -> Matrix:
    """The values as a matrix of floats with one column a name.

    Raises ValueError for another shape or an infinity, TypeError for what is no number.
    """
    if hasattr(values, "toarray"):
        raise TypeError("expected a dense array, found a sparse one; call toarray() first")
    array = np.asarray(values)
    if array.dtype == object:
        array = array.astype(np.float64)
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == bool) or np.iscomplexobj(array):
        raise TypeError(f"expected numbers, found {array.dtype}")
    if array.ndim != 2 or array.shape[1] != len(names):
        raise ValueError(
            f"expected an array of shape [rows, {len(names)}], found {list(array.shape)}"
        )
    matrix: Matrix = array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
    infinite = np.isinf(matrix)
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        raise ValueError(
            f"row {row}: expected a finite number or NaN in feature {names[column]!r}, found "
            f"{matrix[row, column]}"
        )
    return matrix


class _PandasFrame:
    def __init__(self, table: Any) -> None:
        self.table = table

    @property
    def names(self) -> list[str]:
        return list(self.table.columns)

    def numeric_names(self) -> list[str]:
        import pandas.api.types as types

        return [
            name
            for name, dtype in self.table.dtypes.items()
            if types.is_numeric_dtype(dtype) and not types.is_bool_dtype(dtype)
        ]

    def matrix(self, names: Sequence[str]) -> Matrix:
        require_names(self.names, names)
        columns = self.table[list(names)]
        narrow = all(dtype == np.float32 for dtype in columns.dtypes)
        values = columns.to_numpy(dtype=np.float32 if narrow else np.float64, na_value=np.nan)
        return checked_matrix(values, names)

    def only(self, names: Sequence[str], values: Matrix) -> Any:
        import pandas

        return pandas.DataFrame(values, index=self.table.index, columns=list(names))

    def replaced(self, names: Sequence[str], values: Matrix) -> Any:
        return self.table.assign(**{name: values[:, j] for j, name in enumerate(names)})


class _PolarsFrame:
    def __init__(self, table: Any) -> None:
        self.table = table

    @property
    def names(self) -> list[str]:
        return list(self.table.columns)

    def numeric_names(self) -> list[str]:
        return [name for name, dtype in self.table.schema.items() if dtype.is_numeric()]

    def matrix(self, names: Sequence[str]) -> Matrix:
        import polars

        require_names(self.names, names)
        columns = self.table.select(names)
        narrow = all(dtype == polars.Float32 for dtype in columns.dtypes)
        values = columns.cast(polars.Float32 if narrow else polars.Float64).to_numpy()
        return checked_matrix(values, names)

    def only(self, names: Sequence[str], values: Matrix) -> Any:
        return self.replaced(names, values).select(names)

    def replaced(self, names: Sequence[str], values: Matrix) -> Any:
        import polars

        columns = []
        for j, name in enumerate(names):
            column = polars.Series(name, np.ascontiguousarray(values[:, j]))
            # A null that stays missing stays a null.
            gone = self.table[name].is_null() & column.is_nan()
            columns.append(column.set(gone, None) if gone.any() else column)
        return self.table.with_columns(columns)


class _ArrowFrame:
    def __init__(self, table: Any) -> None:
        self.table = table

    @property
    def names(self) -> list[str]:
        return list(self.table.schema.names)

    def numeric_names(self) -> list[str]:
        import pyarrow.types as types

        return [
            field.name
            for field in self.table.schema
            if types.is_floating(field.type) or types.is_integer(field.type)
        ]

    def _column(self, name: str) -> Any:
        column = self.table.column(self.names.index(name))
        return column.combine_chunks() if hasattr(column, "combine_chunks") else column

    def matrix(self, names: Sequence[str]) -> Matrix:
        import pyarrow

        require_names(self.names, names)
        columns = [self._column(name) for name in names]
        narrow = all(column.type == pyarrow.float32() for column in columns)
        kind = pyarrow.float32() if narrow else pyarrow.float64()
        # Nulls become NaN.
        arrays = [column.cast(kind).to_numpy(zero_copy_only=False) for column in columns]
        shape = (self.table.num_rows, len(names))
        values = np.stack(arrays, axis=1) if arrays else np.empty(shape)
        return checked_matrix(values, names)

    def only(self, names: Sequence[str], values: Matrix) -> Any:
        return self.replaced(names, values).select(list(names))

    def replaced(self, names: Sequence[str], values: Matrix) -> Any:
        import pyarrow

        table = self.table
        for j, name in enumerate(names):
            # A null that stays missing stays a null.
            gone = self._column(name).is_null().to_numpy(zero_copy_only=False) & np.isnan(values[:, j])
            column = pyarrow.array(values[:, j], mask=gone)
            index = self.names.index(name)
            field = table.schema.field(index).with_type(column.type)
            table = table.set_column(index, field, column)
        return table
