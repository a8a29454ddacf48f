"""Floods the control port of a daemon with connections, and watches its health and its data.

The daemon listens on a TCP port and on a Unix socket. While clients open connections to the port, as many as are
asked for, a probe asks for `/healthz` over the socket. Meanwhile a stream normalises a file. The check fails if an
answer takes longer than 100 ms, if a record is lost, or if the daemon holds more descriptors than its share.
"""

import argparse
import contextlib
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS = 300_000
CLIENTS = 2
HELD_BY_A_CLIENT = 400
MOST_SECONDS = 0.1
MOST_DESCRIPTORS = 2_000


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def flood(port, count):
    """Opens `count` connections, most of them silent, and holds the last few hundred."""
    held = []
    for index in range(count):
        with contextlib.suppress(OSError):
            client = socket.socket()
            client.settimeout(1)
            client.connect(("127.0.0.1", port))
            if index % 7 == 0:
                client.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            held.append(client)
        if len(held) > HELD_BY_A_CLIENT:
            held.pop(0).close()


def health(path):
    """Seconds until the answer, or nothing if there was none."""
    start = time.monotonic()
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(path)
            client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while part := client.recv(4096):
                answer += part
    except OSError:
        return None
    return time.monotonic() - start if answer.startswith(b"HTTP/1.1 200") else None


def start(evenkeel, folder, port):
    made = [evenkeel, "generate", "--rows", str(ROWS), "--features", "8", "--missing", "0"]
    subprocess.run([*made, "-o", str(folder / "in.csv.zst")], check=True, capture_output=True)
    (folder / "e.yaml").write_text(
        f"""state_directory: {folder}/state
control: {{ listen: ["127.0.0.1:{port}", "unix:{folder}/control.sock"] }}
streams:
  s:
    source: {{ file: {{ path: {folder}/in.csv.zst }} }}
    format: {{ csv: {{ header: true }} }}
    features: ["f*"]
    sink: {{ file: {{ path: {folder}/out.csv }} }}
    compression: off
"""
    )
    daemon = subprocess.Popen([evenkeel, "run", "--config", str(folder / "e.yaml")], stderr=subprocess.DEVNULL)
    for _ in range(500):
        if health(str(folder / "control.sock")) is not None:
            return daemon
        time.sleep(0.02)
    daemon.kill()
    sys.exit("the daemon did not come to serve")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--evenkeel", required=True)
    parser.add_argument("--connections", type=int, default=50_000)
    arguments = parser.parse_args()
    faults = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = free_port()
        daemon = start(arguments.evenkeel, folder, port)
        clients = [
            multiprocessing.Process(target=flood, args=(port, arguments.connections // CLIENTS))
            for _ in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        answers, descriptors = [], 0
        while any(client.is_alive() for client in clients):
            answers.append(health(str(folder / "control.sock")))
            descriptors = max(descriptors, len(os.listdir(f"/proc/{daemon.pid}/fd")))
            time.sleep(0.01)
        output = folder / "out.csv"
        for _ in range(3000):
            lines = output.read_bytes().count(b"\n") if output.exists() else 0
            if lines > ROWS:
                break
            time.sleep(0.02)
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(timeout=60)
        told = [seconds for seconds in answers if seconds is not None]
        slowest = max(told, default=float("inf"))
        if len(told) < len(answers):
            faults.append(f"{len(answers) - len(told)} of {len(answers)} answers did not come")
        if slowest > MOST_SECONDS:
            faults.append(f"expected health within {MOST_SECONDS} s, found {slowest:.3f} s")
        if descriptors > MOST_DESCRIPTORS:
            faults.append(f"expected at most {MOST_DESCRIPTORS} descriptors, found {descriptors}")
        if lines != ROWS + 1:
            faults.append(f"expected {ROWS} records, found {lines - 1}")
        if code != 0:
            faults.append(f"the daemon ended with {code}")
        print(
            f"{arguments.connections} connections: {len(told)} answers, median "
            f"{statistics.median(told) * 1000:.1f} ms, slowest {slowest * 1000:.1f} ms; "
            f"{descriptors} descriptors; {lines - 1} records"
        )
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
