"""Measures what a service takes: processor time by format and batch, memory by streams and features, a live
stream's load, and a checkpoint.

All times are processor time, which other work on the machine changes little. Each is the least of some rounds, less
that of a run with a single record. The features are made ones: seed 1, 3 decimals.

Usage: capacity.py --evenkeel BINARY [--quick] [--only records|memory|live|checkpoints]
"""

import argparse
import contextlib
import http.client
import os
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path

FEATURES = 32
DISCARDED = subprocess.DEVNULL


def processor_seconds(command) -> float:
    """User and system time of one run."""
    process = subprocess.Popen(command, stdout=DISCARDED, stderr=DISCARDED)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"expected {command} to succeed, found {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def made(evenkeel, path, rows, *options) -> Path:
    subprocess.run(
        [evenkeel, "generate", "--rows", str(rows), "--seed", "1", "-o", path, *options],
        check=True,
        stderr=DISCARDED,
    )
    return path


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(str(self.path))


class Daemon:
    """A daemon with equal live streams, each with a producer; it ends with the `with`."""

    def __init__(self, evenkeel, folder: Path, streams: int, features: int):
        self.folder, self.streams, self.features = folder, streams, features
        sections = "".join(
            f"  s{number}:\n"
            f"    source: {{ unix: {{ path: {folder}/{number}.in }} }}\n"
            "    format: csv\n    features: ['*']\n    batch: { max_delay: 1s }\n"
            "    compression: off\n    checkpoint: { interval: 1h }\n"
            f"    sink: {{ file: {{ path: {folder}/{number}.csv }} }}\n"
            for number in range(streams)
        )
        configuration = folder / "e.yaml"
        configuration.write_text(
            f"state_directory: {folder}/state\ncontrol: {{ listen: 'unix:{folder}/control' }}\n"
            f"streams:\n{sections}"
        )
        self.command = [evenkeel, "run", "--config", configuration]

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.process = subprocess.Popen(self.command, stdout=DISCARDED, stderr=DISCARDED)
        self.stack.callback(self.process.wait)
        self.stack.callback(self.process.kill)
        self.wait(lambda: self.get("/readyz")[0] == 200)
        self.producers = []
        for number in range(self.streams):
            producer = self.stack.enter_context(socket.socket(socket.AF_UNIX))
            producer.connect(f"{self.folder}/{number}.in")
            self.producers.append(producer)
        return self

    def __exit__(self, *_):
        self.stack.close()

    def wait(self, is_so):
        end = time.monotonic() + 120
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise SystemExit(f"the daemon ended with {self.process.returncode}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if is_so():
                    return
            time.sleep(0.1)
        raise SystemExit("expected the daemon to be done within 120 s")

    def get(self, path):
        connection = UnixConnection(self.folder / "control")
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def send(self, text: bytes):
        for producer in self.producers:
            producer.sendall(text)

    def wait_for_records(self, count):
        """Until each stream has read so many."""
        self.wait(
            lambda: re.findall(r"^evenkeel_stream_records_total\S* (\d+)$", self.get("/metrics")[1], re.M)
            == [str(count)] * self.streams
        )

    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s*(\d+)", status)[1])


def header(features) -> bytes:
    return (",".join(f"f{j}" for j in range(features)) + "\n").encode()


def lines(features, count) -> bytes:
    return b"".join(
        (",".join(f"{(i * 31 + j * 7) % 997 / 8:.3f}" for j in range(features)) + "\n").encode()
        for i in range(count)
    )


def measure_records(evenkeel, folder, quick):
    rows, rounds = (20_000, 1) if quick else (200_000, 5)
    files = {}
    for size in (rows, 1):
        path = made(evenkeel, folder / f"{size}.csv", size, "--features", str(FEATURES), "--no-compress")
        files["csv", size] = [path, "--format", "csv"]
        for name, options in (("ndjson", []), ("raw", ["--columns", str(FEATURES)])):
            other = folder / f"{size}.{name}"
            subprocess.run(
                [evenkeel, "normalize", path, "--features", "f*", "--output-format", name]
                + ["--no-compress", "-o", other],
                check=True,
                stderr=DISCARDED,
            )
            files[name, size] = [other, "--format", name, *options]
    print(f"records a second of one core, {FEATURES} features, uncompressed in and out, mode running")
    print("| batch | CSV | NDJSON | raw |\n|--:|--:|--:|--:|")
    for batch in (1, 16, 256, 4096):
        cells = []
        for name in ("csv", "ndjson", "raw"):
            common = ["--no-compress", "--mode", "running", "--batch-size", str(batch), "-o", "-"]
            if name != "raw":
                common += ["--features", "f*"]

            def least(size):
                command = [evenkeel, "normalize", *files[name, size], *common]
                return min(processor_seconds(command) for _ in range(rounds))

            cells.append(f"{rows / max(1e-3, least(rows) - least(1)):,.0f}")
        print(f"| {batch:,} | " + " | ".join(cells) + " |", flush=True)


def measure_memory(evenkeel, folder, quick):
    print("resident memory of the daemon after 1,024 records of each stream, KiB")
    print("| streams | features | KiB | of a stream |\n|--:|--:|--:|--:|")
    found = {}
    for streams, features in ((1, 32), (50, 32)) if quick else ((1, 32), (200, 32), (1, 1024), (50, 1024)):
        with tempfile.TemporaryDirectory(dir=folder) as own:
            with Daemon(evenkeel, Path(own), streams, features) as daemon:
                daemon.send(header(features))
                for _ in range(4):
                    daemon.send(lines(features, 256))
                daemon.wait_for_records(1024)
                found[streams, features] = daemon.resident_kib()
        each = (found[streams, features] - found[1, features]) / max(1, streams - 1)
        shown = f"{each:,.0f}" if streams > 1 else "–"
        print(f"| {streams} | {features:,} | {found[streams, features]:,} | {shown} |", flush=True)


def measure_live(evenkeel, folder, quick):
    streams, seconds = (20, 3) if quick else (200, 15)
    print(f"{streams} live streams of {FEATURES} features, CSV over Unix sockets")
    print("| records a second and stream | processor time, % of a core | streams a core |\n|--:|--:|--:|")
    with Daemon(evenkeel, folder, streams, FEATURES) as daemon:
        daemon.send(header(FEATURES))
        record, sent = lines(FEATURES, 1), 0
        for rate in (0, 1, 10):
            start, began = daemon.processor_seconds(), time.monotonic()
            for tick in range(seconds * max(1, rate)):
                if rate:
                    daemon.send(record)
                    sent += 1
                time.sleep(max(0, began + (tick + 1) / max(1, rate) - time.monotonic()))
            if sent:
                daemon.wait_for_records(sent)
            took = time.monotonic() - began
            share = (daemon.processor_seconds() - start) / took
            # A machine that is late sends less.
            real = rate * seconds / took
            fit = f"{streams / share:,.0f}" if rate and share > 0 else "–"
            print(f"| {real:.1f} | {100 * share:.1f} | {fit} |", flush=True)


def measure_checkpoints(evenkeel, folder, quick):
    rows, rounds = (20_000, 1) if quick else (100_000, 3)
    print("a checkpoint: processor time, from the difference of runs with many and with few; size")
    print("| features | checkpoints more | ms | KiB |\n|--:|--:|--:|--:|")
    for features in (32, 256):
        count = rows * 32 // features
        path = made(evenkeel, folder / f"{features}.csv", count, "--features", str(features), "--no-compress")
        size = written = 0

        def least(every):
            nonlocal size, written
            times = []
            for _ in range(rounds):
                with tempfile.TemporaryDirectory(dir=folder) as state:
                    times.append(
                        processor_seconds(
                            [evenkeel, "normalize", path, "--features", "f*", "--batch-size", "32"]
                            + ["--no-compress", "--resume", Path(state) / "state"]
                            + ["--checkpoint-every", str(every), "-o", Path(state) / "out.csv"]
                        )
                    )
                    newest = max(Path(state).rglob("checkpoint-*.safetensors"))
                    size, written = newest.stat().st_size, int(re.search(r"\d+", newest.name)[0])
            return min(times)

        seldom, few = least(1_000_000_000), written
        often = least(32)
        if written == few:
            raise SystemExit(f"expected more than {few} checkpoints with one after each batch")
        each = 1000 * (often - seldom) / (written - few)
        print(f"| {features:,} | {written - few} | {each:.2f} | {size / 1024:.1f} |", flush=True)


MEASUREMENTS = {
    "records": measure_records,
    "memory": measure_memory,
    "live": measure_live,
    "checkpoints": measure_checkpoints,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--evenkeel", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=MEASUREMENTS)
    arguments = parser.parse_args()
    for name, measure in MEASUREMENTS.items():
        if arguments.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="ek-capacity-") as folder:
                measure(arguments.evenkeel, Path(folder), arguments.quick)
            print()


if __name__ == "__main__":
    main()
