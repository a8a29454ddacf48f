"""Checkpoint files, written by the binary and by this package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SAMPLE, WEATHER, evenkeel

from evenkeel import Checkpoint, CheckpointError
from evenkeel.tensorfile import TensorFile


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoint")
    target = folder / "weather.safetensors"
    evenkeel(
        *("normalize", SAMPLE, "-o", folder / "out.csv", "--features", ",".join(WEATHER)),
        *("--checkpoint-out", target),
    )
    return target


def exported(path: Path, folder: Path) -> Any:
    evenkeel("export", path, "--to", "json", "-o", folder / "exported.json")
    return json.loads((folder / "exported.json").read_text())


def test_a_checkpoint_says_what_the_binary_says_of_it(path: Path, tmp_path: Path) -> None:
    checkpoint = Checkpoint.load(path)
    told = exported(path, tmp_path)
    assert list(checkpoint.features) == WEATHER
    assert checkpoint.batches == told["stream"]["stream"]["batches"]
    assert checkpoint.settings == told["settings"]
    for member, (group, column) in {
        "weight": ("affine", "weight"),
        "bias": ("affine", "bias"),
        "mean": ("moments", "mean"),
        "variance": ("moments", "variance"),
        "values": ("moments", "weight"),
    }.items():
        expected = [feature[group][column] for feature in told["features"]]
        assert getattr(checkpoint, member).tolist() == expected


def test_a_checkpoint_that_is_written_again_has_the_same_bytes(path: Path, tmp_path: Path) -> None:
    Checkpoint.load(path).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_changed_checkpoint_is_one_for_the_binary(path: Path, tmp_path: Path) -> None:
    changed = Checkpoint.load(path).with_parameters(np.arange(1.0, 7.0), np.full(6, -0.5))
    changed = changed.with_features([f"é {name}" for name in WEATHER])
    changed.save(tmp_path / "changed")
    told = exported(tmp_path / "changed", tmp_path)
    assert [feature["affine"]["weight"] for feature in told["features"]] == [1, 2, 3, 4, 5, 6]
    assert [feature["affine"]["bias"] for feature in told["features"]] == [-0.5] * 6
    assert [feature["name"] for feature in told["features"]] == [f"é {name}" for name in WEATHER]
    versions = told["stream"]["versions"]
    assert versions["parameters"] == versions["state"] == Checkpoint.load(path).state_version + 1
    assert (changed.state_version, changed.parameters_version) == (versions["state"],) * 2
    assert Checkpoint.load(tmp_path / "changed") == changed
    assert changed != Checkpoint.load(path)


def test_every_changed_byte_is_found(path: Path) -> None:
    data = path.read_bytes()
    for index in range(0, len(data), 7):
        damaged = bytearray(data)
        damaged[index] ^= 0x10
        with pytest.raises(CheckpointError):
            Checkpoint.parse(bytes(damaged))


def test_every_truncation_is_found(path: Path) -> None:
    data = path.read_bytes()
    for length in range(0, len(data), 5):
        with pytest.raises(CheckpointError):
            Checkpoint.parse(data[:length])


def rewritten(path: Path, key: str, text: str) -> bytes:
    file = Checkpoint.load(path).file
    return Checkpoint(TensorFile(file.tensors, {**file.metadata, key: text})).serialize()


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("evenkeel.version", "1", "evenkeel.version: expected 2, found '1'"),
        ("evenkeel.version", "99", "evenkeel.version: expected .*, found '99'"),
        ("evenkeel.version", "x", "evenkeel.version: expected .*, found 'x'"),
        ("evenkeel.features", "[1]", "expected an array of names"),
        ("evenkeel.features", '["a"]', "expected 1 numbers, one for each feature"),
        ("evenkeel.features", json.dumps(["a"] * 6), "expected names that differ"),
        ("evenkeel.features", "{", "evenkeel.features: expected JSON"),
        ("evenkeel.settings", '{"epsilon":1}', "evenkeel.settings: expected strings"),
    ],
)
def test_a_checkpoint_of_another_form_is_refused(
    path: Path, key: str, text: str, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        Checkpoint.parse(rewritten(path, key, text))


def test_what_is_no_checkpoint_is_refused_with_its_path(path: Path, tmp_path: Path) -> None:
    evenkeel("export", path, "--to", "pytorch", "-o", tmp_path / "module")
    with pytest.raises(CheckpointError, match="module: evenkeel.version: expected a checkpoint"):
        Checkpoint.load(tmp_path / "module")


@pytest.mark.parametrize(
    "header",
    [
        {"a": {"dtype": "F64", "shape": [2], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F64", "shape": [-1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F64", "shape": [1 << 62, 1 << 62], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 8]}},
        {"a": {"dtype": "F64", "shape": [1], "data_offsets": [1 << 70, 8]}},
        {"a": []},
        {},
        [],
    ],
)
def test_a_header_that_does_not_fit_the_bytes_is_refused(header: object) -> None:
    text = json.dumps(header).encode()
    with pytest.raises(CheckpointError):
        TensorFile.parse(len(text).to_bytes(8, "little") + text + b"\0" * 8)


def test_nothing_in_a_checkpoint_changes(path: Path) -> None:
    checkpoint = Checkpoint.load(path)
    with pytest.raises(ValueError, match="read-only"):
        checkpoint.mean[0] = 1
    with pytest.raises(CheckpointError, match="expected finite numbers"):
        checkpoint.with_parameters(weight=[np.nan] * 6)
    with pytest.raises(CheckpointError, match="expected 6 numbers"):
        checkpoint.with_parameters(bias=[0.0])


def test_a_column_that_the_file_lacks_has_its_initial_value(path: Path) -> None:
    whole = Checkpoint.load(path).file
    kept = {
        name: tensor
        for name, tensor in whole.tensors.items()
        if name.startswith("running") or name == "num_batches_tracked"
    }
    checkpoint = Checkpoint.parse(Checkpoint(TensorFile(kept, whole.metadata)).serialize())
    assert checkpoint.weight.tolist() == [1.0] * 6
    assert checkpoint.bias.tolist() == checkpoint.values.tolist() == [0.0] * 6
    assert (checkpoint.state_version, checkpoint.parameters_version) == (0, 0)
