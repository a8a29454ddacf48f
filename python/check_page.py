"""Runs the Python blocks of the documents in order and compares what they print with the pages.

A block of ```python that is followed by a block of ```text prints exactly that text; the value of a last
expression is printed as a notebook does. The shell commands of a page run before its Python. A block after
`<!-- run by: make TARGET -->` is left to that target. With --write a page takes the new text instead.
"""

from __future__ import annotations

import argparse
import ast
import atexit
import contextlib
import difflib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "Tests" / "Documents"))

from commands import Page, run  # noqa: E402

PAGES = ["README.md", "docs/PYTHON.md", "docs/CHECKPOINTS.md", "docs/COOKBOOK.md"]
BLOCK = re.compile(r"(?<! -->\n)^```python\n(.*?)^```\n(?:\n?^```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def printed(source: str, names: dict[str, object], place: str) -> str:
    """Runs a block with the names that earlier blocks defined, and returns the text that it prints."""
    module = ast.parse(source, place)
    last = None
    if module.body and isinstance(module.body[-1], ast.Expr):
        last = ast.Expression(module.body.pop().value)  # type: ignore[attr-defined]
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(module, place, "exec"), names)
        if last is not None and (value := eval(compile(last, place, "eval"), names)) is not None:
            print(repr(value))
    return "".join(line.rstrip() + "\n" for line in output.getvalue().splitlines())


def end_processes(names: dict[str, object]) -> None:
    """Ends what a block that failed has left running."""
    for value in names.values():
        if isinstance(value, subprocess.Popen) and value.poll() is None:
            value.kill()


def check(path: str, program: Path, is_written: bool) -> tuple[int, int]:
    """Checks a page, or writes it; the number of its blocks, and of those that print something else."""
    page = ROOT / path
    text = page.read_text()
    pieces, end, failed, blocks = [], 0, 0, 0
    names: dict[str, object] = {"__name__": "__main__"}
    atexit.register(end_processes, names)
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(ROOT / "samples" / "weather.csv.zst", folder)
        os.chdir(folder)
        run(Page(text), program, Path(folder))
        for found in BLOCK.finditer(text):
            blocks += 1
            line = text.count("\n", 0, found.start()) + 1
            output = printed(found[1], names, f"{page.name}:{line}")
            expected = found[2] or ""
            if output != expected:
                failed += 1
                if not is_written:
                    print(f"{path}:{line}: another output")
                    sys.stdout.writelines(
                        difflib.unified_diff(
                            expected.splitlines(True), output.splitlines(True), "page", "run"
                        )
                    )
            pieces.append(text[end : found.start()] + f"```python\n{found[1]}```\n")
            if output:
                pieces.append(f"\n```text\n{output}```\n")
            end = found.end()
        os.chdir(ROOT)
    if is_written:
        page.write_text("".join(pieces) + text[end:])
        failed = 0
    return blocks, failed


def main() -> None:
    """Checks the pages, or writes them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument("--write", action="store_true", help="put the output into the pages")
    parser.add_argument("pages", nargs="*", default=PAGES)
    arguments = parser.parse_args()
    program = arguments.evenkeel.resolve()
    os.environ["EVENKEEL_BINARY"] = str(program)
    sys.path.insert(0, str(ROOT / "python" / "src"))
    counts = [check(page, program, arguments.write) for page in arguments.pages]
    blocks, failed = (sum(each) for each in zip(*counts))
    print(f"{blocks - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
