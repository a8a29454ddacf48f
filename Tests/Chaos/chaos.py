"""Twenty mixed streams while everything goes wrong, seeded; then the oracle.

Usage: chaos.py --evenkeel BINARY [--seconds 600] [--seed 1] [--clock LIBRARY]

Streams from files to files must hold every record once, with an odd seed and in mode `batch` with the bytes
of an undisturbed run; others only records that were sent, whole. No stop takes longer than its bound, health is
answered, memory and descriptors stay level. With clock.c as a library, the daemon's wall clock jumps
too.
"""

import argparse
import os
import random
import re
import resource
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import actors
from oracle import compare, records_of, wait_until_read
from streams import SHUTDOWN_SECONDS, configuration, streams
from limits import Disk, thread_limit

# Beyond shutdown_timeout, for a machine that is busy with the chaos itself.
STOP_SLACK_SECONDS = 15
MEMORY_SLACK = 24 << 20
DESCRIPTOR_SLACK = 64


class Chaos:
    def __init__(self, evenkeel: str, folder: Path, seconds: float, seed: int, clock: str | None):
        self.evenkeel, self.folder, self.seconds = evenkeel, folder, seconds
        self.environment = dict(os.environ)
        self.clock = None
        if clock:
            self.clock = (folder / "clock").open("wb", buffering=0)
            self.shift_clock(0)
            self.environment |= {"LD_PRELOAD": clock, "EVENKEEL_CLOCK": str(folder / "clock")}
        self.made = random.Random(seed)
        self.seed = seed
        self.compares_bytes = seed % 2 == 1
        self.stopped = threading.Event()
        self.inputs, self.control = folder / "in", folder / "control"
        self.outputs = folder / "out"
        self.streams = streams()
        self.faults: list[str] = []
        self.counts: dict[str, int] = {}
        self.longest_stop = 0.0
        self.samples: list[tuple[float, int, int, int]] = []
        self.inputs.mkdir()
        self.outputs.mkdir()
        self.disk = Disk(self.outputs)
        self.ports = self.free_ports()
        self.log = (folder / "log").open("w")
        self.daemon: subprocess.Popen | None = None

    def free_ports(self) -> dict[str, int]:
        import socket

        names = [f"{each.name}.in" for each in self.streams if each.source == "tcp"]
        names += [f"{each.name}.out" for each in self.streams if each.sink == "tcp"]
        sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
        ports = {name: each.getsockname()[1] for name, each in sockets.items()}
        for each in sockets.values():
            each.close()
        return ports

    # The daemon

    def write(self, other: str = ""):
        text = configuration(self.streams, self.inputs, self.outputs, self.ports, self.control)
        (self.folder / "new").write_text(text + other)
        os.rename(self.folder / "new", self.folder / "e.yaml")

    def start(self):
        self.daemon = subprocess.Popen(
            [self.evenkeel, "run", "--config", self.folder / "e.yaml"],
            stderr=self.log, env=self.environment,
        )

    def stop(self):
        start = time.monotonic()
        self.daemon.send_signal(signal.SIGTERM)
        try:
            code = self.daemon.wait(SHUTDOWN_SECONDS + STOP_SLACK_SECONDS)
        except subprocess.TimeoutExpired:
            self.fault(f"a stop took more than {SHUTDOWN_SECONDS + STOP_SLACK_SECONDS} s")
            self.daemon.kill()
            code = self.daemon.wait()
        self.longest_stop = max(self.longest_stop, time.monotonic() - start)
        # 75: a reader that stalls may keep a stream from draining in time.
        if code not in (0, 75):
            self.fault(f"a stop ended with {code}")

    def fault(self, text: str):
        print(f"FAULT {text}", flush=True)
        self.faults.append(text)

    # Acts

    def kill(self):
        self.daemon.kill()
        self.daemon.wait()
        self.start()

    def restart(self):
        self.stop()
        self.start()

    def reload_changed(self):
        for stream in self.made.sample(self.streams, 4):
            if not stream.is_exact:
                stream.momentum = self.made.uniform(0.05, 0.5)
        self.write()
        self.daemon.send_signal(signal.SIGHUP)

    def reload_bad(self):
        self.write("oops: 1\n")
        self.daemon.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        self.write()

    def reload_storm(self):
        for _ in range(20):
            self.reload_changed()
            time.sleep(self.made.uniform(0, 0.1))

    def freeze_process(self):
        self.daemon.send_signal(signal.SIGSTOP)
        time.sleep(self.made.uniform(0.1, 1.5))
        self.daemon.send_signal(signal.SIGCONT)

    def few_descriptors(self):
        open_now = len(os.listdir(f"/proc/{self.daemon.pid}/fd"))
        soft, hard = resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE, (open_now, hard))
        time.sleep(2)
        resource.prlimit(self.daemon.pid, resource.RLIMIT_NOFILE, (soft, hard))

    def little_memory(self):
        pages = int(Path(f"/proc/{self.daemon.pid}/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + (128 << 20)
        old = resource.prlimit(self.daemon.pid, resource.RLIMIT_AS)
        resource.prlimit(self.daemon.pid, resource.RLIMIT_AS, (limit, old[1]))
        time.sleep(2)
        resource.prlimit(self.daemon.pid, resource.RLIMIT_AS, old)

    def few_threads(self):
        with thread_limit(self.daemon.pid):
            time.sleep(2)

    def full_disk(self):
        with self.disk.full():
            time.sleep(2)

    def jump_clock(self):
        """The wall clock jumps by up to 400 days, back too, and stays there or returns."""
        self.shift_clock(self.made.randint(-400 * 86400, 400 * 86400))
        time.sleep(self.made.uniform(0, 2))
        if self.made.random() < 0.5:
            self.shift_clock(0)

    def shift_clock(self, seconds: int):
        os.pwrite(self.clock.fileno(), struct.pack("q", seconds), 0)

    def act(self, hard: bool):
        """One thing goes wrong; a hard one ends the process."""
        soft_acts = [
            self.reload_changed, self.reload_bad, self.reload_storm, self.freeze_process,
            self.few_descriptors, self.few_threads, self.full_disk, self.little_memory,
        ]
        if self.clock:
            soft_acts.append(self.jump_clock)
        # A stop cuts the open batch, so with stops the bytes are not those of an undisturbed run: odd
        # seeds compare bytes and kill, even seeds compare records and stop as well.
        hard_acts = [self.kill] if self.compares_bytes else [self.kill, self.restart]
        act = self.made.choice(hard_acts if hard else soft_acts)
        self.counts[act.__name__] = self.counts.get(act.__name__, 0) + 1
        try:
            act()
        except ProcessLookupError:
            pass
        if self.daemon.poll() is not None:
            self.fault(f"the daemon ended with {self.daemon.returncode} after {act.__name__}")
            self.start()

    # The run

    def populate(self):
        self.writers, self.producers, self.subscribers = {}, {}, {}
        for stream in self.streams:
            seed = f"{self.seed} {stream.name}"
            if stream.source in ("directory", "follow"):
                suffix = "" if stream.source == "directory" else ".csv"
                target = self.inputs / f"{stream.name}{suffix}"
                self.writers[stream.name] = actors.FileWriter(
                    stream.source, target, seed, self.stopped
                )
            else:
                address = {
                    "unix": f"{self.outputs}/{stream.name}.in",
                    "fifo": f"{self.outputs}/{stream.name}.in.fifo",
                    "tcp": ("127.0.0.1", self.ports.get(f"{stream.name}.in")),
                }[stream.source]
                count = 1 if stream.source == "fifo" else 3
                self.producers[stream.name] = [
                    actors.Producer(address, f"{seed} producer {index}", self.stopped)
                    for index in range(count)
                ]
            if stream.sink in ("unix", "drop", "tcp", "fifo"):
                address = f"{self.outputs}/{stream.name}.out"
                if stream.sink == "fifo":
                    address += ".fifo"
                if stream.sink == "tcp":
                    address = ("127.0.0.1", self.ports[f"{stream.name}.out"])
                count = 1 if stream.sink == "fifo" else 2
                self.subscribers[stream.name] = [
                    actors.Subscriber(address, f"{seed} subscriber {index}", self.stopped)
                    for index in range(count)
                ]

    def sample(self):
        try:
            status = Path(f"/proc/{self.daemon.pid}/status").read_text()
            resident = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) * 1024
            descriptors = len(os.listdir(f"/proc/{self.daemon.pid}/fd"))
            heap = actors.heap_bytes(self.control)
            self.samples.append((time.monotonic(), resident, descriptors, heap))
        except (OSError, TypeError, IndexError):
            pass

    def run(self):
        self.write()
        self.start()
        self.populate()
        prober = actors.Prober(self.control, f"{self.seed} prober", self.stopped)
        start = time.monotonic()
        next_act = start + 2
        # The last half has no hard acts: one process must stay level.
        while (elapsed := time.monotonic() - start) < self.seconds:
            time.sleep(0.25)
            if elapsed > self.seconds * 0.6:
                self.sample()
            if time.monotonic() > next_act:
                self.act(hard=elapsed < self.seconds / 2 and self.made.random() < 0.4)
                next_act = time.monotonic() + self.made.uniform(1, 5)
        self.stopped.set()
        for actor in [*self.writers.values(), prober]:
            actor.join(20)
        exact = [each for each in self.streams if each.is_exact]
        for stream in exact:
            wait_until_read(self.outputs, stream.name, self.writers[stream.name].number, self.fault)
        self.stop()
        self.judge(exact, prober)

    def judge(self, exact, prober):
        reference = self.folder / "reference"
        reference.mkdir()
        compare(self, exact, reference)
        for name, producers in self.producers.items():
            stream = next(each for each in self.streams if each.name == name)
            if stream.sink not in ("file", "rotated"):
                continue
            found = records_of(self.outputs, name)
            most = sum(producer.number for producer in producers)
            torn = sum(line.count(b",") != 2 for line in found)
            if torn > self.counts.get("kill", 0):
                self.fault(f"{name}: {torn} lines are no whole records")
            if not 0 < len(found) <= most:
                self.fault(f"{name}: {len(found)} records came out of {most} that were sent")
        for name, subscribers in self.subscribers.items():
            for subscriber in subscribers:
                if subscriber.torn:
                    count, first = len(subscriber.torn), subscriber.torn[0][:100]
                    self.fault(f"{name}: a subscriber got {count} torn lines, the first {first}")
            if not any(subscriber.lines for subscriber in subscribers):
                self.fault(f"{name}: no subscriber got anything")
        if prober.answers == 0:
            self.fault("health was never answered")
        self.judge_level()
        acts = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        print(f"acts: {acts}")
        print(f"health: {prober.answers} answers, the longest after {prober.longest * 1000:.0f} ms")
        print(f"the longest stop: {self.longest_stop:.1f} s")

    def judge_level(self):
        half = len(self.samples) // 2
        if half < 10:
            return
        parts = self.samples[:half], self.samples[half:]
        memory = [max(sample[1] for sample in part) for part in parts]
        descriptors = [max(sample[2] for sample in part) for part in parts]
        print(f"resident at most {memory[0] >> 20} MiB, then {memory[1] >> 20} MiB")
        times = [(sample[0] - self.samples[0][0]) / 3600 for sample in self.samples]
        for name, place in (("resident", 1), ("allocated", 3)):
            sizes = [sample[place] / (1 << 20) for sample in self.samples]
            slope = statistics.linear_regression(times, sizes).slope
            noise = statistics.pstdev(sizes)
            print(f"{name} {slope:+.1f} MiB an hour, over {times[-1]:.2f} h, with a deviation of {noise:.1f} MiB")
        print(f"descriptors at most {descriptors[0]}, then {descriptors[1]}")
        if memory[1] > memory[0] + MEMORY_SLACK:
            self.fault("the memory grows")
        if descriptors[1] > descriptors[0] + DESCRIPTOR_SLACK:
            self.fault("descriptors leak")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", required=True)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clock", help="clock.c, compiled as a shared library")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ek-chaos-"))
    print(f"seed {arguments.seed}, {arguments.seconds:g} s, in {folder}", flush=True)
    evenkeel = str(Path(arguments.evenkeel).resolve())
    chaos = Chaos(evenkeel, folder, arguments.seconds, arguments.seed, arguments.clock)
    try:
        chaos.run()
    finally:
        chaos.stopped.set()
        if chaos.daemon and chaos.daemon.poll() is None:
            chaos.daemon.kill()
            chaos.daemon.wait()
        if not chaos.faults:
            chaos.disk.release()
    if chaos.faults:
        sys.exit(f"chaos: {len(chaos.faults)} faults; see {folder}, seed {arguments.seed}")
    shutil.rmtree(folder)
    print("chaos: fine")


if __name__ == "__main__":
    main()
