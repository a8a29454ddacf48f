"""Live streams of a real daemon, and files that it wrote."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SAMPLE, WEATHER, Daemon, evenkeel

from evenkeel import PositionError, RecordError, connect, read

ROWS = 500


def rows(first: int, count: int) -> bytes:
    return b"".join(b"%d,k%d,%d\n" % (index, index, index * 2) for index in range(first, first + count))


STREAM = """
  live:
    source: {{ unix: {{ path: FOLDER/in.sock }} }}
    format: {format}
    features: {features}
    batch: {{ size: 50, max_delay: 50ms }}
    normalize: {{ mode: running, frozen: true, clip: off }}
    sink: {{ unix: {{ path: FOLDER/out.sock }} }}
    compression: {compression}
"""


@pytest.mark.parametrize("compression", ["off", "{ level: 1 }"])
def test_a_live_csv_stream_comes_as_columns(
    start_daemon: Callable[..., Daemon], compression: str
) -> None:
    text = STREAM.format(format="csv", features="[a, b]", compression=compression)
    daemon = start_daemon(text)
    with connect(f"unix:{daemon.folder}/out.sock", format="csv", timeout=20) as stream:
        daemon.send(b"a,key,b\n" + rows(0, 7))
        first = next(stream)
        found = len(first)
        assert stream.features == ("a", "b")
        assert first["key"][0] == "k0"
        daemon.send(b"a,key,b\n" + rows(7, ROWS - 7))
        batches = [first]
        while found < ROWS:
            batches.append(next(stream))
            found += len(batches[-1])
        assert stream.records == ROWS
        matrix = np.concatenate([batch.numpy() for batch in batches])
        # Frozen at μ = 0 and σ² = 1.
        expected = np.stack([np.arange(ROWS), 2 * np.arange(ROWS)], axis=1) / np.sqrt(1 + 1e-5)
        np.testing.assert_allclose(matrix, expected, rtol=1e-6)
        keys = np.concatenate([batch["key"] for batch in batches])
        assert keys.tolist() == [f"k{index}" for index in range(ROWS)]
        daemon.stop()
        assert list(stream) == []


def test_batches_of_a_size_are_whole_but_for_the_last(start_daemon: Callable[..., Daemon]) -> None:
    text = STREAM.format(format="csv", features="[a, b]", compression="{ level: 1 }")
    daemon = start_daemon(text)
    address = f"unix:{daemon.folder}/out.sock"
    with connect(address, format="csv", batch_size=64, timeout=20) as stream:
        for start in range(0, ROWS, 50):
            daemon.send(b"a,key,b\n" + rows(start, 50))
        sizes = [len(next(stream)) for _ in range(ROWS // 64)]
        daemon.stop()
        sizes += [len(batch) for batch in stream]
    assert sizes == [64] * 7 + [ROWS - 7 * 64]


def test_a_live_ndjson_stream_has_paths_and_vectors(start_daemon: Callable[..., Daemon]) -> None:
    text = STREAM.format(
        format="ndjson", features='["engine.rpm", "e[*]", late]', compression="off"
    )
    daemon = start_daemon(text)
    with connect(f"unix:{daemon.folder}/out.sock", format="ndjson", batch_size=3, timeout=20) as stream:
        records: list[dict[str, Any]] = [
            {"id": "x", "engine": {"rpm": 5, "on": True}, "e": [1, 2], "late": None, "tag": None},
            {"id": "y", "engine": {"rpm": None, "on": True}, "e": [3, 4], "late": 7},
            {"id": "z", "e": [5, 6], "engine": {"on": False}},
        ]
        daemon.send("".join(json.dumps(record) + "\n" for record in records).encode())
        batch = next(stream)
    # A member that is null in the first record is no feature, unless it is named.
    assert batch.features == ["engine.rpm", "e[0]", "e[1]"]
    scale = np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(batch["engine.rpm"] * scale, [5, np.nan, np.nan], rtol=1e-6)
    np.testing.assert_allclose(batch.numpy("e[*]") * scale, [[1, 2], [3, 4], [5, 6]], rtol=1e-6)
    assert batch["id"].tolist() == ["x", "y", "z"]
    assert batch["tag"].tolist() == [None, None, None]


def test_a_live_raw_stream_over_tcp(start_daemon: Callable[..., Daemon]) -> None:
    from test_client import free_port

    port = free_port()
    text = STREAM.format(
        format="{ raw: { columns: 3, scalar: float64 } }",
        features="[f0, f1, f2]",
        compression="off",
    )
    text = text.replace("unix: { path: FOLDER/out.sock }", f'tcp: {{ address: "127.0.0.1:{port}" }}')
    text += "    output: { precision: float64 }\n"
    daemon = start_daemon(text)
    values = np.random.default_rng(3).normal(size=(100, 3))
    arguments: dict[str, Any] = {"format": "raw", "columns": 3, "scalar": "float64", "timeout": 20}
    with connect(f"tcp:127.0.0.1:{port}", batch_size=100, **arguments) as stream:
        daemon.send(values.tobytes())
        np.testing.assert_allclose(next(stream).numpy() * np.sqrt(1 + 1e-5), values, rtol=1e-12)


def test_silence_and_absence_are_errors(
    start_daemon: Callable[..., Daemon], tmp_path: Path
) -> None:
    text = STREAM.format(format="csv", features="[a, b]", compression="off")
    daemon = start_daemon(text)
    with connect(f"unix:{daemon.folder}/out.sock", format="csv", timeout=0.1) as stream:
        with pytest.raises(TimeoutError):
            next(stream)
    with pytest.raises(FileNotFoundError):
        connect(f"unix:{tmp_path}/absent.sock", format="csv", wait=0.1)
    with pytest.raises(ValueError, match="expected unix:PATH"):
        connect("out.csv", format="csv")


def test_a_connection_that_ends_within_a_record_is_an_error(tmp_path: Path) -> None:
    import socket
    import threading

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "torn.sock"))
        listener.listen()

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(b"a,b\n1,2\n3,")

        thread = threading.Thread(target=serve)
        thread.start()
        with connect(f"unix:{tmp_path}/torn.sock", format="csv", timeout=20) as stream:
            assert next(stream)["b"].tolist() == [2]
            with pytest.raises(RecordError, match="expected the end of a record"):
                next(stream)
        thread.join()


def test_a_batch_becomes_a_frame_of_each_library(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,key,b\n1,x,NA\n,y,2.5\n")
    batch = next(read(tmp_path / "x.csv"))
    table = batch.pandas()
    assert table["key"].tolist() == ["x", "y"]
    assert np.array_equal(table["a"], [1, np.nan], equal_nan=True)
    assert batch.polars()["key"].to_list() == ["x", "y"]
    assert batch.arrow().schema.names == ["a", "key", "b"]
    assert batch.arrow()["b"].null_count == 1
    with pytest.raises(ValueError, match="expected a column 'A', found none"):
        batch.numpy(["A"])


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of the binary, in many frames."""
    path = tmp_path_factory.mktemp("weather") / "weather.csv.zst"
    evenkeel("normalize", SAMPLE, "-o", path, "--features", ",".join(WEATHER))
    return path


def test_a_file_has_the_numbers_that_pandas_reads(weather: Path) -> None:
    import pandas

    expected = pandas.read_csv(weather)
    batches = list(read(weather, features=WEATHER, batch_size=1000))
    assert [len(batch) for batch in batches] == [1000] * 26 + [115]
    found = pandas.concat([batch.pandas() for batch in batches], ignore_index=True)
    assert np.array_equal(found[WEATHER], expected[WEATHER], equal_nan=True)
    assert (found["time_hour"] == expected["time_hour"]).all()


def test_quoted_fields_go_over_lines_and_reads(tmp_path: Path) -> None:
    text = 'a,t\r\n1,"x, ""y""\r\nz"\r\n2,plain\r\n\r\n3,"last"'
    (tmp_path / "quoted.csv").write_bytes(text.encode())
    with pytest.raises(RecordError, match="record 2: expected 2 fields, found 1"):
        list(read(tmp_path / "quoted.csv", features="a"))
    (tmp_path / "quoted.csv").write_bytes(text.replace("\r\n\r\n", "\r\n").encode())
    batch = next(read(tmp_path / "quoted.csv", batch_size=3))
    assert batch["t"].tolist() == ['x, "y"\r\nz', "plain", "last"]
    assert batch["a"].tolist() == [1, 2, 3]


def test_bad_records_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("a,b\n1,2\n3,x\n")
    stream = read(path, batch_size=1)
    next(stream)
    with pytest.raises(RecordError, match="bad.csv, after record 1: .*feature 'b', found 'x'"):
        next(stream)
    path.write_text("a,a\n1,2\n")
    with pytest.raises(RecordError, match="columns whose names differ"):
        next(read(path))
    path.write_text('a\n"x\n')
    with pytest.raises(RecordError, match="end of a quoted field"):
        next(read(path))
    (tmp_path / "bad.ndjson").write_text('{"a":1}\n[1]\n')
    with pytest.raises(RecordError, match="expected a JSON object"):
        list(read(tmp_path / "bad.ndjson"))
    (tmp_path / "bad.raw").write_bytes(b"\0" * 20)
    with pytest.raises(RecordError, match="expected rows of 8 bytes, found 4"):
        list(read(tmp_path / "bad.raw", columns=2))
    with pytest.raises(ValueError, match="format: expected csv"):
        read(tmp_path / "bad.unknown")


def test_a_truncated_file_is_an_error(weather: Path, tmp_path: Path) -> None:
    data = weather.read_bytes()
    (tmp_path / "cut.csv.zst").write_bytes(data[: len(data) // 2])
    with pytest.raises(RecordError, match="expected its end"):
        list(read(tmp_path / "cut.csv.zst", features=WEATHER))
    (tmp_path / "bad.csv.zst").write_bytes(data[:5000] + bytes(100) + data[5100:])
    with pytest.raises(RecordError, match="zstd frame at byte"):
        list(read(tmp_path / "bad.csv.zst", features=WEATHER))


@pytest.fixture(scope="module")
def plain(weather: Path) -> Path:
    path = weather.with_name("weather.csv")
    subprocess.run(["zstd", "-q", "-d", weather, "-o", path], check=True)
    return path


@pytest.mark.parametrize("is_compressed", [True, False])
def test_every_position_is_gone_back_to(weather: Path, plain: Path, is_compressed: bool) -> None:
    path = weather if is_compressed else plain
    stream = read(path, features=WEATHER, batch_size=997)
    states = [stream.state_dict()]
    batches = []
    for batch in stream:
        batches.append(batch.numpy())
        states.append(json.loads(json.dumps(stream.state_dict())))
    assert len(batches) == 27
    assert is_compressed == (states[-1]["place"]["frame_offset"] > 0)
    for index, state in enumerate(states):
        again = read(path, features=WEATHER, batch_size=997)
        again.load_state_dict(state)
        assert again.records == sum(map(len, batches[:index]))
        rest = [batch.numpy() for batch in again]
        assert len(rest) == len(batches) - index
        for found, expected in zip(rest, batches[index:]):
            assert np.array_equal(found, expected, equal_nan=True)


def test_a_position_is_found_among_rotated_files(tmp_path: Path) -> None:
    paths = [tmp_path / f"part-{index}.csv" for index in range(3)]
    for index, path in enumerate(paths):
        path.write_bytes(b"a,key,b\n" + rows(100 * index, 100))
    stream = read(paths, batch_size=30)
    found = [batch["a"] for batch in stream]
    # A batch ends with its file.
    assert [len(part) for part in found] == [30, 30, 30, 10] * 3
    assert np.concatenate(found).tolist() == list(range(300))
    stream = read(paths, batch_size=30)
    for _ in range(6):
        next(stream)
    state = stream.state_dict()
    assert state["path"] == str(paths[1])
    # The first file is gone, another one has come.
    again = read([*paths[1:], paths[0]], batch_size=30)
    again.load_state_dict(state)
    assert next(again)["a"].tolist() == list(range(160, 190))
    with pytest.raises(PositionError, match="among the files"):
        read([paths[2]]).load_state_dict(state)


def test_a_file_that_is_another_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,key,b\n" + rows(0, 200))
    stream = read(path, batch_size=150)
    next(stream)
    state = stream.state_dict()
    whole = path.read_bytes()
    path.write_bytes(whole + rows(200, 1))
    again = read(path)
    again.load_state_dict(state)
    assert sum(map(len, again)) == 51
    path.write_bytes(whole[:1200])
    with pytest.raises(PositionError, match="expected more bytes"):
        read(path).load_state_dict(state)
    path.write_bytes(b"a,key,b\n" + rows(1, 200))
    with pytest.raises(PositionError, match="found another beginning"):
        read(path).load_state_dict(state)
    with pytest.raises(PositionError, match="version"):
        read(path).load_state_dict({})


def test_files_of_other_columns_are_no_one_stream(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("b,a\n1,2\n")
    stream = read([tmp_path / "1.csv", tmp_path / "2.csv"])
    next(stream)
    with pytest.raises(RecordError, match="expected the columns that the stream began with"):
        next(stream)
