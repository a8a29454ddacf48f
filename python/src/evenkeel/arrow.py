"""Batches of streams in format arrow: record batches of PyArrow, and the features in them.

PyArrow is imported when the first batch is read, so that the rest of the package works without it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from evenkeel.batches import Batch
from evenkeel.errors import PositionError, RecordError
from evenkeel.frames import Matrix
from evenkeel.patterns import require_names, select

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["ArrowBatch", "ArrowRows"]


class ArrowBatch(Batch):
    """Some rows of an Arrow stream. `arrow()` is the record batch itself, with all columns and types."""

    def __init__(self, batch: pyarrow.RecordBatch, features: Sequence[str]) -> None:
        super().__init__({}, features)
        self._batch = batch

    @property
    def columns(self) -> Mapping[str, npt.NDArray[Any]]:
        """The columns of the batch, and the features within lists and structs, by name."""
        names = list(self._batch.schema.names)
        names += [name for name in self.features if name not in names]
        return {name: self[name] for name in names}

    def __len__(self) -> int:
        return int(self._batch.num_rows)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        if name in self._batch.schema.names:
            column = self._batch.column(self._batch.schema.get_field_index(name))
            return _floats(column) if _is_float(column.type) else column.to_numpy(zero_copy_only=False)
        leaves = _leaves(self._batch.schema)
        if name not in leaves:
            raise KeyError(name)
        return _leaf(self._batch, leaves[name])

    def numpy(
        self, features: str | Sequence[str] | None = None, dtype: npt.DTypeLike = np.float64
    ) -> Matrix:
        names = self.features if features is None else select(features, self.features)
        leaves = _leaves(self._batch.schema)
        matrix = np.empty((len(self), len(names)), dtype=dtype)
        for j, name in enumerate(names):
            matrix[:, j] = _leaf(self._batch, leaves[name])
        return matrix

    def arrow(self) -> pyarrow.RecordBatch:
        """The record batch itself."""
        return self._batch

    def pandas(self) -> pandas.DataFrame:
        return self._batch.to_pandas()

    def polars(self) -> polars.DataFrame:
        import polars

        frame = polars.from_arrow(self._batch)
        assert isinstance(frame, polars.DataFrame)
        return frame


# A number in a row: the fields down to it, and its index in a list, or -1.
_Path = tuple[tuple[int, ...], int]


def _leaves(schema: pyarrow.Schema) -> dict[str, _Path]:
    """The places of the numbers that can be features, by name: `a`, `embedding[3]`, `engine.rpm`."""
    found: dict[str, _Path] = {}
    for index, field in enumerate(schema):
        _add_leaves(found, field, field.name, (index,))
    return found


def _add_leaves(
    found: dict[str, _Path], field: pyarrow.Field, name: str, place: tuple[int, ...]
) -> None:
    import pyarrow.types as types

    if types.is_struct(field.type):
        for index in range(field.type.num_fields):
            child = field.type.field(index)
            _add_leaves(found, child, f"{name}.{child.name}", (*place, index))
    elif types.is_fixed_size_list(field.type):
        if _is_number(field.type.value_type):
            for index in range(field.type.list_size):
                found[f"{name}[{index}]"] = (place, index)
    elif _is_number(field.type):
        found[name] = (place, -1)


def _is_number(type: pyarrow.DataType) -> bool:
    import pyarrow.types as types

    return bool(types.is_floating(type) or types.is_integer(type))


def _is_float(type: pyarrow.DataType) -> bool:
    import pyarrow.types as types

    return bool(types.is_floating(type))


def _leaf(batch: pyarrow.RecordBatch, path: _Path) -> npt.NDArray[Any]:
    place, item = path
    column = batch.column(place[0])
    for index in place[1:]:
        # Unlike `field`, this makes the children of a null struct null.
        column = column.flatten()[index]
    if item < 0:
        return _floats(column)
    size = column.type.list_size
    # `values` knows neither the slice nor the null lists.
    values = _floats(column.values.slice(column.offset * size, len(column) * size))
    one = values[item::size].copy()
    one[column.is_null().to_numpy(zero_copy_only=False)] = np.nan
    return one


def _floats(column: pyarrow.Array) -> npt.NDArray[Any]:
    """The numbers of a column; NaN for a null."""
    import pyarrow

    kind = column.type if _is_float(column.type) else pyarrow.float64()
    values: npt.NDArray[Any] = column.cast(kind).to_numpy(zero_copy_only=False)
    return values


class ArrowRows:
    """Rows that are read and not yet given out, and the features of their stream."""

    def __init__(self, features: str | Sequence[str] | None) -> None:
        self._wanted = features
        self._schema: pyarrow.Schema | None = None
        self.features: tuple[str, ...] | None = None
        self._batches: deque[pyarrow.RecordBatch] = deque()
        self._count = 0
        # The number of the first record batch that is not given out, in its file, and the rows of it that are.
        self._batch = 0
        self._row = 0
        self._skipped = 0

    def __len__(self) -> int:
        return self._count

    def begin_file(self, batch: int = 0, row: int = 0) -> None:
        """The next record batch is the one with this number in its file; drops its first rows."""
        self.clear()
        self._batch, self._row, self._skipped = batch, row, row

    def clear(self) -> None:
        """Drops the rows."""
        self._batches.clear()
        self._count = 0

    def place(self) -> dict[str, int]:
        """The position of the next row in its file."""
        return {"batch": self._batch, "row": self._row}

    def add(self, batch: pyarrow.RecordBatch) -> None:
        """Adds the next record batch of the stream."""
        self._open(batch.schema)
        if self._skipped > batch.num_rows:
            raise PositionError(f"expected {self._skipped} rows in a record batch, found {batch.num_rows}")
        batch, self._skipped = batch.slice(self._skipped), 0
        self._batches.append(batch)
        self._count += batch.num_rows
        self._leave_empty()

    def _open(self, schema: pyarrow.Schema) -> None:
        if self._schema is None:
            leaves = _leaves(schema)
            if self._wanted is None:
                # The engine writes every feature as a float.
                kinds = {name: _type_of(schema, path) for name, path in leaves.items()}
                chosen = [name for name, kind in kinds.items() if _is_float(kind)]
            else:
                chosen = select(self._wanted, list(leaves))
            require_names(list(leaves), chosen)
            self._schema, self.features = schema, tuple(chosen)
        elif not self._schema.equals(schema):
            raise RecordError("expected the columns that the stream began with, found others")

    def take(self, count: int | None) -> ArrowBatch:
        """So many rows, or fewer if there are no more; those of one record batch if count is None."""
        import pyarrow

        left = self._batches[0].num_rows if count is None else min(count, self._count)
        parts: list[pyarrow.RecordBatch] = []
        while left > 0:
            first = self._batches[0]
            part = first.slice(0, left)
            parts.append(part)
            left -= part.num_rows
            self._count -= part.num_rows
            self._batches[0] = first.slice(part.num_rows)
            self._row += part.num_rows
            self._leave_empty()
        whole = parts[0]
        if len(parts) > 1:
            # Record batches of one stream may have other dictionaries.
            table = pyarrow.Table.from_batches(parts).unify_dictionaries().combine_chunks()
            whole = table.to_batches()[0]
        return ArrowBatch(whole, self.features or ())

    def _leave_empty(self) -> None:
        while self._batches and self._batches[0].num_rows == 0:
            self._batches.popleft()
            self._batch, self._row = self._batch + 1, 0


def _type_of(schema: pyarrow.Schema, path: _Path) -> pyarrow.DataType:
    place, item = path
    kind = schema.field(place[0]).type
    for index in place[1:]:
        kind = kind.field(index).type
    return kind.value_type if item >= 0 else kind
