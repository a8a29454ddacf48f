"""The targets, and the table that tells whether each was met."""

import statistics
import sys
from dataclasses import dataclass, field

# The largest allowed wall time of evenkeel over that of a candidate, by kind and format.
AT_MOST = {
    "pipe": {"csv": 1.2, "raw": 1.2, "ndjson": 1.5},
    "Polars": {"csv": 0.5, "raw": 0.3, "ndjson": 0.5},
    "PyArrow + NumPy": {"csv": 0.25, "raw": 0.25, "ndjson": 0.3},
    "River": {"csv": 0.01},
}
# Targets that zstd alone misses (docs/PERFORMANCE.md). A strict run does not fail for them.
OUT_OF_REACH = {("PyArrow + NumPy", "raw"), ("River", "csv")}
# The smallest required time on one core over that on two.
AT_LEAST_FOR_TWO_CORES = 1.7
PEAK_MEBIBYTES = 64


@dataclass
class Verdict:
    """A ratio, or another figure, that was measured in every round, and its target."""

    subject: str
    target: float
    measured: list[float]
    at_least: bool = False
    unit: str = ""
    is_out_of_reach: bool = False

    @property
    def median(self):
        return statistics.median(self.measured)

    @property
    def is_met(self):
        return self.median >= self.target if self.at_least else self.median <= self.target

    def row(self):
        sign = "≥" if self.at_least else "≤"
        spread = f"{figure(min(self.measured))} to {figure(max(self.measured))}"
        missed = "**no**, out of reach" if self.is_out_of_reach else "**no**"
        return (
            f"| {self.subject} | {figure(self.median)}{self.unit} | {spread} "
            f"| {sign} {self.target:g}{self.unit} | {'yes' if self.is_met else missed} |"
        )


def figure(number):
    """Three digits, without an exponent."""
    if number >= 100:
        return f"{number:.0f}"
    return f"{number:.2f}" if number >= 0.1 else f"{number:.2g}"


def table(verdicts):
    return "\n".join(
        ["| | median | over the rounds | target | met |", "|---|--:|--:|--:|---|"]
        + [verdict.row() for verdict in verdicts]
    )


def add_option(parser):
    """Adds the option that `conclude` needs."""
    parser.add_argument(
        "--strict", action="store_true", help="fail if a target that is within reach is missed"
    )


def conclude(verdicts, strict):
    """Prints the table. A strict run then exits with 1 if a target that is within reach is missed."""
    print(table(verdicts), flush=True)
    missed = [one.subject for one in verdicts if not one.is_met and not one.is_out_of_reach]
    if strict and missed:
        sys.exit(f"expected every target to be met, missed: {'; '.join(missed)}")


def of_format(form, candidates):
    """The verdicts on the candidates of one format. All candidates ran once a round."""
    verdicts = []
    ours = [one for one in candidates if one.kind == "evenkeel"]
    for one in ours:
        for other in candidates:
            target = AT_MOST.get(other.kind, {}).get(form)
            if target is None or other.mode not in ("", one.mode):
                continue
            subject = f"{form}, {one.mode}, time against {other.name}"
            is_out_of_reach = (other.kind, form) in OUT_OF_REACH
            verdicts.append(
                Verdict(subject, target, one.ratios(other), is_out_of_reach=is_out_of_reach)
            )
    for alone in (one for one in candidates if one.kind == "one core"):
        both = next(one for one in ours if one.mode == alone.mode)
        subject = f"{form}, {alone.mode}, one core's time against two cores'"
        ratios = alone.ratios(both)
        verdicts.append(Verdict(subject, AT_LEAST_FOR_TWO_CORES, ratios, at_least=True))
    for one in ours:
        peak = [one.peak_bytes / 2**20]
        verdicts.append(Verdict(f"{form}, {one.mode}, peak memory", PEAK_MEBIBYTES, peak, unit=" MiB"))
    return verdicts
