"""Gradients of ∂L/∂y rows against PyTorch's autograd, and a training loop whose γ and β live in a daemon."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import Daemon

from evenkeel import Client
from evenkeel.client import StreamHandle

torch = pytest.importorskip("torch")

Table = npt.NDArray[np.float64]

BATCH = 32
NAMES = ["a", "b", "c"]
EPSILON = 1e-5
# With preset `pytorch`, moments and outputs are those of BatchNorm1d.
STREAM = """
  learned:
    source: { unix: { path: FOLDER/in.sock } }
    format: csv
    features: [a, b, c]
    batch: { size: 32, max_delay: 1h }
    normalize: { preset: pytorch, mode: MODE }
    parameters:
      learn: { optimizer: sgd, learning_rate: RATE, momentum: MOMENTUM, weight_bounds: [0, 1000] }
    output: { precision: float64 }
    sink: { file: { path: FOLDER/out.csv } }
    compression: off
"""


class Learned:
    """A stream of a daemon that learns γ and β."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._path: Path = daemon.folder / "out.csv"
        self._count = 0
        self.stream: StreamHandle = Client(daemon.control).streams["learned"]

    def normalize(self, x: Table) -> Table:
        """Sends one batch, and returns what the stream makes of it."""
        rows = [",".join("NA" if np.isnan(value) else repr(float(value)) for value in row) for row in x]
        self._daemon.send(("\n".join([",".join(NAMES), *rows]) + "\n").encode())
        end = time.monotonic() + 30
        while True:
            lines = self._path.read_text().splitlines()[1:] if self._path.exists() else []
            if len(lines) == self._count + len(x) and self.stream.status()["batches"] * BATCH == len(lines):
                break
            assert time.monotonic() < end, "the batch did not come"
            time.sleep(0.005)
        lines = lines[self._count :]
        self._count += len(x)
        return np.array(
            [[np.nan if word == "NA" else float(word) for word in line.split(",")] for line in lines]
        )

    @property
    def version(self) -> int:
        return int(self.stream.status()["parameters_version"])

    def parameters(self) -> tuple[Table, Table]:
        features = self.stream.features()
        return features.column("weight"), features.column("bias")


def learned(
    start_daemon: Callable[..., Daemon], mode: str, rate: float = 1.0, momentum: float = 0.0
) -> Learned:
    text = STREAM.replace("MODE", mode).replace("RATE", f"{rate}")
    return Learned(start_daemon(text.replace("MOMENTUM", f"{momentum}")))


def batch(random: np.random.Generator, missing: float = 0.0) -> Table:
    x = random.normal(size=(BATCH, 3)) * [1.0, 25.0, 1e-2] + [0.5, -40.0, 3.0]
    x[random.random(x.shape) < missing] = np.nan
    return x


def autograd(
    mode: str, x: Table, weight: Table, bias: Table, factors: Table, before: tuple[Table, Table]
) -> tuple[Table, Table, Table]:
    """y, ∂L/∂γ and ∂L/∂β of L = Σ factors · sin(y) over the present values, by PyTorch."""
    outputs = np.full(x.shape, np.nan)
    gradients = np.zeros((2, 3))
    for j in range(3):
        is_present = ~np.isnan(x[:, j])
        column = torch.tensor(x[is_present, j : j + 1])
        module = torch.nn.BatchNorm1d(1, eps=EPSILON, dtype=torch.float64)
        with torch.no_grad():
            module.weight.fill_(weight[j])
            module.bias.fill_(bias[j])
            module.running_mean.fill_(before[0][j])
            module.running_var.fill_(before[1][j] ** 2)
        if mode == "renorm":
            mean, deviation = column.mean(), (column.var(correction=0) + EPSILON).sqrt()
            running = (module.running_var + EPSILON).sqrt()
            scale = (deviation / running).clamp(1 / 3, 3).detach()
            shift = ((mean - module.running_mean) / running).clamp(-5, 5).detach()
            y = module.weight * ((column - mean) / deviation * scale + shift) + module.bias
        else:
            y = module.train(mode == "batch")(column)
        (torch.tensor(factors[is_present, j : j + 1]) * y.sin()).sum().backward()
        outputs[is_present, j] = y.detach().numpy()[:, 0]
        gradients[:, j] = [module.weight.grad.item(), module.bias.grad.item()]
    return outputs, gradients[0], gradients[1]


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("mode", ["batch", "running", "renorm"])
def test_gradients_of_rows_are_those_of_autograd(
    start_daemon: Callable[..., Daemon], mode: str, missing: float
) -> None:
    random = np.random.default_rng(11)
    learner = learned(start_daemon, mode)
    for _ in range(3):
        learner.normalize(batch(random))
    weight, bias = np.array([1.5, 0.25, -2.0]), np.array([0.5, -1.0, 3.0])
    version = learner.stream.parameters(weight, bias).parameters_version
    assert version is not None
    x = batch(random, missing) + ([0.2, 5, 0] if mode == "renorm" else 0)
    factors = random.normal(size=x.shape)
    features = learner.stream.features()
    before = (features.column("mean"), features.column("stddev"))
    y = learner.normalize(x)
    expected, *gradients = autograd(mode, x, weight, bias, factors, before)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12)
    # γ and β change meanwhile, so that those of the version are needed.
    learner.stream.parameters([9, 9, 9], [8, 8, 8])
    learner.stream.gradient_rows(version, y, factors * np.cos(y))
    for start, end, gradient in zip((9, 8), learner.parameters(), gradients):
        np.testing.assert_allclose(start - end, gradient, rtol=0, atol=1e-12)


def test_a_model_trains_as_with_batch_norm_in_its_own_process(
    start_daemon: Callable[..., Daemon],
) -> None:
    random = np.random.default_rng(5)
    learner = learned(start_daemon, "batch", rate=0.05, momentum=0.9)

    def model() -> Any:
        torch.manual_seed(3)
        layers = [torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)]
        return torch.nn.Sequential(*layers).double()

    def optimizer(*modules: Any) -> Any:
        parameters = [parameter for module in modules for parameter in module.parameters()]
        return torch.optim.SGD(parameters, lr=0.05, momentum=0.9)

    def loss(output: Any, x: Table) -> Any:
        target = torch.tensor(np.sin(x[:, :1]) + 0.02 * x[:, 1:2])
        return (output - target).square().mean()

    norm = torch.nn.BatchNorm1d(3, eps=EPSILON, dtype=torch.float64)
    theirs, ours = model(), model()
    optimizers = [optimizer(norm, theirs), optimizer(ours)]
    losses = []
    for _ in range(40):
        x = batch(random)
        version = learner.version
        y = torch.tensor(learner.normalize(x), requires_grad=True)
        pair = [loss(theirs(norm(torch.tensor(x))), x), loss(ours(y), x)]
        for each, step in zip(pair, optimizers):
            step.zero_grad()
            each.backward()
            step.step()
        assert y.grad is not None
        learner.stream.gradient_rows(version, y.detach().numpy(), y.grad.numpy())
        losses.append([each.item() for each in pair])
    first, last = losses[0], losses[-1]
    assert last[0] < first[0] / 2
    expected, found = np.array(losses).T
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    weight, bias = learner.parameters()
    np.testing.assert_allclose(weight, norm.weight.detach().numpy(), rtol=0, atol=1e-9)
    np.testing.assert_allclose(bias, norm.bias.detach().numpy(), rtol=0, atol=1e-9)
    assert np.abs(weight - 1).max() > 1e-3
