"""`Scaler`: applies the moments of a checkpoint, with scikit-learn's interface."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from evenkeel import binary
from evenkeel.checkpoint import Checkpoint
from evenkeel.frames import Frame, Matrix, as_frame, checked_matrix, frame_of
from evenkeel.tensorfile import TensorFile
from evenkeel.transform import Transform, TransformSettings

if TYPE_CHECKING:
    import torch
    from sklearn.preprocessing import StandardScaler
    from typing_extensions import Self

__all__ = ["Scaler"]

OnMissing = Literal["keep", "impute"]
Clip = float | None | Literal["recorded"]
_METADATA_KEY = "evenkeel.scaler"
_DEFAULTS = {"clip": "recorded", "on_missing": "keep"}


class Scaler:
    """Normalises by the running moments of a checkpoint, as a frozen stream in mode `running` does.

    The moments were estimated by a stream (or by `evenkeel.fit`); nothing here moves them, and `fit`
    checks the features alone. Arrays have one column a feature, in the order of the checkpoint. Frames
    (pandas, Polars, PyArrow) are taken by name, and other columns are left out; `apply` keeps them.

    - checkpoint: what `Checkpoint.load` returns.
    - epsilon: ε of the stream, if the checkpoint does not record it (one that was imported).
    - clip: the limit on |x̂|; by default ("recorded") that of the stream, None for no limit.
    - on_missing: NaN stays NaN ("keep"), or becomes β ("impute").
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        epsilon: float | None = None,
        clip: Clip = "recorded",
        on_missing: OnMissing = "keep",
    ) -> None:
        self.checkpoint = checkpoint
        self.epsilon = epsilon
        self.clip = clip
        self.on_missing = on_missing

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        epsilon: float | None = None,
        clip: Clip = "recorded",
        on_missing: OnMissing | None = None,
    ) -> Self:
        """Reads a checkpoint file, of a stream or of `save`.

        Raises CheckpointError if it is damaged.
        """
        checkpoint = Checkpoint.load(path)
        saved = json.loads(checkpoint.file.metadata.get(_METADATA_KEY, "{}"))
        return cls(
            checkpoint,
            epsilon=epsilon,
            clip=clip if clip != "recorded" else saved.get("clip", "recorded"),
            on_missing=on_missing or saved.get("on_missing", "keep"),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a checkpoint file that `load`, `evenkeel normalize --checkpoint-in` and PyTorch read."""
        checkpoint = self.checkpoint
        if self.epsilon is not None and "epsilon" not in checkpoint.settings:
            checkpoint = checkpoint.with_settings(epsilon=repr(float(self.epsilon)))
        own = {"clip": self.clip, "on_missing": self.on_missing}
        if _METADATA_KEY in checkpoint.file.metadata or own != _DEFAULTS:
            metadata = {**checkpoint.file.metadata, _METADATA_KEY: json.dumps(own)}
            checkpoint = Checkpoint(replace(checkpoint.file, metadata=metadata))
        checkpoint.save(path)

    # The transform

    def _transform(self) -> Transform:
        if self.on_missing not in ("keep", "impute"):
            raise ValueError(f"on_missing: expected keep or impute, found {self.on_missing!r}")
        checkpoint = self.checkpoint
        if "prior.values" in checkpoint.settings:
            warnings.warn(
                "the stream merged its moments with those of a prior, which the checkpoint does not "
                "contain: values differ from those of the stream",
                stacklevel=3,
            )
        clip: float | None
        if self.clip == "recorded":
            recorded = checkpoint.settings.get("clip")
            clip = float(recorded) if recorded is not None else None
        elif self.clip is None or (not isinstance(self.clip, str) and 0 < self.clip < float("inf")):
            clip = self.clip
        else:
            raise ValueError(f"clip: expected a finite number above 0, found {self.clip!r}")
        settings = TransformSettings.read(checkpoint.settings, epsilon=self.epsilon, clip=clip)
        return Transform.by_moments(
            checkpoint.mean, checkpoint.variance, checkpoint.weight, checkpoint.bias, settings
        )

    def transform(self, X: Any) -> Any:
        """y of every value: an array for an array, and for a frame one of the same kind.

        float32 comes out as float32; everything is computed in float64. Raises ValueError for an
        infinity, another number of columns, or a frame that lacks a feature.
        """
        return self._apply(X, self._forward)

    def inverse_transform(self, X: Any) -> Any:
        """x of every value y that `transform` gave; of a clipped value, the limit."""
        return self._apply(X, self._backward)

    def apply(self, table: Any) -> Any:
        """The frame with its features normalised in place of their values, and all else as it was."""
        frame = as_frame(table)
        if frame is None:
            raise TypeError(f"expected a frame of pandas, Polars or PyArrow, found {type(table)}")
        names = self.checkpoint.features
        return frame.replaced(names, self._forward(frame.matrix(names)))

    def _forward(self, values: Matrix) -> Matrix:
        impute = self.on_missing == "impute"
        y = self._transform().forward(values.astype(np.float64), impute=impute)
        return y.astype(values.dtype, copy=False)

    def _backward(self, values: Matrix) -> Matrix:
        x = self._transform().inverse(values.astype(np.float64), self.checkpoint.features)
        return x.astype(values.dtype, copy=False)

    def _apply(self, X: Any, function: Any) -> Any:
        names = self.checkpoint.features
        frame = as_frame(X)
        values = frame.matrix(names) if frame is not None else checked_matrix(X, names)
        return self._wrapped(function(values), frame, X)

    def _wrapped(self, values: Matrix, frame: Frame | None, X: Any) -> Any:
        """The result in the container that `set_output` names, by default that of the input."""
        names = self.checkpoint.features
        wanted = getattr(self, "_sklearn_output_config", {}).get("transform", "default")
        library = type(X).__module__.split(".")[0]
        if frame is not None and wanted in ("default", library):
            return frame.only(names, values)
        if wanted == "default":
            return values
        return frame_of(wanted, {name: values[:, j] for j, name in enumerate(names)})

    # scikit-learn's interface

    def fit(self, X: Any, y: Any = None) -> Self:
        """Checks that X has the features of the checkpoint; the moments stay."""
        frame = as_frame(X)
        if frame is not None:
            frame.matrix(self.checkpoint.features)
        else:
            checked_matrix(X, self.checkpoint.features)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """The same as `transform`."""
        return self.transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> npt.NDArray[np.object_]:
        """The names of the features."""
        names = list(self.checkpoint.features)
        if input_features is not None and list(input_features) != names:
            raise ValueError(f"expected the features {names}, found {list(input_features)}")
        return np.array(names, dtype=object)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments that this was made with."""
        names = ("checkpoint", "epsilon", "clip", "on_missing")
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Changes arguments by name."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"expected one of {', '.join(known)}, found {name!r}")
            setattr(self, name, value)
        return self

    def set_output(self, *, transform: str | None = None) -> Self:
        """Chooses the container of results: "default" (that of the input), "pandas" or "polars"."""
        if transform is not None:
            if transform not in ("default", "pandas", "polars"):
                raise ValueError(f"expected default, pandas or polars, found {transform!r}")
            # The name under which scikit-learn's clone takes it along.
            self._sklearn_output_config = {"transform": transform}
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="transformer",
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=["float64", "float32"]),
            input_tags=InputTags(allow_nan=True),
            requires_fit=False,
        )

    @property
    def n_features_in_(self) -> int:
        """The number of features."""
        return len(self.checkpoint.features)

    @property
    def feature_names_in_(self) -> npt.NDArray[np.object_]:
        """The names of the features."""
        return self.get_feature_names_out()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.checkpoint!r})"

    # Other libraries

    def to_sklearn(self) -> StandardScaler:
        """A StandardScaler that computes the same y; γ and β are folded into its mean and scale.

        The limit that the checkpoint records is left out. Raises ValueError for a `clip` of the scaler's own,
        a weight of 0, or a β beside σ = 0, which it cannot express.
        """
        from sklearn.preprocessing import StandardScaler

        transform = self._transform()
        self._refuse_clip("a StandardScaler")
        weight, bias = self.checkpoint.weight, self.checkpoint.bias
        if (weight == 0).any():
            raise ValueError("expected weights that are not 0, which a StandardScaler cannot express")
        constant = transform.deviation == 0
        if (constant & (bias != 0)).any():
            raise ValueError("expected no bias of a feature with deviation 0, which it cannot express")
        scaler = StandardScaler()
        scale = np.where(constant, np.inf, transform.scale)
        scaler.mean_ = transform.center - bias / scale
        scaler.scale_ = np.where(constant, np.inf, transform.deviation / weight)
        scaler.var_ = self.checkpoint.variance.copy()
        scaler.n_samples_seen_ = np.rint(self.checkpoint.values).astype(np.int64)
        scaler.n_features_in_ = self.n_features_in_
        scaler.feature_names_in_ = self.feature_names_in_
        return scaler

    def to_torch(self) -> torch.nn.BatchNorm1d:
        """A BatchNorm1d in float64 and evaluation mode that computes the same y.

        The limit that the checkpoint records is left out. Raises ValueError for a `clip` of the scaler's own,
        which the module does not have.
        """
        import torch

        self._refuse_clip("a BatchNorm1d")
        checkpoint = self.checkpoint
        settings = TransformSettings.read(checkpoint.settings, epsilon=self.epsilon)
        variance, weight, epsilon = checkpoint.variance, checkpoint.weight, settings.epsilon
        if settings.is_relative or settings.variance_floor > 0 or epsilon == 0:
            # The module adds eps to a variance and does nothing else: it gets the whole denominator.
            denominator = settings.denominator(variance)
            weight = np.where(denominator > 0, weight, 0.0)
            variance, epsilon = np.where(denominator > 0, denominator, 1.0), 0.0
        module = torch.nn.BatchNorm1d(self.n_features_in_, eps=epsilon, dtype=torch.float64)
        state = {
            "weight": weight,
            "bias": checkpoint.bias,
            "running_mean": checkpoint.mean,
            "running_var": variance,
        }
        tensors = {name: torch.from_numpy(vector.copy()) for name, vector in state.items()}
        tensors["num_batches_tracked"] = torch.tensor(checkpoint.batches)
        module.load_state_dict(tensors)
        return module.eval()

    @classmethod
    def from_torch(
        cls, module: torch.nn.BatchNorm1d, features: Sequence[str] | None = None
    ) -> Self:
        """The scaler of a BatchNorm1d in evaluation mode; the features are `f0`, … unless named.

        The state is imported by `evenkeel import --from pytorch` (docs/CHECKPOINTS.md says what that
        assumes), so a stream can go on from what `save` writes.
        """
        if module.running_mean is None or module.running_var is None:
            raise ValueError("expected running statistics, found a module without (track_running_stats)")
        state = {
            name: tensor.detach().cpu().numpy()
            for name, tensor in module.state_dict().items()
        }
        with tempfile.TemporaryDirectory(prefix="evenkeel-") as folder:
            source, target = os.path.join(folder, "module"), os.path.join(folder, "checkpoint")
            names = list(features) if features is not None else None
            if names is not None and len(names) != len(state["running_mean"]):
                raise ValueError(
                    f"expected {len(state['running_mean'])} names, found {len(names)}"
                )
            with open(source, "wb") as output:
                output.write(TensorFile(state, _named(names)).serialize())
            binary.run(["import", source, "--from", "pytorch", "-o", target])
            checkpoint = Checkpoint.load(target)
        return cls(checkpoint, epsilon=float(module.eps))

    def _refuse_clip(self, target: str) -> None:
        if self.clip is not None and self.clip != "recorded":
            raise ValueError(f"clip: expected no limit, which {target} cannot express, found {self.clip}")


def _named(names: Sequence[str] | None) -> dict[str, str]:
    if names is None:
        return {}
    return {"evenkeel.features": json.dumps(list(names), ensure_ascii=False)}
