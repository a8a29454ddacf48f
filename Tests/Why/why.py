"""Runs the experiments of docs/WHY.md, and compares their results with the tables and the figures of the page.

With --write the page and docs/images take the new results.

    make why
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any, Callable

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python" / "src"))

import figures  # noqa: E402
import page as pages  # noqa: E402
import training  # noqa: E402
from drawing import Drawing  # noqa: E402
from networks import KINDS, check_against_pytorch  # noqa: E402
from raw import raw_features  # noqa: E402
from serving import CHANGE, METHODS, WINDOW, Serving  # noqa: E402

PAGE, IMAGES = ROOT / "docs" / "WHY.md", ROOT / "docs" / "images"
KIND_NAMES = {
    "batch norm": "batch norm",
    "batch norm, exact": "batch norm, predicting by the moments of all training images",
    "affine": "γ′ and β′ learned",
    "none": "bias alone",
}


def percent(value: float) -> str:
    return f"{value:.1f} %"


def raw_table(program: Path) -> str:
    rows = [
        [each.name, f"{each.mean:.2f}", f"{each.deviation:.2f}", f"{each.condition:,.0f}", f"{each.steps:,}", "1"]
        for each in raw_features(program, ROOT / "samples" / "weather.csv.zst")
    ]
    head = ["feature", "μ", "σ", "condition number", "steps from x", "steps from x̂"]
    return pages.table(head, rows)


def grid_table(cells: dict[Any, list[list[float]]]) -> str:
    rows = []
    middle = training.SCALES.index(1.0)
    for kind in KINDS:
        every = [accuracy for row in cells[kind] for accuracy in row]
        good = sum(accuracy >= 90 for accuracy in every)
        bests = [percent(max(every)), percent(max(cells[kind][middle]))]
        rows.append([KIND_NAMES[kind], f"{good} of {len(every)}", *bests])
    return pages.table(["layer", "combinations with 90 % or more", "best", "best at scale 1"], rows)


def scale_table(runs: dict[Any, training.Scaled]) -> str:
    rows = []
    for index, factor in enumerate(training.FACTORS):
        norms = [f"{runs[kind].norms[index]:.3g}" for kind in KINDS]
        rows.append([f"{factor:,g}", *norms, f"{runs['batch norm'].cosines[index]:.2g}"])
    head = ["a", *(f"gradient, {KIND_NAMES[kind]}" for kind in KINDS), "its cosine with W, batch norm"]
    return pages.table(head, rows)


def tenfold_table(runs: dict[Any, training.Tenfold]) -> str:
    at = training.TENFOLD_AT
    rows = []
    for kind in KINDS:
        run = runs[kind]
        losses = [f"{run.loss_before:.2f}", f"{run.losses[at]:.2f}"]
        accuracies = [percent(run.accuracies[step]) for step in (at - 1, at, at + 20, len(run.accuracies) - 1)]
        rows.append([KIND_NAMES[kind], *losses, *accuracies])
    head = ["layer", "loss of a batch before", "after", "accuracy before", "at once", "after 20 steps", "at the end"]
    run = runs["batch norm"]
    before, after = (sorted(run.steps[start : start + 20])[10] for start in (at - 20, at))
    sentence = (
        f"With batch norm, a step changes the first weights by {before:.2g} of their length before the jump, and by\n"
        f"{after:.2g} after it (medians of 20 steps)."
    )
    return pages.table(head, rows) + "\n\n" + sentence


def growth_table(runs: dict[str, training.Growth]) -> str:
    rows = [
        [name, f"{run.lengths[0]:.2f}", f"{run.lengths[-1]:.2f}", f"{run.last_loss:.2f}", percent(run.accuracy)]
        for name, run in runs.items()
    ]
    head = ["gradient", "length of the weights at first", "at the end", "training loss at the end", "accuracy"]
    return pages.table(head, rows)


def adam_table(found: dict[Any, list[float]]) -> str:
    head = ["layer", *(f"rate {rate:g}" for rate in training.ADAM_RATES)]
    return pages.table(head, [[KIND_NAMES[kind], *map(percent, row)] for kind, row in found.items()])


def size_table(found: dict[Any, list[float]]) -> str:
    head = ["layer", *(f"batches of {size}" for size in training.SIZES)]
    return pages.table(head, [[KIND_NAMES[kind], *map(percent, row)] for kind, row in found.items()])


def serving_table(accuracies: dict[str, dict[str, list[float]]]) -> str:
    rows = []
    first = CHANGE // WINDOW
    for change, by_method in accuracies.items():
        for name, windows in (("first 2,500", slice(first, first + 5)), ("last 5,000", slice(-10, None))):
            means = [sum(by_method[method][windows]) / len(by_method[method][windows]) for method in METHODS]
            rows.append([change, name, *map(percent, means)])
    return pages.table(["from record 5,000 on", "records", *METHODS], rows)


class Experiments:
    """The tables and figures of the page, by name."""

    def __init__(self, program: Path):
        self.blocks: dict[str, str] = {}
        self.figures: dict[str, Drawing] = {}
        self.timed("check against torch.nn", check_against_pytorch)
        self.blocks["raw"] = self.timed("raw features", lambda: raw_table(program))
        cells = self.timed("grid of rates and scales", training.grids)
        self.blocks["grid"], self.figures["why-grid"] = grid_table(cells), figures.grid_figure(cells)
        scaled = self.timed("gradient against scale", lambda: {kind: training.Scaled(kind) for kind in KINDS})
        self.blocks["scale"], self.figures["why-scale"] = scale_table(scaled), figures.scale_figure(scaled)
        tenfold = self.timed("weights × 10", lambda: {kind: training.Tenfold(kind) for kind in KINDS})
        self.blocks["tenfold"], self.figures["why-tenfold"] = tenfold_table(tenfold), figures.tenfold_figure(tenfold)
        growth = self.timed("statistics as constants", lambda: {
            "through μ_B and σ_B": training.Growth(False), "as if they were constants": training.Growth(True),
        })
        self.blocks["growth"] = growth_table(growth)
        self.blocks["adam"] = adam_table(self.timed("Adam", training.with_adam))
        self.blocks["sizes"] = size_table(self.timed("small batches", training.by_size))
        served = self.timed("streams that change", Serving).accuracies
        self.blocks["serving"], self.figures["why-serving"] = serving_table(served), figures.serving_figure(served)

    @staticmethod
    def timed(name: str, experiment: Callable[[], Any]) -> Any:
        start = time.process_time()
        found = experiment()
        print(f"{time.process_time() - start:6.1f} s of processor time: {name}", flush=True)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument("--write", action="store_true", help="put the results into the page and docs/images")
    arguments = parser.parse_args()
    program = arguments.evenkeel.resolve()
    os.environ["EVENKEEL_BINARY"] = str(program)
    # One thread sums in one order.
    torch.set_num_threads(1)
    found = Experiments(program)
    if arguments.write:
        PAGE.write_text(pages.with_blocks(PAGE.read_text(), found.blocks))
        for name, figure in found.figures.items():
            (IMAGES / f"{name}.svg").write_text(figure.svg())
    shown = PAGE.read_text()
    differences: list[str] = []
    for name, text in found.blocks.items():
        differences += pages.table_differences(name, pages.block(shown, name), text)
    for name, figure in found.figures.items():
        path = IMAGES / f"{name}.svg"
        before = path.read_text() if path.exists() else ""
        differences += pages.figure_differences(f"docs/images/{name}.svg", before, figure.svg())
    for difference in differences:
        print(difference)
    count = len(found.blocks) + len(found.figures)
    failed = len({difference.split(":")[0] for difference in differences})
    print(f"{count - failed} passed, {failed} failed")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
