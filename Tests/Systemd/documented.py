"""The commands of systemd that docs/OPERATIONS.md names within its sentences, and its drop-in."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/OPERATIONS.md"

# Patterns of the text that each command prints. A command that the page does not name, or that is missing here, is an
# error.
PRINTED = {
    "journalctl -u evenkeel": r"evenkeel runs",
    "systemctl status evenkeel": r"Active: active \(running\)[\s\S]*Status: \"1 streams",
    "curl -m 3 http://127.0.0.1:9600/healthz": r"ok",
    "systemctl reload evenkeel": r"",
    "systemctl restart evenkeel": r"",
    "systemctl daemon-reload && systemctl restart evenkeel": r"",
    "systemd-analyze security": r"evenkeel\.service +[\d.]+ OK",
    "systemctl edit evenkeel": r"",
    # The last one, as nothing answers after it.
    "systemctl stop evenkeel": r"",
}


def commands() -> set[str]:
    """The commands in the page's sentences that need a machine with the service."""
    prose = re.sub(r"^```.*?^```", "", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    spans = re.findall(r"`([^`]+)`", prose)
    named = {" ".join(span.split()) for span in spans}
    return {text for text in named if re.match(r"systemctl|journalctl|systemd-|curl -m", text)}


def drop_in() -> str:
    """The example for `systemctl edit evenkeel`."""
    found = re.search(r"`systemctl edit evenkeel`:\n\n```ini\n(.*?)```", PAGE.read_text(), re.DOTALL)
    if found is None:
        raise SystemExit(f"{PAGE.name}: expected a drop-in after `systemctl edit evenkeel`")
    return found[1]


# An editor for `systemctl edit`: puts the page's drop-in between the comments of the file, its last argument.
EDITOR = """#!/bin/sh
for file; do :; done
sed -i '/will become the new contents/r /etc/evenkeel/drop-in' "$file"
"""


def prepare(root: Path):
    """Puts the drop-in and the editor into a machine."""
    (root / "etc/evenkeel/drop-in").write_text(drop_in())
    editor = root / "etc/evenkeel/editor"
    editor.write_text(EDITOR)
    editor.chmod(0o755)


def as_typed(command: str) -> list[str]:
    """The command as a user types it."""
    if command != "systemctl edit evenkeel":
        return ["sh", "-c", command + " </dev/null"]
    # It wants a terminal, which script(1) is.
    return ["script", "-qefc", "SYSTEMD_EDITOR=/etc/evenkeel/editor " + command, "/dev/null"]
