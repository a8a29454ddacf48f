"""Conversions between Arrow and text, and what Arrow tells on request: stamps, mini-batches, dictionaries."""

import decimal
import json

import numpy as np
import pandas
import polars as pl
import pyarrow as pa
import pyarrow.csv

from arrow_reading import batch_lengths, flattened, normalized, numbers, read, run


def check_csv(evenkeel, directory):
    """All columns of CSV, as pyarrow reads them."""
    source = directory / "in/all.csv"
    rows = [f'k{i},{i * 37 % 101},{"" if i % 7 == 3 else i / 8},"note ""{i}"", é"' for i in range(999)]
    source.write_text("id,x,y,note\n" + "\n".join(rows) + "\n")
    options = pyarrow.csv.ConvertOptions(
        column_types={"id": pa.utf8(), "note": pa.utf8(), "x": pa.float64(), "y": pa.float64()})
    expected = pyarrow.csv.read_csv(source, convert_options=options)
    for name in ("all.arrow", "all.arrows"):
        output = directory / "out" / name
        run(evenkeel, source, output, "--batch-size", "999", "--features", "x,y",
            "--output-format", "arrow")
        table = read(output)
        table.validate(full=True)
        assert table.column_names == ["id", "x", "y", "note"]
        for column in ("id", "note"):
            assert table[column].to_pylist() == expected[column].to_pylist(), column
        for column in ("x", "y"):
            values = numbers(expected[column].combine_chunks())
            np.testing.assert_allclose(
                numbers(table[column].combine_chunks()), normalized(values, [999]), atol=1e-6)


def check_json(evenkeel, directory):
    """All columns of NDJSON: strings, other values as they are spelled, nulls."""
    source = directory / "in/all.ndjson"
    records = [
        {"id": f"k{i} é\\u0001\"", "x": i * 37 % 101 / 8, "o": {"y": i, "name": f"n{i % 3}"},
         "tags": ["p", i], "n": None if i % 3 else i, "flag": i % 2 == 0}
        for i in range(999)
    ]
    source.write_text("".join(json.dumps(record) + "\n" for record in records))
    output = directory / "out/all-json.arrow"
    run(evenkeel, source, output, "--batch-size", "999", "--features", "x,o.y")
    table = read(output)
    table.validate(full=True)
    assert table.column_names == ["id", "x", "o.y", "o.name", "tags", "n", "flag"]
    expected = {
        "id": [record["id"] for record in records],
        "o.name": [record["o"]["name"] for record in records],
        "tags": [json.dumps(record["tags"]) for record in records],
        "n": [None if record["n"] is None else str(record["n"]) for record in records],
        "flag": ["true" if record["flag"] else "false" for record in records],
    }
    for name, values in expected.items():
        assert table[name].to_pylist() == values, name
    for name, values in (("x", [r["x"] for r in records]), ("o.y", [r["o"]["y"] for r in records])):
        np.testing.assert_allclose(
            numbers(table[name].combine_chunks()), normalized(np.array(values, float), [999]),
            atol=1e-6)


def check_dictionaries(evenkeel, directory):
    """Texts as dictionaries, which each record batch replaces, as pyarrow and Polars read them."""
    source, output = directory / "in/words.csv", directory / "out/words.arrows"
    source.write_text("word,x\n" + "".join(f"{'' if i % 11 == 5 else f'w{i % 7}'},{i}\n" for i in range(9000)))
    run(evenkeel, source, output, "--features", "x", "--dictionaries")
    words = [None if i % 11 == 5 else f"w{i % 7}" for i in range(9000)]
    table = read(output)
    table.validate(full=True)
    assert table.schema.field("word").type == pa.dictionary(pa.int32(), pa.utf8())
    assert len(batch_lengths(output)) > 1
    assert table["word"].to_pylist() == words
    assert pl.read_ipc_stream(output)["word"].cast(pl.String).to_list() == words


def check_text(evenkeel, directory):
    """The scalar columns of Arrow as CSV, as pyarrow reads it."""
    rows = 500
    instants = pa.array([None if i % 13 == 7 else 1_700_000_000_000_000 + i * 999_983 for i in range(rows)])
    table = pa.table({
        "x": pa.array([i / 4 for i in range(rows)], pa.float64()),
        "i8": pa.array([i % 200 - 100 for i in range(rows)], pa.int8()),
        "u64": pa.array([2**64 - 1 - i for i in range(rows)], pa.uint64()),
        "text": pa.array([f'a,"{i}"\n é' if i % 5 else None for i in range(rows)]),
        "large": pa.array([f"l{i}" for i in range(rows)], pa.large_utf8()),
        "view": pa.array([f"v{i}" * (i % 9) or "-" for i in range(rows)], pa.string_view()),
        "flag": pa.array([i % 3 == 0 for i in range(rows)]),
        "day": pa.array([i * 31 - 9000 for i in range(rows)], pa.int32()).cast(pa.date32()),
        "us": instants.cast(pa.timestamp("us", "UTC")),
        "price": pa.array([decimal.Decimal(i - 250) / 100 for i in range(rows)], pa.decimal128(9, 2)),
        "wide": pa.array([decimal.Decimal((i - 250) * 10**40) for i in range(rows)], pa.decimal256(60, 3)),
    })
    types = {
        "i8": pa.int8(), "u64": pa.uint64(), "text": pa.utf8(), "large": pa.utf8(), "view": pa.utf8(),
        "flag": pa.bool_(), "day": pa.date32(), "us": pa.timestamp("us", "UTC"),
        "price": pa.decimal128(9, 2), "wide": pa.utf8(), "x": pa.float64(),
    }
    for compression in (None, "zstd", "lz4"):
        source, output = directory / "in/scalars.arrows", directory / "out/scalars.csv"
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_stream(str(source), table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=64)
        run(evenkeel, source, output, "--features", "x", "--output-format", "csv", "--batch-size", "64")
        found = pyarrow.csv.read_csv(
            output, parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False))
        assert found.column_names == table.column_names
        for name in types:
            # pyarrow reads no CSV as the widest decimals.
            if name == "wide":
                assert [decimal.Decimal(text) for text in found[name].to_pylist()] == table[name].to_pylist()
            elif name != "x":
                assert found[name].to_pylist() == table[name].cast(types[name]).to_pylist(), name


def check_stamp(evenkeel, directory):
    """The versions in the custom metadata, and record batches as mini-batches."""
    source, output = directory / "in/pyarrow-zstd.arrows", directory / "out/stamped.arrow"
    run(evenkeel, source, output, "--batch-size", "64", "--stamp", "ek")
    before, after = read(source), read(output)
    after.validate(full=True)
    assert before.schema.equals(after.schema, check_metadata=True)
    reader, versions = pa.ipc.open_file(output), []
    for index in range(reader.num_record_batches):
        batch = reader.get_batch_with_custom_metadata(index)
        marks = json.loads(batch.custom_metadata[b"ek"])
        assert [mark["row"] for mark in marks] == [0, 64, 128, 192]
        versions += [mark["state_version"] for mark in marks]
    assert versions == list(range(1, 4 * reader.num_record_batches + 1)), "mode batch tells the version after a batch"
    each = directory / "out/each.arrow"
    run(evenkeel, source, each, "--batch-size", "record_batch")
    ends = list(np.cumsum(batch_lengths(source)))
    old, new = flattened(before), flattened(read(each))
    np.testing.assert_allclose(numbers(new["y"]), normalized(numbers(old["y"]), ends), atol=1e-6)


def check_empty(evenkeel, directory):
    """Record batches without rows are no mini-batches of their own, and stay."""
    schema = pa.schema([("x", pa.float64()), ("id", pa.int32())])
    lengths = [5, 0, 3, 0]
    for suffix in ("arrows", "arrow"):
        source, output = directory / f"in/empty.{suffix}", directory / f"out/empty.{suffix}"
        new = pa.ipc.new_stream if suffix == "arrows" else pa.ipc.new_file
        with new(str(source), schema) as writer:
            for rows in lengths:
                writer.write_batch(pa.record_batch([list(map(float, range(rows))), list(range(rows))], schema=schema))
        for size in ("record_batch", "2", "100"):
            run(evenkeel, source, output, "--batch-size", size, "--stamp", "ek")
            assert batch_lengths(output) == lengths
            assert read(output)["id"].to_pylist() == read(source)["id"].to_pylist()


def check_times(evenkeel, directory):
    """Times of day beyond 24 h are bad records of a text, plain and in dictionaries, and pass in Arrow."""
    times = [0, 86399, 86400, None, -1, 90000, 5]
    for unit, factor in (("s", 1), ("ms", 1000), ("us", 10**6), ("ns", 10**9)):
        width = pa.time32 if unit in ("s", "ms") else pa.time64
        column = pa.array([None if time is None else time * factor for time in times],
                          pa.int32() if unit in ("s", "ms") else pa.int64()).cast(width(unit))
        for name, values in (("plain", column), ("words", column.dictionary_encode())):
            table = pa.table({"t": values, "x": pa.array(range(7), pa.float64())})
            source, output = directory / "in/times.arrows", directory / "out/times.csv"
            with pa.ipc.new_stream(str(source), table.schema) as writer:
                writer.write_table(table)
            run(evenkeel, source, output, "--output-format", "csv", "--on-bad-record", "skip", "--no-compress")
            found = [line.split(",")[0][:8] for line in output.read_text().splitlines()[1:]]
            assert found == ["00:00:00", "23:59:59", "", "00:00:05"], (unit, name, found)
            same = directory / "out/times.arrows"
            run(evenkeel, source, same)
            assert read(same)["t"].equals(table["t"])


def check_pandas(evenkeel, directory):
    """Integers of pandas that become floats come back as a frame, whatever type pandas has for them."""
    types = ["int64", "Int64", "int64[pyarrow]", "int32", "Int32", "int32[pyarrow]"]
    frame = pandas.DataFrame({name: pandas.array(range(500), dtype=name) for name in types})
    frame["k"] = [f"k{row % 5}" for row in range(500)]
    frame["id"] = pandas.array(range(500), dtype="Int64")
    frame.loc[3, "Int64"] = None
    source = directory / "in/pandas.arrow"
    frame.to_feather(source, compression="uncompressed")
    for suffix in ("arrow", "arrows"):
        output = directory / f"out/pandas.{suffix}"
        run(evenkeel, source, output, "--features", ",".join(types))
        found = read(output).to_pandas()
        assert [str(found[name].dtype) for name in types] == [
            "float64", "Float64", "double[pyarrow]", "float32", "Float32", "float[pyarrow]"]
        assert found["id"].equals(frame["id"]) and found["k"].equals(frame["k"])
        assert found["Int64"].isna().tolist() == [row == 3 for row in range(500)]
        assert found["Int32"].tolist() == found["int32"].tolist()


def check_all(evenkeel, directory):
    for check in (check_csv, check_json, check_dictionaries, check_text, check_stamp, check_empty, check_times,
                  check_pandas):
        check(evenkeel, directory)
