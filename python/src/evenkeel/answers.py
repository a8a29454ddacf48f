"""The answers of the control plane: changes, readiness, features and metrics (docs/HTTP.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from evenkeel.frames import frame_of

if TYPE_CHECKING:
    import pandas

__all__ = ["Change", "Features", "Json", "Readiness", "Sample", "samples_of"]

Json = dict[str, Any]


@dataclass(frozen=True)
class Readiness:
    """Whether the daemon is ready, and the reasons if it is not."""

    ready: bool
    reasons: tuple[str, ...]

    def __bool__(self) -> bool:
        return self.ready


@dataclass(frozen=True)
class Change:
    """The answer to a change.

    It is not in effect yet if the stream had no next batch within 10 s, or if each partition makes it by itself.
    """

    stream: str
    change: str
    in_effect: bool
    answer: Mapping[str, Any] = field(repr=False)

    @property
    def parameters_version(self) -> int | None:
        """The version of γ and β after the change; None if it is not in effect, or is no update."""
        return cast("int | None", self.answer.get("parameters_version"))


@dataclass(frozen=True)
class Sample:
    """One sample of the metrics."""

    name: str
    labels: Mapping[str, str]
    value: float


class Features(Sequence[Mapping[str, Any]]):
    """The statistics of each feature of a stream, in the order of the stream's features."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = list(rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def names(self) -> list[str]:
        """The names of the features."""
        return [row["name"] for row in self._rows]

    def column(self, member: str) -> npt.NDArray[np.float64]:
        """One member (mean, weight, …) of every feature; NaN if it is not known.

        A member of an object has the name of both: "drift_score.mean".
        """
        rows = [_flat(row) for row in self._rows]
        if not any(member in row for row in rows):
            known = ", ".join(name for row in rows[:1] for name in row)
            raise ValueError(f"expected a member of the features, found {member!r}; they are {known}")
        values = [np.nan if row.get(member) is None else row[member] for row in rows]
        return np.array(values, dtype=np.float64)

    def pandas(self) -> pandas.DataFrame:
        """A frame with a row for each feature, which has the name as its index."""
        members = dict.fromkeys(member for row in self._rows for member in _flat(row))
        frame = frame_of("pandas", {member: self.column(member) for member in members})
        frame.index = self.names
        frame.index.name = "feature"
        return frame

    def __repr__(self) -> str:
        return f"<Features {', '.join(self.names)}>"


def _flat(row: Mapping[str, Any]) -> Json:
    """The numbers of a feature. Those of a member that is an object have the name of both, with a point between."""
    flat: Json = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}.{kind}": each for kind, each in value.items()})
        elif name != "name":
            flat[name] = value
    return flat


_SAMPLE = re.compile(r"([A-Za-z_:][A-Za-z0-9_:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:[^"\\]|\\.)*)"')
_ESCAPED = {"\\n": "\n", '\\"': '"', "\\\\": "\\"}


def samples_of(text: str) -> Iterator[Sample]:
    """The samples of a text in Prometheus' format."""
    for line in text.splitlines():
        found = None if line.startswith("#") else _SAMPLE.match(line)
        if found is not None:
            labels = {
                name: re.sub(r'\\[n"\\]', lambda match: _ESCAPED[match[0]], value)
                for name, value in _LABEL.findall(found[2] or "")
            }
            yield Sample(found[1], labels, float(found[3]))
