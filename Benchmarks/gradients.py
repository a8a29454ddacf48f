"""Measures what gradients of γ and β cost the records of their stream: 32 features, mode running, over Unix sockets.

Records are sent at a steady rate. Meanwhile trainers send nothing, gradients over HTTP through several connections, each
after the answer to the one before, or lines to a Unix socket. Each round has all three in turn, in the same daemon. A
ratio is that of one round. The times include the sockets, the trainers and this script, on the same cores as the daemon.

The moments are frozen, so that a trainer knows the version of each step beforehand. Batches are small: steps are made
between two of them.
"""

import argparse
import contextlib
import functools
import json
import multiprocessing
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from latency import FEATURES, at_rate, connect, quantiles, read_lines, records

BATCH = 8
HTTP_RATE = 1_000
# The trainers over HTTP, each with one step on its way.
HTTP_CONNECTIONS = 8
SOCKET_RATE = 20_000
# A trainer that writes each line by itself would need most of a core.
LINES_AT_ONCE = 20
CONFIGURATION = """
state_directory: {folder}/state
control: {{ listen: "unix:{folder}/control.sock" }}
streams:
  learner:
    source: {{ unix: {{ path: {folder}/in.sock }} }}
    format: {{ csv: {{ header: true }} }}
    batch: {{ size: {batch}, max_delay: 1s }}
    normalize: {{ mode: running, frozen: true }}
    parameters:
      learn:
        optimizer: adam
        learning_rate: 1e-6
        max_staleness: 64
        gradients: {{ unix: {{ path: {folder}/gradients.sock }} }}
    sink: {{ unix: {{ path: {folder}/out.sock }} }}
    compression: off
"""


class Daemon:
    """The daemon with one stream that learns. `stack` kills it if this script fails."""

    def __init__(self, evenkeel, stack):
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        configuration = self.folder / "evenkeel.yaml"
        configuration.write_text(CONFIGURATION.format(folder=self.folder, batch=BATCH))
        notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notifications.bind(str(self.folder / "notify.sock"))
        notifications.settimeout(20)
        self.process = subprocess.Popen(
            [evenkeel, "run", "--config", configuration],
            env=os.environ | {"NOTIFY_SOCKET": str(self.folder / "notify.sock")},
            stderr=(self.folder / "log").open("w"),
        )
        stack.callback(self.process.kill)
        if b"READY=1" not in notifications.recv(4096):
            sys.exit("the daemon is not ready")
        self.output = connect(self.folder / "out.sock")
        self.input = connect(self.folder / "in.sock")
        header = (",".join(f"f{index}" for index in range(FEATURES)) + "\n").encode()
        self.input.sendall(header + b"".join(records(1024)))
        read_lines(self.output, 1 + 1024)

    def version(self):
        return request(self.folder, "GET", "")["parameters_version"]

    def applied(self):
        """The steps that γ and β have made."""
        text = request(self.folder, "GET", None)
        found = [
            line.split()[-1]
            for line in text.splitlines()
            if line.startswith("evenkeel_stream_changes_total") and 'result="applied"' in line
        ]
        return int(float(found[0])) if found else 0


def exchange(connection, head, body=b""):
    """Sends a request over a connection that stays open, and reads the answer."""
    send(connection, head, body)
    return read_answer(connection)


def send(connection, head, body):
    connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


def read_answer(connection):
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += received(connection)
    start, _, rest = answer.partition(b"\r\n\r\n")
    fields = (line.split(b":", 1) for line in start.lower().split(b"\r\n")[1:])
    length = int(next(value for name, value in fields if name == b"content-length"))
    while len(rest) < length:
        rest += received(connection)
    if b" 200 " not in start:
        sys.exit(f"the daemon refused a request: {rest.decode()}")
    return rest


def received(connection):
    chunk = connection.recv(1 << 16)
    if not chunk:
        sys.exit("the daemon closed a connection")
    return chunk


def request(folder, method, route):
    """The stream's JSON, or the text of the metrics if the route is None."""
    path = "/metrics" if route is None else "/api/v1/streams/learner" + route
    with connect(folder / "control.sock") as connection:
        answer = exchange(connection, f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n".encode())
    return answer.decode() if route is None else json.loads(answer)


def numbers(count):
    """The members of a gradient, without its version."""
    made = random.Random(2)
    texts = []
    for _ in range(count):
        weight, bias = ([f"{made.gauss(0, 1):.9g}" for _ in range(FEATURES)] for _ in range(2))
        texts.append(f'"weight_grad":[{",".join(weight)}],"bias_grad":[{",".join(bias)}]')
    return texts


def wait_until(moment):
    while (left := moment - time.perf_counter()) > 0:
        time.sleep(max(0, left - 50e-6))


def train_over_http(rate, connections, folder, version, seconds):
    made = numbers(100)
    head = b"POST /api/v1/streams/learner/gradients HTTP/1.1\r\nHost: localhost\r\n"
    head += b"Content-Type: application/json\r\n"
    trainers = [connect(folder / "control.sock") for _ in range(connections)]
    start = time.perf_counter()
    for index in range(int(rate * seconds)):
        wait_until(start + index / rate)
        trainer = trainers[index % connections]
        if index >= connections:
            version = max(version, json.loads(read_answer(trainer))["parameters_version"])
        send(trainer, head, f'{{"version":{version},{made[index % len(made)]}}}'.encode())


def train_through_socket(rate, folder, version, seconds):
    made = numbers(100)
    start = time.perf_counter()
    with connect(folder / "gradients.sock") as trainer:
        for index in range(0, int(rate * seconds), LINES_AT_ONCE):
            wait_until(start + index / rate)
            lines = (
                f'{{"version":{version + k},{made[k % len(made)]}}}\n'
                for k in range(index, index + LINES_AT_ONCE)
            )
            trainer.sendall("".join(lines).encode())


def measure(daemon, train, lines, rate):
    """p50 and p99 of records in microseconds, and the steps a second, while a trainer works."""
    trainer = None
    if train:
        # The trainer is there before and after the records.
        trainer = multiprocessing.Process(
            target=train, args=(daemon.folder, daemon.version(), len(lines) / rate + 30)
        )
        trainer.start()
        time.sleep(0.5)
    before, start = daemon.applied(), time.perf_counter()
    p50, p99, _, _ = quantiles(at_rate(daemon, lines, rate))
    steps = (daemon.applied() - before) / (time.perf_counter() - start)
    if trainer:
        trainer.kill()
        trainer.join()
        # The lines that wait belong to this measurement.
        while (applied := daemon.applied()) != before:
            before = applied
            time.sleep(0.3)
    return p50, p99, steps


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument("--rate", type=int, default=10_000, help="records a second")
    parser.add_argument("--http-rate", type=int, default=HTTP_RATE, help="requests a second")
    parser.add_argument(
        "--connections", type=int, default=HTTP_CONNECTIONS, help="trainers over HTTP"
    )
    parser.add_argument("--socket-rate", type=int, default=SOCKET_RATE, help="lines a second")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two rounds of two seconds")
    arguments = parser.parse_args()
    seconds, rounds = (2, 2) if arguments.quick else (arguments.seconds, arguments.rounds)
    trainers = {
        "no gradients": None,
        f"{arguments.http_rate:,} a second over HTTP, {arguments.connections} connections": functools.partial(
            train_over_http, arguments.http_rate, arguments.connections
        ),
        f"{arguments.socket_rate:,} a second through a Unix socket": functools.partial(
            train_through_socket, arguments.socket_rate
        ),
    }
    lines = records(int(arguments.rate * seconds))
    found = {name: [] for name in trainers}
    with contextlib.ExitStack() as stack:
        daemon = Daemon(arguments.evenkeel.resolve(), stack)
        for _ in range(rounds):
            for name, train in trainers.items():
                found[name].append(measure(daemon, train, lines, arguments.rate))
    print(
        f"\n## Records while γ and β are learned: {FEATURES} features, {arguments.rate:,} records a second "
        f"in batches of {BATCH}, medians of {rounds} rounds\n"
    )
    print("| gradients | steps a second | p50, µs | p99, µs | p99 against none |")
    print("|---|--:|--:|--:|--:|")
    none = found["no gradients"]
    for name, measured in found.items():
        ratios = [each[1] / base[1] for each, base in zip(measured, none)]
        p50, p99, steps = (statistics.median(column) for column in zip(*measured))
        print(
            f"| {name} | {steps:,.0f} | {p50:.0f} | {p99:.0f} | "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) |"
        )


if __name__ == "__main__":
    main()
