"""Runs `make deps && make demo` on a bare Debian 12 that has nothing but this machine's Swift; as root.

Usage: bare.py [--directory DIR] [COMMAND]
"""

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from machine import bare_root, copy_of

REPOSITORY = Path(__file__).resolve().parents[2]


def toolchain() -> Path:
    """The folder of the Swift on the PATH, with all that it reads."""
    swift = shutil.which("swift")
    if swift is None:
        raise SystemExit("expected swift on the PATH")
    # The command may be a script of its own, so the compiler is asked for its folder.
    told = subprocess.run([swift, "-print-target-info"], capture_output=True, text=True, check=True)
    # FOLDER/usr/lib/swift
    return Path(json.loads(told.stdout)["paths"]["runtimeResourcePath"]).parents[2]


def git_mirrors() -> dict[str, str]:
    """Folders of this machine that git takes repositories from instead of the network."""
    listed = subprocess.run(
        ["git", "config", "--get-regexp", r"^url\..*\.insteadof$"], capture_output=True, text=True
    ).stdout
    mirrors = {}
    for line in listed.splitlines():
        key, address = line.split(" ", 1)
        folder = key[len("url.") : -len(".insteadof")]
        if Path(folder).is_dir():
            mirrors[address] = folder
    return mirrors


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", type=Path, default=REPOSITORY / ".build-debian")
    parser.add_argument("command", nargs="?", default="make deps && make demo")
    arguments = parser.parse_args()
    root = copy_of(bare_root(arguments.directory.resolve()), "bare")
    source = root / "evenkeel"
    subprocess.run(["git", "clone", "-q", REPOSITORY, source], check=True)
    swift = toolchain()
    mirrors = git_mirrors()
    git_configuration = "[safe]\n  directory = *\n" + "".join(
        f'[url "{folder}"]\n  insteadOf = {address}\n' for address, folder in mirrors.items()
    )
    (root / "etc/gitconfig").write_text(git_configuration)
    for list_file in Path("/etc/apt").glob("sources.list.d/debian.sources"):
        shutil.copy(list_file, root / "etc/apt/sources.list.d/")
        (root / "etc/apt/sources.list").write_text("")
    binds = [swift, *{Path(folder) for folder in mirrors.values()}]
    script = f"export PATH={swift}/usr/bin:$PATH; cd /evenkeel && {arguments.command}"
    result = subprocess.run(
        ["systemd-nspawn", "--quiet", "-D", root, "--register=no", "--keep-unit"]
        + ["--console=pipe", "--resolv-conf=copy-host"]
        + [f"--bind-ro={folder}" for folder in binds]
        + ["/bin/sh", "-euc", script],
        stdin=subprocess.DEVNULL,
    )
    if result.returncode != 0:
        raise SystemExit(f"expected '{arguments.command}' to succeed, found {result.returncode}")
    print("bare: fine")


if __name__ == "__main__":
    sys.exit(main())
