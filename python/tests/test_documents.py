"""Manual pages and completions, which are made of the program's help."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, evenkeel

PACKAGING = ROOT / "packaging"


@pytest.fixture(scope="module")
def manual(binary: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manual")
    page = ROOT / "docs" / "CONFIGURATION.md"
    subprocess.run(
        ["python3", "-B", PACKAGING / "make_manual.py", binary, page, folder], check=True
    )
    return folder


def options(command: str) -> set[str]:
    """The long options in a command's help."""
    words = evenkeel(command, "--help").decode().split()
    found = {word.rstrip(",;.:)") for word in words if word.startswith("--")}
    return {word for word in found if word[2:].replace("-", "").isalnum()}


@pytest.mark.parametrize("command", ["normalize", "run", "import", "generate"])
def test_every_option_is_in_the_manual(manual: Path, command: str) -> None:
    text = (manual / f"evenkeel-{command}.1").read_text().replace("\\-", "-")
    found = options(command)
    assert len(found) > 2
    assert {option for option in found if option not in text} == set()


def test_the_keys_of_the_configuration_are_in_the_manual(manual: Path) -> None:
    text = (manual / "evenkeel.yaml.5").read_text().replace("\\-", "-")
    for key in ("batch.max_delay", "normalize", "checkpoint.interval", "embedding[*]"):
        assert key in text
    # Marks of Markdown do not get through.
    assert "`" not in text and "| ---" not in text and "<!--" not in text
    assert "\\fBbatch.size\\fR" in text and "default: \\fB256\\fR" in text


def test_roff_has_nothing_to_complain_of(manual: Path) -> None:
    if shutil.which("man") is None:
        pytest.skip("no man here")
    for page in sorted(manual.iterdir()):
        said = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page],
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stderr == "", page.name


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["che"], {"check"}),
        (["normalize", "--on-missing", ""], {"keep", "impute", "reject"}),
        (["normalize", "--half"], {"--half-life-records"}),
        (["normalize", "--momentum", ""], set()),
    ],
)
def test_bash_completes(
    binary: str, tmp_path: Path, words: list[str], expected: set[str]
) -> None:
    subprocess.run(
        ["python3", "-B", PACKAGING / "make_completions.py", binary, tmp_path], check=True
    )
    line = " ".join(repr(word) for word in ["evenkeel", *words])
    script = (
        f"source {tmp_path}/evenkeel.bash; COMP_WORDS=({line}); COMP_CWORD={len(words)}; "
        'compopt() { :; }; _evenkeel; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    found = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert expected <= set(found.stdout.split())
    assert expected or not found.stdout.strip()
