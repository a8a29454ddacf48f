"""`normalize` and `fit`: one call on a frame or an array, carried out by the `evenkeel` program."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np

from evenkeel.binary import failure, find_binary
from evenkeel.checkpoint import Checkpoint
from evenkeel.frames import Frame, Matrix, as_frame, checked_matrix
from evenkeel.patterns import select
from evenkeel.scaler import Scaler

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["Settings", "fit", "normalize"]


class Settings(TypedDict, total=False):
    """The settings of `evenkeel normalize`; docs/SEMANTICS.md says what each means."""

    batch_size: int
    mode: Literal["batch", "running", "renorm"]
    update_first: bool
    preset: str
    momentum: float | Literal["cumulative"]
    half_life_records: float
    epsilon: float
    epsilon_relative: float
    estimator: Literal["batch_norm", "total"]
    variance: Literal["unbiased", "biased"]
    bias_correction: bool
    warm_up_records: int
    warm_up_emit: str
    frozen: bool
    clip: float | Literal["off"]
    variance_floor: float
    min_batch_size: int
    renorm_max_scale: float
    renorm_max_shift: float
    prior: str
    prior_values: float
    limit_mean: float
    limit_deviation: float
    on_missing: Literal["keep", "impute"]
    on_mismatch: Literal["fail", "match_by_name", "reset"]


# Options that have no value: their presence says "true".
_FLAGS = {"update_first", "frozen"}
# Settings that choose how moments are estimated; `fit` has defaults of its own without them.
_ESTIMATION = {"preset", "momentum", "half_life_records", "estimator", "variance", "bias_correction"}

CheckpointLike = Checkpoint | Scaler | str | os.PathLike[str]


def normalize(
    data: Any,
    features: str | Sequence[str] | None = None,
    *,
    checkpoint_in: CheckpointLike | None = None,
    checkpoint_out: str | os.PathLike[str] | None = None,
    **settings: Unpack[Settings],
) -> Any:
    """Normalises a table as a stream of its rows, as `evenkeel normalize` does with a file.

    - data: a frame of pandas, Polars or PyArrow, or an array of shape [rows, columns].
    - features: names of columns, with `*` and `?`; by default those of `checkpoint_in`, else every
      column of numbers.
    - checkpoint_in: the state to start from. checkpoint_out: a file for the state at the end.
    - settings: those of `evenkeel normalize`, with `_` for `-`: mode, momentum, batch_size, frozen, ….

    Returns the same table with its features normalised, float32 if all of them are and float64 if not.
    Raises BinaryError with the program's words if it refuses.
    """
    return _Run(data, features, checkpoint_in, settings).normalize(checkpoint_out)


def fit(
    data: Any, features: str | Sequence[str] | None = None, **settings: Unpack[Settings]
) -> Scaler:
    """Estimates the moments of a table's columns by one pass of `evenkeel normalize` over its rows.

    By default they are the mean and the variance of all values (momentum="cumulative",
    estimator="total"). Arguments are those of `normalize`.
    """
    if not _ESTIMATION & set(settings):
        settings = {**settings, "momentum": "cumulative", "estimator": "total"}
    given = settings.get("clip")
    clip: float | Literal["recorded"] | None = "recorded"
    if given is not None:
        clip = None if given == "off" else float(given)
    on_missing = settings.get("on_missing", "keep")
    with tempfile.TemporaryDirectory(prefix="evenkeel-") as folder:
        path = os.path.join(folder, "fitted")
        _Run(data, features, None, settings).normalize(path)
        return Scaler(Checkpoint.load(path), clip=clip, on_missing=on_missing)


class _Run:
    """One pass of the program over the features of a table, which travel as raw numbers.

    Raw rows have no names, so the program knows the features as f0, f1, …; checkpoints are renamed on
    their way in and out.
    """

    def __init__(
        self,
        data: Any,
        features: str | Sequence[str] | None,
        checkpoint_in: CheckpointLike | None,
        settings: Settings,
    ) -> None:
        self.data = data
        self.frame: Frame | None = as_frame(data)
        self.settings = settings
        self.before = _checkpoint(checkpoint_in)
        if self.frame is None:
            data = np.asarray(data)
            width = data.shape[1] if data.ndim == 2 else 0
            self.columns = [f"f{j}" for j in range(width)]
            self.names = self._chosen(features, self.columns)
            matrix = checked_matrix(data, self.columns)
            self.indices = [self.columns.index(name) for name in self.names]
            self.values = matrix[:, self.indices]
        else:
            self.columns = self.frame.names
            self.names = self._chosen(features, self.frame.numeric_names())
            self.values = self.frame.matrix(self.names)
        if not self.names:
            raise ValueError("expected at least one feature, found none")

    def _chosen(self, features: str | Sequence[str] | None, numeric: Sequence[str]) -> list[str]:
        if features is None:
            return list(self.before.features) if self.before is not None else list(numeric)
        names = select(features, self.columns)
        if self.before is not None and set(names) == set(self.before.features):
            return list(self.before.features)
        return names

    def normalize(self, checkpoint_out: str | os.PathLike[str] | None) -> Any:
        scalar = "float32" if self.values.dtype == np.float32 else "float64"
        arguments = ["normalize", "--format", "raw", "--columns", str(len(self.names))]
        arguments += ["--scalar", scalar, "--precision", scalar, "--no-compress", *self._options()]
        with tempfile.TemporaryDirectory(prefix="evenkeel-") as folder:
            before, after = os.path.join(folder, "before"), os.path.join(folder, "after")
            if self.before is not None:
                self.before.with_features(self._numbered(self.before.features)).save(before)
                # Every column, not those of the checkpoint: a difference is refused with its names.
                arguments += ["--checkpoint-in", before, "--features", "*"]
            if checkpoint_out is not None:
                arguments += ["--checkpoint-out", after]
            values = _piped(arguments, self.values, self.names)
            if checkpoint_out is not None:
                Checkpoint.load(after).with_features(self.names).save(checkpoint_out)
        if self.frame is not None:
            return self.frame.replaced(self.names, values)
        whole = np.array(self.data, dtype=values.dtype)
        whole[:, self.indices] = values
        return whole

    def _numbered(self, names: Sequence[str]) -> list[str]:
        """The names as the program knows them; those that are not chosen get one that fits none."""
        numbers = {name: f"f{j}" for j, name in enumerate(self.names)}
        return [numbers.get(name, f"absent {k}") for k, name in enumerate(names)]

    def _options(self) -> list[str]:
        options: list[str] = []
        for name, value in self.settings.items():
            option = "--" + name.replace("_", "-")
            if name in _FLAGS:
                options += [option] if value else []
            elif value is not None:
                options += [option, str(value).lower() if isinstance(value, bool) else str(value)]
        return options


def _checkpoint(given: CheckpointLike | None) -> Checkpoint | None:
    if given is None or isinstance(given, Checkpoint):
        return given
    return given.checkpoint if isinstance(given, Scaler) else Checkpoint.load(given)


def _piped(arguments: Sequence[str], values: Matrix, names: Sequence[str]) -> Matrix:
    """The values that the program gives for these."""
    source = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    result = np.empty_like(source)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [find_binary(), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
        )
        assert process.stdin is not None and process.stdout is not None
        writer = threading.Thread(target=_write, args=(process.stdin, source))
        writer.start()
        with process.stdout as output:
            space = result.data.cast("B") if result.size else memoryview(bytearray())
            filled = 0
            while filled < len(space) and (count := os.readv(output.fileno(), [space[filled:]])):
                filled += count
            surplus = bool(os.read(output.fileno(), 1))
        writer.join()
        exit_code = process.wait()
        said.seek(0)
        words = said.read()
    if exit_code != 0:
        raise _named(failure(exit_code, words), names)
    if filled != result.nbytes or surplus:
        raise RuntimeError(f"expected {result.nbytes} bytes from evenkeel, found {filled}")
    return result


def _write(pipe: Any, values: Matrix) -> None:
    try:
        with pipe:
            if values.size:
                pipe.write(values.data.cast("B"))
    except BrokenPipeError:
        # The program has ended; its exit code says why.
        pass


def _named(error: Exception, names: Sequence[str]) -> Exception:
    """The error with the names of the features that it mentions by number."""
    mentioned = [f"f{j} is {name!r}" for j, name in enumerate(names) if f"'f{j}'" in str(error)]
    if mentioned:
        error.args = (f"{error} ({', '.join(mentioned)})",)
    return error
