"""Small networks on the digits of scikit-learn; many of them train at once, each by itself.

Every tensor has the network as its first dimension, and the loss is the sum of the networks' losses. So no network
touches the gradient of another one, and a grid of them costs little more than one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from sklearn.datasets import load_digits

Kind = Literal["batch norm", "affine", "none"]
KINDS: tuple[Kind, ...] = ("batch norm", "affine", "none")
# As in torch.nn.BatchNorm1d.
EPSILON, MOMENTUM = 1e-5, 0.1
WIDTHS = [64, 32, 32, 32, 10]
HIDDEN = len(WIDTHS) - 2
BATCH, TRAINED = 64, 1280


@dataclass
class Digits:
    """Images as rows of 64 values of 0 to 1, in a fixed random order."""

    images: torch.Tensor
    labels: torch.Tensor
    test_images: torch.Tensor
    test_labels: torch.Tensor

    @staticmethod
    def load(dtype: torch.dtype = torch.float32) -> Digits:
        digits = load_digits()
        images = torch.tensor(digits.data / 16, dtype=dtype)
        labels = torch.tensor(digits.target)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
        images, labels = images[order], labels[order]
        return Digits(images[:TRAINED], labels[:TRAINED], images[TRAINED:], labels[TRAINED:])

    def batches(self, epochs: int, size: int = BATCH, seed: int = 0) -> list[torch.Tensor]:
        """The indices of each mini-batch; every epoch sees each image once."""
        random = torch.Generator().manual_seed(seed)
        orders = (torch.randperm(TRAINED, generator=random) for _ in range(epochs))
        return [batch for order in orders for batch in order.split(size)]


class Adam:
    """The steps of torch.optim.Adam with its defaults, before they are multiplied by the rate."""

    def __init__(self) -> None:
        self.steps = 0
        self.averages: list[tuple[torch.Tensor, torch.Tensor]] = []

    def directions(self, gradients: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        self.averages = self.averages or [(torch.zeros_like(g), torch.zeros_like(g)) for g in gradients]
        self.steps += 1
        found = []
        for gradient, (first, second) in zip(gradients, self.averages):
            first.lerp_(gradient, 1 - 0.9)
            second.lerp_(gradient * gradient, 1 - 0.999)
            root = torch.sqrt(second / (1 - 0.999**self.steps)) + 1e-8
            found.append(first / (1 - 0.9**self.steps) / root)
        return tuple(found)


class Networks:
    """Perceptrons with three hidden layers: W u, then y of the kind, then max(0, y).

    - kind: `batch norm` gives y = γ (u − μ_B)/sqrt(σ²_B + ε) + β, `affine` gives y = γ′u + β′, `none` gives y = u + b.
    - scales: the factor of each network's first weights in the hidden layers; with 1 they are those of He et al. 2015.
    - seeds: of each network's first weights.
    """

    def __init__(self, kind: Kind, scales: list[float], seeds: list[int], dtype: torch.dtype = torch.float32):
        self.kind = kind
        # Whether the gradient takes the statistics of the batch for constants.
        self.is_detached = False
        self.adam = Adam()
        self.weights = []
        randoms = [torch.Generator().manual_seed(seed) for seed in seeds]
        factors = torch.tensor(scales, dtype=dtype)[:, None, None]
        for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
            first = [torch.randn(inputs, outputs, generator=random, dtype=torch.float64) for random in randoms]
            weight = torch.stack(first).to(dtype) * (2 / inputs) ** 0.5
            self.weights.append((weight * (factors if len(self.weights) < HIDDEN else 1)).requires_grad_())
        networks, hidden = len(seeds), WIDTHS[1:-1]
        self.gammas = [torch.ones(networks, 1, width, dtype=dtype, requires_grad=True) for width in hidden]
        self.betas = [torch.zeros(networks, 1, width, dtype=dtype, requires_grad=True) for width in WIDTHS[1:]]
        self.means = [torch.zeros(networks, 1, width, dtype=dtype) for width in hidden]
        self.variances = [torch.ones(networks, 1, width, dtype=dtype) for width in hidden]
        # Mean and unbiased variance of the last batch, by layer.
        self.of_batch: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    @property
    def parameters(self) -> list[torch.Tensor]:
        return self.weights + self.betas + ([] if self.kind == "none" else self.gammas)

    def logits(self, images: torch.Tensor, is_training: bool) -> torch.Tensor:
        """Of shape [networks, images, 10]."""
        x = images.expand(len(self.weights[0]), *images.shape)
        for layer, weight in enumerate(self.weights):
            u = x @ weight
            if layer == HIDDEN:
                return u + self.betas[layer]
            if self.kind == "batch norm":
                u = self.normalized(u, layer, is_training)
            if self.kind != "none":
                u = self.gammas[layer] * u
            x = torch.relu(u + self.betas[layer])
        raise AssertionError("there is a last layer")

    def normalized(self, u: torch.Tensor, layer: int, is_training: bool) -> torch.Tensor:
        mean, variance = self.means[layer], self.variances[layer]
        if is_training:
            mean, variance = u.mean(1, keepdim=True), u.var(1, keepdim=True, unbiased=False)
            self.of_batch[layer] = (mean.detach(), variance.detach() * u.shape[1] / (u.shape[1] - 1))
        if self.is_detached:
            mean, variance = mean.detach(), variance.detach()
        return (u - mean) / torch.sqrt(variance + EPSILON)

    def losses(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy of each network, by the statistics of the batch."""
        logits = self.logits(images, True)
        of_label = logits.gather(2, labels.expand(len(logits), -1)[:, :, None])[:, :, 0]
        return (logits.logsumexp(2) - of_label).mean(1)

    def gradients(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(self.losses(images, labels).sum(), self.parameters)

    def step(self, images: torch.Tensor, labels: torch.Tensor, rates: torch.Tensor, is_adam: bool = False) -> None:
        """One step of plain SGD or of Adam, each network at its rate."""
        gradients = self.gradients(images, labels)
        # Only steps move the running statistics; the forward pass above left those of the batch.
        for layer, (mean, variance) in self.of_batch.items():
            self.means[layer].lerp_(mean, MOMENTUM)
            self.variances[layer].lerp_(variance, MOMENTUM)
        with torch.no_grad():
            if is_adam:
                gradients = self.adam.directions(gradients)
            for parameter, gradient in zip(self.parameters, gradients):
                parameter -= rates[:, None, None] * gradient

    @torch.no_grad()
    def take_statistics(self, images: torch.Tensor) -> None:
        """Puts the mean and the variance over these images in the place of the running statistics."""
        self.logits(images, True)
        for layer, (mean, variance) in self.of_batch.items():
            self.means[layer], self.variances[layer] = mean.clone(), variance.clone()

    def hidden_length(self) -> float:
        """The Euclidean length of the first network's hidden weights."""
        return math.sqrt(sum(weight[0].norm().item() ** 2 for weight in self.weights[:HIDDEN]))

    @torch.no_grad()
    def accuracies(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """In per cent, by the running statistics; 0 for a network that is no longer finite."""
        logits = self.logits(images, False)
        right = (logits.argmax(2) == labels).double().mean(1) * 100
        return torch.where(logits.isfinite().all(2).all(1), right, 0.0)


def check_against_pytorch() -> None:
    """Compares three steps of one network with torch.nn and torch.optim, in float64."""
    for name, rate in (("SGD", 0.5), ("Adam", 0.01)):
        digits = Digits.load(torch.float64)
        ours = Networks("batch norm", [1.0], [0], torch.float64)
        theirs = as_module(ours)
        optimizer = getattr(torch.optim, name)(theirs.parameters(), lr=rate)
        for batch in digits.batches(1)[:3]:
            images, labels = digits.images[batch], digits.labels[batch]
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(theirs(images), labels).backward()
            optimizer.step()
            ours.step(images, labels, torch.tensor([rate], dtype=torch.float64), name == "Adam")
        theirs.eval()
        ours_now, theirs_now = (ours.logits(digits.test_images, False)[0], theirs(digits.test_images))
        difference = (ours_now - theirs_now).abs().max().item()
        if not difference < 1e-9:
            raise SystemExit(f"{name}: expected the networks to agree with torch.nn to 1e-9, found {difference}")


def as_module(networks: Networks) -> torch.nn.Module:
    """The first of some networks with batch norm that nothing has trained, as modules of torch.nn."""
    layers: list[torch.nn.Module] = []
    for index, weight in enumerate(networks.weights):
        is_last = index == HIDDEN
        linear = torch.nn.Linear(*weight.shape[1:], bias=is_last, dtype=weight.dtype)
        with torch.no_grad():
            linear.weight.copy_(weight[0].T)
            if is_last:
                linear.bias.zero_()
        layers.append(linear)
        if not is_last:
            layers += [torch.nn.BatchNorm1d(weight.shape[2], dtype=weight.dtype), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers)
