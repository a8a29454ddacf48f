"""`Tap`: the samples of a running stream."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["Tap"]


class Tap(Iterator[Mapping[str, Any]]):
    """The samples of a stream, as they come."""

    def __init__(
        self,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        connected: socket.socket,
        timeout: float | None,
    ) -> None:
        self._connection = connection
        self._response = response
        # The daemon has answered. From now on a silence is no failure.
        connected.settimeout(timeout)

    def __next__(self) -> Mapping[str, Any]:
        try:
            line = self._response.readline() if not self._response.closed else b""
        except OSError:
            self.close()
            raise
        if not line.endswith(b"\n"):
            self.close()
            raise StopIteration
        sample: dict[str, Any] = json.loads(line)
        return sample

    def close(self) -> None:
        """Ends the tap."""
        self._response.close()
        self._connection.close()

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
