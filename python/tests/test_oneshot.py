"""`normalize` and `fit`, against the command and scikit-learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import SAMPLE, WEATHER, evenkeel

import evenkeel as package
from evenkeel import BinaryError, Checkpoint

Matrix = npt.NDArray[np.float64]


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, ()),
        ({"mode": "batch", "batch_size": 100}, ("--mode", "batch", "--batch-size", "100")),
        ({"preset": "keras", "on_missing": "impute"}, ("--preset", "keras", "--on-missing", "impute")),
        (
            {"update_first": True, "bias_correction": False},
            ("--update-first", "--bias-correction", "false"),
        ),
    ],
)
def test_a_frame_is_normalised_as_its_file(
    settings: dict[str, Any], options: tuple[str, ...], tmp_path: Path
) -> None:
    import pandas

    evenkeel(
        *("normalize", SAMPLE, "-o", tmp_path / "out.csv", "--features", ",".join(WEATHER)),
        *("--precision", "float64", "--checkpoint-out", tmp_path / "theirs", *options),
    )
    expected = pandas.read_csv(tmp_path / "out.csv")
    table = pandas.read_csv(SAMPLE)
    before = table.copy()
    found = package.normalize(table, WEATHER, checkpoint_out=tmp_path / "ours", **settings)
    assert table.equals(before)
    assert found.drop(columns=WEATHER).equals(table.drop(columns=WEATHER))
    assert np.array_equal(found[WEATHER], expected[WEATHER], equal_nan=True)
    ours, theirs = Checkpoint.load(tmp_path / "ours"), Checkpoint.load(tmp_path / "theirs")
    assert ours.features == theirs.features
    assert ours.settings == theirs.settings
    assert np.array_equal(ours.mean, theirs.mean)
    assert np.array_equal(ours.variance, theirs.variance)


def test_a_run_goes_on_from_a_checkpoint(values: Matrix, tmp_path: Path) -> None:
    import polars

    table = polars.DataFrame(values, schema=list("abcd"))
    whole = package.normalize(table, batch_size=100)
    first = package.normalize(table[:1000], batch_size=100, checkpoint_out=tmp_path / "middle")
    # The columns are found by name, in whatever order they stand.
    rest = table[1000:].select(list("dbca"))
    second = package.normalize(rest, batch_size=100, checkpoint_in=tmp_path / "middle")
    assert second.columns == list("dbca")
    joined = polars.concat([first, second.select(list("abcd"))])
    assert np.array_equal(joined.to_numpy(), whole.to_numpy(), equal_nan=True)
    with pytest.raises(BinaryError, match="does not fit"):
        package.normalize(table, "a,b", checkpoint_in=tmp_path / "middle")
    matched = package.normalize(
        table, "a,b", checkpoint_in=tmp_path / "middle", on_mismatch="match_by_name", frozen=True
    )
    expected = package.Scaler.load(tmp_path / "middle").transform(table)
    assert np.array_equal(matched["b"], expected["b"], equal_nan=True)


def test_float32_stays_float32(values: Matrix) -> None:
    narrow = values.astype(np.float32)
    found = package.normalize(narrow, mode="batch", batch_size=500)
    assert found.dtype == np.float32
    means = [np.nanmean(part, axis=0) for part in np.split(found.astype(np.float64), 4)]
    assert np.abs(means).max() < 1e-5


def test_columns_of_an_array_are_chosen_by_number(values: Matrix) -> None:
    found = package.normalize(values, "f1,f3", mode="batch")
    assert np.array_equal(found[:, [0, 2]], values[:, [0, 2]], equal_nan=True)
    assert not np.array_equal(found[:, 1], values[:, 1], equal_nan=True)


def test_a_large_table_passes_the_pipe() -> None:
    table = np.random.default_rng(1).normal(size=(300_000, 8))
    found = package.normalize(table, mode="batch", batch_size=1000)
    assert np.abs(found.reshape(300, 1000, 8).mean(axis=1)).max() < 1e-10


def test_an_empty_table_stays_empty() -> None:
    assert package.normalize(np.empty((0, 3))).shape == (0, 3)


def test_what_the_program_refuses_is_said_with_the_names() -> None:
    import pandas

    table = pandas.DataFrame({"fine": [1.0, 2.0], "huge": [1e300, -1e300]})
    with pytest.raises(BinaryError, match=r"'f1'.*\(f1 is 'huge'\)") as caught:
        package.normalize(table, mode="batch")
    assert caught.value.exit_code == 65
    with pytest.raises(BinaryError, match="momentum") as caught:
        package.normalize(table, momentum=7)
    assert caught.value.exit_code in (64, 78)
    with pytest.raises(BinaryError, match="--momentun"):
        package.normalize(table, **{"momentun": 0.1})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected at least one feature"):
        package.normalize(pandas.DataFrame({"a": ["x"]}))
    with pytest.raises(ValueError, match="did you mean 'fine'"):
        package.normalize(table, "fin")


def test_fit_has_the_moments_of_all_values(values: Matrix) -> None:
    from sklearn.preprocessing import StandardScaler

    ours, theirs = package.fit(values, batch_size=64), StandardScaler().fit(values)
    np.testing.assert_allclose(ours.checkpoint.mean, theirs.mean_, rtol=1e-12)
    np.testing.assert_allclose(ours.checkpoint.variance, theirs.var_, rtol=1e-8)
    moving = package.fit(values, momentum=0.5, clip=3.0)
    assert moving.checkpoint.settings["momentum"] == "0.5"
    assert moving.clip == 3.0


def test_a_missing_binary_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EVENKEEL_BINARY", str(tmp_path / "absent"))
    with pytest.raises(BinaryError, match="EVENKEEL_BINARY: expected a program"):
        package.normalize(np.zeros((2, 1)))
    monkeypatch.delenv("EVENKEEL_BINARY")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda *arguments: str(tmp_path))
    with pytest.raises(BinaryError, match="found no evenkeel program"):
        package.find_binary()
