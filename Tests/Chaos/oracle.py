"""Compares the output with that of an undisturbed run over the same input."""

import subprocess
import time
from pathlib import Path

from actors import left
from streams import configuration


def files_of(folder: Path, name: str) -> list[Path]:
    """The rotated files of a stream in their order, then the one that grows."""
    rotated = sorted(folder.glob(f"{name}-*.csv"), key=lambda path: path.name.rsplit("-", 1)[1])
    growing = folder / f"{name}.csv"
    return rotated + ([growing] if growing.exists() else [])


def records_of(folder: Path, name: str) -> list[bytes]:
    """The lines of all files without their headers."""
    while True:
        try:
            parts = [path.read_bytes() for path in files_of(folder, name)]
            break
        except FileNotFoundError:
            # Rotated between the look and the read.
            continue
    lines = [line for part in parts for line in part.split(b"\n")]
    return [line for line in lines if line.rstrip(b"\r") and not line.startswith(b"id,")]


def letters_of(folder: Path, name: str) -> int:
    letters = (folder / "state" / name).glob("dead-letters*.ndjson")
    return sum(path.read_bytes().count(b"\n") for path in letters)


def wait_until_read(folder: Path, name: str, count: int, fault, seconds: float = 120):
    """Waits until as many records have come out as were written, dead letters counted. Gives up if for `seconds` none comes.

    A batch that is not full yet comes out at the stop.
    """
    end = time.monotonic() + seconds
    found = 0
    while time.monotonic() < end:
        before, found = found, len(records_of(folder, name)) + letters_of(folder, name)
        if found >= count - 64:
            return
        if found > before:
            end = time.monotonic() + seconds
        time.sleep(0.5)
    fault(f"{name}: {found} of {count} records came out")


def compare(chaos, exact, reference: Path):
    """Runs the exact streams undisturbed over the same input and compares the records."""
    outputs, fault = chaos.outputs, chaos.fault
    control = reference / "control"
    for stream in exact:
        if stream.source == "directory":
            directory = chaos.inputs / stream.name
            for file in left(directory).iterdir():
                file.rename(directory / file.name)
    (reference / "e.yaml").write_text(configuration(exact, chaos.inputs, reference, {}, control))
    command = [chaos.evenkeel, "run", "--config", reference / "e.yaml"]
    daemon = subprocess.Popen(command, stderr=chaos.log)
    try:
        for stream in exact:
            count = len(records_of(outputs, stream.name)) + letters_of(outputs, stream.name)
            wait_until_read(reference, stream.name, count, fault)
    finally:
        daemon.terminate()
        daemon.wait(60)
    for stream in exact:
        found, expected = (records_of(folder, stream.name) for folder in (outputs, reference))
        if not chaos.compares_bytes or stream.mode == "running":
            found, expected = ([line.split(b",")[0] for line in lines] for lines in (found, expected))
        if found != expected:
            at = next(
                (i for i, pair in enumerate(zip(found, expected)) if pair[0] != pair[1]),
                min(len(found), len(expected)),
            )
            fault(
                f"{stream.name} ({stream.kind}): {len(found)} records, expected {len(expected)}; "
                f"they differ from record {at} on"
            )
        letters = [letters_of(folder, stream.name) for folder in (outputs, reference)]
        if letters[0] != letters[1]:
            fault(f"{stream.name}: {letters[0]} dead letters, expected {letters[1]}")
