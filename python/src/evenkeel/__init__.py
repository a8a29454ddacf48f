"""Evenkeel from Python: apply its checkpoints, read its streams, operate its daemon.

`evenkeel.torch` has the parts that need PyTorch.
"""

from importlib.metadata import PackageNotFoundError, version

from evenkeel.batches import Batch
from evenkeel.binary import find_binary
from evenkeel.checkpoint import Checkpoint
from evenkeel.client import Client
from evenkeel.errors import (
    ApiError,
    BinaryError,
    CheckpointError,
    EvenkeelError,
    PositionError,
    RecordError,
)
from evenkeel.oneshot import fit, normalize
from evenkeel.scaler import Scaler
from evenkeel.streams import connect, read

try:
    __version__ = version("evenkeel")
except PackageNotFoundError:
    # Run from the sources, without an installation.
    __version__ = "0+unknown"

__all__ = [
    "ApiError",
    "Batch",
    "BinaryError",
    "Checkpoint",
    "CheckpointError",
    "Client",
    "EvenkeelError",
    "PositionError",
    "RecordError",
    "Scaler",
    "__version__",
    "connect",
    "find_binary",
    "fit",
    "normalize",
    "read",
]
