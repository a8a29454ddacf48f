"""Writes the Arrow files of Tests/CodecsTests/Golden/arrow."""

import itertools
import pathlib

import arrow_files

ROWS = 24
BATCHES = 3

# One of each kind that its readers must tell apart; `make arrow-interop` reads all.
KEPT = {
    "duckdb.arrows",
    "pandas.arrow",
    "pandas.arrows",
    "polars-lazy.arrow",
    "polars-newest-lz4.arrows",
    "polars-newest-none.arrow",
    "polars-oldest-zstd.arrow",
    "pyarrow-bomb.arrows",
    "pyarrow-deltas.arrows",
    "pyarrow-legacy.arrows",
    "pyarrow-lz4.arrow",
    "pyarrow-lz4.arrows",
    "pyarrow-none.arrow",
    "pyarrow-none.arrows",
    "pyarrow-words-lz4.arrows",
    "pyarrow-words-none.arrows",
    "pyarrow-words-zstd.arrows",
    "pyarrow-words.arrow",
    "pyarrow-words.ndjson",
    "pyarrow-zstd.arrow",
    "pyarrow-zstd.arrows",
}

directory = pathlib.Path(__file__).parents[2] / "CodecsTests/Golden/arrow"
directory.mkdir(parents=True, exist_ok=True)
for path in itertools.chain(
    arrow_files.write_all(directory, ROWS, BATCHES), arrow_files.write_words(directory)
):
    if path.name not in KEPT:
        path.unlink()
