"""The parts that need PyTorch: a data set of a stream's files, and a γ and β that are learned."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from evenkeel.client import Change, StreamHandle
from evenkeel.errors import PositionError
from evenkeel.formats import Format
from evenkeel.streams import FileStream, read

__all__ = ["Affine", "Stream"]


class Stream(IterableDataset[torch.Tensor]):
    """The features in the files of a stream as tensors of shape [batch_size, features].

    `state_dict` tells the position after the last batch that was given out, and `load_state_dict` goes
    on there, so that a training run that was stopped sees every record once. torchdata's
    StatefulDataLoader calls both. One worker reads at most: pass `batch_size=None` and `num_workers` 0
    or 1 to the loader. Sockets and FIFOs have no position; read those with `evenkeel.connect`.

    Arguments are those of `evenkeel.read`, and `dtype` that of the tensors.
    """

    def __init__(
        self,
        paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        batch_size: int,
        format: Format | None = None,
        features: str | Sequence[str] | None = None,
        delimiter: str = ",",
        header: bool = True,
        missing_tokens: Sequence[str] = ("NA",),
        columns: int | None = None,
        scalar: Literal["float32", "float64"] = "float32",
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        first = paths if isinstance(paths, (str, os.PathLike)) else next(iter(paths), "")
        if os.fspath(first).startswith(("unix:", "tcp:", "fifo:")):
            raise PositionError(
                f"expected files, found {os.fspath(first)!r}: sockets and FIFOs have no position to "
                "go back to; read them with evenkeel.connect"
            )
        self._arguments: dict[str, Any] = {
            "paths": paths,
            "batch_size": batch_size,
            "format": format,
            "features": features,
            "delimiter": delimiter,
            "header": header,
            "missing_tokens": missing_tokens,
            "columns": columns,
            "scalar": scalar,
        }
        self._dtype = dtype
        # The next iteration begins at this position; None is the beginning.
        self._start: dict[str, Any] | None = None
        # The iteration under way, and where the last one was left.
        self._stream: FileStream | None = None
        self._left: dict[str, Any] | None = None
        # Shared between processes: whether a worker has moved on without this copy's knowledge.
        shared = torch.zeros(1, dtype=torch.bool)
        self._is_read_by_worker = shared.share_memory_()  # type: ignore[no-untyped-call]

    def __iter__(self) -> Iterator[torch.Tensor]:
        worker = get_worker_info()
        if worker is not None:
            if worker.num_workers > 1:
                raise ValueError(
                    f"num_workers: expected at most 1 for one sequence of records, found "
                    f"{worker.num_workers}"
                )
            self._is_read_by_worker[0] = True
        stream = read(**self._arguments)
        if self._start is not None:
            stream.load_state_dict(self._start)
        self._start, self._left, self._stream = None, None, stream
        is_over = False
        try:
            for batch in stream:
                yield torch.from_numpy(batch.numpy(dtype=np.float64)).to(self._dtype)
            is_over = True
        finally:
            # After the end, the next iteration is another pass over all of it.
            self._left = None if is_over else stream.state_dict()
            self._stream = None
            stream.close()

    def state_dict(self) -> dict[str, Any]:
        """The position after the last batch, as plain values.

        Raises PositionError if a worker of a plain DataLoader reads, whose position is not known here.
        """
        if get_worker_info() is None and bool(self._is_read_by_worker):
            raise PositionError(
                "a worker process reads the stream, and its position is not known here; use torchdata's "
                "StatefulDataLoader, or num_workers=0"
            )
        if self._stream is not None:
            return self._stream.state_dict()
        return copy.deepcopy(self._left or self._start or {})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Lets the next iteration go on at a position that `state_dict` gave."""
        self._start = copy.deepcopy(dict(state)) or None
        self._left = None

    def __getstate__(self) -> dict[str, Any]:
        # Open files stay in their process.
        return {**self.__dict__, "_stream": None}


class Affine(torch.nn.Module):
    """y = γ · x̂ + β with γ and β as parameters, for a stream that is normalised with γ = 1 and β = 0.

    Any optimizer of PyTorch trains them with the model; `publish` gives them to the stream. If the
    model's first layer is linear and trainable, it absorbs them, and learning them changes nothing.

    - features: the number of features, or their names (then `publish` matches them by name).
    - on_missing: NaN stays NaN ("keep"), or becomes β ("impute"). Missing values never enter the
      gradient of γ.
    """

    def __init__(
        self,
        features: int | Sequence[str],
        *,
        on_missing: Literal["keep", "impute"] = "keep",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if on_missing not in ("keep", "impute"):
            raise ValueError(f"on_missing: expected keep or impute, found {on_missing!r}")
        self.names = None if isinstance(features, int) else list(features)
        self.on_missing = on_missing
        count = features if isinstance(features, int) else len(features)
        self.weight = torch.nn.Parameter(torch.ones(count, device=device, dtype=dtype))
        self.bias = torch.nn.Parameter(torch.zeros(count, device=device, dtype=dtype))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """y of values of shape [..., features]."""
        is_missing = torch.isnan(x)
        if not bool(is_missing.any()):
            return x * self.weight + self.bias
        # x̂ = 0 leaves β alone, and nothing of a NaN reaches the gradients.
        y = torch.where(is_missing, 0.0, x) * self.weight + self.bias
        return y if self.on_missing == "impute" else torch.where(is_missing, torch.nan, y)

    @torch.no_grad()
    def clamp_(self, low: float = 1e-3, high: float = 1e3) -> None:
        """Keeps γ between bounds; call it after the optimizer's step."""
        self.weight.clamp_(low, high)

    def publish(self, stream: StreamHandle) -> Change:
        """Gives γ and β to a stream of a daemon; they are in effect from its next batch on."""
        weight, bias = (
            parameter.detach().to("cpu", torch.float64).numpy()
            for parameter in (self.weight, self.bias)
        )
        return stream.parameters(weight, bias, self.names)

    def extra_repr(self) -> str:
        return f"{self.weight.numel()} features"
