"""Measures the time of one record from its write to its read: mode running, over Unix sockets.

A record is a line of CSV with 32 features, sent by itself. In the first measurement each record waits for
the answer to the one before. In the second, records are sent at a steady rate, without waiting. The times
include the sockets and the scheduling of this script, on the same cores as the daemon.

Several binaries are measured in turns of some seconds, because the machine changes over time.
"""

import argparse
import contextlib
import math
import multiprocessing
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FEATURES = 32
BATCH = 256
# The number of single records that go through a daemon before the next daemon's turn.
TURN = 100
CONFIGURATION = """
state_directory: {folder}/state
control: {{ listen: off }}
streams:
  latency:
    source: {{ unix: {{ path: {folder}/in.sock }} }}
    format: {{ csv: {{ header: true }} }}
    batch: {{ size: {batch}, max_delay: 1s }}
    normalize: {{ mode: running }}
    sink: {{ unix: {{ path: {folder}/out.sock }} }}
    compression: {compression}
"""


def records(count):
    """Synthetic records, as they go over the socket."""
    made = random.Random(1)
    return [
        (",".join(f"{made.gauss(0, 1):.6g}" for _ in range(FEATURES)) + "\n").encode()
        for _ in range(count)
    ]


class Daemon:
    """The daemon with one stream, and connections to both ends of it. `stack` kills it if this script fails."""

    def __init__(self, evenkeel, stack, compression):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        configuration = folder / "evenkeel.yaml"
        configuration.write_text(
            CONFIGURATION.format(folder=folder, batch=BATCH, compression=compression)
        )
        notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notifications.bind(str(folder / "notify.sock"))
        notifications.settimeout(20)
        self.process = subprocess.Popen(
            [evenkeel, "run", "--config", configuration],
            env=os.environ | {"NOTIFY_SOCKET": str(folder / "notify.sock")},
            stderr=(folder / "log").open("w"),
        )
        stack.callback(self.process.kill)
        if b"READY=1" not in notifications.recv(4096):
            sys.exit("the daemon is not ready")
        self.output = connect(folder / "out.sock")
        self.input = connect(folder / "in.sock")
        # The daemon holds the first batch until it has moments. The other batches warm up the caches.
        header = (",".join(f"f{index}" for index in range(FEATURES)) + "\n").encode()
        self.input.sendall(header + b"".join(records(4 * BATCH)))
        read_lines(self.output, 1 + 4 * BATCH)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(30) != 0:
            sys.exit("the daemon did not stop in order")


def connect(path):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection


def read_lines(connection, count):
    """Reads `count` lines. Returns the time at which each was complete."""
    times = []
    while len(times) < count:
        chunk = connection.recv(1 << 16)
        now = time.perf_counter()
        if not chunk:
            sys.exit("the daemon closed the stream")
        times += [now] * chunk.count(b"\n")
    return times


def one_at_a_time(daemon, lines):
    latencies = []
    for line in lines:
        start = time.perf_counter()
        daemon.input.sendall(line)
        latencies.append(read_lines(daemon.output, 1)[0] - start)
    return latencies


def send(connection, lines, due):
    """Sends each line at the moment at which it is due."""
    for line, moment in zip(lines, due):
        while (left := moment - time.perf_counter()) > 0:
            if left > 100e-6:
                time.sleep(left - 80e-6)
        connection.sendall(line)


def at_rate(daemon, lines, rate):
    """Sends lines at a rate. Returns latencies from the time at which each was due, so that a late sender
    hides nothing. The sender is another process: two threads would wait for each other's interpreter.
    """
    start = time.perf_counter() + 0.1
    due = [start + index / rate for index in range(len(lines))]
    sender = multiprocessing.Process(target=send, args=(daemon.input, lines, due))
    sender.start()
    arrivals = read_lines(daemon.output, len(lines))
    sender.join()
    return [arrival - moment for arrival, moment in zip(arrivals, due)]


def quantiles(latencies):
    """p50, p99, p99.9 and the maximum, in microseconds."""
    latencies = sorted(latencies)
    shares = [0.5, 0.99, 0.999, 1]
    return [latencies[math.ceil(share * len(latencies)) - 1] * 1e6 for share in shares]


def measure(daemons, rate, seconds):
    """The quantiles of each daemon: for one record at a time, and for records at a steady rate."""
    made = records(5_000)
    alone = [[] for _ in daemons]
    for index in range(0, len(made) * max(1, int(seconds / 2)), TURN):
        lines = made[index % len(made) :][:TURN]
        for daemon, latencies in zip(daemons, alone):
            latencies += one_at_a_time(daemon, lines)
    steady = made * max(1, int(rate * seconds / len(made)))
    rated = [at_rate(daemon, steady, rate) for daemon in daemons]
    return {
        "one at a time": [quantiles(latencies) for latencies in alone],
        f"{rate:,} a second": [quantiles(latencies) for latencies in rated],
    }


def cell(values):
    """The median over the rounds, and the range if there are several."""
    median = f"{statistics.median(values):.0f}"
    return median if len(values) == 1 else f"{median} ({min(values):.0f} to {max(values):.0f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument(
        "--against", type=Path, action="append", default=[], help="another binary, measured in turn"
    )
    parser.add_argument("--rate", type=int, default=10_000, help="records a second")
    parser.add_argument("--seconds", type=float, default=10, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--compression", default="off", help="off, or '{ level: 1 }'")
    parser.add_argument("--quick", action="store_true", help="two seconds of each measurement")
    arguments = parser.parse_args()
    seconds = 2 if arguments.quick else arguments.seconds
    # A binary that is named twice has one daemon.
    binaries = list(dict.fromkeys([arguments.evenkeel, *arguments.against]))
    found = {}
    with contextlib.ExitStack() as stack:
        daemons = {
            binary: Daemon(binary.resolve(), stack, arguments.compression) for binary in binaries
        }
        for index in range(arguments.rounds):
            # Each binary is first as often as last, because the first one of a round is slower.
            shift = index % len(binaries)
            turn = binaries[shift:] + binaries[:shift]
            measured = measure([daemons[binary] for binary in turn], arguments.rate, seconds)
            for name, quantiles_of_each in measured.items():
                for binary, values in zip(turn, quantiles_of_each):
                    found.setdefault((name, binary), []).append(values)
        for daemon in daemons.values():
            daemon.stop()
    print(
        f"\n## Latency: one CSV record of {FEATURES} features, Unix sockets, microseconds, "
        f"{arguments.rounds} rounds\n"
    )
    print("| | | p50 | p99 | p99.9 | maximum |\n|---|---|--:|--:|--:|--:|")
    for (name, binary), rounds in sorted(found.items(), reverse=True):
        cells = " | ".join(cell(values) for values in zip(*rounds))
        print(f"| {name} | {binary} | {cells} |")


if __name__ == "__main__":
    main()
