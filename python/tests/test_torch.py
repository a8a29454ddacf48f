"""The data set and the affine layer, with PyTorch's own loaders and optimizers."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SAMPLE, WEATHER, Daemon, evenkeel
from test_client import ROWS, STREAM, until

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader  # noqa: E402

from evenkeel import Client, PositionError, read  # noqa: E402
from evenkeel.torch import Affine, Stream  # noqa: E402


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("torch") / "weather.csv.zst"
    evenkeel("normalize", SAMPLE, "-o", path, "--features", ",".join(WEATHER))
    return path


@pytest.fixture(scope="module")
def expected(weather: Path) -> Any:
    return torch.cat(
        [
            torch.from_numpy(batch.numpy(dtype=np.float32))
            for batch in read(weather, features=WEATHER)
        ]
    )


def same(found: Any, expected: Any) -> bool:
    return bool(torch.equal(found.nan_to_num(9e9), expected.nan_to_num(9e9)))


def dataset(weather: Path, batch_size: int = 1000) -> Stream:
    return Stream(weather, features=WEATHER, batch_size=batch_size)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_gives_every_record_once_an_epoch(
    weather: Path, expected: Any, workers: int
) -> None:
    stream = dataset(weather)
    loader = DataLoader(stream, batch_size=None, num_workers=workers)
    for _ in range(2):
        batches = list(loader)
        assert [len(batch) for batch in batches] == [1000] * 26 + [115]
        assert batches[0].dtype == torch.float32
        assert same(torch.cat(batches), expected)


def test_two_workers_are_refused(weather: Path) -> None:
    with pytest.raises(ValueError, match="num_workers: expected at most 1"):
        list(DataLoader(dataset(weather), batch_size=None, num_workers=2))


def test_training_goes_on_where_it_stopped(weather: Path, expected: Any) -> None:
    for stop in (0, 1, 13, 27):
        stream = dataset(weather)
        seen = []
        for index, batch in enumerate(stream):
            if index == stop:
                break
            seen.append(batch)
            state = stream.state_dict()
        if stop == 0:
            state = dataset(weather).state_dict()
        # In another process, from bytes.
        again = dataset(weather)
        again.load_state_dict(pickle.loads(pickle.dumps(state)))
        seen += list(DataLoader(again, batch_size=None))
        assert same(torch.cat(seen), expected)
        # The epoch after that is whole.
        assert sum(map(len, again)) == len(expected)


def test_the_position_after_a_break_is_kept(weather: Path) -> None:
    stream = dataset(weather)
    for _, _ in zip(range(2), stream):
        pass
    # zip has taken a third batch, and dropped it.
    assert stream.state_dict()["records"] in (2000, 3000)
    assert sum(map(len, stream)) == 26_115
    assert stream.state_dict() == {}


@pytest.mark.parametrize("workers", [0, 1])
def test_torchdatas_loader_resumes(weather: Path, expected: Any, workers: int) -> None:
    loaders = pytest.importorskip("torchdata.stateful_dataloader")
    make = loaders.StatefulDataLoader
    loader = make(dataset(weather), batch_size=None, num_workers=workers)
    iterator = iter(loader)
    seen = [next(iterator) for _ in range(5)]
    state = loader.state_dict()
    again = make(dataset(weather), batch_size=None, num_workers=workers)
    again.load_state_dict(state)
    assert same(torch.cat([*seen, *again]), expected)


def test_a_position_that_a_worker_has_is_not_made_up(weather: Path) -> None:
    stream = dataset(weather)
    next(iter(DataLoader(stream, batch_size=None, num_workers=1)))
    with pytest.raises(PositionError, match="a worker process reads the stream"):
        stream.state_dict()


def test_sockets_are_refused() -> None:
    for address in ("unix:/run/x.sock", "tcp:127.0.0.1:1", "fifo:/run/x"):
        with pytest.raises(PositionError, match="sockets and FIFOs have no position"):
            Stream(address, batch_size=1)


def test_the_affine_layer_is_that_of_batch_normalisation() -> None:
    torch.manual_seed(5)
    x = torch.randn(64, 3, dtype=torch.float64)
    target = torch.randn(64, 3, dtype=torch.float64)
    theirs = torch.nn.BatchNorm1d(3, dtype=torch.float64)
    ours = Affine(3, dtype=torch.float64)
    frozen = torch.nn.BatchNorm1d(3, affine=False, dtype=torch.float64)
    optimizers = [torch.optim.Adam(module.parameters(), 0.05) for module in (theirs, ours)]
    for _ in range(50):
        outputs = [theirs(x), ours(frozen(x))]
        for optimizer, output in zip(optimizers, outputs):
            optimizer.zero_grad()
            (output - target).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(ours.weight, theirs.weight, rtol=1e-12, atol=0)
    torch.testing.assert_close(ours.bias, theirs.bias, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("on_missing", "bias_gradient"), [("keep", 1.0), ("impute", 2.0)])
def test_missing_values_enter_no_gradient(on_missing: Any, bias_gradient: float) -> None:
    affine = Affine(["a", "b"], on_missing=on_missing, dtype=torch.float64)
    with torch.no_grad():
        affine.bias.copy_(torch.tensor([0.5, 0.0]))
    y = affine(torch.tensor([[torch.nan, 1.0], [3.0, 2.0]], dtype=torch.float64))
    assert bool(y[0, 0].isnan()) == (on_missing == "keep")
    assert on_missing == "keep" or y[0, 0] == 0.5
    y.nan_to_num(0).sum().backward()
    assert affine.weight.grad is not None and affine.bias.grad is not None
    assert affine.weight.grad.tolist() == [3.0, 3.0]
    assert affine.bias.grad.tolist() == [bias_gradient, 2.0]


def test_bounds_and_form(weather: Path) -> None:
    affine = Affine(2)
    with torch.no_grad():
        affine.weight.copy_(torch.tensor([-5.0, 5000.0]))
    affine.clamp_()
    assert affine.weight.tolist() == [pytest.approx(1e-3), 1000.0]
    with pytest.raises(ValueError, match="on_missing"):
        Affine(2, on_missing="drop")  # type: ignore[arg-type]


def test_what_was_learned_is_published(start_daemon: Callable[..., Daemon]) -> None:
    daemon = start_daemon(STREAM)
    daemon.send(ROWS)
    stream = Client(daemon.control).streams["weather"]
    until(lambda: stream.status()["batches"] == 10)
    affine = Affine(["b", "a"])
    with torch.no_grad():
        affine.weight.copy_(torch.tensor([2.0, 0.5]))
        affine.bias.copy_(torch.tensor([-1.0, 1.0]))
    assert affine.publish(stream).in_effect
    assert stream.features().column("weight").tolist() == [0.5, 2.0]
    assert stream.features().column("bias").tolist() == [1.0, -1.0]
    with pytest.raises(Exception, match="422"):
        Affine(3).publish(stream)
