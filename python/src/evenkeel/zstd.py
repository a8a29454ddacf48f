"""Decompresses zstd frames that follow one another, whole or as they come."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

from evenkeel.errors import EvenkeelError, RecordError

__all__ = ["Decompressor", "FrameOffset", "is_zstd"]

_MAGIC = b"\x28\xb5\x2f\xfd"
# Frames with windows of up to 2^27 bytes are taken, as the daemon does.
_LARGEST_WINDOW_LOG = 27


def is_zstd(beginning: bytes) -> bool:
    """Whether a stream that begins so is compressed. Needs four bytes, if there are so many."""
    return beginning[:4] == _MAGIC or (
        # A skippable frame.
        len(beginning) >= 4 and beginning[0] & 0xF0 == 0x50 and beginning[1:4] == b"\x2a\x4d\x18"
    )


class FrameOffset(NamedTuple):
    """A place in a compressed file: where a frame begins, and the decompressed bytes within it."""

    frame: int
    within: int


class Decompressor:
    """Gives all that can be decompressed of the bytes so far, and knows where each frame began."""

    def __init__(self, offset: int = 0) -> None:
        """offset: where in the file the first byte stands; a frame begins there."""
        self._module = _zstd_module()
        self._frame = self._new_frame()
        self._is_within_frame = False
        self._offset = offset
        self._decompressed = 0
        # For each frame that a place may be in: the decompressed bytes before it, and its offset.
        self._frames = deque([(0, offset)])

    def _new_frame(self) -> Any:
        parameter = self._module.DecompressionParameter.window_log_max
        return self._module.ZstdDecompressor(options={parameter: _LARGEST_WINDOW_LOG})

    def feed(self, data: bytes) -> bytes:
        """Decompresses more bytes.

        Raises RecordError if they are no zstd.
        """
        parts = []
        while data:
            size = len(data)
            try:
                part = self._frame.decompress(data)
            except self._module.ZstdError as error:
                raise RecordError(f"zstd frame at byte {self._frames[-1][1]}: {error}") from None
            parts.append(part)
            self._decompressed += len(part)
            self._is_within_frame = not self._frame.eof
            if not self._frame.eof:
                self._offset += size
                break
            data = self._frame.unused_data
            self._offset += size - len(data)
            self._frames.append((self._decompressed, self._offset))
            self._frame = self._new_frame()
        return b"".join(parts)

    def end(self) -> None:
        """Raises RecordError if the bytes end within a frame."""
        if self._is_within_frame:
            raise RecordError(
                f"zstd frame at byte {self._frames[-1][1]}: expected its end, found that of the stream"
            )

    def place(self, decompressed: int) -> FrameOffset:
        """The place of a decompressed byte, counted from the beginning; it never goes back."""
        while len(self._frames) > 1 and self._frames[1][0] <= decompressed:
            self._frames.popleft()
        before, offset = self._frames[0]
        return FrameOffset(offset, decompressed - before)


def _zstd_module() -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]

        return zstd
    except ImportError:
        pass
    try:
        from backports import zstd as backport

        return backport
    except ImportError:
        raise EvenkeelError(
            "the stream is compressed with zstd; install backports.zstd (pip install 'evenkeel[zstd]'), "
            "or set `compression: off` in the stream's section"
        ) from None
