"""Streams in format arrow, written by the binary."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Daemon, evenkeel

from evenkeel import PositionError, RecordError, connect, read

pa = pytest.importorskip("pyarrow")

SCALE = np.sqrt(1 + 1e-5)
STREAM = """
  live:
    source: { unix: { path: FOLDER/in.sock } }
    format: arrow
    batch: { size: 50, max_delay: 50ms }
    normalize: { mode: running, frozen: true, clip: off }
    sink: { unix: { path: FOLDER/out.sock } }
"""


def table(first: int, count: int) -> Any:
    """Rows with features of every kind: a column, a list and a struct, and others beside them."""
    index = np.arange(first, first + count)
    lists = pa.FixedSizeListArray.from_arrays(
        pa.array(np.repeat(index, 2) + np.tile([0.0, 0.5], count)),
        type=pa.list_(pa.float64(), 2),
        mask=pa.array(index % 5 == 1),
    )
    return pa.record_batch(
        {
            "id": pa.array([f"k{number}" for number in index], pa.string()),
            "x": pa.array(index, pa.float32(), mask=index % 7 == 3),
            "count": pa.array(index),
            "e": lists,
            "engine": pa.StructArray.from_arrays(
                [pa.array(index * 2.0), pa.array(index % 2 == 0)], names=["rpm", "on"]
            ),
            "tag": pa.array(
                ["a" if number % 2 else "b" for number in index], pa.string()
            ).dictionary_encode(),
        }
    )


FEATURES = ["x", "e[0]", "e[1]", "engine.rpm"]


def matrix(first: int, count: int) -> Any:
    """The features of `table`, as a frozen stream with μ = 0 and σ² = 1 makes them."""
    index = np.arange(first, first + count, dtype=float)
    x = np.where(index % 7 == 3, np.nan, index)
    lists = [np.where(index % 5 == 1, np.nan, index + shift) for shift in (0, 0.5)]
    return np.stack([x, *lists, index * 2], axis=1) / SCALE


def ipc(batches: list[Any], kind: Any = None) -> bytes:
    sink = pa.BufferOutputStream()
    with (kind or pa.ipc.new_stream)(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


@pytest.mark.parametrize("compression", ["off", "{ level: 1 }"])
def test_a_live_stream_gives_its_record_batches(
    start_daemon: Callable[..., Daemon], compression: str
) -> None:
    daemon = start_daemon(STREAM + f"    compression: {compression}\n")
    sizes = [50, 1, 20, 29]
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    with connect(f"unix:{daemon.folder}/out.sock", format="arrow", timeout=20) as stream:
        assert stream.features is None
        daemon.send(ipc([table(start, size) for start, size in zip(starts, sizes)]))
        for start, size in zip(starts, sizes):
            batch = next(stream)
            assert len(batch) == size
            assert batch.features == FEATURES
            np.testing.assert_allclose(batch.numpy(), matrix(start, size), rtol=1e-6)
            given, written = table(start, size), batch.arrow()
            # Everything that is no feature, the types and the nulls are those of the producer.
            assert written.schema.equals(given.schema)
            for name in ("id", "count", "tag"):
                assert written.column(name).equals(given.column(name))
            assert written.column("x").null_count == given.column("x").null_count
            # Arrow's C data interface.
            assert pa.record_batch(batch).equals(written)
        assert stream.features == tuple(FEATURES)
        assert stream.records == 100
        daemon.stop()
        assert list(stream) == []


def test_batches_of_a_size_cross_record_batches(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(STREAM)
    address = f"unix:{daemon.folder}/out.sock"
    with connect(address, format="arrow", batch_size=64, timeout=20) as stream:
        # Each producer has a dictionary of its own.
        for start in range(0, 300, 50):
            daemon.send(ipc([table(start, 30), table(start + 30, 0), table(start + 30, 20)]))
        batches = [next(stream) for _ in range(4)]
        daemon.stop()
        batches += list(stream)
    assert [len(batch) for batch in batches] == [64] * 4 + [44]
    rows = sorted(np.concatenate([batch["count"] for batch in batches]).tolist())
    assert rows == list(range(300))
    for batch in batches:
        odd = batch["count"] % 2 == 1
        assert batch["tag"].tolist() == np.where(odd, "a", "b").tolist()
        index = batch["count"]
        np.testing.assert_allclose(batch["engine.rpm"], index * 2 / SCALE, rtol=1e-6)


def test_a_batch_becomes_a_frame_of_each_library(tmp_path: Path) -> None:
    (tmp_path / "x.arrows").write_bytes(ipc([table(0, 10)]))
    batch = next(read(tmp_path / "x.arrows"))
    assert batch.pandas()["id"].tolist() == [f"k{index}" for index in range(10)]
    assert batch.polars()["x"].null_count() == 1
    assert batch["id"][3] == "k3" and batch["x"].dtype == np.float32
    assert np.isnan(batch["x"][3]) and np.isnan(batch["e[1]"][1])
    assert sorted(batch.columns) == sorted([*table(0, 1).schema.names, *FEATURES[1:]])
    assert batch.numpy("e[*]").shape == (10, 2)
    with pytest.raises(ValueError, match="expected a column 'X', found none"):
        batch.numpy(["X"])
    with pytest.raises(KeyError):
        batch["absent"]
    # Integers are features only if they are named.
    named = next(read(tmp_path / "x.arrows", features="count,x"))
    assert named.features == ["count", "x"]
    assert named.numpy()[4].tolist() == [4, 4]


def test_nulls_of_a_slice_and_of_a_struct_are_missing(tmp_path: Path) -> None:
    inner = pa.array([1.0, 2.0, 3.0, 4.0])
    whole = pa.StructArray.from_arrays(
        [inner], names=["a"], mask=pa.array([False, True, False, False])
    )
    (tmp_path / "s.arrows").write_bytes(ipc([pa.record_batch({"s": whole})]))
    stream = read(tmp_path / "s.arrows", batch_size=1)
    assert np.array_equal(
        np.concatenate([batch["s.a"] for batch in stream]), [1, np.nan, 3, 4], equal_nan=True
    )


def test_silence_loses_nothing(tmp_path: Path) -> None:
    data = ipc([table(0, 10), table(10, 10)])
    steps = threading.Semaphore(0)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "slow.sock"))
        listener.listen()

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                # Cuts within the schema, and within each record batch.
                for start, end in ((0, 5), (5, 300), (300, len(data) - 400), (len(data) - 400, None)):
                    steps.acquire()
                    peer.sendall(data[start:end])

        thread = threading.Thread(target=serve)
        thread.start()
        rows: list[int] = []
        silences = 0
        with connect(f"unix:{tmp_path}/slow.sock", format="arrow", timeout=0.05) as stream:
            while len(rows) < 20:
                try:
                    rows += next(stream)["count"].tolist()
                except TimeoutError:
                    silences += 1
                    steps.release()
        thread.join()
    assert rows == list(range(20))
    assert silences >= 4


@pytest.mark.parametrize("left_off", [3, 200])
def test_a_stream_that_is_cut_off_is_an_error(tmp_path: Path, left_off: int) -> None:
    data = ipc([table(0, 10), table(10, 10)])
    path = tmp_path / "cut.arrows"
    # The marker of the end is 8 bytes.
    path.write_bytes(data[: len(data) - 8 - left_off])
    stream = read(path)
    assert len(next(stream)) == 10
    with pytest.raises(RecordError, match="cut.arrows"):
        next(stream)
    path.write_bytes(b"x" * 100)
    with pytest.raises(RecordError, match="cut.arrows"):
        next(read(path))


@pytest.fixture(scope="module", params=["arrow", "arrows", "arrows.zst"])
def written(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of the binary: a file with a footer, a stream, and a compressed stream."""
    folder = tmp_path_factory.mktemp("arrow")
    (folder / "in.arrows").write_bytes(ipc([table(start, 40) for start in range(0, 400, 40)]))
    path = folder / f"out.{request.param}"
    evenkeel("normalize", folder / "in.arrows", "-o", path)
    return path


def test_every_position_is_gone_back_to(written: Path) -> None:
    for size in (None, 7, 40, 100):
        stream = read(written, batch_size=size)
        states = [stream.state_dict()]
        batches = []
        for batch in stream:
            batches.append(batch.numpy())
            states.append(stream.state_dict())
        assert sum(map(len, batches)) == 400
        for index, state in enumerate(states):
            again = read(written, batch_size=size)
            again.load_state_dict(json.loads(json.dumps(state)))
            found = [batch.numpy() for batch in again]
            assert len(found) == len(batches[index:])
            for one, other in zip(found, batches[index:]):
                assert np.array_equal(one, other, equal_nan=True)
            assert again.records == 400


def test_a_position_is_found_among_rotated_files(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.arrows" for index in range(3)]
    for index, path in enumerate(paths):
        path.write_bytes(ipc([table(100 * index, 60), table(100 * index + 60, 40)]))
    stream = read(paths, batch_size=30)
    sizes = [len(next(stream)) for _ in range(6)]
    assert sizes == [30, 30, 30, 10, 30, 30]
    state = stream.state_dict()
    again = read([*paths[1:], paths[0]], batch_size=30)
    again.load_state_dict(state)
    assert next(again)["count"].tolist() == list(range(160, 190))
    paths[1].write_bytes(ipc([table(7, 100)]))
    with pytest.raises(PositionError, match="found another beginning"):
        again.load_state_dict(state)
    with pytest.raises(PositionError, match="among the files"):
        read([paths[2]]).load_state_dict(state)
    again.close()
    with pytest.raises(PositionError, match="found a closed one"):
        again.state_dict()
    assert list(again) == []


def test_files_of_other_columns_are_no_one_stream(tmp_path: Path) -> None:
    for name, column in (("1", "a"), ("2", "b")):
        (tmp_path / f"{name}.arrows").write_bytes(ipc([pa.record_batch({column: [1.0]})]))
    stream = read([tmp_path / "1.arrows", tmp_path / "2.arrows"])
    next(stream)
    with pytest.raises(RecordError, match="expected the columns that the stream began with"):
        next(stream)


def test_a_position_in_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a\n1\n")
    state = read(tmp_path / "x.csv").state_dict()
    (tmp_path / "x.csv").write_bytes(ipc([table(0, 1)]))
    with pytest.raises(PositionError, match="found one in another format"):
        read(tmp_path / "x.csv", format="arrow").load_state_dict(state)


def test_pytorch_trains_from_arrow_and_resumes(written: Path) -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader

    from evenkeel.torch import Stream

    whole = np.concatenate([batch.numpy(dtype=np.float32) for batch in read(written)])
    for workers in (0, 1):
        loader = DataLoader(Stream(written, batch_size=64), batch_size=None, num_workers=workers)
        found = torch.cat(list(loader)).numpy()
        assert np.array_equal(found, whole, equal_nan=True)
    stream = Stream(written, batch_size=64, features="x,e[*]")
    seen = []
    for _, batch in zip(range(3), stream):
        seen.append(batch)
        state = stream.state_dict()
    again = Stream(written, batch_size=64, features="x,e[*]")
    again.load_state_dict(state)
    found = torch.cat([*seen, *again]).numpy()
    assert np.array_equal(found, whole[:, :3], equal_nan=True)
