"""Decodes the text and raw formats of Evenkeel's streams into columns.

A decoder cuts bytes into records (`Framing`) and turns whole records into columns (`Columns`), so that a
batch can end at any record and the bytes that it took are known.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from evenkeel.batches import Batch
from evenkeel.errors import RecordError
from evenkeel.patterns import select

__all__ = ["Columns", "Decoder", "Format", "FormatOptions", "decoder", "format_of"]

Format = Literal["csv", "ndjson", "raw", "arrow"]
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class FormatOptions:
    """How the records of a stream are written; the names are those of docs/CONFIGURATION.md."""

    format: Format
    features: str | Sequence[str] | None = None
    delimiter: str = ","
    header: bool = True
    missing_tokens: Sequence[str] = ("NA",)
    columns: int | None = None
    scalar: Literal["float32", "float64"] = "float32"


@dataclass(frozen=True)
class Columns:
    """The columns of a stream and which of them are features, found in its first record."""

    names: tuple[str, ...]
    features: tuple[str, ...]


# A record without its line end, and where in the bytes the next one begins.
Cut = tuple[bytes, int]


class Decoder(Protocol):
    """Reads one format; it keeps nothing between two calls."""

    # Whether the stream, and each file of it, begins with a line that is no record.
    has_header: bool

    def cut(self, data: bytes, start: int, is_last: bool) -> list[Cut]:
        """The whole records from `start` on."""

    def open(self, header: bytes | None, first: bytes) -> Columns:
        """The columns of a stream that begins so."""

    def decode(self, records: Sequence[bytes], columns: Columns) -> Batch:
        """Records as a batch. Raises RecordError with the number of a bad one within `records`."""


def decoder(options: FormatOptions) -> Decoder:
    """The decoder of a format of records one after another; Arrow has `evenkeel.arrow`."""
    if options.format == "csv":
        return _CSV(options)
    if options.format == "ndjson":
        return _NDJSON(options)
    if options.format == "raw":
        return _Raw(options)
    raise ValueError(f"format: expected csv, ndjson, raw or arrow, found {options.format!r}")


def format_of(path: str) -> Format | None:
    """The format that a file's name says, as the command does."""
    name = path.removesuffix(".zst")
    endings: list[tuple[Format, tuple[str, ...]]] = [
        ("csv", (".csv", ".tsv", ".txt")),
        ("ndjson", (".ndjson", ".jsonl")),
        ("raw", (".raw", ".f32", ".f64", ".bin")),
        ("arrow", (".arrows", ".arrow", ".feather", ".ipc")),
    ]
    return next((format for format, ends in endings if name.endswith(ends)), None)


def _lines(data: bytes, start: int, is_last: bool) -> list[Cut]:
    """Lines without their ends."""
    stop = len(data) if is_last else data.rfind(b"\n", start) + 1
    lines: list[Cut] = []
    while start < stop:
        end = data.find(b"\n", start, stop)
        if end < 0:
            end = stop
        lines.append((data[start:end], min(end + 1, stop)))
        start = end + 1
    return lines


class _CSV:
    def __init__(self, options: FormatOptions) -> None:
        if len(options.delimiter) != 1:
            raise ValueError(f"delimiter: expected one character, found {options.delimiter!r}")
        self.options = options
        self.has_header = options.header
        self.missing = {"", *options.missing_tokens}

    def cut(self, data: bytes, start: int, is_last: bool) -> list[Cut]:
        lines = _lines(data, start, is_last)
        if data.find(b'"', start) < 0:
            return lines
        # A record goes on over line ends while a quote is open, so it has an even number of quotes.
        records: list[Cut] = []
        open_lines: list[bytes] = []
        quotes = 0
        for line, end in lines:
            open_lines.append(line)
            quotes += line.count(b'"')
            if quotes % 2 == 0:
                records.append((b"\n".join(open_lines), end))
                open_lines, quotes = [], 0
        if open_lines and is_last:
            raise RecordError("expected the end of a quoted field, found that of the stream")
        return records

    def _rows(self, records: Sequence[bytes]) -> list[list[str]]:
        texts = [record.decode("utf-8", "surrogateescape") for record in records]
        delimiter = "\t" if self.options.delimiter == "\\t" else self.options.delimiter
        try:
            # An empty line is a record of one empty field.
            return [row or [""] for row in csv.reader(texts, delimiter=delimiter)]
        except csv.Error as error:
            raise RecordError(f"expected CSV: {error}") from None

    def open(self, header: bytes | None, first: bytes) -> Columns:
        values = self._rows([first])[0]
        if header is None:
            names = [f"f{j}" for j in range(len(values))]
        else:
            names = self._rows([header.removeprefix(_BYTE_ORDER_MARK)])[0]
        if len(set(names)) != len(names):
            raise RecordError("expected columns whose names differ, found one twice")
        if self.options.features is None:
            features = [
                name
                for name, text in zip(names, values)
                if text in self.missing or _number(text) is not None
            ]
        else:
            features = select(self.options.features, names)
        return Columns(tuple(names), tuple(features))

    def decode(self, records: Sequence[bytes], columns: Columns) -> Batch:
        rows = self._rows(records)
        count = len(columns.names)
        for index, row in enumerate(rows):
            if len(row) != count:
                raise RecordError(f"record {index}: expected {count} fields, found {len(row)}")
        features = set(columns.features)
        vectors: dict[str, npt.NDArray[Any]] = {}
        for name, texts in zip(columns.names, zip(*rows)):
            vectors[name] = (
                self._numbers(name, texts) if name in features else np.array(texts, dtype=object)
            )
        return Batch(vectors, columns.features)

    def _numbers(self, name: str, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        try:
            if "_" not in "".join(texts):
                return np.array(list(map(float, texts)), dtype=np.float64)
        except ValueError:
            pass
        numbers = np.empty(len(texts), dtype=np.float64)
        for index, text in enumerate(texts):
            value = np.nan if text in self.missing else _number(text)
            if value is None:
                raise RecordError(
                    f"record {index}: expected a number in feature {name!r}, found {text!r}; "
                    "choose the features by name if this column is none"
                )
            numbers[index] = value
        return numbers


def _number(text: str) -> float | None:
    try:
        # Python takes 1_000, which is no number of a CSV file.
        return None if "_" in text else float(text)
    except ValueError:
        return None


class _NDJSON:
    has_header = False

    def __init__(self, options: FormatOptions) -> None:
        self.options = options

    def cut(self, data: bytes, start: int, is_last: bool) -> list[Cut]:
        # A line of white space is no record.
        return [cut for cut in _lines(data, start, is_last) if cut[0].strip()]

    @staticmethod
    def _object(index: int, record: bytes) -> dict[str, Any]:
        try:
            value = json.loads(record.removeprefix(_BYTE_ORDER_MARK))
        except ValueError as error:
            raise RecordError(f"record {index}: expected JSON: {error}") from None
        if not isinstance(value, dict):
            raise RecordError(f"record {index}: expected a JSON object, found another value")
        return value

    def open(self, header: bytes | None, first: bytes) -> Columns:
        value = self._object(0, first)
        leaves = _leaves(value)
        if self.options.features is None:
            features = [name for name, leaf in leaves.items() if _is_number(leaf)]
        else:
            features = select(self.options.features, list(leaves))
        rest = [name for name in map(_escaped, value) if name not in features]
        # An object or a vector that a feature is in is no column of its own.
        inner = [
            name for name in rest if not any(f.startswith((name + ".", name + "[")) for f in features)
        ]
        return Columns((*features, *inner), tuple(features))

    def decode(self, records: Sequence[bytes], columns: Columns) -> Batch:
        rows = [self._object(index, record) for index, record in enumerate(records)]
        leaves = [_leaves(row) for row in rows]
        vectors: dict[str, npt.NDArray[Any]] = {}
        for name in columns.features:
            numbers = np.empty(len(rows), dtype=np.float64)
            for index, record in enumerate(leaves):
                leaf = record.get(name)
                if leaf is not None and not _is_number(leaf):
                    raise RecordError(
                        f"record {index}: expected a number in feature {name!r}, found {leaf!r}"
                    )
                numbers[index] = np.nan if leaf is None else leaf
            vectors[name] = numbers
        features = set(columns.features)
        keys = {_escaped(key): key for row in rows for key in row}
        for name in columns.names:
            if name not in features:
                values = np.empty(len(rows), dtype=object)
                values[:] = [row.get(keys.get(name, name)) for row in rows]
                vectors[name] = values
        return Batch(vectors, columns.features)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _escaped(key: str) -> str:
    """A member's key as the path of a feature spells it."""
    for special in ("\\", ".", "["):
        key = key.replace(special, "\\" + special)
    return key


def _leaves(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values that are no objects by their paths, `a.b` and `embedding[3]`, in the record's order."""
    found: dict[str, Any] = {}
    for key, member in value.items():
        path = prefix + _escaped(key)
        if isinstance(member, dict):
            found.update(_leaves(member, path + "."))
        elif isinstance(member, list):
            found.update((f"{path}[{index}]", item) for index, item in enumerate(member))
        else:
            found[path] = member
    return found


class _Raw:
    has_header = False

    def __init__(self, options: FormatOptions) -> None:
        if options.columns is None or options.columns < 1:
            raise ValueError("columns: expected the numbers in a row of the raw format, found none")
        self.options = options
        self.dtype = np.dtype("<f4" if options.scalar == "float32" else "<f8")
        self.width = options.columns * self.dtype.itemsize

    def cut(self, data: bytes, start: int, is_last: bool) -> list[Cut]:
        width = self.width
        end = start + (len(data) - start) // width * width
        if is_last and end < len(data):
            raise RecordError(f"expected rows of {width} bytes, found {len(data) - end} at the end")
        return [(data[at : at + width], at + width) for at in range(start, end, width)]

    def open(self, header: bytes | None, first: bytes) -> Columns:
        names = [f"f{j}" for j in range(self.options.columns or 0)]
        features = (
            names if self.options.features is None else select(self.options.features, names)
        )
        return Columns(tuple(names), tuple(features))

    def decode(self, records: Sequence[bytes], columns: Columns) -> Batch:
        rows = np.frombuffer(b"".join(records), dtype=self.dtype).reshape(len(records), -1)
        vectors = {name: rows[:, j] for j, name in enumerate(columns.names)}
        return Batch(vectors, columns.features)
