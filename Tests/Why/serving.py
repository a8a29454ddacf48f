"""The experiment on serving: a frozen model after Evenkeel, while the stream changes.

The program itself normalises every stream. The model is trained on images that the program has normalised by the
moments of the training images, and never changes afterwards.

The test images are of two halves. γ and β learn from the labels of one half; accuracy is that of the other half, so
that nothing is learned by heart.
"""

from __future__ import annotations

from typing import Any, Callable

import evenkeel
import numpy as np
import torch
from evenkeel.torch import Affine

from networks import Digits

# The stream changes at this record. An accuracy is that of so many successive records.
RECORDS, CHANGE, WINDOW = 20_000, 5_000, 500
HALF_LIVES = [1700, 200]
METHODS = ["frozen", *(f"adapted, half-life {half_life:,}" for half_life in HALF_LIVES), "learned γ and β"]
# The pixels whose deviation is above 1.
VARYING = (Digits.load(torch.float64).images * 16).std(0).numpy() > 1
LEARN_BATCH, LEARN_RATE = 64, 0.1

# Changes the images of records, whose progress since the change (0 to 1) it gets.
Change = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def unchanged(images: np.ndarray, progress: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return images


def in_fahrenheit(images: np.ndarray, progress: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return 1.8 * images + 32


def creeping(images: np.ndarray, progress: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The gain of each pixel goes towards one of 1/4 to 4, and its offset towards one of −8 to 8."""
    gains = 4.0 ** random.uniform(-1, 1, images.shape[1])
    offsets = random.uniform(-8, 8, images.shape[1])
    return images * gains**progress[:, None] + offsets * progress[:, None]


def inverted(images: np.ndarray, progress: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return 16 - images


CHANGES: dict[str, Change] = {
    "nothing changes": unchanged,
    "another unit, at once": in_fahrenheit,
    "gains and offsets creep": creeping,
    "the sign turns": inverted,
    "other classes come": unchanged,
}


def pixels(images: torch.Tensor) -> np.ndarray:
    """Those that vary, of 0 to 16. Clipping limits the others after a change, which nothing can learn to undo."""
    return images.numpy()[:, VARYING] * 16


class Stream:
    """Records drawn from the test images, and what happens to them from CHANGE on."""

    def __init__(self, digits: Digits, change: str):
        random = np.random.default_rng(7)
        labels = digits.test_labels.numpy()
        chosen = random.integers(0, len(labels), RECORDS)
        if change == "other classes come":
            # Nine of ten records are a 0 or a 1.
            replacing = random.choice(np.flatnonzero(labels < 2), RECORDS)
            is_replaced = (np.arange(RECORDS) >= CHANGE) & (random.random(RECORDS) < 0.9)
            chosen = np.where(is_replaced, replacing, chosen)
        self.labels = torch.tensor(labels[chosen])
        self.is_labelled = torch.tensor(chosen % 2 == 0)
        self.values = pixels(digits.test_images)[chosen]
        progress = np.arange(1, RECORDS - CHANGE + 1) / (RECORDS - CHANGE)
        self.values[CHANGE:] = CHANGES[change](self.values[CHANGE:], progress, random)

    def accuracies(self, logits: torch.Tensor) -> list[float]:
        """In per cent, of the records without labels in each window."""
        right = (logits.argmax(1) == self.labels).double() * 100
        windows = zip(right.split(WINDOW), self.is_labelled.split(WINDOW))
        return [window[~is_labelled].mean().item() for window, is_labelled in windows]


class Serving:
    """The accuracy in each window: by change, then by method."""

    def __init__(self) -> None:
        digits = Digits.load(torch.float64)
        train = pixels(digits.images)
        self.scaler = evenkeel.fit(train)
        self.model = fitted(self.normalized(train, frozen=True), digits.labels)
        self.accuracies = {change: self.served(Stream(digits, change)) for change in CHANGES}

    def normalized(self, values: np.ndarray, **settings: Any) -> torch.Tensor:
        # The half-life differs from the checkpoint's average of all values.
        found = evenkeel.normalize(values, checkpoint_in=self.scaler, on_mismatch="match_by_name", **settings)
        return torch.tensor(found, dtype=torch.float32)

    def served(self, stream: Stream) -> dict[str, list[float]]:
        frozen = self.normalized(stream.values, frozen=True)
        adapted = [self.normalized(stream.values, half_life_records=half_life) for half_life in HALF_LIVES]
        logits = [self.model(frozen), *map(self.model, adapted), self.learned(frozen, stream)]
        return {method: stream.accuracies(each) for method, each in zip(METHODS, logits)}

    def learned(self, x: torch.Tensor, stream: Stream) -> torch.Tensor:
        """The predictions of each batch, made before γ and β learn from its labels."""
        affine = Affine(x.shape[1])
        optimizer = torch.optim.Adam(affine.parameters(), lr=LEARN_RATE)
        found = []
        batches = zip(x.split(LEARN_BATCH), stream.labels.split(LEARN_BATCH), stream.is_labelled.split(LEARN_BATCH))
        for values, labels, is_labelled in batches:
            optimizer.zero_grad()
            logits = self.model(affine(values))
            found.append(logits.detach())
            torch.nn.functional.cross_entropy(logits[is_labelled], labels[is_labelled]).backward()
            optimizer.step()
        return torch.cat(found)


def fitted(x: torch.Tensor, labels: torch.Tensor) -> torch.nn.Module:
    """A perceptron with one hidden layer, frozen once it is trained."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(x.shape[1], 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(15):
        for batch in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[batch]), labels[batch]).backward()
            optimizer.step()
    return model.requires_grad_(False)
