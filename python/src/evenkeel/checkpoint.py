"""A checkpoint of a stream (docs/CHECKPOINTS.md): the moments, γ and β, and what is known of them."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from evenkeel.errors import CheckpointError
from evenkeel.tensorfile import TensorFile
from evenkeel.xxh3 import SHORTEST, xxh3_64

__all__ = ["Checkpoint"]

_VERSION = 2
_CHECKSUM = re.compile(rb'"evenkeel\.checksum":"([0-9a-f]{16})"')
_LARGEST_FILE = 256 << 20
# The columns that are read here, and what each begins with; a file may lack one.
_COLUMNS = {
    "weight": 1.0,
    "bias": 0.0,
    "running_mean": 0.0,
    "running_var": 1.0,
    "evenkeel.moments.weight": 0.0,
}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The whole content of a checkpoint file; nothing in it changes.

    Tensors and metadata that this version does not know are kept, so that `save` writes them again.
    """

    file: TensorFile

    @staticmethod
    def load(path: str | os.PathLike[str]) -> Checkpoint:
        """Reads a checkpoint file.

        Raises CheckpointError if it is damaged, of another version, or no checkpoint.
        """
        with open(path, "rb") as source:
            data = source.read(_LARGEST_FILE + 1)
        try:
            return Checkpoint.parse(data)
        except CheckpointError as error:
            raise CheckpointError(f"{os.fspath(path)}: {error}") from None

    @staticmethod
    def parse(data: bytes) -> Checkpoint:
        """Reads the bytes of a checkpoint file; any changed bit is found by the checksum."""
        if len(data) > _LARGEST_FILE:
            raise CheckpointError(f"expected at most {_LARGEST_FILE} bytes, found more")
        file = TensorFile.parse(data)
        version = file.metadata.get("evenkeel.version")
        if version is None:
            raise CheckpointError(
                "evenkeel.version: expected a checkpoint, found nothing; a model's state becomes one "
                "by Scaler.from_torch or by `evenkeel import --from pytorch`"
            )
        major = version.split(".")[0]
        if not major.isascii() or not major.isdigit() or int(major) != _VERSION:
            raise CheckpointError(
                f"evenkeel.version: expected {_VERSION}, found {version!r}"
            )
        if file.metadata.get("evenkeel.checksum") != _checksum(data):
            raise CheckpointError("the checksum is not that of the bytes: the file is damaged")
        checkpoint = Checkpoint(file)
        checkpoint._validate()
        return checkpoint

    def serialize(self) -> bytes:
        """The bytes of the file, with its checksum."""
        metadata = dict(self.file.metadata)
        metadata["evenkeel.checksum"] = "0" * 16
        data = TensorFile(self.file.tensors, metadata).serialize()
        found = _CHECKSUM.search(data)
        assert found is not None, "the key was just written"
        return data[: found.start(1)] + _checksum(data).encode("ascii") + data[found.end(1) :]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a file that `evenkeel --checkpoint-in` takes; a file at `path` is replaced whole."""
        folder = os.path.dirname(os.path.abspath(path))
        descriptor, temporary = tempfile.mkstemp(prefix=".evenkeel-", suffix=".tmp", dir=folder)
        try:
            with open(descriptor, "wb") as target:
                target.write(self.serialize())
                target.flush()
                os.fsync(target.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise

    # Contents

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features, in the order of every vector."""
        return tuple(self._json("evenkeel.features"))

    @property
    def settings(self) -> Mapping[str, str]:
        """The estimator's settings as text; empty if they are not known."""
        settings: dict[str, str] = self._json("evenkeel.settings")
        return settings

    @property
    def weight(self) -> npt.NDArray[np.float64]:
        """γ."""
        return self._vector("weight")

    @property
    def bias(self) -> npt.NDArray[np.float64]:
        """β."""
        return self._vector("bias")

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """μ, in the unit of each feature."""
        return self._vector("running_mean")

    @property
    def variance(self) -> npt.NDArray[np.float64]:
        """σ², in the squared unit of each feature."""
        return self._vector("running_var")

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """The sum of the weights of the values that moved each feature's mean; each value weighs 1."""
        return self._vector("evenkeel.moments.weight")

    @property
    def batches(self) -> int:
        """The number of mini-batches of the stream."""
        return self._count("num_batches_tracked")

    @property
    def state_version(self) -> int:
        """Rises with each batch that moves the moments, and with each change by an operator."""
        return self._count("evenkeel.versions.state")

    @property
    def parameters_version(self) -> int:
        """The state version at which γ and β last changed."""
        return self._count("evenkeel.versions.parameters")

    # Changes, each in a checkpoint of its own

    def with_parameters(
        self, weight: npt.ArrayLike | None = None, bias: npt.ArrayLike | None = None
    ) -> Checkpoint:
        """The same with another γ, another β, or both."""
        tensors = dict(self.file.tensors)
        # A change of γ or β is a change of the state, as if a daemon had made it.
        version = np.array(self.state_version + 1, dtype="<i8")
        for name in ("evenkeel.versions.state", "evenkeel.versions.parameters"):
            if name in tensors:
                tensors[name] = version
        for name, numbers in [("weight", weight), ("bias", bias)]:
            if numbers is not None:
                tensors[name] = np.array(numbers, dtype="<f8").reshape(-1)
        changed = Checkpoint(replace(self.file, tensors=tensors))
        changed._validate()
        return changed

    def with_settings(self, **settings: str) -> Checkpoint:
        """The same with settings added or replaced."""
        text = _dump({**self.settings, **settings}, sort=True)
        return self._with_metadata({"evenkeel.settings": text})

    def with_features(self, names: Sequence[str]) -> Checkpoint:
        """The same with the features called otherwise; their number and order stay."""
        if len(names) != len(self.features):
            raise ValueError(f"expected {len(self.features)} names, found {len(names)}")
        return self._with_metadata({"evenkeel.features": _dump(list(names))})

    def _with_metadata(self, changes: Mapping[str, str]) -> Checkpoint:
        changed = Checkpoint(replace(self.file, metadata={**self.file.metadata, **changes}))
        changed._validate()
        return changed

    # Equality is that of the files

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checkpoint) and self.serialize() == other.serialize()

    def __hash__(self) -> int:
        return hash(self.serialize())

    def __deepcopy__(self, memo: dict[int, Any]) -> Checkpoint:
        # Nothing in it changes, so that copies (scikit-learn's clone) can share it.
        return self

    def __repr__(self) -> str:
        return f"<Checkpoint of {len(self.features)} features after {self.batches} batches>"

    # Reading

    def _json(self, key: str) -> Any:
        try:
            return json.loads(self.file.metadata[key])
        except (KeyError, ValueError):
            raise CheckpointError(f"{key}: expected JSON, found none") from None

    def _count(self, name: str) -> int:
        tensor = self.file.tensors.get(name)
        if tensor is None:
            return 0
        if tensor.size != 1 or tensor.dtype.kind not in "iu":
            raise CheckpointError(f"tensor {name!r}: expected one count, found others")
        return int(tensor.reshape(()))

    def _vector(self, name: str) -> npt.NDArray[np.float64]:
        count = len(self.features)
        tensor = self.file.tensors.get(name)
        if tensor is None:
            tensor = np.full(count, _COLUMNS[name])
        if tensor.shape != (count,):
            raise CheckpointError(
                f"tensor {name!r}: expected {count} numbers, one for each feature, found shape "
                f"{list(tensor.shape)}"
            )
        vector = tensor.astype(np.float64)
        vector.flags.writeable = False
        return vector

    def _validate(self) -> None:
        names = self._json("evenkeel.features")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise CheckpointError("evenkeel.features: expected an array of names, found others")
        if len(set(names)) != len(names):
            raise CheckpointError("evenkeel.features: expected names that differ, found one twice")
        settings = self._json("evenkeel.settings")
        if not isinstance(settings, dict) or not all(
            isinstance(value, str) for value in settings.values()
        ):
            raise CheckpointError("evenkeel.settings: expected strings, found others")
        for name in ("weight", "bias", "running_mean", "running_var", "evenkeel.moments.weight"):
            numbers = self._vector(name)
            if not np.isfinite(numbers).all():
                raise CheckpointError(f"tensor {name!r}: expected finite numbers, found others")
        if (self.variance < 0).any():
            raise CheckpointError("tensor 'running_var': expected no negative number, found one")
        for name in ("num_batches_tracked", "evenkeel.versions.state", "evenkeel.versions.parameters"):
            self._count(name)


def _dump(value: object, *, sort: bool = False) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=sort)


def _checksum(data: bytes) -> str:
    """The 16 digits that belong into the file, whatever stands in their place now."""
    found = _CHECKSUM.search(data)
    if found is None or len(data) < SHORTEST:
        raise CheckpointError("evenkeel.checksum: expected 16 digits, found none")
    return f"{xxh3_64(data[: found.start(1)] + b'0' * 16 + data[found.end(1) :]):016x}"
