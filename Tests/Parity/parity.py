"""Checks Evenkeel's binary against PyTorch's BatchNorm1d, state and outputs, in both directions.

On the weather sample and on a generated stream, for modules in double precision:
evaluation   a module that loads our checkpoint gives, in eval mode, what we give when frozen
training     a module in train mode gives what mode `batch` gives, and ends with our moments
export       what `export --to pytorch` writes loads with strict=True
import       what `import --from pytorch` makes of a trained module gives the module's outputs
"""

import argparse
import csv
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

BATCH = 256
EPSILON = 1e-5
# On outputs |a − b| / max(1, |b|), by the width of our output; on moments |a − b| / |b|.
OUTPUT_TOLERANCE = {"float32": 1e-6, "float64": 1e-9}
MOMENT_TOLERANCE = 1e-12

WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "visib"]


@dataclass
class Stream:
    """A CSV file and the features in it that are normalised."""

    name: str
    path: Path
    features: list[str]

    def values(self):
        return read_features(self.path, self.features)


def read_features(path, features):
    """The features of a CSV file as rows of doubles, NaN where missing."""
    with open(path, newline="") as text:
        rows = [
            [float(record[name]) if record[name] not in ("", "NA") else np.nan for name in features]
            for record in csv.DictReader(text)
        ]
    return torch.tensor(rows, dtype=torch.float64)


def complete_records(source, target, features):
    """Copies the records in which no feature is missing: PyTorch knows no missing values."""
    with open(source, newline="") as text, open(target, "w", newline="") as output:
        reader = csv.DictReader(text)
        writer = csv.DictWriter(output, reader.fieldnames, lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            record for record in reader if all(record[name] != "NA" for name in features)
        )


class Parity:
    """Runs the checks and keeps count of them."""

    def __init__(self, evenkeel, folder):
        self.evenkeel = str(evenkeel)
        self.folder = folder
        self.passed = 0
        self.failed = 0

    def run(self, *arguments):
        command = [self.evenkeel, *map(str, arguments)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            sys.exit(f"$ {shlex.join(command)}\n{result.stderr}exit code {result.returncode}")

    def normalize(self, stream, *options):
        """Our output for the stream: rows of doubles."""
        output = self.folder / "output.csv"
        self.run(
            *("normalize", stream.path, "-o", output, "--features", ",".join(stream.features)),
            *("--batch-size", BATCH, *options),
        )
        return read_features(output, stream.features)

    def report(self, name, difference, tolerance):
        fits = difference <= tolerance
        self.passed += fits
        self.failed += not fits
        print(f"{'ok  ' if fits else 'FAIL'} {name}: {difference:.2g} (up to {tolerance:g})")

    def compare_outputs(self, name, ours, theirs, precision):
        same = ours.shape == theirs.shape and torch.equal(ours.isnan(), theirs.isnan())
        difference = ((ours - theirs).abs() / theirs.abs().clamp(min=1)).nan_to_num(0).max().item()
        self.report(
            f"{name}, {precision}", difference if same else np.inf, OUTPUT_TOLERANCE[precision]
        )

    def compare_moments(self, name, state, module):
        for key in ["running_mean", "running_var"]:
            theirs = getattr(module, key)
            difference = ((state[key] - theirs).abs() / theirs.abs()).max().item()
            self.report(f"{name}, {key}", difference, MOMENT_TOLERANCE)
        batches = abs(int(state["num_batches_tracked"]) - int(module.num_batches_tracked))
        self.report(f"{name}, num_batches_tracked", batches, 0)

    def parameters(self, stream):
        """γ and β that differ from 1 and 0, and from feature to feature."""
        generator = torch.Generator().manual_seed(len(stream.features))
        gamma, beta = torch.rand((2, len(stream.features)), generator=generator).double() + 0.5
        path = self.folder / "parameters.safetensors"
        save_file({"weight": gamma, "bias": beta}, path)
        return path

    def module(self, stream, momentum=0.1):
        return torch.nn.BatchNorm1d(len(stream.features), EPSILON, momentum).double()

    def check_evaluation_and_export(self, stream):
        checkpoint = self.folder / "evaluation.safetensors"
        parameters = ["--parameters", self.parameters(stream)]
        preset = ["--preset", "pytorch"]
        self.normalize(stream, *preset, "--checkpoint-out", checkpoint, *parameters)
        module = self.module(stream).eval()
        absent = module.load_state_dict(load_file(checkpoint), strict=False).missing_keys
        self.report(f"{stream.name}: tensors that our checkpoint lacks", len(absent), 0)

        exported = self.folder / "exported.safetensors"
        self.run("export", checkpoint, "--to", "pytorch", "-o", exported)
        strict = self.module(stream).eval()
        strict.load_state_dict(load_file(exported), strict=True)

        frozen = [*preset, "--mode", "running", "--frozen", "--checkpoint-in", checkpoint]
        with torch.no_grad():
            theirs, strictly = module(stream.values()), strict(stream.values())
        for precision in OUTPUT_TOLERANCE:
            ours = self.normalize(stream, *frozen, "--precision", precision)
            self.compare_outputs(f"{stream.name}: evaluation", ours, theirs, precision)
            self.compare_outputs(f"{stream.name}: export", ours, strictly, precision)

    def check_training(self, stream, momentum, options):
        name = f"{stream.name}: training, momentum {momentum}"
        checkpoint = self.folder / "training.safetensors"
        parameters = self.parameters(stream)
        module = self.module(stream, momentum).train()
        module.load_state_dict(load_file(parameters), strict=False)
        with torch.no_grad():
            theirs = torch.cat([module(batch) for batch in stream.values().split(BATCH)])
        for precision in OUTPUT_TOLERANCE:
            ours = self.normalize(
                stream,
                *("--preset", "pytorch", "--mode", "batch", *options),
                *("--parameters", parameters, "--checkpoint-out", checkpoint),
                *("--precision", precision),
            )
            self.compare_outputs(name, ours, theirs, precision)
        self.compare_moments(name, load_file(checkpoint), module)

    def check_import(self, stream, width):
        """`width` is that of the module's tensors; the arithmetic is double in both cases."""
        module = self.module(stream).train()
        module.load_state_dict(load_file(self.parameters(stream)), strict=False)
        with torch.no_grad():
            for batch in stream.values().split(BATCH):
                module(batch)
        saved, checkpoint = self.folder / "module.safetensors", self.folder / "import.safetensors"
        save_file(module.to(width).state_dict(), saved)
        self.run(
            *("import", saved, "--from", "pytorch", "-o", checkpoint),
            *("--features", ",".join(stream.features)),
        )
        frozen = ["--preset", "pytorch", "--mode", "running", "--frozen", "--checkpoint-in", checkpoint]
        ours = self.normalize(stream, *frozen, "--precision", "float64")
        with torch.no_grad():
            theirs = module.double().eval()(stream.values())
        self.compare_outputs(f"{stream.name}: import of {width}", ours, theirs, "float64")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument("--sample", type=Path, required=True, help="the weather sample")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parity = Parity(arguments.evenkeel.resolve(), folder)
        plain, complete = folder / "weather.csv", folder / "complete.csv"
        subprocess.run(["zstd", "-q", "-d", arguments.sample, "-o", plain], check=True)
        complete_records(plain, complete, WEATHER)
        # The last batch is short in both, and 1,000 batches pass in the second.
        gaps, whole = folder / "gaps.csv", folder / "whole.csv"
        generate = ["generate", "--features", 5, "--rows", 255_900, "--seed", 5]
        parity.run(*generate, "-o", gaps)
        parity.run(*generate, "--missing", 0, "-o", whole)
        made = [f"f{index}" for index in range(5)]

        for stream in [Stream("weather", plain, WEATHER), Stream("generated", gaps, made)]:
            parity.check_evaluation_and_export(stream)
        for stream in [Stream("weather", complete, WEATHER), Stream("generated", whole, made)]:
            parity.check_training(stream, 0.1, [])
            parity.check_training(stream, 0.01, ["--momentum", 0.01])
            parity.check_training(stream, None, ["--momentum", "cumulative"])
            parity.check_import(stream, torch.float64)
            parity.check_import(stream, torch.float32)
    print(f"{parity.passed} passed, {parity.failed} failed")
    sys.exit(1 if parity.failed else 0)


if __name__ == "__main__":
    main()
