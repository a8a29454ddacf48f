"""Writes the manual pages: evenkeel(1), one of each command, and evenkeel.yaml(5).

The pages of commands are made of their help, that of the configuration of docs/CONFIGURATION.md; both come
from the descriptions of the settings. Usage: make_manual.py PROGRAM CONFIGURATION.md DIRECTORY
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from command_help import Command, commands, version


def escaped(text: str) -> str:
    """Text that roff prints as it is; a hyphen stays one, so that options can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text)


def inline(text: str) -> str:
    """Markdown's `code`, **bold** and links within a line."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text.replace("\\|", "|"))
    parts = re.split(r"(`[^`]+`|\*\*[^*]+\*\*)", text)
    return "".join(
        f"\\fB{escaped(part[1:-1] if part[0] == '`' else part[2:-2])}\\fR" if number % 2 else escaped(part)
        for number, part in enumerate(parts)
    )


def heading(name: str, section: int, release: str, summary: str) -> list[str]:
    title = name.upper().replace("-", "\\-")
    return [
        f'.TH "{title}" {section} "" "evenkeel {release}" "Evenkeel"',
        ".SH NAME",
        f"{escaped(name)} \\- {escaped(summary.rstrip('.'))}",
    ]


def command_page(command: Command, names: list[str], release: str) -> str:
    name = f"evenkeel-{command.name}" if command.name else "evenkeel"
    lines = heading(name, 1, release, command.overview[0])
    lines += [".SH SYNOPSIS", f".B {escaped(command.usage)}"]
    if command.overview[1:]:
        lines.append(".SH DESCRIPTION")
        for paragraph in command.overview[1:]:
            lines += [".PP", escaped(paragraph)]
    for title, entries in command.sections.items():
        lines.append(f".SH {'COMMANDS' if title == 'SUBCOMMANDS' else title}")
        for entry in entries:
            lines += [".TP", f".B {escaped(entry.label)}", escaped(entry.text)]
    lines += [".SH EXIT STATUS", "0 if all is done, or a code of sysexits(3): 64 usage, 65 bad input data,"]
    lines += ["66 input missing, 70 a bug, 73 output cannot be made, 74 input or output error,"]
    lines += ["75 try again later, 78 settings that do not fit; 130 and 143 if interrupted."]
    others = [f"evenkeel-{other}" for other in names if other] if not command.name else ["evenkeel"]
    references = [f".BR {escaped(other)} (1)," for other in others]
    return "\n".join([*lines, ".SH SEE ALSO", *references, ".BR evenkeel.yaml (5)", ""])


def configuration_page(markdown: str, release: str) -> str:
    lines = heading("evenkeel.yaml", 5, release, "the configuration of evenkeel run")
    lines.append(".SH DESCRIPTION")
    for block in blocks(markdown):
        lines += block
    return "\n".join([*lines, ".SH SEE ALSO", ".BR evenkeel (1),", ".BR evenkeel\\-run (1)", ""])


def blocks(markdown: str) -> Iterator[list[str]]:
    """The roff of each block of a Markdown text: headings, tables, code, lists, paragraphs."""
    # Marks between which the tables are generated.
    markdown = re.sub(r"^<!--.*-->$", "", markdown, flags=re.MULTILINE)
    for block in re.split(r"\n\s*\n", markdown.strip()):
        rows = block.splitlines()
        if rows[0].startswith("# "):
            continue
        if rows[0].startswith("#"):
            level, text = rows[0].split(" ", 1)
            yield [f"{'.SH' if level == '##' else '.SS'} {inline(text)}"]
        elif rows[0].startswith("|"):
            yield table(rows)
        elif rows[0].startswith("    ") or rows[0].startswith("```"):
            code = [row for row in rows if not row.startswith("```")]
            yield [".PP", ".EX", *(escaped(row.removeprefix("    ")) for row in code), ".EE"]
        elif rows[0].startswith("- "):
            for item in re.split(r"\n(?=- )", block):
                yield [".IP \\(bu 2", inline(" ".join(item[2:].split()))]
        else:
            yield [".PP", inline(" ".join(block.split()))]


def table(rows: list[str]) -> list[str]:
    """A table as a list: the key is the term; its meaning, option and default are what is said of it."""
    lines: list[str] = []
    kind = ""
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip()[1:-1])] for row in rows]
    titles = cells[0]
    for values in cells[2:]:
        named = dict(zip(titles, values))
        term, meaning = values[0], values[-1]
        if titles[0] == "kind":
            kind = named["kind"] or kind
            key = named.get("key", "")
            term = f"{kind}: {key}" if key else kind
        notes = []
        if named.get("option"):
            notes.append(f"option: {named['option']}")
        if named.get("default") == "required":
            notes.append("required")
        elif named.get("default"):
            notes.append(f"default: {named['default']}")
        lines += [".TP", inline(term), inline(meaning + (f" ({'; '.join(notes)})" if notes else ""))]
    return lines


def main() -> None:
    program, configuration, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    folder.mkdir(parents=True, exist_ok=True)
    release = version(program)
    every = commands(program)
    names = [command.name for command in every]
    for command in every:
        name = f"evenkeel-{command.name}" if command.name else "evenkeel"
        (folder / f"{name}.1").write_text(command_page(command, names, release))
    page = configuration_page(configuration.read_text(), release)
    (folder / "evenkeel.yaml.5").write_text(page)


if __name__ == "__main__":
    main()
