"""The errors of this package; all of them are an `EvenkeelError`."""

from __future__ import annotations

import json

__all__ = [
    "ApiError",
    "BinaryError",
    "CheckpointError",
    "EvenkeelError",
    "PositionError",
    "RecordError",
]


class EvenkeelError(Exception):
    """Something that Evenkeel refuses, with the reason in words."""


class CheckpointError(EvenkeelError, ValueError):
    """A checkpoint file that is damaged, of another version, or no checkpoint."""


class BinaryError(EvenkeelError, RuntimeError):
    """The `evenkeel` program is absent, or it refused its input.

    `exit_code` is that of the program (sysexits(3)): 65 for bad input, 78 for settings that do not fit.
    It is None if the program could not be started.
    """

    def __init__(self, message: str, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ApiError(EvenkeelError, RuntimeError):
    """The control plane refused a request. `status` is the HTTP status (docs/HTTP.md). `parameters_version` is the
    version of γ and β in force, if the request named another one."""

    def __init__(self, status: int, message: str, parameters_version: int | None = None) -> None:
        super().__init__(f"{message} (HTTP status {status})")
        self.status = status
        self.message = message
        self.parameters_version = parameters_version


class RecordError(EvenkeelError, ValueError):
    """A record of a stream that cannot be read."""


class PositionError(EvenkeelError, ValueError):
    """A position that the stream does not have, or that the file no longer holds."""


def refusal(status: int, content: bytes, reason: str) -> ApiError:
    """The error that an answer of the daemon tells."""
    try:
        answer = json.loads(content)
        return ApiError(status, str(answer["error"]), answer.get("parameters_version"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ApiError(status, reason)
