"""`connect` and `read`: the records of a live stream, or of files, batch by batch."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from evenkeel.arrow import ArrowRows
from evenkeel.arrowinputs import LiveBatches, batches_of
from evenkeel.batches import Batch
from evenkeel.errors import PositionError, RecordError
from evenkeel.formats import Columns, Cut, Format, FormatOptions, decoder, format_of
from evenkeel.inputs import ConnectionInput, FileInput, Input, Place

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FileStream", "Stream", "connect", "read"]


class _Window:
    """Bytes that are read and not yet a batch.

    `pending` are the whole records from `taken` on; the bytes up to `cut` are those of the records.
    """

    def __init__(self) -> None:
        self.data = b""
        self.taken = 0
        self.cut = 0
        self.pending: deque[Cut] = deque()

    def take(self, count: int) -> list[bytes]:
        records = []
        for _ in range(count):
            record, self.taken = self.pending.popleft()
            records.append(record)
        if not self.pending:
            # Bytes between records (empty lines) go with the record before them.
            self.data, self.cut, self.taken = self.data[self.cut :], 0, 0
        return records


class Stream(Iterator[Batch], ABC):
    """Batches of a stream, in order. Close it, or use it in a `with` statement."""

    def __init__(self, batch_size: int | None) -> None:
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, found {batch_size}")
        self._batch_size = batch_size
        self._records = 0

    @property
    @abstractmethod
    def features(self) -> tuple[str, ...] | None:
        """The names of the features; None before the first batch."""

    @property
    def records(self) -> int:
        """The number of records in the batches so far, those before a restored position too."""
        return self._records

    @abstractmethod
    def close(self) -> None:
        """Lets go of the connection or the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class FileStream(Stream):
    """Batches of files that follow one another, with a position that can be kept and gone back to."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """The position after the last batch, as plain values (JSON takes them)."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes to a position that `state_dict` gave.

        Raises PositionError if the file is not among the paths, or does not hold the position any more.
        """


class _RecordStream(Stream):
    """Batches of a stream of records one after another."""

    def __init__(self, options: FormatOptions, batch_size: int | None) -> None:
        super().__init__(batch_size)
        self._decoder = decoder(options)
        self._columns: Columns | None = None
        self._header: bytes | None = None
        self._needs_header = self._decoder.has_header
        self._window = _Window()
        self._input: Input | None = None

    @property
    def features(self) -> tuple[str, ...] | None:
        return self._columns.features if self._columns is not None else None

    def __next__(self) -> Batch:
        while len(self._window.pending) < (self._batch_size or 1):
            if not self._fill() and not self._advance():
                break
        count = len(self._window.pending)
        if count == 0:
            # The input goes, and the position stays.
            if self._input is not None:
                self._input.close()
            raise StopIteration
        return self._take(min(self._batch_size or count, count))

    def _advance(self) -> bool:
        """Goes on to the next input; false if there is none, or if records at hand come before it."""
        return False

    def _fill(self) -> bool:
        """Reads more and cuts it into records; false at the end of the input."""
        source, window = self._input, self._window
        if source is None:
            return False
        chunk = source.read() if not source.is_closed else b""
        if not chunk and window.cut == len(window.data):
            return False
        if not chunk and isinstance(source, ConnectionInput):
            raise RecordError(f"{source.name}: expected the end of a record, found that of the stream")
        window.data += chunk
        try:
            # Without a chunk this is the end, and the last record of a file needs no line end.
            records = self._decoder.cut(window.data, window.cut, not chunk)
        except RecordError as error:
            raise RecordError(f"{source.name}: {error}") from None
        if records:
            window.cut = records[-1][1]
        if self._needs_header and records:
            self._header, self._needs_header = records.pop(0)[0], False
            self._check_header(source.name)
        window.pending.extend(records)
        return bool(chunk) or bool(records)

    def _check_header(self, name: str) -> None:
        if self._columns is None or self._header is None:
            return
        found = self._decoder.open(self._header, self._header).names
        if found != self._columns.names:
            raise RecordError(
                f"{name}: expected the columns that the stream began with, {self._columns.names}, "
                f"found {found}"
            )

    def _take(self, count: int) -> Batch:
        records = self._window.take(count)
        try:
            if self._columns is None:
                self._columns = self._decoder.open(self._header, records[0])
            batch = self._decoder.decode(records, self._columns)
        except RecordError as error:
            name = self._input.name if self._input is not None else "stream"
            raise RecordError(f"{name}, after record {self._records}: {error}") from None
        self._records += count
        return batch

    def close(self) -> None:
        if self._input is not None:
            self._input.close()
            self._input = None
        self._window = _Window()


class _LiveStream(_RecordStream):
    def __init__(self, options: FormatOptions, batch_size: int | None, source: Input) -> None:
        super().__init__(options, batch_size)
        self._input = source


class _RecordFileStream(_RecordStream, FileStream):
    def __init__(
        self, paths: Sequence[str], options: FormatOptions, batch_size: int | None = None
    ) -> None:
        super().__init__(options, batch_size)
        self._paths = list(paths)
        self._index = 0
        self._input: FileInput | None = FileInput(self._paths[0])

    def _advance(self) -> bool:
        # A batch does not cross from a file into the next, so that its end is a place in one of them.
        if self._window.pending or self._input is None or self._index + 1 == len(self._paths):
            return False
        self._input.close()
        self._index += 1
        self._input = FileInput(self._paths[self._index])
        self._window = _Window()
        self._needs_header = self._decoder.has_header
        return True

    def state_dict(self) -> dict[str, Any]:
        if self._input is None:
            raise PositionError("expected an open stream, found a closed one")
        window = self._window
        place = self._input.place(len(window.data) - window.taken)
        state: dict[str, Any] = {
            "version": 1,
            "path": self._paths[self._index],
            "records": self._records,
            "place": place.state(),
        }
        if self._columns is not None:
            state["columns"] = list(self._columns.names)
            state["features"] = list(self._columns.features)
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        path = _path_of(state, self._paths)
        place = Place(**state["place"])
        source = FileInput(path, place)
        self.close()
        self._input, self._index = source, self._paths.index(path)
        self._records = int(state["records"])
        self._columns = None
        if "columns" in state:
            self._columns = Columns(tuple(state["columns"]), tuple(state["features"]))
        is_beginning = place.frame_offset == 0 and place.byte_offset_in_frame == 0
        self._needs_header = self._decoder.has_header and is_beginning


def _path_of(state: Mapping[str, Any], paths: Sequence[str]) -> str:
    """The file of a position. Raises PositionError if it is not one of the paths."""
    if state.get("version") != 1:
        raise PositionError(f"expected a position of version 1, found {state.get('version')!r}")
    path = str(state["path"])
    if path not in paths:
        raise PositionError(f"expected {path!r} among the files, found {list(paths)}")
    return path


class _ArrowStream(Stream):
    """Batches of a live Arrow stream. Without a batch size, each is a record batch of the stream."""

    def __init__(self, options: FormatOptions, batch_size: int | None, source: Input) -> None:
        super().__init__(batch_size)
        self._rows = ArrowRows(options.features)
        self._source = source
        self._batches: LiveBatches | None = LiveBatches(source)

    @property
    def features(self) -> tuple[str, ...] | None:
        return self._rows.features

    def __next__(self) -> Batch:
        while len(self._rows) < (self._batch_size or 1):
            found = self._batches.read() if self._batches is not None else None
            if found is None:
                break
            self._rows.add(found)
        if len(self._rows) == 0:
            self.close()
            raise StopIteration
        batch = self._rows.take(self._batch_size)
        self._records += len(batch)
        return batch

    def close(self) -> None:
        self._source.close()
        self._batches = None
        self._rows.clear()


class _ArrowFileStream(FileStream):
    """Batches of Arrow files and of files with an Arrow stream. A batch ends with its file."""

    def __init__(
        self, paths: Sequence[str], options: FormatOptions, batch_size: int | None = None
    ) -> None:
        super().__init__(batch_size)
        self._paths = list(paths)
        self._index = 0
        self._rows = ArrowRows(options.features)
        self._batches = batches_of(self._paths[0])
        self._is_closed = False

    @property
    def features(self) -> tuple[str, ...] | None:
        return self._rows.features

    def __next__(self) -> Batch:
        while not self._is_closed and len(self._rows) < (self._batch_size or 1):
            found = self._batches.read()
            if found is not None:
                self._rows.add(found)
            elif len(self._rows) > 0 or self._index + 1 == len(self._paths):
                break
            else:
                self._index += 1
                self._batches.close()
                self._batches = batches_of(self._paths[self._index])
                self._rows.begin_file()
        if len(self._rows) == 0:
            raise StopIteration
        batch = self._rows.take(self._batch_size)
        self._records += len(batch)
        return batch

    def state_dict(self) -> dict[str, Any]:
        if self._is_closed:
            raise PositionError("expected an open stream, found a closed one")
        return {
            "version": 1,
            "path": self._paths[self._index],
            "records": self._records,
            "place": {**self._batches.identity(), **self._rows.place()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        path = _path_of(state, self._paths)
        place = state["place"]
        if "batch" not in place:
            raise PositionError(f"{path}: expected a position in Arrow, found one in another format")
        batches = batches_of(path)
        batches.check(place)
        self.close()
        self._batches, self._index, self._is_closed = batches, self._paths.index(path), False
        self._records = int(state["records"])
        self._rows.begin_file(int(place["batch"]), int(place["row"]))
        if not batches.skip(int(place["batch"])):
            raise PositionError(f"{path}: expected {place['batch']} record batches, found fewer")

    def close(self) -> None:
        self._batches.close()
        self._rows.clear()
        self._is_closed = True


def connect(
    address: str,
    *,
    format: Format,
    batch_size: int | None = None,
    features: str | Sequence[str] | None = None,
    delimiter: str = ",",
    header: bool = True,
    missing_tokens: Sequence[str] = ("NA",),
    columns: int | None = None,
    scalar: Literal["float32", "float64"] = "float32",
    timeout: float | None = None,
    wait: float = 0.0,
) -> Stream:
    """Subscribes to a stream of a daemon, whose sink is a Unix or TCP socket, or a FIFO.

    - address: "unix:PATH", "tcp:HOST:PORT" or "fifo:PATH".
    - format: that of the stream's output; `delimiter`, `header`, `missing_tokens` (csv), `columns` and
      `scalar` (raw) are as in the stream's section. Format arrow needs PyArrow.
    - batch_size: records in a batch (the last may be shorter); None gives those that have come (arrow: one record batch).
    - features: the columns of numbers, with `*` and `?`; by default every column whose first value is a
      number or missing, of Arrow every column of floats.
    - timeout: the longest silence, in seconds, after which TimeoutError is raised; None is for ever.
    - wait: how long to try again while nobody listens at the address, in seconds.

    The iteration ends when the daemon closes the connection. Compressed streams (the default of a
    daemon) need Python 3.14 or the package backports.zstd.
    """
    options = FormatOptions(format, features, delimiter, header, missing_tokens, columns, scalar)
    kind = _ArrowStream if format == "arrow" else _LiveStream
    return kind(options, batch_size, ConnectionInput(address, timeout=timeout, wait=wait))


def read(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    format: Format | None = None,
    batch_size: int | None = None,
    features: str | Sequence[str] | None = None,
    delimiter: str = ",",
    header: bool = True,
    missing_tokens: Sequence[str] = ("NA",),
    columns: int | None = None,
    scalar: Literal["float32", "float64"] = "float32",
) -> FileStream:
    """Reads the output of a stream from a file, or from files that follow one another (rotated ones).

    Arguments are those of `connect`; the format is told by the first file's name if it is not given. A
    batch ends with its file.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    names = [os.fspath(path) for path in given]
    chosen = format or (format_of(names[0]) if names else None)
    if chosen is None:
        raise ValueError("format: expected csv, ndjson, raw or arrow, found none in the file's name")
    options = FormatOptions(chosen, features, delimiter, header, missing_tokens, columns, scalar)
    if not names:
        raise ValueError("expected at least one file, found none")
    if chosen == "arrow":
        return _ArrowFileStream(names, options, batch_size)
    return _RecordFileStream(names, options, batch_size)
