"""Runs the daemon under load for minutes and checks that it does not degrade.

Four streams take some thousand records a second, plain and compressed, from producers that connect and leave.
One stream has a subscriber that reconnects, one has a configuration that changes. The second half of the run must
not need more memory or descriptors than the first, and every record must come out once. The program prints the
latency of batches from /metrics.
"""

import argparse
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

FEATURES = 8
# The allocator and the threads of Dispatch may need this much late in a run. A leak soon exceeds it.
MEMORY_SLACK = 8 << 20
DESCRIPTOR_SLACK = 16


def configuration(folder, number):
    streams = "".join(
        f"""
  s{index}:
    source: {{ unix: {{ path: {folder}/s{index}.in }} }}
    format: {{ csv: {{ header: true }} }}
    features: ["f*"]
    batch: {{ size: 256, max_delay: 100ms }}
    normalize: {{ mode: {mode}, momentum: {0.1 + (number % 5) / 10 if index == 3 else 0.1:.1f} }}
    checkpoint: {{ interval: 1s }}
    on_bad_record: dead_letter
    sink: {{ unix: {{ path: {folder}/s{index}.out }} }}
    compression: off"""
        for index, mode in enumerate(["running", "batch", "renorm", "running"])
    )
    return f"""state_directory: {folder}/state
control: {{ listen: "unix:{folder}/control.sock" }}
streams:{streams}
"""


def connect(path, stopped):
    while not stopped.is_set():
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
            return connection
        except OSError:
            connection.close()
            time.sleep(0.01)
    return None


class Stream:
    """The producers and the subscriber of one stream."""

    def __init__(self, folder, index, rate, stopped):
        self.folder, self.index, self.rate, self.stopped = folder, index, rate, stopped
        self.sent = 0
        self.seen = 0
        self.wrong = 0
        self.threads = [
            threading.Thread(target=work, daemon=True) for work in (self.produce, self.subscribe)
        ]
        for thread in self.threads:
            thread.start()

    def produce(self):
        made = random.Random(self.index)
        header = ("id," + ",".join(f"f{feature}" for feature in range(FEATURES)) + "\n").encode()
        while connection := connect(self.folder / f"s{self.index}.in", self.stopped):
            with connection:
                if not self.feed(connection, header, made):
                    continue

    def feed(self, connection, header, made):
        """Sends for about a second, then leaves. The next call sends a record again that was not taken."""
        until = time.monotonic() + made.uniform(0.5, 2)
        start, count = time.monotonic(), 0
        if not take_whole(connection, header):
            return False
        while time.monotonic() < until and not self.stopped.is_set():
            values = ",".join(f"{made.gauss(0, 1):.5g}" for _ in range(FEATURES))
            if not take_whole(connection, f"{self.sent},{values}\n".encode()):
                return False
            self.sent += 1
            count += 1
            time.sleep(max(0, start + count / self.rate - time.monotonic()))
        return True

    def subscribe(self):
        while connection := connect(self.folder / f"s{self.index}.out", self.stopped):
            rest = b""
            while chunk := connection.recv(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    if line.startswith(b"id,"):
                        continue
                    self.wrong += int(line.split(b",", 1)[0]) != self.seen
                    self.seen += 1
            connection.close()


def take_whole(connection, data):
    """Returns whether the daemon took all bytes. A Unix socket tells how many it took."""
    sent = 0
    try:
        while sent < len(data):
            sent += connection.send(data[sent:])
    except OSError:
        return False
    return True


def metrics(folder):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(folder / "control.sock"))
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: soak\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    return answer.decode()


def latency_bound(text, stream, share):
    """Returns the upper bound of the bucket below which that share of the batches lies."""
    pattern = rf'evenkeel_stream_batch_latency_seconds_bucket{{(?=[^}}]*stream="{stream}").*?le="([^"]+)".*?}} (\S+)'
    buckets = [(bound, float(count)) for bound, count in re.findall(pattern, text)]
    return next(bound for bound, count in buckets if count >= share * buckets[-1][1])


def resident_bytes(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", type=Path, required=True, help="the binary")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=int, default=1000, help="records a second and stream")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="evenkeel-soak-"))
    (folder / "e.yaml").write_text(configuration(folder, 0))
    daemon = subprocess.Popen(
        [arguments.evenkeel.resolve(), "run", "--config", folder / "e.yaml"],
        stderr=(folder / "log").open("w"),
    )
    stopped = threading.Event()
    streams = [Stream(folder, index, arguments.rate, stopped) for index in range(4)]
    samples = []
    start = time.monotonic()
    # In the first tenth caches fill and threads start.
    while (elapsed := time.monotonic() - start) < arguments.seconds:
        time.sleep(1)
        if daemon.poll() is not None:
            sys.exit(f"the daemon ended with {daemon.returncode}: {folder}/log")
        if elapsed > arguments.seconds / 10:
            descriptors = len(os.listdir(f"/proc/{daemon.pid}/fd"))
            samples.append((resident_bytes(daemon.pid), descriptors))
        if len(samples) % 10 == 5:
            (folder / "new").write_text(configuration(folder, len(samples)))
            os.rename(folder / "new", folder / "e.yaml")
            daemon.send_signal(signal.SIGHUP)
    text = metrics(folder)
    stopped.set()
    for stream in streams:
        stream.threads[0].join(10)
    daemon.send_signal(signal.SIGTERM)
    code = daemon.wait(60)
    for stream in streams:
        stream.threads[1].join(10)

    half = len(samples) // 2
    first, second = samples[:half], samples[half:]
    memory = [max(sample[0] for sample in part) for part in (first, second)]
    descriptors = [max(sample[1] for sample in part) for part in (first, second)]
    print(f"{arguments.seconds:.0f} s, {sum(stream.sent for stream in streams):,} records")
    print(f"resident at most {memory[0] >> 10:,} KiB, then {memory[1] >> 10:,} KiB")
    print(f"descriptors at most {descriptors[0]}, then {descriptors[1]}")
    for stream in streams:
        name = f"s{stream.index}"
        p50, p99 = (latency_bound(text, name, share) for share in (0.5, 0.99))
        print(f"{name}: {stream.seen:,} of {stream.sent:,} records, batch latency p50 <= {p50} s, p99 <= {p99} s")
    faults = [
        (code != 0, f"exit code {code}"),
        (memory[1] > memory[0] + MEMORY_SLACK, "the memory grows"),
        (descriptors[1] > descriptors[0] + DESCRIPTOR_SLACK, "descriptors leak"),
        (any(one.seen != one.sent for one in streams), "records were lost or doubled"),
        (any(one.wrong for one in streams), "records are out of order"),
    ]
    found = [text for is_so, text in faults if is_so]
    if found:
        sys.exit(f"{'; '.join(found)}: see {folder}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
