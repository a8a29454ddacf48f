"""Runs the commands of a Markdown page, in order and in one shell, and compares what they print with the page.

- In a block of ```console, a line after `$ ` is a command, and the lines up to the next one are what it prints. A command
  continues after `\\` and `|`, in lines after `> `, and to the end of its here-document. In the output, `…` stands for any
  text within a line, and a line with nothing else for any lines. A command that prints nothing must succeed.
- A block of ```sh must succeed. Its output does not matter.
- `<!-- setup: COMMAND -->` runs a command that a reader does not need.
- `<!-- run by: make TARGET -->` before a block or a setup leaves it to that target, which runs it with --target.

With --write the page takes the new output instead. Usage: commands.py [--evenkeel PROGRAM] [--target TARGET] [--write] PAGE…
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# It only ends a hang.
LIMIT_SECONDS = 1200


@dataclass
class Command:
    text: str
    # The number of its first line, from 1.
    line: int
    # The lines of the page that it prints, from 0; None if they do not matter.
    printed: range | None = None


@dataclass
class Result:
    lines: list[str]
    exit_code: int


class Page:
    """The lines of a page, and its commands for one target."""

    def __init__(self, text: str, target: str = "") -> None:
        self.lines = text.split("\n")
        self.commands: list[Command] = []
        left_to, index = "", 0
        while index < len(self.lines):
            line = self.lines[index]
            index += 1
            if found := re.fullmatch(r"<!-- run by: make (\S+) -->", line):
                left_to = found[1]
            elif found := re.fullmatch(r"<!-- setup: (.*) -->", line):
                if left_to == target:
                    self.commands.append(Command(found[1], index))
                left_to = ""
            elif line.startswith("```"):
                end = self.lines.index("```", index)
                if left_to == target:
                    self.add_block(line[3:], index, end)
                left_to, index = "", end + 1

    def add_block(self, language: str, index: int, end: int) -> None:
        if language == "sh":
            # A subshell, so that the first failure ends only the block.
            text = "\n".join(["( set -e", *self.lines[index:end], ")"])
            self.commands.append(Command(text, index + 1))
        while language == "console" and index < end:
            first = index
            text_lines = [self.lines[index].removeprefix("$ ")]
            index += 1
            if here := re.search(r"<<'(\w+)'", text_lines[0]):
                while index < end and text_lines[-1] != here[1]:
                    text_lines.append(self.lines[index])
                    index += 1
            while index < end and text_lines[-1].endswith(("\\", "|")):
                text_lines.append(self.lines[index])
                index += 1
            while index < end and self.lines[index].startswith("> "):
                text_lines.append(self.lines[index][2:])
                index += 1
            following = (k for k in range(index, end) if self.lines[k].startswith("$ "))
            following_start = last = next(following, end)
            while last > index and not self.lines[last - 1]:
                last -= 1
            self.commands.append(Command("\n".join(text_lines), first + 1, range(index, last)))
            index = following_start

    def script(self) -> str:
        """For bash: runs the commands, and separates their output and exit codes with NUL."""
        separated = (f"printf '\\0'\n{each.text}\nprintf '\\0%d' $?\n" for each in self.commands)
        end = "kill $(jobs -p) 2>/dev/null\nwait\n"
        return "exec 2>&1 < /dev/null\nexport LC_ALL=C.UTF-8\n" + "".join(separated) + end

    @staticmethod
    def results(output: str) -> list[Result]:
        parts = output.split("\0")[1:]
        found = []
        for text, code in zip(parts[::2], parts[1::2]):
            lines = [line.rstrip() for line in text.split("\n")]
            while lines and not lines[-1]:
                lines.pop()
            # After the last command the shell may print something more.
            found.append(Result(lines, int(re.match(r"\d+", code)[0])))  # type: ignore[index]
        return found

    def is_as_shown(self, command: Command, result: Result) -> bool:
        if command.printed is None:
            return result.exit_code == 0
        shown = [self.lines[k] for k in command.printed]
        if not shown and result.exit_code != 0:
            return False
        pattern = "".join(
            "(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + "\n"
            for line in shown
        )
        return re.fullmatch(pattern, "".join(line + "\n" for line in result.lines)) is not None

    def difference(self, command: Command, result: Result) -> str:
        shown = [self.lines[k] for k in command.printed or ()]
        lines = difflib.unified_diff(shown, result.lines, "page", "run", lineterm="")
        told = [f"exit code {result.exit_code}", *(lines if command.printed is not None else result.lines)]
        return "\n".join(told)

    def failures(self, results: list[Result]) -> list[str]:
        """A text for each command that printed something else or failed."""
        found = [
            f"line {command.line}: {self.difference(command, result)}"
            for command, result in zip(self.commands, results)
            if not self.is_as_shown(command, result)
        ]
        if len(results) < len(self.commands):
            found.append(f"line {self.commands[len(results)].line}: this command ended the shell, or hung")
        return found

    def rewritten(self, results: list[Result]) -> str:
        lines = list(self.lines)
        for command, result in reversed(list(zip(self.commands, results))):
            if command.printed is not None and not self.is_as_shown(command, result):
                lines[command.printed.start : command.printed.stop] = result.lines
        return "\n".join(lines)


def run(page: Page, program: Path, folder: Path) -> list[Result]:
    """Runs the commands in a folder that has the samples and the documents' other files."""
    (folder / ".bin").mkdir()
    (folder / ".bin" / "evenkeel").symlink_to(program.resolve())
    for name in ("samples", "config", "Benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    path = f"{folder / '.bin'}:{os.environ['PATH']}"
    finished = subprocess.run(
        ["timeout", "--kill-after=5", str(LIMIT_SECONDS), "bash", "-c", page.script()],
        cwd=folder, env={**os.environ, "PATH": path}, stdout=subprocess.PIPE,
    )
    return Page.results(finished.stdout.decode(errors="replace"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", type=Path, default=ROOT / ".build/release/evenkeel")
    parser.add_argument("--target", default="", help="run the blocks that are left to this target")
    parser.add_argument("--write", action="store_true", help="put the output into the pages")
    parser.add_argument("pages", type=Path, nargs="+")
    arguments = parser.parse_args()
    passed = failed = 0
    for path in arguments.pages:
        page = Page(path.read_text(), arguments.target)
        with tempfile.TemporaryDirectory(prefix="evenkeel-") as folder:
            results = run(page, arguments.evenkeel, Path(folder))
        if arguments.write:
            path.write_text(page.rewritten(results))
            page = Page(path.read_text(), arguments.target)
        failures = page.failures(results)
        for failure in failures:
            print(f"{path}: {failure}")
        passed += len(page.commands) - len(failures)
        failed += len(failures)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
