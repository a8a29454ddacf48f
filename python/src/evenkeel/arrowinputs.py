"""Inputs in format arrow: record batches from sockets, from files, and from files with a footer."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from evenkeel.errors import RecordError
from evenkeel.inputs import FileInput, Input

if TYPE_CHECKING:
    import pyarrow

__all__ = ["FileBatches", "LiveBatches", "batches_of"]

_FILE_MAGIC = b"ARROW1"
_CONTINUATION = 0xFFFFFFFF
_RECORD_BATCH = 3
# Longer metadata is damaged, and PyArrow tells so.
_MOST_METADATA = 1 << 28


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
        """The members of a position that tell the file from another one of the same name."""

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
