"""Draws plots as SVG, for light and dark pages: the file's style sheet follows `prefers-color-scheme`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from html import escape

STYLE = """
svg { --paper: #ffffff; --ink: #1f2328; --faint: #59636e; --line: #d1d9e0;
  --one: #0969da; --two: #bc4c00; --three: #1a7f37; --four: #8250df }
@media (prefers-color-scheme: dark) { svg { --paper: #0d1117; --ink: #e6edf3; --faint: #9198a1; --line: #3d444d;
  --one: #58a6ff; --two: #f0883e; --three: #3fb950; --four: #bc8cff } }
text { font: 12px system-ui, sans-serif; fill: var(--ink) }
.faint { fill: var(--faint); font-size: 11px }
.title { font-weight: 600 }
.cell { fill: var(--one) }
.axis { stroke: var(--line); fill: none }
.curve, .key { fill: none; stroke-width: 2; stroke-linejoin: round }
.one { stroke: var(--one) } .two { stroke: var(--two); stroke-dasharray: 7 3 }
.three { stroke: var(--three); stroke-dasharray: 2 3 } .four { stroke: var(--four); stroke-dasharray: 9 3 2 3 }
"""
CURVES = ["one", "two", "three", "four"]


def short(number: float) -> str:
    """A coordinate: one decimal is a tenth of a pixel."""
    return f"{number:.1f}".removesuffix(".0")


@dataclass
class Drawing:
    width: int
    height: int
    # For readers who cannot see it.
    description: str
    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, text: str, anchor: str = "start", style: str = "") -> None:
        look = f' class="{style}"' if style else ""
        place = "" if anchor == "start" else f' text-anchor="{anchor}"'
        self.parts.append(f'<text x="{short(x)}" y="{short(y)}"{place}{look}>{escape(text)}</text>')

    def cell(self, x: float, y: float, width: float, height: float, opacity: float) -> None:
        place = f'x="{short(x)}" y="{short(y)}" width="{short(width)}" height="{short(height)}"'
        self.parts.append(f'<rect {place} rx="2" class="cell" fill-opacity="{opacity:.2f}"/>')

    def path(self, points: list[tuple[float, float]], style: str) -> None:
        line = "L".join(f"{short(x)} {short(y)}" for x, y in points)
        self.parts.append(f'<path d="M{line}" class="{style}"/>')

    def legend(self, x: float, y: float, names: list[str]) -> None:
        for name, curve in zip(names, CURVES):
            self.path([(x, y - 4), (x + 28, y - 4)], f"key {curve}")
            self.text(x + 34, y, name)
            # A letter is about 7 pixels wide.
            x += 58 + 7 * len(name)

    def svg(self) -> str:
        size = f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" height="{self.height}"'
        paper = f'<rect width="{self.width}" height="{self.height}" rx="6" style="fill: var(--paper)"/>'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">\n<title>{escape(self.description)}</title>'
        return "\n".join([head, f"<style>{STYLE}</style>", paper, *self.parts, "</svg>"]) + "\n"


@dataclass
class Axis:
    """Numbers of `low` to `high`; beyond them a curve stays at the edge."""

    low: float
    high: float
    ticks: list[float]
    is_logarithmic: bool = False
    unit: str = ""

    def share(self, value: float) -> float:
        """Of the length of the axis."""
        low, high, at = self.low, self.high, value
        if self.is_logarithmic:
            low, high, at = math.log(low), math.log(high), math.log(max(value, 1e-300))
        return min(max((at - low) / (high - low), 0.0), 1.0)

    def label(self, tick: float) -> str:
        return f"{tick:,.0f}{self.unit}" if tick == round(tick) else f"{tick:g}{self.unit}"


@dataclass
class Panel:
    """A plot of curves within a drawing."""

    drawing: Drawing
    left: float
    top: float
    width: float
    height: float
    x: Axis
    y: Axis

    def frame(self, title: str, below: str = "") -> None:
        draw, bottom = self.drawing, self.top + self.height
        draw.text(self.left, self.top - 10, title, style="title")
        for tick in self.y.ticks:
            _, y = self.at(self.x.low, tick)
            draw.path([(self.left, y), (self.left + self.width, y)], "axis")
            draw.text(self.left - 6, y + 4, self.y.label(tick), "end", "faint")
        for tick in self.x.ticks:
            x, _ = self.at(tick, self.y.low)
            draw.path([(x, bottom), (x, bottom + 4)], "axis")
            draw.text(x, bottom + 17, self.x.label(tick), "middle", "faint")
        draw.text(self.left + self.width / 2, bottom + 33, below, "middle", "faint")

    def at(self, x: float, y: float) -> tuple[float, float]:
        # A sum that overflowed stands at the upper edge.
        y = y if math.isfinite(y) else self.y.high
        return (
            self.left + self.x.share(x) * self.width,
            self.top + (1 - self.y.share(y)) * self.height,
        )

    def curve(self, xs: list[float], ys: list[float], curve: str) -> None:
        self.drawing.path([self.at(x, y) for x, y in zip(xs, ys)], f"curve {curve}")
