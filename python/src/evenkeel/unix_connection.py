"""`UnixConnection`: HTTP over a Unix socket."""

from __future__ import annotations

import http.client
import socket

__all__ = ["UnixConnection"]


class UnixConnection(http.client.HTTPConnection):
    """A connection to the server at the path of a socket. A connect or an answer may take `timeout` seconds."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
