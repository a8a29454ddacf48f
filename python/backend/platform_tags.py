"""Says on which Linux systems a program runs, from what it needs of them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

__all__ = ["PlatformError", "platform_tag"]

# The libraries that every glibc system has; glibc's version says which systems those are.
_GLIBC = {
    "libc.so.6",
    "libdl.so.2",
    "libm.so.6",
    "libpthread.so.0",
    "librt.so.1",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
}
_ARCHITECTURES = {"elf64-x86-64": "x86_64", "elf64-littleaarch64": "aarch64"}


class PlatformError(Exception):
    """The program needs what other systems may not have."""


def platform_tag(program: Path) -> str:
    """The platform tag of a wheel that carries the program, by what `objdump -p` says of it.

    A program that needs no library at all runs wherever Linux 3.2 does, with glibc, musl, or neither.
    Raises PlatformError if it needs a library that is not glibc's.
    """
    result = subprocess.run(["objdump", "-p", program], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise PlatformError(f"expected a program, found {result.stderr.strip()}")
    found = re.search(r"file format (\S+)", result.stdout)
    architecture = _ARCHITECTURES.get(found[1] if found else "")
    if architecture is None:
        raise PlatformError(f"expected {' or '.join(_ARCHITECTURES)}, found {found and found[1]}")
    needed = set(re.findall(r"^\s*NEEDED\s+(\S+)", result.stdout, re.MULTILINE))
    if not needed:
        return f"manylinux_2_17_{architecture}.manylinux2014_{architecture}.musllinux_1_1_{architecture}"
    if foreign := needed - _GLIBC:
        raise PlatformError(
            f"expected a program that needs glibc alone, found {', '.join(sorted(foreign))}; "
            "`make static` builds one"
        )
    versions = re.findall(r"\bGLIBC_2\.(\d+)", result.stdout)
    return f"manylinux_2_{max(map(int, versions), default=17)}_{architecture}"
