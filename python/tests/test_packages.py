"""The files that pip installs."""

from __future__ import annotations

import base64
import csv
import hashlib
import os
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import evenkeel_build
import pytest
from conftest import ROOT
from platform_tags import PlatformError, platform_tag

# A program that needs glibc alone.
PROGRAM = Path("/bin/true")


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVENKEEL_BINARY", str(PROGRAM))
    return tmp_path / evenkeel_build.build_wheel(str(tmp_path))


def test_a_program_that_needs_glibc_alone_names_its_version() -> None:
    tag = platform_tag(PROGRAM)
    assert tag.startswith("manylinux_2_") and tag.endswith(os.uname().machine)


def test_a_program_that_needs_other_libraries_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="needs glibc alone, found libselinux"):
        platform_tag(Path("/bin/ls"))
    (tmp_path / "text").write_text("#!/bin/sh\n")
    with pytest.raises(PlatformError, match="expected a program"):
        platform_tag(tmp_path / "text")


def test_a_program_without_libraries_runs_everywhere(tmp_path: Path) -> None:
    source = tmp_path / "empty.c"
    source.write_text("int main(void) { return 0; }\n")
    subprocess.run(["cc", "-static", source, "-o", tmp_path / "empty"], check=True)
    machine = os.uname().machine
    expected = f"manylinux_2_17_{machine}.manylinux2014_{machine}.musllinux_1_1_{machine}"
    assert platform_tag(tmp_path / "empty") == expected


def test_a_wheel_lists_what_is_in_it(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [record] = [name for name in names if name.endswith(".dist-info/RECORD")]
        listed = {row[0]: row[1:] for row in csv.reader(archive.read(record).decode().splitlines())}
        assert sorted(listed) == sorted(names)
        for name in names:
            data = archive.read(name)
            if name != record:
                digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
                assert listed[name] == ["sha256=" + digest.rstrip("="), str(len(data))]
        [program] = [name for name in names if name.endswith(".data/scripts/evenkeel")]
        assert archive.read(program) == PROGRAM.read_bytes()
        mode = archive.getinfo(program).external_attr >> 16
        assert stat.S_ISREG(mode) and mode & 0o111 == 0o111
        assert "evenkeel/py.typed" in names and "evenkeel/torch.py" in names
        assert f"Version: {evenkeel_build.version()}\n" in archive.read(
            record.replace("RECORD", "METADATA")
        ).decode()


def test_equal_inputs_give_equal_files(wheel: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    again = tmp_path / "again" / evenkeel_build.build_wheel(str(tmp_path / "again"))
    assert again.read_bytes() == wheel.read_bytes()
    first = tmp_path / evenkeel_build.build_sdist(str(tmp_path))
    second = tmp_path / "again" / evenkeel_build.build_sdist(str(tmp_path / "again"))
    assert first.read_bytes() == second.read_bytes()


def test_a_source_distribution_says_where_there_is_no_wheel(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / evenkeel_build.build_sdist(str(tmp_path))) as archive:
        archive.extractall(tmp_path, filter="data")
    [folder] = [path for path in tmp_path.iterdir() if path.is_dir()]
    environment = {**os.environ, "PYTHONPATH": str(folder / "backend")}
    environment.pop("EVENKEEL_BINARY")
    result = subprocess.run(
        [sys.executable, "-c", "import evenkeel_build; evenkeel_build.build_wheel('.')"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert f"There is no wheel of Evenkeel {evenkeel_build.version()}" in result.stderr


def test_the_version_is_the_programs(binary: str) -> None:
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == evenkeel_build.version()
    assert f'"{evenkeel_build.version()}"' in (ROOT / "Sources/evenkeel/Version.swift").read_text()
