"""Writes shell completions of the `evenkeel` program for bash, zsh and fish, from its help.

Usage: make_completions.py PROGRAM DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path

from command_help import Command, Entry, commands

# Options whose value is a file or a directory, by the name of the value.
PATHS = {"file", "directory", "output", "input", "checkpoint", "path"}


def quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def takes_path(entry: Entry) -> bool:
    return entry.value in PATHS


def bash(every: list[Command]) -> str:
    cases = []
    for command in every[1:]:
        options = " ".join(option for entry in command.entries for option in entry.options)
        values = "\n".join(
            f"        {'|'.join(entry.options)}) COMPREPLY=($(compgen -W {quoted(' '.join(entry.values))} "
            '-- "$word")); return ;;'
            for entry in command.entries
            if entry.options and entry.values
        )
        others = "|".join(
            option
            for entry in command.entries
            if entry.value and not entry.values and not takes_path(entry)
            for option in entry.options
        )
        free = f"        {others}) return ;;\n" if others else ""
        chosen = f'      case "$before" in\n{values}\n{free}      esac\n' if values or free else ""
        cases.append(f"    {command.name})\n{chosen}      options={quoted(options)} ;;")
    names = " ".join(command.name for command in every[1:])
    body = "\n".join(cases)
    return f"""# bash completion of evenkeel
_evenkeel() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} options
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W {quoted(names + " help --version --help")} -- "$word"))
    return
  fi
  case ${{COMP_WORDS[1]}} in
{body}
  esac
  case $word in
    -*) COMPREPLY=($(compgen -W "$options" -- "$word")) ;;
    *) compopt -o filenames; COMPREPLY=($(compgen -f -- "$word")) ;;
  esac
}}
complete -F _evenkeel evenkeel
"""


def zsh(every: list[Command]) -> str:
    def text(value: str) -> str:
        for special in ("\\", "[", "]", ":"):
            value = value.replace(special, "\\" + special)
        return value

    def specification(entry: Entry) -> list[str]:
        value = ""
        if entry.value:
            what = f"({' '.join(entry.values)})" if entry.values else "_files" if takes_path(entry) else " "
            value = f":{text(entry.value)}:{what}"
        return [quoted(f"{option}[{text(entry.text)}]{value}") for option in entry.options]

    names = "\n".join(
        f"    {quoted(command.name + ':' + text(command.overview[0]))}" for command in every[1:]
    )
    cases = "\n".join(
        f"  {command.name})\n    _arguments \\\n"
        + "".join(
            f"      {each} \\\n" for entry in command.entries for each in specification(entry)
        )
        + "      '*:file:_files' ;;"
        for command in every[1:]
    )
    return f"""#compdef evenkeel
local -a commands
if (( CURRENT == 2 )); then
  commands=(
{names}
  )
  _describe command commands
  return
fi
shift words
(( CURRENT-- ))
case $words[1] in
{cases}
esac
"""


def fish(every: list[Command]) -> str:
    lines = ["# fish completion of evenkeel", "complete -c evenkeel -f -n __fish_use_subcommand"]
    for command in every[1:]:
        summary = quoted(command.overview[0])
        lines.append(
            f"complete -c evenkeel -n __fish_use_subcommand -a {command.name} -d {summary}"
        )
        condition = quoted(f"__fish_seen_subcommand_from {command.name}")
        for entry in command.entries:
            if not entry.options:
                continue
            line = f"complete -c evenkeel -n {condition}"
            for option in entry.options:
                line += f" -l {option[2:]}" if option.startswith("--") else f" -s {option[1:]}"
            if entry.value:
                line += " -r" if takes_path(entry) else " -x"
            if entry.values:
                line += f" -a {quoted(' '.join(entry.values))}"
            lines.append(f"{line} -d {quoted(entry.text)}")
    return "\n".join(lines) + "\n"


def main() -> None:
    every = commands(sys.argv[1])
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evenkeel.bash").write_text(bash(every))
    (folder / "_evenkeel").write_text(zsh(every))
    (folder / "evenkeel.fish").write_text(fish(every))


if __name__ == "__main__":
    main()
