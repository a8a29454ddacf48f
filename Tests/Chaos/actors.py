"""Producers, subscribers and clients of the chaos run, each on a thread, each with numbers of its own."""

import os
import random
import socket
import threading
import time
from pathlib import Path

HEADER = b"id,f0,f1\n"


def record(made: random.Random, number: int) -> bytes:
    second = "oops" if made.random() < 0.002 else f"{made.gauss(0, 1):.6g}"
    return f"{number},{made.gauss(9, 3):.6g},{second}\n".encode()


class Actor(threading.Thread):
    """Acts until `stopped` is set; errors of sockets are part of the run."""

    def __init__(self, seed: str, stopped: threading.Event):
        super().__init__(daemon=True)
        self.made = random.Random(seed)
        self.stopped = stopped
        self.start()

    def run(self):
        while not self.stopped.is_set():
            try:
                self.act()
            except OSError:
                time.sleep(0.02)


# A directory holds the newest files. One that leaves was read minutes before: else records are missing at the end.
KEPT_FILES = 1000


def left(directory: Path) -> Path:
    """The folder of the files that left a directory."""
    return directory.with_name(directory.name + ".left")


class FileWriter(Actor):
    """Adds files to a directory, or lines to a followed file, at a rate that a loaded machine takes."""

    def __init__(self, source: str, target: Path, seed: str, stopped: threading.Event):
        self.source, self.target = source, target
        self.number = self.files = 0
        if source == "directory":
            target.mkdir(parents=True)
            left(target).mkdir()
        else:
            target.write_bytes(HEADER)
        super().__init__(seed, stopped)

    def act(self):
        count = self.made.randrange(1, 120)
        rows = b"".join(record(self.made, self.number + index) for index in range(count))
        self.number += count
        if self.source == "directory":
            self.files += 1
            new = self.target.parent / f"{self.target.name}.new"
            new.write_bytes(HEADER + rows)
            new.rename(self.target / f"{self.files:08d}.csv")
            if self.files > KEPT_FILES:
                old = f"{self.files - KEPT_FILES:08d}.csv"
                (self.target / old).rename(left(self.target) / old)
        else:
            with self.target.open("ab") as file:
                file.write(rows)
        self.stopped.wait(self.made.uniform(0.05, 0.3))


def connect(address) -> socket.socket:
    kind = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    connection = socket.socket(kind)
    connection.settimeout(2)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


class Producer(Actor):
    """Connects, sends, breaks off; sometimes it floods, stalls, or sends what is no CSV."""

    def __init__(self, address, seed: str, stopped: threading.Event):
        self.address, self.seed = address, seed
        self.number = 0
        super().__init__(seed, stopped)

    def send_all(self, send):
        send(HEADER)
        mood = self.made.choice(["calm", "calm", "calm", "flood", "stall", "noise"])
        for _ in range(self.made.randrange(1, 400)):
            if mood == "noise" and self.made.random() < 0.05:
                noise = self.made.randbytes(self.made.randrange(1, 500))
                # A quote would begin a field of several lines, which the subscribers take for torn ones.
                send(noise.replace(b'"', b"'"))
            send(record(self.made, self.number))
            self.number += 1
            if mood == "stall" and self.made.random() < 0.02:
                self.stopped.wait(self.made.uniform(0.1, 2))
            if mood == "calm":
                time.sleep(0.002)

    def act(self):
        if isinstance(self.address, str) and self.address.endswith(".fifo"):
            path = self.address.removesuffix(".fifo")
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                self.send_all(lambda data: file.write(data))
        else:
            with connect(self.address) as connection:
                self.send_all(connection.sendall)
                if self.made.random() < 0.1:
                    reset = b"\1\0\0\0\0\0\0\0"
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        self.stopped.wait(self.made.uniform(0, 0.3))


class Subscriber(Actor):
    """Reads, stalls, goes; counts lines that are no whole records."""

    def __init__(self, address, seed: str, stopped: threading.Event):
        self.address = address
        self.torn: list[bytes] = []
        self.lines = 0
        super().__init__(seed, stopped)

    def act(self):
        if isinstance(self.address, str) and self.address.endswith(".fifo"):
            descriptor = os.open(self.address.removesuffix(".fifo"), os.O_RDONLY | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb", buffering=0) as file:
                # The pipe may hold a part of a write that an earlier reader left.
                self.take(lambda: file.read(65536), starts_whole=False)
        else:
            with connect(self.address) as connection:
                self.take(lambda: connection.recv(65536), starts_whole=True)
        self.stopped.wait(self.made.uniform(0, 0.5))

    def take(self, read, starts_whole: bool):
        until = time.monotonic() + self.made.uniform(0.2, 8)
        rest = b""
        is_first = not starts_whole
        while time.monotonic() < until and not self.stopped.is_set():
            try:
                chunk = read()
            except TimeoutError:
                continue
            if chunk is None or (not chunk and not starts_whole):
                # A pipe without a writer for now.
                time.sleep(0.02)
                continue
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self.lines += 1
                # Blank lines pass through as they are; noise has some, also with a carriage return.
                if line.rstrip(b"\r") and not is_first and line.count(b",") != 2:
                    self.torn.append(line)
                is_first = False
            if self.made.random() < 0.02:
                self.stopped.wait(self.made.uniform(0, 3))


def heap_bytes(control: Path) -> int:
    """The bytes that the daemon has allocated, by its metrics."""
    with connect(str(control)) as connection:
        connection.settimeout(10)
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    return int(float(answer.split(b"\nevenkeel_heap_bytes ")[1].split()[0]))


class Prober(Actor):
    """Asks for health all the time, beside silent connections; keeps the longest answer."""

    def __init__(self, control: Path, seed: str, stopped: threading.Event):
        self.control = str(control)
        self.answers = 0
        self.longest = 0.0
        self.silent: list[socket.socket] = []
        super().__init__(seed, stopped)

    def act(self):
        while len(self.silent) < 200:
            self.silent.append(connect(self.control))
        start = time.monotonic()
        with connect(self.control) as connection:
            connection.settimeout(10)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            if connection.recv(15) == b"HTTP/1.1 200 OK":
                self.answers += 1
                self.longest = max(self.longest, time.monotonic() - start)
        if self.made.random() < 0.2:
            for each in self.silent:
                each.close()
            self.silent = []
        self.stopped.wait(0.1)
