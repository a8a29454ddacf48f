"""Checks `scope: global` between topics of a real broker: the states of all partitions make those of one process.

Two members read four partitions whose records differ. One is killed several times while messages come, or the group gives
its partitions to others. Then the states of all partitions are merged, and compared with the moments of all records, as
sums of exact fractions tell them. Copies of a record must have equal bytes. The last records must be normalised by the
moments of all partitions. check.py runs it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

from confluent_kafka import Producer

import check
from broker import Broker

PARTS = 10
HALF_LIFE_MS = 60_000
# One partition has fewer records than the others, a quarter.
SMALL_PARTITION = 2
# How far a normalised value may be from the one by the moments of all records, in σ: the views are some seconds old. Without
# views the distance is more than 1.
MOST_DISTANCE = 0.5
EPSILON = 1e-5
MOMENTA = {
    "cumulative": "momentum: cumulative",
    "event-time": f"half_life: {{ event_time: {HALF_LIFE_MS // 1000}s }}",
}
Row = tuple[int, dict[str, float | str | None]]


def row(partition: int, number: int) -> Row:
    """The timestamp of a message, in milliseconds, and its record. Partitions have means far from each other."""
    x = number * 7919 % 1009 + 3000 * partition
    y = None if number % 13 == 0 else (number % 97) * (1 + partition) / 8
    pause = 12 if partition == SMALL_PARTITION else 3
    return check.FIRST_TIME + number * pause + partition, {"id": f"{partition}-{number}", "x": x, "y": y}


def produce(broker: Broker, topic: str, partition: int, rows: list[Row]) -> None:
    producer = Producer({"bootstrap.servers": broker.address, "compression.type": "none"})
    for milliseconds, record in rows:
        producer.produce(topic, json.dumps(record).encode(), partition=partition, timestamp=milliseconds)
        producer.poll(0)
    if producer.flush(60) > 0:
        sys.exit("the broker took not all messages")


class Members:
    """Daemons that share the partitions of a topic, each by a list of its own or all by a group."""

    def __init__(self, evenkeel: str, broker: Broker, folder: Path, topic: str, momentum: str, group: bool) -> None:
        self.evenkeel, self.broker, self.folder, self.topic = evenkeel, broker, folder, topic
        self.momentum, self.group = momentum, group
        self.running: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, number: int) -> None:
        """The first two have half of the partitions each, if there is no group."""
        properties = dict(self.broker.properties)
        if self.group:
            share = "group: members"
            properties |= {"session.timeout.ms": "6000", "heartbeat.interval.ms": "1000"}
        else:
            share = f"partitions: {list(range(number * check.PARTITIONS // 2, (number + 1) * check.PARTITIONS // 2))}"
        listed = ", ".join(f"{name}: {value}" for name, value in properties.items())
        path = self.folder / f"{self.topic}-{number}.yaml"
        path.write_text(f"""
state_directory: {self.folder}/state-{self.topic}-{number}
control: {{ listen: off }}
streams:
  s:
    source:
      kafka: {{ brokers: ["{self.broker.address}"], topic: {self.topic}, {share}, properties: {{ {listed} }} }}
    format: ndjson
    features: [x, y]
    batch: {{ size: 64, max_delay: 1h }}
    normalize: {{ {self.momentum} }}
    state: {{ topic: {self.topic}-state, scope: global, create: true, every: {{ records: 500, time: 500ms }} }}
    sink: {{ kafka: {{ brokers: ["{self.broker.address}"], topic: {self.topic}-out }} }}
""")
        with open(path.with_suffix(".log"), "ab") as log:
            self.running[number] = subprocess.Popen(
                [self.evenkeel, "run", "--config", path], stdout=log, stderr=log,
                env={**os.environ, **self.broker.environment})

    def kill(self, number: int) -> None:
        process = self.running.pop(number)
        process.kill()
        process.wait()

    def stop(self) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            process.wait()
        self.running = {}


def exact_moments(rows: list[Row], momentum: str) -> dict[str, tuple[float, float, float]]:
    """Count, mean and variance of the values of each feature, each value weighed by its age if there is a half-life."""
    newest = max(milliseconds for milliseconds, _ in rows)
    found = {}
    for feature in ("x", "y"):
        weight = total = squares = Fraction(0)
        count = 0
        for milliseconds, record in rows:
            if record[feature] is None:
                continue
            age = newest - milliseconds
            each = Fraction(1 if momentum == "cumulative" else 2 ** (-age / HALF_LIFE_MS))
            value = Fraction(float(record[feature]))
            count += 1
            weight, total, squares = weight + each, total + each * value, squares + each * value * value
        mean = total / weight
        found[feature] = (count, float(mean), float(squares / weight - mean * mean))
    return found


def merged_moments(
    evenkeel: str, broker: Broker, folder: Path, topic: str
) -> dict[str, tuple[float, float, float]]:
    """Merges the newest states of all partitions."""
    newest: dict[int, tuple[int, bytes]] = {}
    for message in check.consume(broker, f"{topic}-state", check.PARTITIONS, check.PARTITIONS):
        if message.key() == b"state" and message.value() is not None:
            offset = int(dict(message.headers())["ek-offset"])
            newest[message.partition()] = max(newest.get(message.partition(), (-1, b"")), (offset, message.value()))
    paths = []
    for partition, (_, state) in sorted(newest.items()):
        paths.append(folder / f"{topic}-{partition}.safetensors")
        paths[-1].write_bytes(state)
    merged = folder / f"{topic}.safetensors"
    told = subprocess.run([evenkeel, "merge", *paths, "-o", merged], check=True, capture_output=True, text=True)
    if "exact, as of one run" not in told.stdout:
        sys.exit(f"expected an exact merge of {check.PARTITIONS} states, found {told.stdout}")
    if broker.tells_ends:
        places = [f"kafka://{broker.address}/{topic}-state/{partition}" for partition in range(check.PARTITIONS)]
        subprocess.run([evenkeel, "merge", *places, "-o", f"{merged}.2"], check=True, capture_output=True)
        if Path(f"{merged}.2").read_bytes() != merged.read_bytes():
            sys.exit(f"expected the merge of {places} to be that of their messages, found {merged}.2")
    shown = subprocess.run([evenkeel, "inspect", "--json", merged], check=True, capture_output=True)
    moments = {feature["name"]: feature["moments"] for feature in json.loads(shown.stdout)["features"]}
    return {name: (each["weight"], each["mean"], each["variance"]) for name, each in moments.items()}


def run(
    arguments: argparse.Namespace, broker: Broker, folder: Path, generator: random.Random, momentum: str, group: bool
) -> str:
    topic = f"scope-{momentum}"
    broker.make(topic, f"{topic}-out", partitions=check.PARTITIONS)
    if group:
        broker.make(f"{topic}-state", partitions=check.PARTITIONS)
    members = Members(arguments.evenkeel, broker, folder, topic, MOMENTA[momentum], group)
    rows: dict[str, Row] = {}
    last: set[str] = set()
    each = arguments.records // check.PARTITIONS // PARTS
    try:
        members.start(0)
        members.start(1)
        for part in range(PARTS):
            if part == PARTS - 1:
                outputs(broker, topic, rows)
                # So that the views of the last part have all parts before it.
                time.sleep(2)
            for partition in range(check.PARTITIONS):
                count = each // 4 if partition == SMALL_PARTITION else each
                made = [row(partition, number) for number in range(part * count, (part + 1) * count)]
                # The first batch of the last part still has the view before it.
                last |= {str(record["id"]) for _, record in made[count // 2 :] if part == PARTS - 1}
                rows.update({str(record["id"]): (milliseconds, record) for milliseconds, record in made})
                produce(broker, topic, partition, made)
            if group and part == PARTS // 3:
                members.kill(0)
            elif group and part == PARTS // 2:
                members.start(2)
            elif not group and 0 < part < PARTS - 2:
                time.sleep(generator.uniform(0.05, 1))
                members.kill(part % 2)
                members.start(part % 2)
            if part < PARTS - 2:
                time.sleep(1)
        copies = outputs(broker, topic, rows)
    finally:
        members.stop()
    copies = outputs(broker, topic, rows)
    check_copies(copies, rows, topic, folder)
    expected = exact_moments(list(rows.values()), momentum)
    found = merged_moments(arguments.evenkeel, broker, folder, topic)
    furthest = max(
        abs(a - b) / abs(b) for name in expected for a, b in zip(found[name], expected[name], strict=True))
    if furthest > 1e-12:
        sys.exit(f"{topic}: expected the merged moments {expected}, found {found}")
    distance = furthest_value(copies, rows, last, expected)
    if distance > MOST_DISTANCE:
        sys.exit(
            f"{topic}: expected the last records to be normalised by the moments of all partitions, found one "
            f"{distance:.2g} σ from that; see {folder}")
    again = sum(len(found) for found in copies.values()) - len(rows)
    return f"{momentum} {furthest:.1g} from one pass, {again} records written again, values {distance:.1g} σ at most"


def outputs(broker: Broker, topic: str, rows: dict[str, Row]) -> dict[str, list[tuple[str, bytes]]]:
    """All copies of each record: `ek-src` and bytes. Waits for all records."""
    deadline = time.monotonic() + check.LIMIT_SECONDS
    copies: dict[str, list[tuple[str, bytes]]] = {}
    while time.monotonic() < deadline and len(copies) < len(rows) - check.PARTITIONS * 64:
        copies = {}
        for message in check.consume(broker, f"{topic}-out", check.PARTITIONS, len(rows) - check.PARTITIONS * 64):
            source = dict(message.headers())["ek-src"].decode()
            copies.setdefault(str(json.loads(message.value())["id"]), []).append((source, message.value()))
    return copies


def check_copies(
    copies: dict[str, list[tuple[str, bytes]]], rows: dict[str, Row], topic: str, folder: Path
) -> None:
    lost = set(rows) - set(copies)
    if lost or set(copies) - set(rows):
        sys.exit(f"{topic}: {len(lost)} records are lost, such as {sorted(lost)[:3]}; see {folder}/{topic}-*.log")
    for name, found in copies.items():
        # Each record is a message of its own, so its number is its offset.
        if any(source != name.replace("-", "/") for source, _ in found):
            sys.exit(f"{topic}: expected record {name} to tell its place in ek-src, found {found}")
    differing = [name for name, found in copies.items() if len(set(found)) > 1]
    if differing:
        sys.exit(
            f"{topic}: copies of {len(differing)} records differ, such as {copies[differing[0]]}; see "
            f"{folder}/{topic}-*.log")


def furthest_value(
    copies: dict[str, list[tuple[str, bytes]]], rows: dict[str, Row], names: set[str],
    moments: dict[str, tuple[float, float, float]],
) -> float:
    """How far the values of some records are from those that the moments of all records give."""
    most = 0.0
    for name in names:
        record = json.loads(copies[name][0][1])
        for feature, (_, mean, variance) in moments.items():
            value = rows[name][1][feature]
            if value is not None:
                expected = (float(value) - mean) / math.sqrt(variance * (1 + EPSILON))
                most = max(most, abs(record[feature] - expected))
    return most


def scope_global(arguments: argparse.Namespace, broker: Broker, folder: Path, generator: random.Random) -> None:
    """Members with static partitions, or of a group where the broker notices a member that has died."""
    group = not broker.tells_ends
    told = [run(arguments, broker, folder, generator, momentum, group) for momentum in MOMENTA]
    print(f"scope global, {'a group' if group else 'static partitions'}, one of two members killed: 0 lost; " + "; ".join(told))
