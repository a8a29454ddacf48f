"""Builds wheels that carry the `evenkeel` program, and source distributions (PEP 517).

The environment variable EVENKEEL_BINARY names the program. Equal inputs give equal files, byte for byte.
Usage without pip: evenkeel_build.py DIRECTORY
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import os
import platform
import re
import stat
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from platform_tags import platform_tag

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = ROOT.parent
# The earliest time that a zip archive can tell.
EPOCH = max(int(os.environ.get("SOURCE_DATE_EPOCH", 0)), 315_532_800)


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Nothing beyond Python is needed."""
    return []


def get_requires_for_build_sdist(config_settings: Any = None) -> list[str]:
    """Nothing beyond Python is needed."""
    return []


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: Any = None
) -> str:
    """Writes the wheel, and returns its name."""
    given = os.environ.get("EVENKEEL_BINARY")
    if not given:
        raise SystemExit(_no_wheel())
    program = Path(given)
    tag = platform_tag(program)
    name = f"evenkeel-{version()}"
    tags = "".join(f"Tag: py3-none-{part}\n" for part in tag.split("."))
    files: list[tuple[str, bytes, bool]] = [
        (f"evenkeel/{path.relative_to(ROOT / 'src' / 'evenkeel')}", path.read_bytes(), False)
        for path in _sources()
    ]
    files.append((f"{name}.data/scripts/evenkeel", program.read_bytes(), True))
    information = f"{name}.dist-info"
    files += [
        (f"{information}/METADATA", metadata().encode(), False),
        (
            f"{information}/WHEEL",
            f"Wheel-Version: 1.0\nGenerator: evenkeel_build\nRoot-Is-Purelib: false\n{tags}".encode(),
            False,
        ),
        *((f"{information}/licenses/{path.name}", path.read_bytes(), False) for path in _licenses()),
    ]
    record = "".join(f"{path},{_digest(data)},{len(data)}\n" for path, data, _ in files)
    record += f"{information}/RECORD,,\n"
    files.append((f"{information}/RECORD", record.encode(), False))
    wheel = f"{name}-py3-none-{tag}.whl"
    with zipfile.ZipFile(Path(wheel_directory, wheel), "w", zipfile.ZIP_DEFLATED) as archive:
        for path_within, data, is_program in files:
            entry = zipfile.ZipInfo(path_within, _zip_time())
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (stat.S_IFREG | (0o755 if is_program else 0o644)) << 16
            archive.writestr(entry, data, compresslevel=9)
    return wheel


def build_sdist(sdist_directory: str, config_settings: Any = None) -> str:
    """Writes the source distribution, and returns its name."""
    name = f"evenkeel-{version()}"
    files = {"PKG-INFO": metadata().encode()}
    for path in [ROOT / "pyproject.toml", ROOT / "README.md", *_sources()]:
        files[str(path.relative_to(ROOT))] = path.read_bytes()
    for path in sorted((ROOT / "backend").glob("*.py")):
        files[str(path.relative_to(ROOT))] = path.read_bytes()
    for path in _licenses():
        files[path.name] = path.read_bytes()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for member, data in sorted(files.items()):
            entry = tarfile.TarInfo(f"{name}/{member}")
            entry.size, entry.mode, entry.mtime = len(data), 0o644, EPOCH
            tar.addfile(entry, io.BytesIO(data))
    target = Path(sdist_directory, f"{name}.tar.gz")
    target.write_bytes(gzip.compress(archive.getvalue(), mtime=EPOCH))
    return target.name


def version() -> str:
    """The version of the program, which the package shares."""
    source = REPOSITORY / "Sources" / "evenkeel" / "Version.swift"
    if source.exists():
        text, pattern = source.read_text(), r'"(\d+\.\d+\.\d+[^"]*)"'
    else:
        # Within a source distribution.
        text, pattern = (ROOT / "PKG-INFO").read_text(), r"^Version: (\S+)$"
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"expected a version in {source}, found none")
    return found[1]


def metadata() -> str:
    """The core metadata, from pyproject.toml."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {project['name']}",
        f"Version: {version()}",
        f"Summary: {project['description']}",
        f"License-Expression: {project['license']}",
        *(f"License-File: {path.name}" for path in _licenses()),
        f"Keywords: {','.join(project['keywords'])}",
        *(f"Classifier: {classifier}" for classifier in project["classifiers"]),
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {requirement}" for requirement in project["dependencies"]),
    ]
    for extra, requirements in project["optional-dependencies"].items():
        lines.append(f"Provides-Extra: {extra}")
        for requirement in requirements:
            text, _, marker = requirement.partition(";")
            condition = f"extra == '{extra}'"
            if marker:
                condition = f"({marker.strip()}) and {condition}"
            lines.append(f"Requires-Dist: {text.strip()} ; {condition}")
    lines += ["Description-Content-Type: text/markdown", "", (ROOT / "README.md").read_text()]
    return "\n".join(lines)


def _sources() -> Iterator[Path]:
    yield from sorted((ROOT / "src" / "evenkeel").rglob("*.py"))
    yield ROOT / "src" / "evenkeel" / "py.typed"


def _licenses() -> list[Path]:
    # In the repository it stands at its root, in a source distribution beside this folder.
    return [path for path in [REPOSITORY / "LICENSE", ROOT / "LICENSE"] if path.exists()][:1]


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"


def _zip_time() -> tuple[int, int, int, int, int, int]:
    moment = time.gmtime(EPOCH)
    return moment[0], moment[1], moment[2], moment[3], moment[4], moment[5]


def _no_wheel() -> str:
    return (
        f"\nThere is no wheel of Evenkeel {version()} for this platform ({platform.system()}, "
        f"{platform.machine()}, {platform.libc_ver()[0] or 'no glibc'}).\n"
        "A wheel carries the evenkeel program, which is built with Swift; pip cannot build it.\n"
        "Wheels exist for Linux on x86_64. Elsewhere, build the program from its repository\n"
        "(`make static`, Swift 6.3), then `make wheel`, or install this source distribution with the\n"
        "environment variable EVENKEEL_BINARY naming the program.\n"
    )


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    for built in (build_sdist(sys.argv[1]), build_wheel(sys.argv[1])):
        print(Path(sys.argv[1], built))
