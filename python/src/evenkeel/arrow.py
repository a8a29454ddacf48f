"""Streams in format arrow: record batches of PyArrow, and the features in them.

PyArrow is imported when the first batch is read, so that the rest of the package works without it.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from evenkeel.batches import Batch
from evenkeel.errors import PositionError, RecordError
from evenkeel.frames import Matrix
from evenkeel.inputs import FileInput, Input
from evenkeel.patterns import require_names, select

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["ArrowBatch", "ArrowRows", "FileBatches", "LiveBatches", "batches_of"]

_FILE_MAGIC = b"ARROW1"
_CONTINUATION = 0xFFFFFFFF
_RECORD_BATCH = 3
# Longer metadata is damaged, and PyArrow tells so.
_MOST_METADATA = 1 << 28


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


class _Bytes:
    """An input as a file of PyArrow."""

    closed = False

    def __init__(self, source: Input) -> None:
        self._source = source
        self._data = bytearray()

    def fill(self) -> None:
        """Reads until the next record batch is here, with the messages before it, or the stream ends.

        A silence is raised here, and loses nothing. PyArrow would lose the part of a message that it has read.
        """
        start = 0
        while self._has(start + 8):
            word, length = struct.unpack_from("<II", self._data, start)
            # Before format 0.15 the length came first.
            start, length = (start + 8, length) if word == _CONTINUATION else (start + 4, word)
            if not 0 < length <= _MOST_METADATA or not self._has(start + length):
                return
            kind, body = _message(self._data, start)
            start += length + body
            if body < 0 or not self._has(start) or kind == _RECORD_BATCH:
                return

    def _has(self, count: int) -> bool:
        while len(self._data) < count:
            more = self._source.read()
            if not more:
                return False
            self._data += more
        return True

    def read(self, count: int = -1) -> bytes:
        while count < 0 and self._has(len(self._data) + 1):
            pass
        if count >= 0:
            self._has(count)
        taken = bytes(self._data) if count < 0 else bytes(self._data[:count])
        del self._data[: len(taken)]
        return taken

    def readable(self) -> bool:
        return True


def _message(data: bytearray, start: int) -> tuple[int, int]:
    """The kind of a message and the length of its body, from its metadata (a FlatBuffers table, Message.fbs).

    Metadata that is damaged has the length -1.
    """
    try:
        table = start + struct.unpack_from("<I", data, start)[0]
        fields = table - struct.unpack_from("<i", data, table)[0]
        size = struct.unpack_from("<H", data, fields)[0]
        # The second field is the kind, the fourth the length.
        kind_at, body_at = (
            struct.unpack_from("<H", data, fields + at)[0] if at < size else 0 for at in (6, 10)
        )
        kind = data[table + kind_at] if kind_at else 0
        body = struct.unpack_from("<q", data, table + body_at)[0] if body_at else 0
    except (struct.error, IndexError):
        return 0, -1
    return kind, body


class LiveBatches:
    """The record batches of an input of bytes, one after another."""

    def __init__(self, source: Input) -> None:
        self._source = source
        self._bytes = _Bytes(source)
        self._reader: Any = None

    def read(self) -> pyarrow.RecordBatch | None:
        """The next record batch; None at the end."""
        import pyarrow

        if self._source.is_closed:
            return None
        try:
            self._bytes.fill()
            if self._reader is None:
                file = pyarrow.PythonFile(self._bytes, mode="r")
                self._reader = pyarrow.ipc.open_stream(file)
            return self._reader.read_next_batch()
        except StopIteration:
            return None
        except pyarrow.ArrowException as error:
            raise RecordError(f"{self._source.name}: {_first_line(error)}") from None
        except OSError as error:
            # PyArrow tells a stream that is cut off so, without a number.
            if error.errno is not None or isinstance(error, TimeoutError):
                raise
            raise RecordError(f"{self._source.name}: {_first_line(error)}") from None

    def close(self) -> None:
        self._source.close()
        self._reader = None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["it cannot be read"])[0]


class FileBatches(Protocol):
    """The record batches of a file."""

    def read(self) -> pyarrow.RecordBatch | None:
        """The next record batch; None at the end."""

    def skip(self, count: int) -> bool:
        """Passes over record batches; false if there are fewer."""

    def identity(self) -> dict[str, Any]:
        """What tells the file from another one of the same name."""

    def check(self, identity: Mapping[str, Any]) -> None:
        """Raises PositionError if the file is another one."""

    def close(self) -> None:
        """Lets go of the file."""


def batches_of(path: str) -> FileBatches:
    """The record batches of an Arrow file, or of a file with an Arrow stream, compressed or not."""
    with open(path, "rb") as file:
        is_file = file.read(len(_FILE_MAGIC)) == _FILE_MAGIC
    return _FooterBatches(path) if is_file else _StreamBatches(path)


class _StreamBatches(LiveBatches):
    def __init__(self, path: str) -> None:
        self._file = FileInput(path)
        super().__init__(self._file)

    def skip(self, count: int) -> bool:
        return all(self.read() is not None for _ in range(count))

    def identity(self) -> dict[str, Any]:
        return self._file.identity()

    def check(self, identity: Mapping[str, Any]) -> None:
        self._file.check(str(identity["identity"]), int(identity["identity_bytes"]))


class _FooterBatches:
    """A file with a footer, which tells where each record batch is."""

    def __init__(self, path: str) -> None:
        import pyarrow

        self._file = FileInput(path)
        self._path = path
        self._next = 0
        try:
            self._reader = pyarrow.ipc.open_file(pyarrow.memory_map(path))
        except pyarrow.ArrowException as error:
            raise RecordError(f"{path}: {_first_line(error)}") from None

    def read(self) -> pyarrow.RecordBatch | None:
        import pyarrow

        if self._next >= self._reader.num_record_batches:
            return None
        try:
            batch = self._reader.get_batch(self._next)
        except pyarrow.ArrowException as error:
            raise RecordError(f"{self._path}: {_first_line(error)}") from None
        self._next += 1
        return batch

    def skip(self, count: int) -> bool:
        self._next += count
        return self._next <= int(self._reader.num_record_batches)

    def identity(self) -> dict[str, Any]:
        return self._file.identity()

    def check(self, identity: Mapping[str, Any]) -> None:
        self._file.check(str(identity["identity"]), int(identity["identity_bytes"]))

    def close(self) -> None:
        self._file.close()
        self._next = int(self._reader.num_record_batches)
