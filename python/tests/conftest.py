"""The tests share the binary, the weather sample, and daemons that end with their test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "samples" / "weather.csv.zst"
WEATHER = ["temp", "dewp", "humid", "wind_speed", "pressure", "visib"]


@pytest.fixture(scope="session", autouse=True)
def binary() -> str:
    """The path of the binary under test, which EVENKEEL_BINARY names."""
    path = os.environ.get("EVENKEEL_BINARY", str(ROOT / ".build" / "release" / "evenkeel"))
    if not os.access(path, os.X_OK):
        pytest.exit(f"expected the binary at {path}; build it, or name it with EVENKEEL_BINARY")
    os.environ["EVENKEEL_BINARY"] = path
    return path


def evenkeel(*arguments: object, input: bytes | None = None) -> bytes:
    """Runs the binary and returns what it writes to stdout."""
    command = [os.environ["EVENKEEL_BINARY"], *map(str, arguments)]
    result = subprocess.run(command, input=input, capture_output=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


@pytest.fixture
def values() -> npt.NDArray[np.float64]:
    """Values of four features with other offsets and scales, some of them missing."""
    random = np.random.default_rng(17)
    made = random.normal(size=(2000, 4)) * [1.0, 25.0, 1e-3, 1e4] + [0.0, 5.0, 1e6, -3.0]
    made[random.random(made.shape) < 0.05] = np.nan
    return made


class Daemon:
    """A running `evenkeel run`."""

    def __init__(self, folder: Path, streams: str, control: str | None = None) -> None:
        self.folder = folder
        self.control = f"unix:{folder}/control.sock"
        configuration = folder / "evenkeel.yaml"
        configuration.write_text(
            f"state_directory: {folder}/state\n"
            f"control: {control or f'{{ listen: unix:{folder}/control.sock }}'}\n"
            f"streams:\n{streams}"
        )
        ready = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        ready.bind(str(folder / "notify.sock"))
        ready.settimeout(30)
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [os.environ["EVENKEEL_BINARY"], "run", "--config", configuration],
                env=os.environ | {"NOTIFY_SOCKET": str(folder / "notify.sock")},
                stderr=log,
            )
        try:
            while b"READY=1" not in ready.recv(4096):
                pass
        except TimeoutError:
            self.process.kill()
            pytest.fail(f"the daemon is not ready: {(folder / 'log').read_text()}")
        finally:
            ready.close()

    def send(self, data: bytes, name: str = "in.sock") -> None:
        """Sends bytes to a source as one producer."""
        with socket.socket(socket.AF_UNIX) as producer:
            producer.connect(str(self.folder / name))
            producer.sendall(data)

    def stop(self) -> None:
        """Stops it in order."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, (self.folder / "log").read_text()


@pytest.fixture
def start_daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts a daemon with the streams of a piece of configuration."""
    daemons: list[Daemon] = []

    def start(streams: str, **options: Any) -> Daemon:
        text = streams.replace("FOLDER", str(tmp_path))
        daemons.append(Daemon(tmp_path, text, **options))
        return daemons[-1]

    yield start
    for daemon in daemons:
        daemon.process.kill()
        daemon.process.wait()
