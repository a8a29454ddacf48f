"""Finds the `evenkeel` program that this package installs, and runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path

from evenkeel.errors import BinaryError

__all__ = ["find_binary", "run"]

_VARIABLE = "EVENKEEL_BINARY"


def _candidates() -> Iterator[Path]:
    """The places into which an installer puts a program, the likeliest first."""
    yield Path(sysconfig.get_path("scripts"), "evenkeel")
    yield Path(sysconfig.get_path("scripts", sysconfig.get_preferred_scheme("user")), "evenkeel")
    # `pip install --target DIR` puts programs into DIR/bin, beside the package.
    yield Path(__file__).parent.parent / "bin" / "evenkeel"
    on_path = shutil.which("evenkeel")
    if on_path is not None:
        yield Path(on_path)


def find_binary() -> str:
    """The path of the `evenkeel` program.

    The environment variable EVENKEEL_BINARY comes first, then the program that was installed with this
    package, then the PATH.

    Raises BinaryError if there is none.
    """
    given = os.environ.get(_VARIABLE)
    if given:
        if not os.access(given, os.X_OK):
            raise BinaryError(f"{_VARIABLE}: expected a program, found {given!r}")
        return given
    for path in _candidates():
        if path.is_file() and os.access(path, os.X_OK):
            return str(path)
    raise BinaryError(
        "found no evenkeel program; install the wheel of this platform (pip install evenkeel), or name "
        f"the program with the environment variable {_VARIABLE}"
    )


def run(arguments: Sequence[str | os.PathLike[str]]) -> str:
    """Runs `evenkeel` with `arguments` and returns the text that it writes to stdout.

    Raises BinaryError with the program's own words if it fails.
    """
    result = subprocess.run(
        [find_binary(), *arguments], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if result.returncode != 0:
        raise failure(result.returncode, result.stderr)
    return result.stdout.decode("utf-8")


def failure(exit_code: int, said: bytes) -> BinaryError:
    """The error that the program said on stderr."""
    lines = said.decode("utf-8", "replace").strip().splitlines()
    # An error of usage is followed by the usage; other errors are one line, after any warnings.
    usage = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    message = (usage or lines or ["it said nothing"])[-1].removeprefix("evenkeel: ")
    if exit_code < 0:
        message = f"evenkeel was ended by signal {-exit_code}: {message}"
    return BinaryError(message, exit_code)


def main() -> None:
    """Becomes the `evenkeel` program, for `python -m evenkeel`."""
    try:
        binary = find_binary()
    except BinaryError as error:
        sys.exit(f"evenkeel: {error}")
    os.execv(binary, ["evenkeel", *sys.argv[1:]])
