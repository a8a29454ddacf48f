"""Inputs of bytes: sockets, FIFOs and files, decompressed if they are compressed."""

from __future__ import annotations

import hashlib
import os
import socket
import time
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from evenkeel.errors import PositionError
from evenkeel.zstd import Decompressor, is_zstd

__all__ = ["ConnectionInput", "FileInput", "Input", "Place"]

_CHUNK = 1 << 16
# So many bytes of a file's beginning tell it from another one of the same name.
_IDENTIFYING = 1024


class Input(Protocol):
    """Bytes that come in order."""

    name: str

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can be read."""

    def read(self) -> bytes:
        """Returns the next decompressed bytes, at least one; none at the end."""

    def close(self) -> None:
        """Lets go of the descriptor."""


@dataclass(frozen=True)
class Place:
    """A place in a file, and how the file is known again."""

    # The file's offset of a zstd frame, and the decompressed bytes within it.
    frame_offset: int
    byte_offset_in_frame: int
    # SHA-256 of the file's first bytes, and how many those were.
    identity: str
    identity_bytes: int

    def state(self) -> dict[str, Any]:
        """The place as plain values."""
        return asdict(self)


class _Decoding:
    """The decompressed bytes of chunks of which nobody knows yet whether they are compressed."""

    def __init__(self, offset: int = 0) -> None:
        self._offset = offset
        self._beginning: bytes | None = b""
        self.decompressor: Decompressor | None = None

    def feed(self, data: bytes) -> bytes:
        if self._beginning is not None:
            self._beginning += data
            if len(self._beginning) < 4 and data:
                return b""
            data, self._beginning = self._beginning, None
            if is_zstd(data):
                self.decompressor = Decompressor(self._offset)
        if self.decompressor is None:
            return data
        if data:
            return self.decompressor.feed(data)
        self.decompressor.end()
        return b""


class ConnectionInput:
    """A Unix or TCP socket that is connected to, or a FIFO; it has no position."""

    def __init__(self, address: str, *, timeout: float | None, wait: float) -> None:
        self.name = address
        self._socket: socket.socket | None = None
        self._descriptor = -1
        kind, colon, rest = address.partition(":")
        if not colon or not rest or kind not in ("unix", "tcp", "fifo"):
            raise ValueError(f"expected unix:PATH, tcp:HOST:PORT or fifo:PATH, found {address!r}")
        self._decoding = _Decoding()
        if kind == "fifo":
            if timeout is not None:
                raise ValueError("timeout: expected none for a FIFO, which cannot have one")
            self._descriptor = os.open(rest, os.O_RDONLY)
        else:
            self._socket = _connected(kind, rest, wait)
            self._socket.settimeout(timeout)

    def read(self) -> bytes:
        while True:
            if self._socket is not None:
                chunk = self._socket.recv(_CHUNK)
            else:
                chunk = os.read(self._descriptor, _CHUNK)
            data = self._decoding.feed(chunk)
            if data or not chunk:
                return data

    @property
    def is_closed(self) -> bool:
        return self._socket is None and self._descriptor < 0

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


def _connected(kind: str, address: str, wait: float) -> socket.socket:
    end = time.monotonic() + wait
    while True:
        connection = socket.socket(socket.AF_UNIX) if kind == "unix" else None
        try:
            if connection is not None:
                connection.connect(address)
                return connection
            host, _, port = address.rpartition(":")
            if not port.isdigit():
                raise ValueError(f"expected tcp:HOST:PORT, found 'tcp:{address}'")
            return socket.create_connection((host.strip("[]"), int(port)))
        except OSError as error:
            if connection is not None:
                connection.close()
            # A daemon that starts has no socket yet, or nobody listens on it.
            if not isinstance(error, (ConnectionRefusedError, FileNotFoundError)):
                raise
            if time.monotonic() >= end:
                raise
            time.sleep(0.05)


class FileInput:
    """A file, from its beginning or from a place in it."""

    def __init__(self, path: str, start: Place | None = None) -> None:
        self.name = path
        self._descriptor = -1
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._identity = self._identified(_IDENTIFYING)
        self._first = start.frame_offset if start is not None else 0
        # Bytes given so far, counted from the frame that was begun at, and those to be given again.
        self._given = 0
        self._kept = b""
        self._is_compressed = is_zstd(self._head(4))
        if start is None:
            self._decoding = _Decoding()
            return
        self.check(start.identity, start.identity_bytes)
        size = os.fstat(self._descriptor).st_size
        os.lseek(self._descriptor, start.frame_offset, os.SEEK_SET)
        self._decoding = _Decoding(start.frame_offset)
        if size < start.frame_offset or not self._skip(start.byte_offset_in_frame):
            raise PositionError(f"{self.name}: expected more bytes than the position, found {size}")

    def _head(self, count: int) -> bytes:
        return os.pread(self._descriptor, count, 0)

    def _identified(self, count: int) -> tuple[str, int]:
        head = self._head(count)
        return hashlib.sha256(head).hexdigest(), len(head)

    def identity(self) -> dict[str, Any]:
        """The members of a place that tell the file from another one."""
        return {"identity": self._identity[0], "identity_bytes": self._identity[1]}

    def check(self, identity: str, identity_bytes: int) -> None:
        """Raises PositionError if the file is another one."""
        if self._identified(identity_bytes)[0] != identity:
            raise PositionError(
                f"{self.name}: expected the file that the position is in, found another beginning"
            )

    def _skip(self, count: int) -> bool:
        """Passes over so many decompressed bytes; false if there are not so many."""
        if not self._is_compressed:
            self._first = os.lseek(self._descriptor, self._first + count, os.SEEK_SET)
            return self._first <= os.fstat(self._descriptor).st_size
        while self._given < count:
            data = self.read()
            if not data:
                return False
            if self._given > count:
                self._kept = data[len(data) - (self._given - count) :]
                self._given = count
        return True

    def read(self) -> bytes:
        if self._kept:
            data, self._kept = self._kept, b""
            self._given += len(data)
            return data
        while True:
            chunk = os.read(self._descriptor, _CHUNK)
            data = self._decoding.feed(chunk) if self._is_compressed else chunk
            if data or not chunk:
                self._given += len(data)
                return data

    def place(self, unused: int) -> Place:
        """The place before the last `unused` bytes that `read` has given."""
        offset = self._given - unused
        decompressor = self._decoding.decompressor
        if decompressor is None:
            return Place(self._first, offset, *self._identity)
        frame = decompressor.place(offset)
        return Place(frame.frame, frame.within, *self._identity)

    @property
    def is_closed(self) -> bool:
        return self._descriptor < 0

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()

