#!/usr/bin/env python3
"""Writes Tests/StorageTests/Golden with the reference implementation of safetensors.

Needs torch, safetensors and the system's libxxhash:
    python3 Tests/Oracles/make_safetensors_golden.py
The numbers are short binary fractions, so that every width holds them exactly.
"""

import ctypes
import json
import pathlib
import struct

import torch
from safetensors.torch import save

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "StorageTests" / "Golden"


def write(name, data):
    (GOLDEN / name).write_bytes(data)


def every_type():
    """One tensor of each type that is read as numbers, a scalar, an empty one and a matrix."""
    tensors = {
        "f64": torch.tensor([0.1, -2.5, 1e300], dtype=torch.float64),
        "f32": torch.tensor([0.5, -2.25, 16777216.0], dtype=torch.float32),
        "f16": torch.tensor([0.5, -2.25, 65504.0], dtype=torch.float16),
        "bf16": torch.tensor([0.5, -2.25, 2.0**100], dtype=torch.bfloat16),
        "i64": torch.tensor([2**63 - 1, -(2**63), 2**53 + 1], dtype=torch.int64),
        "i32": torch.tensor([2**31 - 1, -(2**31), 7], dtype=torch.int32),
        "i16": torch.tensor([32767, -32768, 7], dtype=torch.int16),
        "i8": torch.tensor([127, -128, 7], dtype=torch.int8),
        "u8": torch.tensor([255, 0, 7], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(42, dtype=torch.int64),
        "empty": torch.zeros(0, dtype=torch.float32),
        "matrix": torch.arange(6, dtype=torch.float32).reshape(2, 3),
        "naïve \"name\"": torch.zeros(1, dtype=torch.float32),
    }
    # One entry: the reference implementation does not order them.
    write("types.safetensors", save(tensors, metadata={"note": "é \"quoted\" /\\\n\x01"}))


def batch_norm(affine, count):
    module = torch.nn.BatchNorm1d(3, affine=affine)
    if affine:
        module.weight.data = torch.tensor([1.5, 1.0, -0.5])
        module.bias.data = torch.tensor([0.25, 0.0, -4.0])
    module.running_mean.data = torch.tensor([10.5, -3.25, 0.0])
    module.running_var.data = torch.tensor([4.0, 0.0625, 1.0])
    module.num_batches_tracked.data = torch.tensor(count)
    return module


def pytorch():
    """A module's state, that of a whole model, and one of before PyTorch 0.4.1: no count."""
    write("batchnorm1d.safetensors", save(batch_norm(True, 12).state_dict()))
    model = torch.nn.Module()
    model.fc = torch.nn.Linear(3, 2)
    torch.nn.init.ones_(model.fc.weight)
    torch.nn.init.zeros_(model.fc.bias)
    model.bn1 = batch_norm(False, 7)
    write("model.safetensors", save(model.state_dict()))
    state = batch_norm(True, 12).state_dict()
    del state["num_batches_tracked"]
    write("without_count.safetensors", save(state))


def parameters():
    tensors = {
        "weight": torch.tensor([1.5, 1.0, -0.5], dtype=torch.float16),
        "bias": torch.tensor([0.25, 0.0, -4.0], dtype=torch.bfloat16),
    }
    metadata = {"evenkeel.features": json.dumps(["temp", "humid", "wind"])}
    write("parameters.safetensors", save(tensors, metadata=metadata))


# The records of a stream and the present values were not counted at first.
RECORDS = ("records", "evenkeel.stream.records", "count")
PRESENT = ("present", "evenkeel.values.present", "count")
# Of format version 2: each group of the state with its scope and columns (name, tensor, kind).
STATE = [
    ("affine", "feature", [("weight", "weight", "real"), ("bias", "bias", "real")]),
    (
        "moments",
        "feature",
        [
            ("mean", "running_mean", "real"),
            ("variance", "running_var", "real"),
            ("weight", "evenkeel.moments.weight", "real"),
            ("batches", "evenkeel.moments.batches", "count"),
            ("variance_weight", "evenkeel.moments.variance_weight", "real"),
            ("variance_batches", "evenkeel.moments.variance_batches", "count"),
        ],
    ),
    (
        "values",
        "feature",
        [
            ("missing", "evenkeel.values.missing", "count"),
            ("clipped", "evenkeel.values.clipped", "count"),
            PRESENT,
        ],
    ),
    ("stream", "stream", [("batches", "num_batches_tracked", "count"), RECORDS]),
    (
        "versions",
        "stream",
        [
            ("state", "evenkeel.versions.state", "count"),
            ("parameters", "evenkeel.versions.parameters", "count"),
        ],
    ),
]


def checkpoint(file_name, lacks=()):
    """A checkpoint of format version 2, put together by hand from docs/CHECKPOINTS.md."""
    f64, i64 = ("F64", "d"), ("I64", "q")
    tensors = {  # in the order of the file: I64 before F64, then by name
        "evenkeel.moments.batches": (i64, [3], [12, 11, 12]),
        "evenkeel.moments.variance_batches": (i64, [3], [12, 10, 12]),
        RECORDS[1]: (i64, [], [3072]),
        "evenkeel.values.clipped": (i64, [3], [0, 1, 0]),
        "evenkeel.values.missing": (i64, [3], [0, 256, 4]),
        PRESENT[1]: (i64, [3], [3072, 2816, 3068]),
        "evenkeel.versions.parameters": (i64, [], [5]),
        "evenkeel.versions.state": (i64, [], [13]),
        "num_batches_tracked": (i64, [], [12]),
        "bias": (f64, [3], [0.25, 0.0, -4.0]),
        "evenkeel.moments.variance_weight": (f64, [3], [3072, 2815, 3068]),
        "evenkeel.moments.weight": (f64, [3], [3072, 2816, 3068]),
        "running_mean": (f64, [3], [10.1, -3.25, 1e9]),
        "running_var": (f64, [3], [4.2, 0.0625, 1.0]),
        "weight": (f64, [3], [1.5, 1.0, -0.5]),
    }
    for column in lacks:
        del tensors[column[1]]
    compact = {"separators": (",", ":"), "ensure_ascii": False}
    state = [
        {
            "columns": [
                {"kind": kind, "name": column, "tensor": tensor}
                for column, tensor, kind in columns
                if tensor in tensors
            ],
            "name": name,
            "scope": scope,
        }
        for name, scope, columns in STATE
    ]
    header = {
        "__metadata__": {
            "evenkeel.checksum": "0" * 16,
            "evenkeel.features": json.dumps(["temp", "humid", 'vent "é"'], **compact),
            "evenkeel.input": json.dumps(
                {
                    "done": "",
                    "form": "csv temp humid",
                    "opening": {
                        "columns": ["key", "temp", "humid", 'vent "é"'],
                        "features": ["temp", "humid", 'vent "é"'],
                        "prologue": 'key,temp,humid,"vent ""é"""\n',
                    },
                    "splits": [
                        {
                            "byte_offset": 123456,
                            "container": {"offset": 4096, "bytes_within": 99},
                            "decoder": {"hex": "00ff10"},
                            "records": 3072,
                            "source": "1 2",
                            "split": "in.csv.zst",
                        }
                    ],
                },
                sort_keys=True,
                **compact,
            ),
            "evenkeel.settings": json.dumps({"epsilon": "1e-05", "momentum": "0.1"}, **compact),
            "evenkeel.state": json.dumps(state, **compact),
            "evenkeel.version": "2",
        }
    }
    data = b""
    for name, ((dtype, code), shape, values) in tensors.items():
        packed = struct.pack(f"<{len(values)}{code}", *values)
        offsets = [len(data), len(data) + len(packed)]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        data += packed
    text = json.dumps(header, **compact).encode()
    text += b" " * (-len(text) % 8)
    file = struct.pack("<Q", len(text)) + text + data
    xxhash = ctypes.CDLL("libxxhash.so.0")
    xxhash.XXH3_64bits.restype = ctypes.c_uint64
    xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    digits = b"%016x" % xxhash.XXH3_64bits(file, len(file))
    write(file_name, file.replace(b"0" * 16, digits, 1))


if __name__ == "__main__":
    GOLDEN.mkdir(parents=True, exist_ok=True)
    every_type()
    pytorch()
    parameters()
    checkpoint("checkpoint-v2.safetensors", lacks=[RECORDS, PRESENT])
    checkpoint("checkpoint-v2-records.safetensors", lacks=[PRESENT])
    checkpoint("checkpoint-v2-present.safetensors")
