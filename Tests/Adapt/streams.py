"""The streams of docs/ADAPTATION.md: digits as sensors, sites and classes send them.

Every record is an image of scikit-learn's digits that the model was not trained on, with the number of its site and its
label. Both are columns that are no features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np
import torch
from networks import Digits
from serving import VARYING

RECORDS, CHANGE = 20_000, 5_000
SITES = 10
# The records of one class, or of one site, that follow each other in a sorted stream.
RUN = 2_000


@dataclass
class Source:
    """Images of 0 to 16, as rows of the pixels that vary, with their labels."""

    train: np.ndarray
    train_labels: torch.Tensor
    test: np.ndarray
    test_labels: np.ndarray

    @staticmethod
    def load() -> Source:
        digits = Digits.load(torch.float64)
        return Source(
            digits.images.numpy()[:, VARYING] * 16, digits.labels,
            digits.test_images.numpy()[:, VARYING] * 16, digits.test_labels.numpy(),
        )


@dataclass
class Stream:
    values: np.ndarray
    labels: np.ndarray
    sites: np.ndarray


def drawn(source: Source, random: np.random.Generator) -> Stream:
    """Images and sites by chance."""
    chosen = random.integers(0, len(source.test), RECORDS)
    return Stream(source.test[chosen].copy(), source.test_labels[chosen], random.integers(0, SITES, RECORDS))


def unchanged(source: Source, random: np.random.Generator) -> Stream:
    return drawn(source, random)


def in_another_unit(source: Source, random: np.random.Generator) -> Stream:
    stream = drawn(source, random)
    stream.values[CHANGE:] = 1.8 * stream.values[CHANGE:] + 32
    return stream


def shifted(source: Source, random: np.random.Generator) -> Stream:
    """Each pixel gets an offset of its own, at once."""
    stream = drawn(source, random)
    stream.values[CHANGE:] += random.uniform(-8, 8, stream.values.shape[1])
    return stream


def creeping(source: Source, random: np.random.Generator) -> Stream:
    """The gain of each pixel goes towards one of 1/4 to 4, and its offset towards one of −8 to 8."""
    stream = drawn(source, random)
    progress = np.arange(1, RECORDS - CHANGE + 1)[:, None] / (RECORDS - CHANGE)
    gains = 4.0 ** random.uniform(-1, 1, stream.values.shape[1])
    offsets = random.uniform(-8, 8, stream.values.shape[1])
    stream.values[CHANGE:] = stream.values[CHANGE:] * gains**progress + offsets * progress
    return stream


def order_in_runs(groups: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """An order of records in which RUN records of one group follow each other, group after group."""
    count = groups.max() + 1
    members = [np.flatnonzero(groups == group) for group in range(count)]
    runs = [random.choice(members[run % count], RUN) for run in range(RECORDS // RUN)]
    return np.concatenate(runs)


def sorted_by_class(source: Source, random: np.random.Generator) -> Stream:
    stream = drawn(source, random)
    order = order_in_runs(stream.labels, random)
    return Stream(stream.values[order], stream.labels[order], stream.sites[order])


def sorted_by_class_shifted(source: Source, random: np.random.Generator) -> Stream:
    stream = sorted_by_class(source, random)
    stream.values[CHANGE:] += random.uniform(-8, 8, stream.values.shape[1])
    return stream


def with_sensors_of_sites(stream: Stream, random: np.random.Generator) -> Stream:
    """Each site has sensors of its own: a gain of 1/2 to 2 and an offset of −8 to 8 for each pixel."""
    width = stream.values.shape[1]
    gains = 2.0 ** random.uniform(-1, 1, (SITES, width))
    offsets = random.uniform(-8, 8, (SITES, width))
    stream.values = stream.values * gains[stream.sites] + offsets[stream.sites]
    return stream


def sites_mixed(source: Source, random: np.random.Generator) -> Stream:
    return with_sensors_of_sites(drawn(source, random), random)


def sorted_by_site(source: Source, random: np.random.Generator) -> Stream:
    stream = with_sensors_of_sites(drawn(source, random), random)
    order = order_in_runs(stream.sites, random)
    return Stream(stream.values[order], stream.labels[order], stream.sites[order])


def sites_of_classes(source: Source, random: np.random.Generator) -> Stream:
    """The sensors are alike, but nine of ten records of a site are of one class."""
    stream = drawn(source, random)
    own = random.random(RECORDS) < 0.9
    stream.sites = np.where(own, stream.labels, stream.sites)
    return stream


STREAMS: dict[str, Callable[[Source, np.random.Generator], Stream]] = {
    "nothing changes": unchanged,
    "another unit": in_another_unit,
    "a shift": shifted,
    "a slow drift": creeping,
    "sorted by class": sorted_by_class,
    "sorted by class, and a shift": sorted_by_class_shifted,
    "sites with other sensors": sites_mixed,
    "these sorted by site": sorted_by_site,
    "sites with other classes": sites_of_classes,
}
