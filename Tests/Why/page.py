"""Puts results between the marks of a page, and compares them with those that stand there.

A mark is `<!-- TARGET: NAME -->` with the target of make; its text goes to `<!-- end -->`.
"""

from __future__ import annotations

import re

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?( %)?")
# In per cent, in points. An accuracy below the floor counts as the floor: such networks have diverged or learned
# hardly anything, and the last bits of their arithmetic decide the figure.
POINTS, FLOOR = 3.0, 50.0
# Of counts, and of other numbers in proportion.
COUNT, SHARE = 2, 0.1
# In the curves of a figure: pixels, and the share of the coordinates that must be so near.
PIXELS, NEAR = 6.0, 0.8

Rows = list[list[str]]


def table(head: list[str], rows: Rows) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in [head, *rows]]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])


def with_blocks(page: str, blocks: dict[str, str]) -> str:
    """The page with these texts between its marks."""
    for name, text in blocks.items():
        start, end = block_range(page, name)
        page = page[:start] + "\n" + text + "\n" + page[end:]
    return page


def block(page: str, name: str) -> str:
    start, end = block_range(page, name)
    return page[start:end].strip("\n")


def block_range(page: str, name: str) -> tuple[int, int]:
    mark = re.search(rf"<!-- [a-z]+: {re.escape(name)} -->\n", page)
    end = page.find("\n<!-- end -->", mark.end()) if mark else -1
    if mark is None or end < 0:
        raise SystemExit(f"expected a mark of {name!r} in the page, and an end after it, found none")
    return mark.end(), end


def number(text: str) -> float:
    return float(text.removesuffix(" %").replace(",", ""))


def agree(shown: str, found: str) -> bool:
    """Whether two numbers of a table, as they are written, say the same."""
    if shown.endswith("%"):
        return abs(max(number(shown), FLOOR) - max(number(found), FLOOR)) <= POINTS
    bound = SHARE * max(abs(number(shown)), abs(number(found)))
    is_count = "." not in shown and "e" not in shown
    return abs(number(shown) - number(found)) <= max(bound, COUNT if is_count else 0)


def table_differences(name: str, shown: str, found: str) -> list[str]:
    """A line for each number of a table that is another one now."""
    if NUMBER.sub("#", shown) != NUMBER.sub("#", found):
        return [f"{name}: the table has other words; write it again with --write"]
    lines = zip(shown.split("\n"), found.split("\n"))
    return [
        f"{name}: expected {old[0]}, found {new[0]}, in: {line.strip('| ')}"
        for line, other in lines
        for old, new in zip(NUMBER.finditer(line), NUMBER.finditer(other))
        if not agree(old[0], new[0])
    ]


def figure_differences(name: str, shown: str, found: str) -> list[str]:
    """A line for what differs in a figure: its words, the accuracies in its cells, or the course of its curves."""
    words = re.compile(r"[-\d.,]+")
    if words.sub("#", shown) != words.sub("#", found):
        return [f"{name}: the figure has other words or another size; write it again with --write"]
    cells = zip(*(re.findall(r">(\d+)<", each) for each in (shown, found)))
    differences = [
        f"{name}: expected {old}, found {new} in a cell"
        for old, new in cells
        if not agree(f"{old} %", f"{new} %")
    ]
    pairs = list(zip(curve_coordinates(shown), curve_coordinates(found)))
    far = sum(abs(old - new) > PIXELS for old, new in pairs)
    if far > (1 - NEAR) * len(pairs):
        differences.append(f"{name}: {far} of {len(pairs)} coordinates are more than {PIXELS:g} pixels away")
    return differences


def curve_coordinates(svg: str) -> list[float]:
    curves = re.findall(r'd="M([^"]*)" class="curve', svg)
    return [float(each) for curve in curves for each in re.split("[ L]", curve)]
