"""Runs the experiments of docs/ADAPTATION.md, and compares their results with the tables of the page.

A model that PyTorch trains is frozen; the program normalises what it gets, in several ways. With --write the page takes
the new results.

    make adapt
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests" / "Why"), str(ROOT / "python" / "src")]

import page as pages  # noqa: E402
from serving import fitted  # noqa: E402
from streams import CHANGE, STREAMS, Source, Stream  # noqa: E402

PAGE = ROOT / "docs" / "ADAPTATION.md"
# The default half-life is 1,700 records; a prior of so many values has about half the say beside it.
PRIOR_VALUES, SHORT = "2000", "200"
LIMIT = ["--limit-mean", "0.5", "--limit-deviation", "1.5"]


def started(checkpoint: Path) -> list[str]:
    # The settings differ from those of the checkpoint, which is an average of all values.
    return ["--checkpoint-in", str(checkpoint), "--on-mismatch", "match_by_name"]


class Scaler:
    """The program, with the moments of the training images."""

    def __init__(self, program: Path, folder: Path, source: Source):
        self.program = program
        self.width = source.train.shape[1]
        self.site, label = f"f{self.width}", f"f{self.width + 1}"
        self.checkpoint = folder / "training.safetensors"
        classes = folder / "classes.safetensors"
        count = len(source.train)
        training = Stream(source.train, source.train_labels.numpy(), np.zeros(count))
        fit = ["--momentum", "cumulative", "--checkpoint-out", str(self.checkpoint)]
        self.normalized(training, fit)
        by_class = ["--weight-class", label, "--momentum", "cumulative"]
        self.normalized(training, [*by_class, "--checkpoint-out", str(classes)])
        prior = ["--prior", str(self.checkpoint), "--prior-values", PRIOR_VALUES]
        self.methods = {
            "frozen": ["--frozen", *started(self.checkpoint)],
            "adapted": started(self.checkpoint),
            "half-life 200": ["--half-life-records", SHORT, *started(self.checkpoint)],
            "prior": prior,
            "prior and limit": [*prior, *LIMIT],
            "key": ["--key", self.site, *started(self.checkpoint)],
            "classes": ["--weight-class", label, *started(classes)],
        }

    def normalized(self, stream: Stream, options: list[str]) -> torch.Tensor:
        columns = [stream.values, stream.sites[:, None], stream.labels[:, None]]
        rows = np.ascontiguousarray(np.hstack(columns), "<f8")
        features = ",".join(f"f{j}" for j in range(self.width))
        command = [
            str(self.program), "normalize", "--format", "raw", "--columns", str(self.width + 2), "--scalar", "float64",
            "--precision", "float64", "--features", features, "--no-compress", *options,
        ]
        done = subprocess.run(command, input=rows.tobytes(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(options)}: {done.stderr.decode()}")
        found = np.frombuffer(done.stdout, "<f8").reshape(rows.shape)
        return torch.tensor(found[:, : self.width], dtype=torch.float32)


class Adaptation:
    """The accuracies, by stream and then by method: those of the records after the change, in per cent."""

    def __init__(self, program: Path, folder: Path):
        source = Source.load()
        scaler = Scaler(program, folder, source)
        training = Stream(source.train, source.train_labels.numpy(), np.zeros(len(source.train)))
        model = fitted(scaler.normalized(training, scaler.methods["frozen"]), source.train_labels)
        self.methods = list(scaler.methods)
        self.accuracies: dict[str, dict[str, float]] = {}
        for name, make in STREAMS.items():
            stream = make(source, np.random.default_rng(7))
            labels = torch.tensor(stream.labels)
            found = {}
            for method, options in scaler.methods.items():
                right = model(scaler.normalized(stream, options)).argmax(1) == labels
                found[method] = right[CHANGE:].double().mean().item() * 100
            self.accuracies[name] = found
            print(name, {method: f"{accuracy:.1f}" for method, accuracy in found.items()}, flush=True)

    def table(self) -> str:
        rows = [
            [name, *(f"{found[method]:.1f} %" for method in self.methods)] for name, found in self.accuracies.items()
        ]
        return pages.table(["stream", *self.methods], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument("--write", action="store_true", help="put the results into the page")
    arguments = parser.parse_args()
    # One thread sums in one order.
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="evenkeel-") as folder:
        blocks = {"accuracy": Adaptation(arguments.evenkeel.resolve(), Path(folder)).table()}
    if arguments.write:
        PAGE.write_text(pages.with_blocks(PAGE.read_text(), blocks))
    shown = PAGE.read_text()
    differences: list[str] = []
    for name, text in blocks.items():
        differences += pages.table_differences(name, pages.block(shown, name), text)
    for difference in differences:
        print(difference)
    failed = len({difference.split(":")[0] for difference in differences})
    print(f"{len(blocks) - failed} passed, {failed} failed")
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()
