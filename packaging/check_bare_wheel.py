"""Installs the wheel with pip on a bare Debian 12, and runs the blocks of the README for `make wheel-check` there.

Needs root. The machine has no network: pip takes NumPy from a folder. Usage: check_bare_wheel.py WHEEL [--directory DIR]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "Tests" / folder) for folder in ("Systemd", "Documents")]

from commands import Page  # noqa: E402
from machine import bare_root, copy_of  # noqa: E402

APT = ("apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0")


def prepare(root: Path, wheel: Path) -> None:
    """Puts pip, NumPy's wheel, ours and the sample into the machine."""
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    for command in (["update"], ["install", "--no-install-recommends", "python3-venv"]):
        subprocess.run(["chroot", root, *APT, *command], check=True, stdout=subprocess.DEVNULL)
    # The wheel carries it; the root has it for other checks.
    purge = ["chroot", root, "dpkg", "--purge", "libsimdjson14"]
    subprocess.run(purge, check=True, stdout=subprocess.DEVNULL)
    version = subprocess.run(
        ["chroot", root, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        + ["--only-binary", ":all:", "--python-version", version, "--dest", root / "srv/wheels", "numpy"],
        check=True,
    )
    for folder, path in (("dist", wheel), ("samples", REPOSITORY / "samples/weather.csv.zst")):
        (root / "srv" / folder).mkdir()
        shutil.copy(path, root / "srv" / folder)


def run(root: Path, script: str) -> str:
    """Runs a script of bash in the machine, with an environment for pip on the PATH."""
    variables = ["PATH=/srv/environment/bin:/usr/bin:/bin", "PIP_NO_INDEX=1", "PIP_FIND_LINKS=/srv/wheels"]
    return subprocess.run(
        ["systemd-nspawn", "--quiet", "-D", root, "--register=no", "--keep-unit", "--private-network"]
        + ["--console=pipe", "--chdir=/srv", *(f"--setenv={each}" for each in variables)]
        + ["/bin/bash", "-c", script],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
    ).stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--directory", type=Path, default=Path(".build-machine"))
    arguments = parser.parse_args()
    page = Page((REPOSITORY / "README.md").read_text(), "wheel-check")
    root = copy_of(bare_root(arguments.directory.resolve()), "wheel")
    try:
        prepare(root, arguments.wheel.resolve())
        run(root, "python3 -m venv environment")
        failures = page.failures(page.results(run(root, page.script())))
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", root], check=True)
    for failure in failures:
        print(f"README.md: {failure}")
    if failures or not page.commands:
        raise SystemExit("expected the README's commands to run on a bare Debian 12")
    print(f"check_bare_wheel: fine, {len(page.commands)} blocks of the README")


if __name__ == "__main__":
    main()
