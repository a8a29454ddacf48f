"""What is measured: commands, the data they read, and the machine they run on.

No package is imported here. Linux counts the memory of the process that starts a child as the
child's own, as it is at that time; the smaller it is, the lower the peaks that can be told.
"""

import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

SEED = 1


@dataclass
class Candidate:
    """A command to measure."""

    name: str
    command: list[str]
    # Records and bytes of decompressed input.
    records: int
    input_bytes: int
    # None where it goes to standard output, which drops it.
    output: Path | None
    # What the targets call it: evenkeel, one core, pipe, Polars, PyArrow + NumPy, River.
    kind: str
    # Ours: its mode. A pipe: the mode whose output it copies.
    mode: str = ""
    # Whether the output must hold the numbers that evenkeel's holds.
    agrees: bool = False
    # Whether it prints the seconds of its work, so that a peer is not charged for its imports.
    reports_seconds: bool = False
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0

    def run(self):
        """One measured run: wall clock, processor time and the peak of the resident memory.

        It starts alike for all: with the disk at rest, so that what another left to write is not its
        time, and without the output of the run before, whose end would be.
        """
        if self.output:
            self.output.unlink(missing_ok=True)
        os.sync()
        start = time.perf_counter()
        listens = subprocess.PIPE if self.output else subprocess.DEVNULL
        child = subprocess.Popen(self.command, stdout=listens, text=True)
        printed = child.stdout.read() if self.output else ""
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        elapsed = time.perf_counter() - start
        if child.returncode != 0:
            sys.exit(f"{self.name}: exit code {child.returncode}: {shlex.join(self.command)}")
        self.seconds.append(float(printed) if self.reports_seconds else elapsed)
        self.cpu_seconds.append(usage.ru_utime + usage.ru_stime)
        self.peak_bytes = max(self.peak_bytes, usage.ru_maxrss * 1024)

    @property
    def median_seconds(self):
        return statistics.median(self.seconds)

    def ratios(self, other):
        """Our time over theirs, per record, round by round."""
        return [
            (ours / self.records) / (theirs / other.records)
            for ours, theirs in zip(self.seconds, other.seconds, strict=True)
        ]


def generated(evenkeel, folder, form, rows, features):
    """A made stream of that format, one zstd frame, kept from run to run."""
    path = folder / f"input-{rows}x{features}.{form}.zst"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # The name appears only once the file is whole.
        partial = folder / f"partial-{rows}x{features}.{form}.zst"
        command = [evenkeel, "generate", "--rows", str(rows), "--features", str(features)]
        command += ["--seed", str(SEED), "--format", form, "-o", partial]
        subprocess.run(command, check=True)
        partial.rename(path)
    return path


def decompressed_bytes(path):
    with subprocess.Popen(["zstd", "-dc", path], stdout=subprocess.PIPE) as child:
        return sum(len(chunk) for chunk in iter(lambda: child.stdout.read(1 << 20), b""))


def machine_facts(evenkeel, *more):
    """A line on what the numbers belong to."""
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
    return (
        f"{cpu}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, {release}, "
        f"Linux {platform.release()}; evenkeel {ours}, zstd {zstd}, "
        + ", ".join([f"Python {platform.python_version()}", *more])
        + "."
    )
