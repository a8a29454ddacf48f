"""The client, against a real daemon."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Daemon

from evenkeel import ApiError, Checkpoint, Client

STREAM = """
  weather:
    source: { unix: { path: FOLDER/in.sock } }
    format: csv
    batch: { size: 10, max_delay: 50ms }
    on_bad_record: dead_letter
    parameters: { learn: { optimizer: sgd, learning_rate: 0.5, max_staleness: 1 } }
    sink: { file: { path: FOLDER/out.csv } }
    compression: off
  "odd name":
    source: { unix: { path: FOLDER/odd.sock } }
    format: csv
    sink: { file: { path: FOLDER/odd.csv } }
""".replace('"odd name"', "odd-name.1")
ROWS = b"a,b\n" + b"".join(b"%d,%d\n" % (index, index * index) for index in range(100))


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


@pytest.fixture
def daemon(start_daemon: Callable[..., Daemon]) -> Daemon:
    daemon = start_daemon(STREAM)
    daemon.send(ROWS)
    client = Client(daemon.control)
    until(lambda: client.streams["weather"].status()["batches"] == 10)
    return daemon


def test_the_daemon_is_healthy_and_ready(daemon: Daemon) -> None:
    client = Client(daemon.control)
    assert client.health()
    client.wait_ready(5)
    readiness = client.readiness()
    assert readiness and readiness.reasons == ()
    assert client.version.count(".") == 2


def test_streams_are_known_by_name(daemon: Daemon) -> None:
    streams = Client(daemon.control).streams
    assert sorted(streams) == ["odd-name.1", "weather"]
    assert len(streams) == 2 and "weather" in streams and "other" not in streams
    assert streams["weather"].status()["records"] == 100
    assert streams.statuses()["odd-name.1"]["records"] == 0
    with pytest.raises(ApiError, match="other") as caught:
        streams["other"].status()
    assert caught.value.status == 404


def test_features_are_a_frame(daemon: Daemon) -> None:
    features = Client(daemon.control).streams["weather"].features()
    assert features.names == ["a", "b"]
    assert features.column("values").tolist() == [100, 100]
    table = features.pandas()
    assert table.index.tolist() == ["a", "b"]
    assert table.loc["a", "mean"] == features[0]["mean"] == features.column("mean")[0]
    assert np.isnan(table.loc["a", "renorm_scale"])
    assert table.loc["a", "drift_alarms.mean"] == features[0]["drift_alarms"]["mean"] == 0
    with pytest.raises(ValueError, match="found 'median'; they are batch_mean, "):
        features.column("median")


DRIFTING = """
  level:
    source: { unix: { path: FOLDER/in.sock } }
    format: csv
    batch: { size: 32 }
    drift: { false_alarms: 1 per 100000 batches }
    sink: { file: { path: FOLDER/out.csv } }
  unwatched:
    source: { unix: { path: FOLDER/other.sock } }
    format: csv
    drift: off
    sink: { file: { path: FOLDER/other.csv } }
"""


def test_drift_is_told_and_accepted(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(DRIFTING)
    streams = Client(daemon.control).streams
    stream = streams["level"]
    assert stream.events() == []
    random = np.random.default_rng(5)
    for batches, level in ((200, 0.0), (20, 7.0)):
        rows = random.normal(level, 1, (batches * 32, 1)).tolist()
        daemon.send(b"x\n" + b"".join(b"%.6f\n" % row for [row] in rows))
    until(lambda: stream.status()["batches"] == 220)
    charts = {chart["kind"]: chart for chart in stream.drift()}
    assert charts["mean"]["phase"] == "drifting"
    assert charts["mean"]["size"] == pytest.approx(7, rel=0.2)
    assert charts["mean"]["since_batch"] == 201
    events = stream.events()
    assert [event["event"] for event in events if event["kind"] == "mean"] == ["drift"]
    assert stream.status()["drift"][0]["feature"] == "x"
    assert stream.events(after=events[-1]["id"]) == []
    assert stream.features().column("drift_alarm.mean").tolist() == [1]
    change = stream.accept_drift()
    assert change.in_effect and change.change == "drift/accept"
    assert [chart["phase"] for chart in stream.drift() if chart["kind"] == "mean"] == ["settled"]
    assert streams["unwatched"].drift() == []
    with pytest.raises(ApiError) as caught:
        streams["unwatched"].accept_drift()
    assert caught.value.status == 404


def test_the_client_covers_every_route_of_the_page(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "HTTP.md").read_text()
    # The live page is for browsers.
    documented = set(re.findall(r"^\| `((?:GET|POST|PUT) [^` ]+)` \|", page, re.MULTILINE)) - {"GET /"}
    assert len(documented) > 15
    asked = set()
    client = Client(daemon.control)
    open_ = client._open

    def note(method: str, path: str, **others: Any) -> Any:
        asked.add(f"{method} {path.partition('?')[0].replace('/weather', '/NAME')}")
        return open_(method, path, **others)

    monkeypatch.setattr(client, "_open", note)
    client.health()
    client.readiness()
    client.daemon()
    client.metrics()
    client.streams.statuses()
    stream = client.streams["weather"]
    stream.status()
    stream.features()
    stream.tap().close()
    stream.drift()
    stream.events()
    stream.freeze()
    stream.thaw()
    with pytest.raises(ApiError, match="expected one that the stream keeps"):
        stream.rollback(99)
    # The stream has no keys.
    with pytest.raises(ApiError):
        stream.keys()
    with pytest.raises(ApiError):
        stream.reset_keys(["JFK"])
    stream.reset()
    stream.accept_drift()
    stream.checkpoint()
    stream.mode("running")
    stream.parameters([1, 1], [0, 0])
    stream.freeze_parameters()
    stream.thaw_parameters()
    stream.gradients(stream.status()["parameters_version"], [1, 1], [0, 0])
    assert asked == documented


def test_every_change_is_made(daemon: Daemon, tmp_path: Path) -> None:
    stream = Client(daemon.control).streams["weather"]
    assert stream.freeze().in_effect
    assert stream.status()["frozen"] is True
    before = stream.features().column("mean")
    daemon.send(ROWS)
    until(lambda: stream.status()["batches"] == 20)
    assert stream.features().column("mean").tolist() == before.tolist()
    assert stream.thaw().change == "thaw"
    assert stream.status()["frozen"] is False
    stream.mode("batch")
    assert stream.status()["mode"] == "batch"
    stream.parameters(np.array([2.0, 3.0], dtype=np.float32), [0, -1])
    assert stream.features().column("weight").tolist() == [2, 3]
    change = stream.parameters([5, 6], [7, 8], features=["b", "a"])
    version = stream.status()["parameters_version"]
    assert change.parameters_version == version
    with pytest.raises(ApiError, match="if_version") as caught:
        stream.parameters([0, 0], [0, 0], if_version=version - 1)
    assert (caught.value.status, caught.value.parameters_version) == (409, version)
    stream.parameters([6, 5], [8, 7], if_version=version)
    assert stream.features().column("bias").tolist() == [8, 7]
    stream.checkpoint()
    newest = max((tmp_path / "state" / "weather").glob("*.safetensors"))
    assert Checkpoint.load(newest).weight.tolist() == [6, 5]
    stream.reset()
    assert stream.features().column("mean").tolist() == [0, 0]


def test_gradients_move_the_parameters(daemon: Daemon) -> None:
    streams = Client(daemon.control).streams
    stream = streams["weather"]
    change = stream.gradients(0, np.array([1, -1]), [2, 0.5], count=256)
    assert change.in_effect and change.change == "gradients"
    assert stream.features().column("weight").tolist() == [0.5, 1.5]
    assert stream.features().column("bias").tolist() == [-1, -0.25]
    version = change.parameters_version
    assert version == stream.status()["parameters_version"]
    # Version 0 is one change old, and then two.
    later = stream.gradients(0, [0.5, 0], [0, 2], features=["b", "a"])
    assert stream.features().column("bias").tolist() == [-2, -0.25]
    with pytest.raises(ApiError, match="at most 1 changes old, found 0") as caught:
        stream.gradients(0, [1, 1], [1, 1])
    assert (caught.value.status, caught.value.parameters_version) == (409, later.parameters_version)
    assert later.parameters_version is not None
    with pytest.raises(ApiError, match="weight_grad: expected 2 numbers") as caught:
        stream.gradients(later.parameters_version, [1], [1])
    assert caught.value.status == 422
    with pytest.raises(ValueError, match="expected a vector of finite numbers"):
        stream.gradients(later.parameters_version, [np.nan, 1], [1, 1])
    with pytest.raises(ApiError, match="expected parameters.learn in its settings") as caught:
        streams["odd-name.1"].gradients(0, [1], [1])
    assert caught.value.status == 404
    values = np.array([[1.0, np.nan], [2.0, 3.0]])
    for y, y_grad in ((values[0], values[0]), (values, values[:1]), (values, values + np.inf)):
        with pytest.raises(ValueError, match="y, y_grad: expected"):
            stream.gradient_rows(later.parameters_version, y, y_grad)
    # γ was [0.5, 1.25], and β [-2, -0.25]: x̂ of a is 6 and 8, of b 2.6.
    stream.gradient_rows(later.parameters_version, values, [[0.125, np.nan], [0.0, -0.5]])
    np.testing.assert_allclose(stream.features().column("weight"), [0.125, 1.9], rtol=1e-15)
    assert stream.features().column("bias").tolist() == [-2.0625, 0.0]
    counts = {
        sample.labels["result"]: sample.value
        for sample in Client(daemon.control).metrics()
        if sample.name == "evenkeel_stream_changes_total"
    }
    assert counts == {"applied": 3, "stale": 1, "refused": 1}


def test_a_rollback_restores_a_checkpoint(daemon: Daemon) -> None:
    stream = Client(daemon.control).streams["weather"]
    assert stream.checkpoint().in_effect
    before = stream.features().column("mean")
    assert stream.reset().in_effect
    with pytest.raises(ApiError, match=r"expected one that the stream keeps \(.*1") as caught:
        stream.rollback(99)
    assert caught.value.status == 409
    assert stream.rollback(1).in_effect
    assert (stream.features().column("mean") == before).all()


def test_what_is_refused_has_a_status_and_a_reason(daemon: Daemon) -> None:
    stream = Client(daemon.control).streams["weather"]
    with pytest.raises(ApiError, match="mode: expected one of") as caught:
        stream.mode("other")  # type: ignore[arg-type]
    assert caught.value.status == 400
    with pytest.raises(ApiError) as caught:
        stream.parameters([1.0], [0.0])
    assert caught.value.status == 422
    with pytest.raises(ValueError, match="expected a vector of finite numbers"):
        stream.parameters([np.nan, 1.0], [0.0, 0.0])


def test_a_tap_shows_records_in_and_out(daemon: Daemon) -> None:
    import threading

    stream = Client(daemon.control).streams["weather"]
    # Frozen, so that the records that come meanwhile change nothing.
    stream.freeze()
    is_over = threading.Event()

    def produce() -> None:
        while not is_over.wait(0.02):
            daemon.send(b"a,b\n3,no\n1,2\n")

    producer = threading.Thread(target=produce)
    producer.start()
    try:
        with stream.tap(limit=4, rate=100, timeout=20) as tap:
            samples = list(tap)
    finally:
        is_over.set()
        producer.join()
    assert {sample["kind"] for sample in samples} == {"record", "rejected"}
    mean, deviation = (stream.features().column(name) for name in ("mean", "stddev"))
    for sample in samples:
        if sample["kind"] == "record":
            assert sample["features"] == ["a", "b"] and sample["in"] == [1, 2]
            np.testing.assert_allclose(sample["out"], ([1, 2] - mean) / deviation, rtol=1e-4)
            assert sample["in_text"] == "1,2"
            assert list(map(float, sample["out_text"].split(","))) == sample["out"]
        else:
            assert sample["found"] == "'no'" and sample["in_text"] == "3,no"


def test_a_tap_ends_with_a_silence_its_close_or_the_daemon(daemon: Daemon) -> None:
    stream = Client(daemon.control).streams["weather"]
    quiet = stream.tap(timeout=0.1)
    with pytest.raises(TimeoutError):
        next(quiet)
    assert list(quiet) == []
    closed = stream.tap()
    closed.close()
    assert list(closed) == []
    left = stream.tap(timeout=20)
    daemon.stop()
    assert list(left) == []


def test_a_wrong_tap_is_refused(daemon: Daemon) -> None:
    streams = Client(daemon.control).streams
    with pytest.raises(ApiError, match="no stream 'other'") as caught:
        streams["other"].tap()
    assert caught.value.status == 404
    with pytest.raises(ApiError, match="rate: expected"):
        streams["weather"].tap(rate=1000)


def test_metrics_are_samples(daemon: Daemon) -> None:
    client = Client(daemon.control)
    assert "# TYPE evenkeel_stream_records_total counter" in client.metrics_text()
    found = {
        (sample.name, sample.labels.get("stream"), sample.labels.get("feature")): sample.value
        for sample in client.metrics()
    }
    assert found["evenkeel_stream_records_total", "weather", None] == 100
    mean = client.streams["weather"].features().column("mean")[1]
    assert found["evenkeel_feature_mean", "weather", "b"] == mean


def test_a_refused_reload_is_told(daemon: Daemon) -> None:
    client = Client(daemon.control)
    assert client.daemon()["last_reload"] is None
    configuration = daemon.folder / "evenkeel.yaml"
    configuration.write_text(configuration.read_text().replace("size: 10", "sise: 10"))
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: client.daemon()["reloads"] == 1)
    told = client.daemon()
    assert told["reloads_refused"] == 1
    assert told["last_reload"]["applied"] is False
    assert "did you mean 'size'" in told["last_reload"]["error"]


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_changes_over_tcp_need_the_token(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "token").chmod(0o600)
    address = f"127.0.0.1:{free_port()}"
    daemon = start_daemon(
        STREAM, control=f'{{ listen: "{address}", token_file: {tmp_path}/token }}'
    )
    daemon.send(ROWS)
    client = Client(f"http://{address}")
    until(lambda: client.streams["weather"].status()["batches"] == 10)
    for wrong in (client, Client(address, token="other")):
        with pytest.raises(ApiError) as caught:
            wrong.streams["weather"].freeze()
        assert caught.value.status == 401
        with pytest.raises(ApiError, match="taps over TCP need") as caught:
            wrong.streams["weather"].tap()
        assert caught.value.status == 401
    trusted = Client(address, token_file=tmp_path / "token")
    assert trusted.streams["weather"].freeze().in_effect
    trusted.streams["weather"].tap().close()


def test_a_daemon_that_is_not_there_is_not_ready(tmp_path: Path) -> None:
    client = Client(f"unix:{tmp_path}/absent.sock")
    assert not client.health()
    with pytest.raises(TimeoutError, match="is not ready after 0.1 s: .*No such file"):
        client.wait_ready(0.1)


@pytest.mark.parametrize("address", ["https://host:1", "", "http://host/path"])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="expected host:port"):
        Client(address)
