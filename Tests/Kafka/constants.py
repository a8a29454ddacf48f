"""Measures the constants of the model in Benchmarks/scale.py: streams between topics of a broker on this machine.

Times are processor time of the daemon if nothing else is said, since other work changes that little. Each is the median of some
rounds. The broker is Tansu: noida-db answers a fetch without messages at once, so that librdkafka asks all the time. Only restarts
need noida-db, since Tansu tells wrong ends.

Usage: constants.py --evenkeel BINARY [--only PART] [--broker noida] [--rounds N] [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

import check
from broker import Broker

LIMIT_SECONDS = 120
TICKS = os.sysconf("SC_CLK_TCK")


def wait_for(what: str, is_so: Callable[[], bool], pause: float = 0.02) -> None:
    deadline = time.monotonic() + LIMIT_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"expected {what} within {LIMIT_SECONDS} s")
        time.sleep(pause)


def fill(broker: Broker, topic: str, partitions: int, features: int, count: int) -> None:
    """Writes records of JSON: 256 different ones, since making them takes longer than reading them."""
    generator = random.Random(1)
    made = [
        ("{" + ",".join(f'"f{k}":{generator.gauss(20, 5):.3f}' for k in range(features)) + "}").encode()
        for _ in range(256)
    ]
    producer = Producer({
        "bootstrap.servers": broker.address, "queue.buffering.max.kbytes": 2_000_000,
        "queue.buffering.max.messages": 10_000_000, "compression.type": "none"})
    for number in range(count):
        producer.produce(topic, made[number % 256], partition=number % partitions)
        producer.poll(0)
    if producer.flush(120) > 0:
        sys.exit("the broker took not all messages")


class Member:
    """A daemon with one stream between topics, its state in a third one."""

    def __init__(
        self, evenkeel: str, broker: Broker, folder: Path, topic: str, name: str, features: int, share: str = "",
        state: str = "", normalize: str = "", more: str = "", core: int | None = None,
    ) -> None:
        self.socket, self.log = folder / f"{name}.sock", folder / f"{name}.log"
        path = folder / f"{name}.yaml"
        properties = dict(broker.properties)
        if "group" in share:
            properties |= {"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"}
        listed = ", ".join(f"{key}: {value}" for key, value in properties.items())
        path.write_text(f"""
state_directory: {folder}/state-{name}
control: {{ listen: "unix:{self.socket}" }}
streams:
  s:
    source: {{ kafka: {{ brokers: ["{broker.address}"], topic: {topic}, {share} properties: {{ {listed} }} }} }}
    format: ndjson
    features: [{", ".join(f"f{k}" for k in range(features))}]
    batch: {{ size: 256 }}
    normalize: {{ {normalize} }}
    {more}
    state: {{ topic: {name.split(".")[0]}-state, create: true, {state} }}
    sink: {{ kafka: {{ brokers: ["{broker.address}"], topic: {name.split(".")[0]}-out }} }}
""")
        command = [evenkeel, "run", "--config", str(path)]
        if core is not None:
            command = ["taskset", "-c", str(core), *command]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **broker.environment})

    @property
    def seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def resident_kib(self) -> int:
        return int(re.search(r"VmRSS:\s*(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1])  # type: ignore[index]

    def runs(self, partitions: int) -> bool:
        return self.log.read_text().count("stream runs") >= partitions

    def metric(self, name: str) -> float | None:
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self.socket))
            connection.request("GET", "/metrics")
            found = re.search(rf"^{name}\S* (\S+)$", connection.getresponse().read().decode(), re.M)
        except OSError:
            return None
        finally:
            connection.close()
        return float(found[1]) if found else None

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Reader:
    """Counts the messages of a topic by reading them, since not every broker tells the ends."""

    def __init__(self, broker: Broker, topic: str, partitions: int) -> None:
        self.counts = [0] * partitions
        self.consumer = Consumer({
            "bootstrap.servers": broker.address, "group.id": "reader", "enable.auto.commit": False, **broker.properties})
        self.consumer.assign([TopicPartition(topic, partition, 0) for partition in range(partitions)])

    def read(self) -> list[int]:
        for message in self.consumer.consume(10_000, timeout=0.02):
            if message.error() is None:
                self.counts[message.partition()] += 1
        return self.counts


@contextlib.contextmanager
def started(name: str) -> Iterator[tuple[Broker, Path]]:
    """A broker, whose topics go with it."""
    with tempfile.TemporaryDirectory(prefix="ek-constants-") as place:
        broker = Broker(name, Path(place))
        try:
            yield broker, Path(place)
        finally:
            broker.stop()


def copied(broker: Broker, members: list[Member], topic: str, count: int, partitions: int) -> tuple[float, float]:
    """Processor seconds and seconds until all records are in the output."""
    reader = Reader(broker, topic, partitions)
    began, before = time.monotonic(), sum(each.seconds for each in members)
    wait_for(f"{count} records in {topic}", lambda: sum(reader.read()) >= count, 0.1)
    return sum(each.seconds for each in members) - before, time.monotonic() - began


def make(broker: Broker, name: str, partitions: int) -> None:
    """The topics of an output and of its states. noida-db lets the stream make these, as compacted ones."""
    broker.make(f"{name}-out", partitions=partitions)
    if not broker.tells_ends:
        broker.make(f"{name}-state", partitions=partitions)


def spent(
    options: argparse.Namespace, broker: Broker, folder: Path, name: str, features: int, count: int, partitions: int,
    **more: str,
) -> float:
    """Processor seconds of a process that copies all records of the topic `in`."""
    make(broker, name, partitions)
    member = Member(options.evenkeel, broker, folder, "in", name, features, **more)
    try:
        return copied(broker, [member], f"{name}-out", count, partitions)[0]
    finally:
        member.kill()


def states(broker: Broker, topic: str, partitions: int) -> list[int]:
    """The sizes of all states of a topic in bytes."""
    return [
        len(message.value()) for message in check.consume(broker, topic, partitions, 1)
        if message.key() == b"state" and message.value() is not None
    ]


def measure_records(options: argparse.Namespace) -> None:
    print("processor time of a record, 4 partitions, state every 10,000 records")
    print("| features | µs a record | ns a value |\n|--:|--:|--:|")
    for features in (8, 32, 256):
        count = options.records * 8 // max(8, features)
        with started("tansu") as (broker, folder):
            broker.make("in", partitions=4)
            fill(broker, "in", 4, features, count)
            found = [
                spent(options, broker, folder, f"r{number}", features, count, 4) for number in range(options.rounds)]
            cost = statistics.median(found) / count * 1e6
            print(f"| {features} | {cost:.2f} | {1000 * cost / features:.0f} |", flush=True)


def measure_sizes(options: argparse.Namespace) -> None:
    print("bytes of a state")
    print("| features | with charts of drift | without |\n|--:|--:|--:|")
    for features in (1, 32, 256):
        cells = []
        for drift in ("on", "off"):
            with started("noida") as (broker, folder):
                broker.make("in", partitions=1)
                fill(broker, "in", 1, features, 1024)
                spent(
                    options, broker, folder, "z", features, 1024, 1, state="every: { records: 256, time: 1h }",
                    normalize="momentum: cumulative", more=f"drift: {drift}")
                cells.append(f"{max(states(broker, 'z-state', 1)):,}")
        print(f"| {features:,} | " + " | ".join(cells) + " |", flush=True)


def measure_peers(options: argparse.Namespace) -> None:
    print("processor time of scope global more than of scope partition, one process, 32 features, for each state written")
    print("| partitions | ms a state |\n|--:|--:|")
    for partitions in (2, 8, 32):
        count = max(256, options.records // 8 // partitions // 256 * 256)
        with started("tansu") as (broker, folder):
            broker.make("in", partitions=partitions)
            fill(broker, "in", partitions, 32, count * partitions)
            seconds: dict[str, list[float]] = {"partition": [], "global": []}
            for number in range(options.rounds):
                for scope in seconds:
                    seconds[scope].append(spent(
                        options, broker, folder, f"{scope}{number}", 32, count * partitions, partitions,
                        normalize="momentum: cumulative", state=f"scope: {scope}, every: {{ records: 256, time: 1h }}"))
            more = statistics.median(seconds["global"]) - statistics.median(seconds["partition"])
            print(f"| {partitions} | {1000 * more / (partitions * count // 256):.2f} |", flush=True)


def measure_partitions(options: argparse.Namespace) -> None:
    print("threads and resident memory of a process after 5,000 records of each partition, 32 features")
    print("| partitions | threads | MiB |\n|--:|--:|--:|")
    for partitions in (1, 4, 8, 16):
        with started("noida") as (broker, folder):
            broker.make("in", "m-out", partitions=partitions)
            fill(broker, "in", partitions, 32, 5000 * partitions)
            member = Member(options.evenkeel, broker, folder, "in", "m", 32)
            try:
                copied(broker, [member], "m-out", 4864 * partitions, partitions)
                threads = len(os.listdir(f"/proc/{member.process.pid}/task"))
                print(f"| {partitions} | {threads} | {member.resident_kib / 1024:.0f} |", flush=True)
            finally:
                member.kill()


def measure_states(options: argparse.Namespace) -> None:
    print("processor time of writing a state, 1 partition\n| features | ms a state |\n|--:|--:|")
    for features in (32, 256):
        count = options.records * 4 // features // 256 * 256
        with started("tansu") as (broker, folder):
            broker.make("in", partitions=1)
            fill(broker, "in", 1, features, count)
            seconds: dict[int, list[float]] = {256: [], 1_000_000_000: []}
            for number in range(options.rounds):
                for every, found in seconds.items():
                    found.append(spent(
                        options, broker, folder, f"every{every}-{number}", features, count, 1,
                        normalize="momentum: cumulative", state=f"every: {{ records: {every}, time: 1h }}"))
            often, seldom = (statistics.median(found) for found in seconds.values())
            print(f"| {features} | {1000 * (often - seldom) / (count // 256):.2f} |", flush=True)


def measure_restart(options: argparse.Namespace) -> None:
    print("seconds from the start of a process to a running stream, with a log of states and without, 1 partition, 32 features")
    count = options.records // 8 // 256 * 256
    with started("noida") as (broker, folder):
        broker.make("in", partitions=1)
        fill(broker, "in", 1, 32, count)
        settings = {"state": "every: { records: 256, time: 1h }", "normalize": "momentum: cumulative"}
        spent(options, broker, folder, "often", 32, count, 1, **settings)
        sizes = states(broker, "often-state", 1)
        starts: dict[str, list[float]] = {"often": [], "fresh": []}
        for number in range(options.rounds):
            broker.make(f"fresh{number}-out", partitions=1)
            for name, found in starts.items():
                own = name if name == "often" else f"fresh{number}"
                began = time.monotonic()
                member = Member(options.evenkeel, broker, folder, "in", own, 32, **settings)
                try:
                    wait_for("a running stream", lambda: member.runs(1), 0.005)
                    found.append(time.monotonic() - began)
                finally:
                    member.kill()
        often, fresh = (statistics.median(found) for found in starts.values())
        print(f"{often:.2f} s with {len(sizes):,} states of {sum(sizes) / 1e6:.1f} MB, {fresh:.2f} s without", flush=True)


def measure_recovery(options: argparse.Namespace) -> None:
    print("a group of two members, 4 partitions, session.timeout.ms 6000: from the kill of one to the output of all")
    found = []
    for _ in range(options.rounds):
        with started("tansu") as (broker, folder):
            broker.make("in", "g-out", "g-state", partitions=4)
            members = [
                Member(options.evenkeel, broker, folder, "in", f"g.{number}", 8, "group: g,") for number in range(2)]
            try:
                wait_for("both members to have partitions", lambda: all(member.runs(2) for member in members))
                reader = Reader(broker, "g-out", 4)
                fill(broker, "in", 4, 8, 4096)
                wait_for("the first output", lambda: min(reader.read()) >= 900)
                members[0].kill()
                began = time.monotonic()
                fill(broker, "in", 4, 8, 8192)
                wait_for("the output of all partitions", lambda: min(reader.read()) >= 1900)
                found.append(time.monotonic() - began)
            finally:
                for member in members:
                    member.kill()
    print(
        f"{statistics.median(found):.1f} s ({min(found):.1f} to {max(found):.1f}), of which the session takes up to 6 s",
        flush=True)


def measure_views(options: argparse.Namespace) -> None:
    print("scope global, every.time 1 s, 4 partitions with 200 records a second each: evenkeel_stream_view_age_seconds")
    with started("noida") as (broker, folder):
        broker.make("in", "v-out", partitions=4)
        members = [
            Member(
                options.evenkeel, broker, folder, "in", f"v.{number}", 8, f"partitions: [{2 * number}, {2 * number + 1}],",
                "scope: global", normalize="momentum: cumulative")
            for number in range(2)
        ]
        try:
            wait_for("both members to run", lambda: all(member.runs(2) for member in members))
            ages = []
            end = time.monotonic() + (5 if options.quick else 40)
            while time.monotonic() < end:
                fill(broker, "in", 4, 8, 80)
                time.sleep(0.1)
                ages += [age for member in members if (age := member.metric("evenkeel_stream_view_age_seconds")) is not None]
        finally:
            for member in members:
                member.kill()
    ages = sorted(ages[len(ages) // 5 :])
    print(
        f"median {statistics.median(ages):.2f} s, 99 % below {ages[len(ages) * 99 // 100]:.2f} s, {len(ages)} looks",
        flush=True)


def measure_members(options: argparse.Namespace) -> None:
    print("two members, each on a core of its own, against one member on one core; 4 partitions, 32 features")
    print("| round | ratio of records a second | ratio by processor time |\n|--:|--:|--:|")
    count, ratios = options.records // 4, []
    with started(options.broker) as (broker, folder):
        broker.make("in", partitions=4)
        fill(broker, "in", 4, 32, count)
        for number in range(options.rounds):
            took = {}
            for name, shares in (("one", ["[0, 1, 2, 3]"]), ("two", ["[0, 1]", "[2, 3]"])):
                own = f"{name}{number}"
                make(broker, own, 4)
                members = [
                    Member(options.evenkeel, broker, folder, "in", f"{own}.{core}", 32, f"partitions: {share},", core=core)
                    for core, share in enumerate(shares)
                ]
                try:
                    took[name] = copied(broker, members, f"{own}-out", count, 4)
                finally:
                    for member in members:
                        member.kill()
            # Both cores work for as long as the processor time of both members, half of it each.
            ratios.append((took["one"][1] / took["two"][1], 2 * took["one"][0] / took["two"][0]))
            print(f"| {number + 1} | {ratios[-1][0]:.2f} | {ratios[-1][1]:.2f} |", flush=True)
    told = [statistics.median(each) for each in zip(*ratios, strict=True)]
    print(f"| median | {told[0]:.2f} | {told[1]:.2f} |", flush=True)


MEASUREMENTS = {
    "records": measure_records, "sizes": measure_sizes, "partitions": measure_partitions, "states": measure_states,
    "restart": measure_restart,
    "peers": measure_peers, "recovery": measure_recovery, "views": measure_views, "members": measure_members,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", required=True)
    parser.add_argument("--only", choices=MEASUREMENTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--broker", choices=["noida", "tansu"], default="tansu", help="of the part members")
    parser.add_argument("--records", type=int, default=400_000)
    parser.add_argument("--quick", action="store_true", help="one round of a tenth of the records")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.records = 1, options.records // 10
    for name, measure in MEASUREMENTS.items():
        if options.only in (None, name):
            measure(options)
            print()


if __name__ == "__main__":
    main()
