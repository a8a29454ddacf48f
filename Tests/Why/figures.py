"""The figures of docs/WHY.md, from the results of the experiments."""

from __future__ import annotations

from networks import KINDS, Kind
from drawing import CURVES, Axis, Drawing, Panel
from serving import CHANGE, METHODS, RECORDS, WINDOW
from training import FACTORS, RATES, SCALES, TENFOLD_AT, TENFOLD_STEPS, Scaled, Tenfold

TITLES = {"batch norm": "batch norm", "affine": "γ′u + β′ learned", "none": "bias alone"}
NAMES = [TITLES[kind] for kind in KINDS]


def grid_figure(cells: dict[Kind, list[list[float]]]) -> Drawing:
    drawing = Drawing(760, 246, "Accuracy by learning rate and scale of the first weights, for three kinds of layers")
    wide, high, top = 27, 22, 44
    drawing.text(12, top - 10, "scale", style="faint")
    for row, scale in enumerate(SCALES):
        drawing.text(44, top + row * high + 15, f"{scale:g}", "end", "faint")
    for panel, kind in enumerate(KINDS):
        left = 52 + panel * (len(RATES) * wide + 20)
        drawing.text(left, 22, f"{TITLES[kind]}: accuracy in %", style="title")
        for row, accuracies in enumerate(cells[kind]):
            for column, accuracy in enumerate(accuracies):
                x, y = left + column * wide, top + row * high
                drawing.cell(x + 1, y + 1, wide - 2, high - 2, 0.06 + 0.5 * max(accuracy - 10, 0) / 90)
                drawing.text(x + wide / 2, y + 15, f"{accuracy:.0f}", "middle")
        bottom = top + len(SCALES) * high + 15
        for column, rate in enumerate(RATES):
            x = left + column * wide + wide / 2
            drawing.text(x, bottom, f"{rate:g}".removeprefix("0"), "middle", "faint")
        drawing.text(left + len(RATES) * wide / 2, bottom + 18, "learning rate", "middle", "faint")
    return drawing


def tenfold_figure(runs: dict[Kind, Tenfold]) -> Drawing:
    drawing = Drawing(760, 300, "Loss and accuracy around the step at which the first weights grow tenfold")
    drawing.legend(48, 24, NAMES)
    steps = Axis(0, TENFOLD_STEPS, [0, 100, 200, 300])
    loss = Panel(drawing, 48, 66, 300, 186, steps, Axis(0.05, 300, [0.1, 1, 10, 100], True))
    accuracy = Panel(drawing, 428, 66, 300, 186, steps, Axis(0, 100, [0, 25, 50, 75, 100], unit=" %"))
    loss.frame("training loss", f"step; weights × 10 at step {TENFOLD_AT}")
    accuracy.frame("test accuracy, by running statistics", f"step; weights × 10 at step {TENFOLD_AT}")
    # Each step near the jump, and every fourth one elsewhere.
    shown = [step for step in range(TENFOLD_STEPS) if step % 4 == 0 or abs(step - TENFOLD_AT) < 24]
    for kind, curve in zip(KINDS, CURVES):
        run = runs[kind]
        loss.curve(shown, [run.losses[step] for step in shown], curve)
        accuracy.curve(shown, [run.accuracies[step] for step in shown], curve)
    return drawing


def scale_figure(runs: dict[Kind, Scaled]) -> Drawing:
    drawing = Drawing(760, 300, "The gradient's length and its angle to the weights, against the scale of the weights")
    drawing.legend(48, 24, NAMES)
    factors = Axis(FACTORS[0], FACTORS[-1], FACTORS, True)
    length = Panel(drawing, 60, 66, 290, 186, factors, Axis(1e-4, 1e3, [1e-4, 1e-2, 1, 1e2], True))
    angle = Panel(drawing, 440, 66, 290, 186, factors, Axis(1e-12, 1, [1e-12, 1e-8, 1e-4, 1], True))
    length.frame("length of the gradient of a·W", "a")
    angle.frame("|cosine| between a·W and its gradient", "a")
    for kind, curve in zip(KINDS, CURVES):
        length.curve(FACTORS, runs[kind].norms, curve)
        angle.curve(FACTORS, runs[kind].cosines, curve)
    return drawing


def serving_figure(accuracies: dict[str, dict[str, list[float]]]) -> Drawing:
    changes = [change for change in accuracies if change != "nothing changes"]
    drawing = Drawing(760, 500, "Accuracy of a frozen model over a stream that changes at record 5,000, in four ways")
    drawing.legend(48, 24, METHODS)
    records = [(window + 0.5) * WINDOW for window in range(RECORDS // WINDOW)]
    for index, change in enumerate(changes):
        left, top = 48 + index % 2 * 370, 66 + index // 2 * 222
        x = Axis(0, RECORDS, list(range(0, RECORDS + 1, CHANGE)))
        panel = Panel(drawing, left, top, 320, 150, x, Axis(0, 100, [0, 25, 50, 75, 100], unit=" %"))
        panel.frame(change, "record" if index > 1 else "")
        for method, curve in zip(METHODS, CURVES):
            panel.curve(records, accuracies[change][method], curve)
    return drawing
