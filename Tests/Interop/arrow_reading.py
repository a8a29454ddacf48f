"""Reads Arrow files, computes what NumPy makes of them, and runs the binary."""

import pathlib
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.ipc

EPSILON = 1e-5


def read(path):
    """The table of a stream or of a file."""
    data = pathlib.Path(path).read_bytes()
    if data.startswith(b"ARROW1"):
        return pa.ipc.open_file(pa.BufferReader(data)).read_all()
    return pa.ipc.open_stream(pa.BufferReader(data)).read_all()


def batch_lengths(path):
    data = pathlib.Path(path).read_bytes()
    if data.startswith(b"ARROW1"):
        file = pa.ipc.open_file(pa.BufferReader(data))
        return [file.get_batch(index).num_rows for index in range(file.num_record_batches)]
    return [batch.num_rows for batch in pa.ipc.open_stream(pa.BufferReader(data))]


def batch_ends(lengths, size):
    """The ends of the mini-batches: after `size` rows, and at the end of a record batch in which one was cut."""
    ends, open_rows, row = [], 0, 0
    for length in lengths:
        was_cut = False
        for _ in range(length):
            row += 1
            open_rows += 1
            if open_rows == size:
                ends.append(row)
                open_rows, was_cut = 0, True
        if was_cut and open_rows:
            ends.append(row)
            open_rows = 0
    if open_rows:
        ends.append(row)
    return ends


def flattened(table):
    """Columns by the names of their features: lists as `e[0]`, children of structs as `s.a`."""
    columns = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
        if pa.types.is_fixed_size_list(column.type):
            width = column.type.list_size
            for element in range(width):
                columns[f"{name}[{element}]"] = column.flatten()[element::width]
        elif pa.types.is_struct(column.type):
            for index, child in enumerate(column.flatten()):
                columns[f"{name}.{column.type.field(index).name}"] = child
        else:
            columns[name] = column
    return columns


def numbers(column):
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def normalized(values, ends):
    result, start = np.empty_like(values), 0
    for end in ends:
        part = values[start:end]
        found = part[~np.isnan(part)]
        with np.errstate(invalid="ignore"):
            mean, variance = (found.mean(), found.var()) if found.size else (np.nan, np.nan)
            result[start:end] = (part - mean) / np.sqrt(variance + EPSILON)
        start = end
    return result


def run(evenkeel, source, output, *options):
    command = [
        evenkeel, "normalize", str(source), "-o", str(output), "--mode", "batch",
        "--epsilon", str(EPSILON), "--clip", "off", *options,
    ]
    subprocess.run(command, check=True, capture_output=True)
