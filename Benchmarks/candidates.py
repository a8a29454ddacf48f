"""The commands to measure, the data they read, and facts about the machine.

This module imports no package. Linux counts the memory of the parent at the start of a child as the
child's own. The smaller the parent is, the lower the peaks that can be measured.
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
    # None if the command writes to standard output, which is dropped.
    output: Path | None
    # The name in the targets: evenkeel, one core, pipe, Polars, PyArrow + NumPy, River.
    kind: str
    # The mode of evenkeel. For a pipe, the mode whose output it copies.
    mode: str = ""
    # Whether the output must hold the same numbers as evenkeel's.
    agrees: bool = False
    # Whether the command prints the seconds of its work, so that its imports do not count.
    reports_seconds: bool = False
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0

    def run(self):
        """Runs the command once. Measures wall clock, processor time and peak resident memory.

        Every run starts in the same state. Earlier writes are on the disk, so that their time does not
        count. The output of the run before is removed, so that the time to replace it does not count.
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
    """A synthetic stream of that format, one zstd frame, kept from run to run."""
    path = folder / f"input-{rows}x{features}.{form}.zst"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # The file gets its name only when it is complete.
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
    """A line about the machine and the versions."""
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
