"""The experiments on training: rates and scales, weights that grow tenfold, the gradient against the weights' scale."""

from __future__ import annotations

import math

import torch

from networks import BATCH, KINDS, TRAINED, Digits, Kind, Networks

RATES = [0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]
SCALES = [0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0]
ADAM_RATES = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]
SEEDS = [1, 2, 3]
EPOCHS = 15
# Short batches, each at the best of some rates, for so many images.
SIZES, SIZE_RATES, SIZE_EPOCHS = [2, 4, 8, 64], [0.01, 0.03, 0.1, 0.3, 1.0], 3
# The tenfold weights: at this step of so many, at one rate for all kinds.
TENFOLD_AT, TENFOLD_STEPS, TENFOLD_RATE = 100, 300, 0.1
TENFOLD_SEEDS = [1, 2, 3, 4, 5]
# Factors of the first layer's weights.
FACTORS = [1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3]


class Training:
    """Networks of one kind after a training, for each scale, rate and seed."""

    def __init__(
        self, kind: Kind, scales: list[float], rates: list[float], epochs: int,
        size: int = BATCH, is_adam: bool = False, dtype: torch.dtype = torch.float32,
    ):
        self.digits = Digits.load(dtype)
        self.shape = len(scales), len(rates), len(SEEDS)
        runs = [(scale, rate, seed) for scale in scales for rate in rates for seed in SEEDS]
        self.networks = Networks(kind, [scale for scale, _, _ in runs], [seed for _, _, seed in runs], dtype)
        each_rate = torch.tensor([rate for _, rate, _ in runs], dtype=dtype)
        for batch in self.digits.batches(epochs, size):
            self.networks.step(self.digits.images[batch], self.digits.labels[batch], each_rate, is_adam)

    def accuracies(self) -> list[list[float]]:
        """Of the test images in per cent, the median of the seeds: a row a scale, a column a rate."""
        found = self.networks.accuracies(self.digits.test_images, self.digits.test_labels)
        return found.reshape(self.shape).median(2).values.tolist()


def grids() -> dict[Kind, list[list[float]]]:
    return {kind: Training(kind, SCALES, RATES, EPOCHS).accuracies() for kind in KINDS}


def with_adam() -> dict[str, list[float]]:
    return {kind: Training(kind, [1.0], ADAM_RATES, EPOCHS, is_adam=True).accuracies()[0] for kind in KINDS}


def by_size() -> dict[str, list[float]]:
    """The best accuracy over the rates, for each size of the batches."""
    found: dict[str, list[float]] = {"batch norm": [], "batch norm, exact": [], "none": []}
    for size in SIZES:
        training = Training("batch norm", [1.0], SIZE_RATES, SIZE_EPOCHS, size)
        found["batch norm"].append(max(training.accuracies()[0]))
        training.networks.take_statistics(training.digits.images)
        found["batch norm, exact"].append(max(training.accuracies()[0]))
        bare = Training("none", [1.0], SIZE_RATES, SIZE_EPOCHS, size)
        found["none"].append(max(bare.accuracies()[0]))
    return found


class Tenfold:
    """A run in which the first layer's weights are multiplied by 10; each list has an entry a step."""

    def __init__(self, kind: Kind):
        self.digits = Digits.load()
        self.networks = Networks(kind, [1.0] * len(TENFOLD_SEEDS), TENFOLD_SEEDS)
        self.losses: list[float] = []
        self.accuracies: list[float] = []
        # The length of the first layer's step, as a share of the length of its weights.
        self.steps: list[float] = []
        # The loss of one batch before its weights are multiplied.
        self.loss_before = 0.0
        epochs = 1 + TENFOLD_STEPS * BATCH // TRAINED
        for index, batch in enumerate(self.digits.batches(epochs)[:TENFOLD_STEPS]):
            images, labels = self.digits.images[batch], self.digits.labels[batch]
            if index == TENFOLD_AT:
                self.loss_before = self.loss(images, labels)
                with torch.no_grad():
                    self.networks.weights[0] *= 10
            self.step(images, labels)

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        first = self.networks.weights[0]
        before = first.detach().clone()
        accuracies = self.networks.accuracies(self.digits.test_images, self.digits.test_labels)
        self.accuracies.append(self.median(accuracies))
        self.losses.append(self.loss(images, labels))
        self.networks.step(images, labels, torch.full((len(before),), TENFOLD_RATE))
        lengths = (first.detach() - before).norm(dim=(1, 2)) / before.norm(dim=(1, 2))
        self.steps.append(self.median(lengths))

    @torch.no_grad()
    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        return self.median(self.networks.losses(images, labels))

    @staticmethod
    def median(values: torch.Tensor) -> float:
        return values.nan_to_num(nan=math.inf).median().item()


class Scaled:
    """The gradient of the first layer's weights a · W, after an epoch of training; each list has an entry a factor."""

    def __init__(self, kind: Kind):
        digits = Digits.load(torch.float64)
        networks = Networks(kind, [1.0] * len(FACTORS), [1] * len(FACTORS), torch.float64)
        rates = torch.full((len(FACTORS),), 0.1, dtype=torch.float64)
        *batches, last = digits.batches(1)
        for batch in batches:
            networks.step(digits.images[batch], digits.labels[batch], rates)
        with torch.no_grad():
            networks.weights[0] *= torch.tensor(FACTORS, dtype=torch.float64)[:, None, None]
        images, labels = digits.images[last], digits.labels[last]
        weight, gradient = networks.weights[0].detach(), networks.gradients(images, labels)[0]
        self.norms = gradient.norm(dim=(1, 2)).tolist()
        # Of each unit's weights with their gradient; the greatest of the units.
        cosines = torch.nn.functional.cosine_similarity(weight, gradient, dim=1)
        self.cosines = cosines.abs().amax(1).tolist()


class Growth:
    """The length of all hidden weights and the loss, over a training with batch norm."""

    def __init__(self, is_detached: bool):
        digits = Digits.load(torch.float64)
        networks = Networks("batch norm", [1.0], [1], torch.float64)
        networks.is_detached = is_detached
        self.lengths = [networks.hidden_length()]
        for batch in digits.batches(EPOCHS):
            networks.step(digits.images[batch], digits.labels[batch], torch.tensor([0.1], dtype=torch.float64))
            self.lengths.append(networks.hidden_length())
        with torch.no_grad():
            # Over all images at once, by their own statistics.
            self.last_loss = networks.losses(digits.images, digits.labels).item()
        self.accuracy = networks.accuracies(digits.test_images, digits.test_labels).item()
