"""Reads the help of the `evenkeel` program, which it makes of the descriptions of its settings."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field

# The text of a label begins in this column, or after the label if that is longer.
TEXT = 26
LABELLED = re.compile(
    r"  ((?:-\w, )?--[a-z][\w-]*(?: <[^>]+>)?|<[^>]+>|[a-z][\w-]*)(?:\s+(.*))?"
)


@dataclass
class Entry:
    """An option, an argument or a subcommand."""

    label: str
    text: str

    @property
    def options(self) -> list[str]:
        """The spellings of an option, `-o` and `--output`; none for an argument."""
        return re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", self.label.split("<")[0])

    @property
    def value(self) -> str | None:
        """The name of an option's value, or None for a flag."""
        found = re.search(r"<([^>]+)>", self.label)
        return found[1] if found else None

    @property
    def values(self) -> list[str]:
        """The words that an option takes, if it takes no others."""
        found = re.search(r"\(values: ([^;)]*)", self.text)
        if found:
            return found[1].split(", ")
        return ["true", "false"] if self.value == "true|false" else []


@dataclass
class Command:
    """The help of a command: its name after `evenkeel`, and its sections."""

    name: str
    overview: list[str] = field(default_factory=list)
    usage: str = ""
    sections: dict[str, list[Entry]] = field(default_factory=dict)

    @property
    def entries(self) -> list[Entry]:
        return [entry for entries in self.sections.values() for entry in entries]


def help_text(program: str, name: str) -> str:
    arguments = [program, *([name] if name else []), "--help"]
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout


def parsed(name: str, text: str) -> Command:
    """The parts of a help text: paragraphs, and sections whose titles are capitals and a colon."""
    command = Command(name)
    paragraphs: list[list[str]] = [[]]
    title = ""
    for line in text.splitlines():
        heading = re.fullmatch(r"([A-Z][A-Z ]+):\s*(.*)", line)
        if heading:
            title, line = heading[1], heading[2]
        if title == "OVERVIEW":
            if re.match(r"\w+: ", line):
                paragraphs.append([])
            if line.strip():
                paragraphs[-1].append(line.strip())
            elif paragraphs[-1]:
                paragraphs.append([])
        elif title == "USAGE":
            command.usage = f"{command.usage} {line.strip()}".strip()
        elif found := LABELLED.fullmatch(line):
            command.sections.setdefault(title, []).append(Entry(found[1], found[2] or ""))
        elif line.startswith(" " * TEXT) and command.sections.get(title):
            entry = command.sections[title][-1]
            entry.text = f"{entry.text} {line.strip()}".strip()
    command.overview = [" ".join(lines) for lines in paragraphs if lines]
    return command


def commands(program: str) -> list[Command]:
    """The program's own help, and that of each of its subcommands."""
    whole = parsed("", help_text(program, ""))
    names = [entry.label.split(",")[0].split()[0] for entry in whole.sections["SUBCOMMANDS"]]
    return [whole, *(parsed(name, help_text(program, name)) for name in names if name != "help")]


def version(program: str) -> str:
    """The version that the program says."""
    result = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return result.stdout.strip()
