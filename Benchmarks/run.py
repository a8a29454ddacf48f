"""Measures `evenkeel normalize` beside what else one would use, all in one run.

Every candidate is run once a round, in turn, so that a machine that slows down slows all of them;
the table gives medians over the rounds. Numbers of different runs or machines do not compare;
the ratios within one run do.
"""

import argparse
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

FEATURES = 32
BATCH = 256
SEED = 1
HERE = Path(__file__).parent
# Beyond this a peer does other arithmetic than we do, and its time means nothing.
TOLERANCE = 1e-4


@dataclass
class Candidate:
    """A command to measure; the first of a table is what the others are compared with."""

    name: str
    command: list[str]
    # Records and bytes of decompressed input.
    records: int
    input_bytes: int
    output: Path
    # Whether the output must hold the numbers that evenkeel's holds.
    agrees: bool = False
    # Whether it prints the seconds of its work, so that a peer is not charged for its imports.
    reports_seconds: bool = False
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0

    def run(self):
        """One measured run: wall clock, processor time and the peak of the resident memory.

        Linux counts this process's memory too, at the time the child is started; hence no package
        is imported here, and a peak below some 20 MiB cannot be told.
        """
        start = time.perf_counter()
        child = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        printed = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        elapsed = time.perf_counter() - start
        if child.returncode != 0:
            sys.exit(f"{self.name}: exit code {child.returncode}: {shlex.join(self.command)}")
        self.seconds.append(float(printed) if self.reports_seconds else elapsed)
        self.cpu_seconds.append(usage.ru_utime + usage.ru_stime)
        self.peak_bytes = max(self.peak_bytes, usage.ru_maxrss * 1024)


def decompressed_bytes(path):
    with subprocess.Popen(["zstd", "-dc", path], stdout=subprocess.PIPE) as child:
        return sum(len(chunk) for chunk in iter(lambda: child.stdout.read(1 << 20), b""))


class Bench:
    """The candidates of one format over generated data of that format."""

    def __init__(self, evenkeel, folder, form, rows):
        self.evenkeel = str(evenkeel)
        self.folder = folder
        self.form = form
        self.rows = rows
        self.input = self.generate(rows)
        self.input_bytes = decompressed_bytes(self.input)

    def path(self, name):
        return self.folder / f"{name}.{self.form}.zst"

    def generate(self, rows):
        """A made stream, kept from run to run."""
        path = self.path(f"input-{rows}")
        if not path.exists():
            # The name appears only once the file is whole.
            partial = self.path(f"partial-{rows}")
            subprocess.run(
                [self.evenkeel, "generate", "--rows", str(rows), "--features", str(FEATURES)]
                + ["--seed", str(SEED), "--format", self.form, "-o", str(partial)],
                check=True,
            )
            partial.rename(path)
        return path

    def candidate(self, name, command, output, **options):
        return Candidate(name, command, self.rows, self.input_bytes, output, **options)

    def normalize(self, mode):
        output = self.path(f"evenkeel-{mode}")
        command = [self.evenkeel, "normalize", str(self.input), "-o", str(output)]
        command += ["--level", "1", "--batch-size", str(BATCH), "--mode", mode]
        command += ["--format", self.form]
        if self.form == "raw":
            command += ["--columns", str(FEATURES), "--scalar", "float32"]
        return self.candidate(f"evenkeel, mode {mode}", command, output)

    def pipe(self, source):
        """What reading and writing zstd alone costs: the floor, on the very bytes we wrote."""
        output = self.path("pipe")
        line = f"zstd -q -dc {shlex.quote(str(source))} | zstd -q -1 -c > {shlex.quote(str(output))}"
        return self.candidate("`zstd -dc \\| zstd -1`", ["sh", "-c", line], output)

    def peer(self, name, script, *options, agrees=True):
        output = self.path(Path(script).stem)
        command = [sys.executable, str(HERE / "peers" / script), str(self.input), str(output), *options]
        return self.candidate(name, command, output, agrees=agrees, reports_seconds=True)

    def candidates(self, sample_rows):
        ours = self.normalize("batch")
        batch = ["--batch-size", str(BATCH)]
        everyone = [ours, self.normalize("running"), self.pipe(ours.output)]
        if self.form == "csv":
            river = Bench(self.evenkeel, self.folder, self.form, sample_rows).peer(
                f"River, {sample_rows:,} records", "river_scaler.py", agrees=False
            )
            everyone += [
                self.peer("PyArrow + NumPy", "pyarrow_numpy.py", *batch),
                self.peer("Polars", "polars_expressions.py", "--format", "csv", *batch),
                river,
            ]
        elif self.form == "ndjson":
            everyone.append(
                self.peer("Polars", "polars_expressions.py", "--format", "ndjson", *batch)
            )
        else:
            columns = ["--columns", str(FEATURES)]
            everyone.append(self.peer("NumPy", "numpy_raw.py", *columns, *batch))
        return everyone


def check_agreement(form, candidates):
    """Stops unless every peer that should has written the numbers that we wrote."""
    ours = candidates[0]
    for peer in candidates:
        if peer.agrees:
            command = [sys.executable, str(HERE / "agreement.py"), form, str(FEATURES)]
            command += [str(ours.output), str(peer.output)]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            difference = float(printed)
            if not difference <= TOLERANCE:
                sys.exit(f"{form}: {peer.name} differs from {ours.name} by {difference:.3g}")
            print(f"{peer.name} agrees with {ours.name} within {difference:.1g}.")


def table(candidates):
    lines = [
        "| | seconds | spread | MB/s | ns/value | processor s | peak MiB | time against ours |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    # Per value, since River is given fewer of them.
    first = statistics.median(candidates[0].seconds) / candidates[0].records
    for one in candidates:
        seconds = statistics.median(one.seconds)
        spread = (max(one.seconds) - min(one.seconds)) / seconds
        lines.append(
            f"| {one.name} | {seconds:.2f} | {spread:.0%} | {one.input_bytes / seconds / 1e6:.0f} "
            f"| {seconds / one.records / FEATURES * 1e9:.1f} "
            f"| {statistics.median(one.cpu_seconds):.2f} | {one.peak_bytes / 2**20:.0f} "
            f"| {seconds / one.records / first:.2f} |"
        )
    return "\n".join(lines)


def machine_facts(evenkeel):
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    release = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    ours = subprocess.run([evenkeel, "--version"], capture_output=True, text=True).stdout.strip()
    zstd = subprocess.run(["zstd", "-V"], capture_output=True, text=True).stdout.strip()
    zstd = next((word.rstrip(",") for word in zstd.split() if word[:2] == "v1"), zstd)
    packages = ", ".join(f"{name} {version(name)}" for name in ["numpy", "pyarrow", "polars", "river"])
    return (
        f"{cpu}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, {release}, "
        f"Linux {platform.release()}; evenkeel {ours}, zstd {zstd}, "
        f"Python {platform.python_version()}, {packages}."
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument("--folder", type=Path, default=Path(".build-bench"), help="for the data")
    parser.add_argument("--only", choices=["csv", "raw", "ndjson"], help="one format alone")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data, two rounds")
    arguments = parser.parse_args()
    if not shutil.which("zstd"):
        sys.exit("the zstd tool is not on the PATH")
    # 400,000 records are 108 MB of CSV, 51 MB of float32, 186 MB of NDJSON.
    rows, sample_rows = (40_000, 1_000) if arguments.quick else (400_000, 5_000)
    rounds = 2 if arguments.quick else arguments.rounds
    arguments.folder.mkdir(parents=True, exist_ok=True)
    evenkeel = arguments.evenkeel.resolve()

    print(machine_facts(evenkeel))
    for form in [arguments.only] if arguments.only else ["csv", "raw", "ndjson"]:
        bench = Bench(evenkeel, arguments.folder, form, rows)
        candidates = bench.candidates(sample_rows)
        print(
            f"\n## {form}: {rows:,} records of {FEATURES} features, "
            f"{bench.input_bytes / 1e6:.0f} MB, batches of {BATCH}, median of {rounds} rounds\n"
        )
        for _ in range(rounds):
            for candidate in candidates:
                candidate.run()
        check_agreement(form, candidates)
        print("\n" + table(candidates), flush=True)


if __name__ == "__main__":
    main()
