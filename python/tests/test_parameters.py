"""γ and β of a stream: frozen, and of many features. Against a real daemon."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from conftest import Daemon

from evenkeel import ApiError, Client
from evenkeel.client import StreamHandle

STREAM = """
  weather:
    source: { unix: { path: FOLDER/in.sock } }
    format: csv
    batch: { size: 1 }
    parameters: { learn: { optimizer: sgd, learning_rate: 0.5 } }
    sink: { file: { path: FOLDER/out.csv } }
    compression: off
"""


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def stream_of(daemon: Daemon, rows: bytes) -> StreamHandle:
    """The stream after its first batch."""
    daemon.send(rows)
    stream = Client(daemon.control).streams["weather"]
    until(lambda: stream.status()["batches"] == 1)
    return stream


def test_frozen_parameters_are_not_learned(start_daemon: Callable[..., Daemon]) -> None:
    stream = stream_of(start_daemon(STREAM), b"a,b\n1,2\n")
    assert stream.freeze_parameters().change == "parameters/freeze"
    assert stream.status()["parameters_frozen"] is True
    assert stream.status()["frozen"] is False
    with pytest.raises(ApiError, match="found them frozen") as caught:
        stream.gradients(0, [1, 1], [1, 1])
    assert (caught.value.status, caught.value.parameters_version) == (409, None)
    change = stream.parameters([2, 3], [4, 5])
    assert stream.features().column("bias").tolist() == [4, 5]
    stream.thaw_parameters()
    assert stream.status()["parameters_frozen"] is False
    assert change.parameters_version is not None
    stream.gradients(change.parameters_version, [2, 2], [2, 2])
    assert stream.features().column("bias").tolist() == [3, 4]


def test_a_freeze_outlives_the_daemon(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(STREAM)
    stream = stream_of(daemon, b"a,b\n1,2\n")
    before = stream.status()["checkpoints"]
    stream.freeze_parameters()
    until(lambda: stream.status()["checkpoints"] > before)
    daemon.process.kill()
    daemon.process.wait()
    (daemon.folder / "notify.sock").unlink()
    stream = stream_of(start_daemon(STREAM), b"a,b\n3,4\n")
    assert stream.status()["parameters_frozen"] is True
    with pytest.raises(ApiError, match="found them frozen"):
        stream.gradients(stream.status()["parameters_version"], [1, 1], [1, 1])


def test_many_parameters_go_as_a_file(start_daemon: Callable[..., Daemon]) -> None:
    names = [f"feature {index:060}" for index in range(20_000)]
    row = ",".join("1" for _ in names)
    stream = stream_of(start_daemon(STREAM), f"{','.join(names)}\n{row}\n".encode())
    weight, bias = np.linspace(1, 2, len(names)), np.linspace(-1, 0, len(names))
    version: list[int | None] = []

    def is_taken() -> bool:
        # For a second after its start, the control plane does not know how many features a stream has.
        try:
            change = stream.parameters(weight[::-1], bias[::-1], features=names[::-1])
        except ApiError as error:
            assert error.status == 413
            return False
        version.append(change.parameters_version)
        return True

    until(is_taken)
    assert stream.features().column("weight").tolist() == weight.tolist()
    assert stream.features().column("bias").tolist() == bias.tolist()
    with pytest.raises(ApiError, match="if_version") as caught:
        stream.parameters(bias, weight, if_version=0)
    assert (caught.value.status, caught.value.parameters_version) == (409, version[0])
    stream.parameters(bias, weight, if_version=version[0])
    assert stream.features().column("weight").tolist() == bias.tolist()
