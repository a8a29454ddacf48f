"""Reads and writes safetensors files, with every length checked before it is believed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from evenkeel.errors import CheckpointError

__all__ = ["TensorFile"]

Array = npt.NDArray[Any]

_TYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_LONGEST_HEADER = 16 << 20


@dataclass(frozen=True)
class TensorFile:
    """The tensors and the `__metadata__` of a safetensors file, in the order of the file."""

    tensors: Mapping[str, Array]
    metadata: Mapping[str, str]

    @staticmethod
    def parse(data: bytes) -> TensorFile:
        """Reads the bytes of a file.

        Raises CheckpointError with the part that is wrong.
        """
        if len(data) < 8:
            raise CheckpointError(f"expected a safetensors file, found {len(data)} bytes")
        length = int.from_bytes(data[:8], "little")
        if length > min(len(data) - 8, _LONGEST_HEADER):
            raise CheckpointError(f"header: expected at most {len(data) - 8} bytes, found {length}")
        try:
            header = json.loads(data[8 : 8 + length])
        except (ValueError, RecursionError):
            header = None
        if not isinstance(header, dict):
            raise CheckpointError("header: expected a JSON object, found something else")
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(
            isinstance(value, str) for value in metadata.values()
        ):
            raise CheckpointError("__metadata__: expected strings, found something else")
        body = memoryview(data)[8 + length :]
        tensors = {name: _tensor(name, entry, body) for name, entry in header.items()}
        if sum(tensor.nbytes for tensor in tensors.values()) != len(body):
            raise CheckpointError(
                f"expected tensors that fill {len(body)} bytes, found others"
            )
        return TensorFile(tensors, metadata)

    def serialize(self) -> bytes:
        """The bytes of a file with these tensors, in this order."""
        header: dict[str, Any] = {}
        if self.metadata:
            header["__metadata__"] = dict(self.metadata)
        offset = 0
        for name, tensor in self.tensors.items():
            header[name] = {
                "dtype": _NAMES[tensor.dtype.newbyteorder("<")],
                "shape": list(tensor.shape),
                "data_offsets": [offset, offset + tensor.nbytes],
            }
            offset += tensor.nbytes
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        text += b" " * (-len(text) % 8)
        parts = [len(text).to_bytes(8, "little"), text]
        parts += [
            np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<")).tobytes()
            for tensor in self.tensors.values()
        ]
        return b"".join(parts)


def _tensor(name: str, entry: object, body: memoryview) -> Array:
    """The tensor that an entry of the header describes."""
    if not isinstance(entry, dict):
        raise CheckpointError(f"tensor {name!r}: expected an object, found something else")
    dtype = _TYPES.get(str(entry.get("dtype")))
    if dtype is None:
        raise CheckpointError(f"tensor {name!r}: expected a known type, found {entry.get('dtype')!r}")
    shape, offsets = _counts(entry.get("shape")), _counts(entry.get("data_offsets"))
    if shape is None or offsets is None or len(offsets) != 2:
        raise CheckpointError(f"tensor {name!r}: expected a shape and two offsets, found others")
    start, end = offsets
    if not start <= end <= len(body) or math.prod(shape) * dtype.itemsize != end - start:
        raise CheckpointError(f"tensor {name!r}: expected offsets that fit its shape, found others")
    tensor: Array = np.frombuffer(body[start:end], dtype=dtype).reshape(shape)
    tensor.flags.writeable = False
    return tensor


def _counts(value: object) -> list[int] | None:
    """The value, if it is an array of numbers of at least 0."""
    if isinstance(value, list) and all(type(item) is int and item >= 0 for item in value):
        return value
    return None
