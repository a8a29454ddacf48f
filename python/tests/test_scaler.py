"""The scaler, against the binary and against the libraries whose form it takes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from conftest import SAMPLE, WEATHER, evenkeel

from evenkeel import Checkpoint, Scaler, fit

Matrix = npt.NDArray[np.float64]
ESTIMATION = ("--momentum", "cumulative", "--estimator", "total")


@pytest.fixture
def scaler(values: Matrix) -> Scaler:
    fitted = fit(values, batch_size=100)
    checkpoint = fitted.checkpoint.with_parameters([1.5, -2.0, 1.0, 0.25], [0.0, 3.0, -1.0, 1e-3])
    return Scaler(checkpoint.with_features(list("abcd")))


def daemon_values(scaler: Scaler, values: Matrix, folder: Path, *options: object) -> Matrix:
    """Normalises raw rows by a frozen run of the binary."""
    names = [f"f{index}" for index in range(values.shape[1])]
    scaler.checkpoint.with_features(names).save(folder / "frozen")
    scalar = str(values.dtype)
    output = evenkeel(
        *("normalize", "--format", "raw", "--columns", values.shape[1], "--scalar", scalar),
        *("--precision", scalar, "--no-compress", "--frozen", *ESTIMATION, *options),
        *("--checkpoint-in", folder / "frozen"),
        input=values.tobytes(),
    )
    return np.frombuffer(output, dtype=values.dtype).reshape(values.shape)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ({}, ()),
        ({"on_missing": "impute"}, ("--on-missing", "impute")),
        ({"clip": 1.5}, ("--clip", "1.5")),
    ],
)
def test_every_bit_is_the_binarys(
    scaler: Scaler,
    values: Matrix,
    tmp_path: Path,
    arguments: dict[str, Any],
    options: tuple[str, ...],
    dtype: str,
) -> None:
    given = values.astype(dtype)
    found = scaler.set_params(**arguments).transform(given)
    expected = daemon_values(scaler, given, tmp_path, *options)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.isnan(found).any() == (arguments.get("on_missing") != "impute")


def test_a_variance_floor_is_the_binarys(values: Matrix, tmp_path: Path) -> None:
    scaler = fit(values, batch_size=100, variance_floor=2.0)
    found = scaler.transform(values)
    expected = daemon_values(scaler, values, tmp_path, "--variance-floor", "2.0")
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.nanstd(found[:, 0]) < 0.9


@pytest.mark.parametrize("epsilon", [("--epsilon", "0.5"), ("--epsilon-relative", "0.25")])
def test_either_epsilon_and_the_recorded_limit_are_the_binarys(
    values: Matrix, tmp_path: Path, epsilon: tuple[str, str]
) -> None:
    settings = {epsilon[0].strip("-").replace("-", "_"): float(epsilon[1]), "clip": 1.25}
    scaler = fit(values, batch_size=100, **settings)  # type: ignore[arg-type]
    found = scaler.transform(values)
    expected = daemon_values(scaler, values, tmp_path, *epsilon, "--clip", "1.25")
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.nanmax(np.abs(found)) <= 1.25
    free = scaler.set_params(clip=None).transform(values)
    assert np.nanmax(np.abs(free)) > 1.25


def test_a_prior_that_the_checkpoint_lacks_is_told(values: Matrix) -> None:
    scaler = fit(values)
    recorded = Scaler(scaler.checkpoint.with_settings(**{"prior.values": "500.0"}))
    with pytest.warns(UserWarning, match="merged its moments with those of a prior"):
        found = recorded.transform(values)
    assert np.array_equal(found, scaler.transform(values), equal_nan=True)


def test_a_constant_feature_becomes_its_bias(values: Matrix, tmp_path: Path) -> None:
    import pandas

    table = values.copy()
    table[:, 1] = 0.1
    fitted = fit(table, batch_size=100)
    scaler = Scaler(fitted.checkpoint.with_parameters([2.0] * 4, [0.5] * 4))
    found = scaler.transform(values)
    assert (found[:, 1][~np.isnan(values[:, 1])] == 0.5).all()
    assert np.array_equal(found, daemon_values(scaler, values, tmp_path), equal_nan=True)
    assert (scaler.inverse_transform(found)[:, 1][~np.isnan(values[:, 1])] == 0.1).all()
    with pytest.raises(ValueError, match="bias of a feature with deviation 0"):
        scaler.to_sklearn()
    frame = pandas.DataFrame(values, columns=list(fitted.checkpoint.features))
    plain = fitted.to_sklearn().transform(frame)
    assert (plain[:, 1][~np.isnan(values[:, 1])] == 0).all()


def test_a_csv_stream_has_the_same_numbers(tmp_path: Path) -> None:
    import pandas

    features = ["--features", ",".join(WEATHER)]
    before = tmp_path / "before.safetensors"
    evenkeel("normalize", SAMPLE, "-o", tmp_path / "1.csv", *features, "--checkpoint-out", before)
    evenkeel(
        *("normalize", SAMPLE, "-o", tmp_path / "2.csv", *features, "--checkpoint-in", before),
        *("--frozen", "--precision", "float64"),
    )
    expected = pandas.read_csv(tmp_path / "2.csv")
    raw = pandas.read_csv(SAMPLE)
    found = Scaler.load(before).apply(raw)
    assert list(found.columns) == list(expected.columns)
    assert (found["origin"] == expected["origin"]).all()
    np.testing.assert_allclose(found[WEATHER], expected[WEATHER], rtol=1e-12)


def test_the_inverse_gives_back_the_values(scaler: Scaler, values: Matrix) -> None:
    back = scaler.inverse_transform(scaler.transform(values))
    np.testing.assert_allclose(back, values, rtol=1e-12)


def test_a_weight_of_zero_has_no_inverse(scaler: Scaler, values: Matrix) -> None:
    without = Scaler(scaler.checkpoint.with_parameters(weight=[1.0, 0.0, 1.0, 1.0]))
    assert (without.transform(values)[:, 1][~np.isnan(values[:, 1])] == 3.0).all()
    with pytest.raises(ValueError, match="feature 'b': expected a weight that is not 0"):
        without.inverse_transform(values)


def test_frames_are_taken_by_name(scaler: Scaler, values: Matrix) -> None:
    import pandas
    import polars
    import pyarrow

    expected = scaler.transform(values)
    columns = {name: values[:, j] for j, name in enumerate("abcd")}
    shuffled = {"d": columns["d"], "label": np.arange(len(values)), **columns}
    table = pandas.DataFrame(shuffled, index=np.arange(len(values)) + 7)
    found = scaler.transform(table)
    assert list(found.columns) == list("abcd")
    assert list(found.index) == list(table.index)
    assert np.array_equal(found.to_numpy(), expected, equal_nan=True)
    whole = scaler.apply(table)
    assert list(whole.columns) == list(table.columns)
    assert (whole["label"] == table["label"]).all()
    assert np.array_equal(whole[list("abcd")].to_numpy(), expected, equal_nan=True)

    frame = polars.DataFrame(shuffled).with_columns(polars.col("a").fill_nan(None))
    out = scaler.transform(frame)
    assert out.columns == list("abcd")
    assert np.array_equal(out.to_numpy(), expected, equal_nan=True)
    assert out["a"].null_count() == int(np.isnan(values[:, 0]).sum())
    assert out["b"].null_count() == 0

    arrow = pyarrow.table({name: pyarrow.array(v, from_pandas=True) for name, v in shuffled.items()})
    done = scaler.apply(arrow)
    assert done.schema.names == arrow.schema.names
    assert done["a"].null_count == arrow["a"].null_count
    got = np.stack([done[name].to_numpy() for name in "abcd"], axis=1)
    assert np.array_equal(got, expected, equal_nan=True)


def test_nullable_and_integer_columns_are_numbers(scaler: Scaler) -> None:
    import pandas

    table = pandas.DataFrame(
        {
            "a": pandas.array([1, None], dtype="Int64"),
            "b": [1, 2],
            "c": pandas.array([0.5, None], dtype="Float32"),
            "d": [0.0, np.nan],
        }
    )
    plain = np.array([[1, 1, 0.5, 0], [np.nan, 2, np.nan, np.nan]])
    found = scaler.transform(table).to_numpy()
    assert np.array_equal(found, scaler.transform(plain), equal_nan=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((3, 5)), r"shape \[rows, 4\], found \[3, 5\]"),
        (np.zeros(4), r"shape \[rows, 4\], found \[4\]"),
        ([["a", "b", "c", "d"]], "expected numbers"),
        ([[0.0, np.inf, 0.0, 0.0]], "row 0: expected a finite number or NaN in feature 'b'"),
    ],
)
def test_what_is_no_matrix_of_the_features_is_refused(
    scaler: Scaler, given: Any, message: str
) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        scaler.transform(given)


def test_a_frame_without_a_feature_is_refused(scaler: Scaler) -> None:
    import pandas
    import polars

    names = ["a", "B", "c", "d"]
    with pytest.raises(ValueError, match="expected a column 'b', found none"):
        scaler.transform(pandas.DataFrame(np.zeros((1, 4)), columns=names))
    with pytest.raises(TypeError, match="call collect"):
        scaler.transform(polars.DataFrame({"a": [1.0]}).lazy())
    weather = Scaler(scaler.checkpoint.with_features(["temp", "b", "c", "d"]))
    table = pandas.DataFrame(np.zeros((1, 4)), columns=["tmp", "b", "c", "d"])
    with pytest.raises(ValueError, match="did you mean 'tmp'"):
        weather.transform(table)


def test_scikit_learn_takes_it_as_its_own(scaler: Scaler, values: Matrix) -> None:
    import pandas
    from sklearn.base import clone
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline

    copied = clone(scaler.set_params(on_missing="impute"))
    assert copied is not scaler and copied.get_params() == scaler.get_params()
    target = np.nan_to_num(values[:, 0])
    pipeline = make_pipeline(copied, SimpleImputer(), LinearRegression())
    assert cross_val_score(pipeline, values, target, cv=3).shape == (3,)
    assert pipeline[:2].fit(values).get_feature_names_out().tolist() == list("abcd")

    table = pandas.DataFrame(values, columns=list("abcd")).assign(kind="x")
    chosen = ColumnTransformer([("scaled", scaler, list("abcd"))], remainder="passthrough")
    out = chosen.set_output(transform="pandas").fit_transform(table)
    assert out.columns.tolist() == [f"scaled__{name}" for name in "abcd"] + ["remainder__kind"]
    expected = scaler.set_output(transform="default").transform(values)
    assert np.array_equal(out.iloc[:, :4].to_numpy(dtype=float), expected, equal_nan=True)

    frame = clone(scaler.set_output(transform="polars")).transform(values)
    assert type(frame).__module__.startswith("polars")
    assert frame.columns == list("abcd")


def test_only_arguments_are_parameters(scaler: Scaler) -> None:
    with pytest.raises(ValueError, match="expected one of checkpoint, .*, found 'momentum'"):
        scaler.set_params(momentum=0.1)
    with pytest.raises(ValueError, match="on_missing: expected keep or impute"):
        scaler.set_params(on_missing="drop").transform(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="expected the features"):
        scaler.get_feature_names_out(["a", "b"])
    assert scaler.get_feature_names_out(list("abcd")).tolist() == list("abcd")


def close(found: Matrix, expected: Matrix) -> None:
    """Feature c has σ = 1e-3 at 1e6; what libraries compute there loses seven digits."""
    exact = [0, 1, 3]
    np.testing.assert_allclose(found[:, exact], expected[:, exact], rtol=1e-9)
    np.testing.assert_allclose(found[:, 2], expected[:, 2], rtol=0, atol=1e-6)


def test_a_standard_scaler_computes_the_same(scaler: Scaler, values: Matrix) -> None:
    import pandas

    theirs = scaler.to_sklearn()
    table = pandas.DataFrame(values, columns=list("abcd"))
    close(theirs.transform(table), scaler.transform(values))
    plain = fit(values, batch_size=100).to_sklearn()
    assert np.array_equal(plain.n_samples_seen_, (~np.isnan(values)).sum(axis=0))
    np.testing.assert_allclose(plain.mean_, np.nanmean(values, axis=0), rtol=1e-12)
    np.testing.assert_allclose(plain.var_, np.nanvar(values, axis=0), rtol=1e-8)
    with pytest.raises(ValueError, match="clip"):
        scaler.set_params(clip=2.0).to_sklearn()


def test_a_module_computes_the_same(scaler: Scaler, values: Matrix) -> None:
    torch = pytest.importorskip("torch")
    module = scaler.to_torch()
    assert not module.training
    with torch.no_grad():
        theirs = module(torch.from_numpy(values)).numpy()
    close(theirs, scaler.transform(values))


def test_a_module_becomes_a_scaler_that_a_stream_takes(values: Matrix, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.BatchNorm1d(4, eps=1e-3, dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(torch.tensor([1.0, 2.0, -3.0, 0.5]))
        for batch in torch.from_numpy(np.nan_to_num(values)).split(100):
            module(batch)
    scaler = Scaler.from_torch(module, list("abcd"))
    module.eval()
    with torch.no_grad():
        theirs = module(torch.from_numpy(values)).numpy()
    close(theirs, scaler.transform(values))
    assert scaler.get_feature_names_out().tolist() == list("abcd")
    scaler.save(tmp_path / "saved")
    again = Scaler.load(tmp_path / "saved")
    assert np.array_equal(again.transform(values), scaler.transform(values), equal_nan=True)
    evenkeel("inspect", tmp_path / "saved")
    with pytest.raises(ValueError, match="expected 4 names, found 1"):
        Scaler.from_torch(module, ["a"])
    with pytest.raises(ValueError, match="expected running statistics"):
        Scaler.from_torch(torch.nn.BatchNorm1d(4, track_running_stats=False))


def test_epsilon_is_asked_for_where_it_is_not_recorded(scaler: Scaler, values: Matrix) -> None:
    torch = pytest.importorskip("torch")
    imported = Scaler.from_torch(torch.nn.BatchNorm1d(4)).checkpoint
    with pytest.raises(ValueError, match="epsilon: the checkpoint does not record it"):
        Scaler(imported).transform(values)
    with pytest.raises(ValueError, match="epsilon: expected none, because"):
        scaler.set_params(epsilon=1e-3).transform(values)


def test_what_is_saved_is_loaded(scaler: Scaler, values: Matrix, tmp_path: Path) -> None:
    scaler.set_params(clip=2.0, on_missing="impute").save(tmp_path / "saved")
    again = Scaler.load(tmp_path / "saved")
    assert (again.clip, again.on_missing) == (2.0, "impute")
    assert np.array_equal(again.transform(values), scaler.transform(values))
    evenkeel("inspect", tmp_path / "saved")
    copied = pickle.loads(pickle.dumps(scaler))
    assert copied.checkpoint == scaler.checkpoint
    scaler.set_params(clip="recorded", on_missing="keep").save(tmp_path / "plain")
    assert Checkpoint.load(tmp_path / "plain") == scaler.checkpoint
