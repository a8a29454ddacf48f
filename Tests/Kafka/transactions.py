"""Kills a daemon whose output and state are in transactions, between topics of noida-db.

check.py runs it. It needs a broker with transactions that a newer producer of the same name ends.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from broker import Broker

PARTITIONS = 2
LIMIT_SECONDS = 300
FIRST_TIME = int(time.time() * 1000) - 3_600_000


def row(partition: int, number: int) -> bytes:
    """A record. One in a hundred is none, and becomes a dead letter."""
    if number % 100 == 17:
        return f'{{"id":"{partition}-{number}","x":'.encode()
    return json.dumps({"id": f"{partition}-{number}", "x": number * 7919 % 1009, "y": number % 97}).encode()


def produce(broker: Broker, topic: str, partition: int, count: int) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    for number in range(count):
        producer.produce(topic, row(partition, number), partition=partition, timestamp=FIRST_TIME + number)
        producer.poll(0)
    if producer.flush(60) > 0:
        sys.exit("the broker took not all messages")


def consume(broker: Broker, topic: str, partition: int, enough: int, isolation: str) -> list[Message]:
    """All messages of a partition, at least so many.

    Each try reads from the beginning: noida-db tells a reader that waits at the end transactions that were aborted before,
    and the reader leaves out later ones.
    """
    deadline = time.monotonic() + LIMIT_SECONDS
    found: list[Message] = []
    while time.monotonic() < deadline:
        consumer = Consumer({
            "bootstrap.servers": broker.address, "group.id": "check", "enable.auto.commit": False,
            "isolation.level": isolation, "enable.partition.eof": True, **broker.properties,
        })
        consumer.assign([TopicPartition(topic, partition, 0)])
        found = []
        is_at_end = False
        while not is_at_end and time.monotonic() < deadline:
            for message in consumer.consume(10_000, timeout=1):
                is_at_end = message.error() is not None and message.error().code() == KafkaError._PARTITION_EOF
                if message.error() is None:
                    found.append(message)
        consumer.close()
        if len(found) >= enough:
            break
        # This broker sends a whole partition each time.
        time.sleep(2)
    return found


def configuration(broker: Broker, folder: Path, source: str, delivery: str, more: str = "") -> Path:
    properties = ", ".join(f"{name}: {value}" for name, value in broker.properties.items())
    text = f"""
state_directory: {folder}/state-{source}-{delivery}
control: {{ listen: off }}
streams:
  s:
    source:
      kafka: {{ brokers: ["{broker.address}"], topic: {source}, properties: {{ {properties} }}{more} }}
    format: ndjson
    features: [x, y]
    batch: {{ size: 64, max_delay: 100s }}
    on_bad_record: dead_letter
    dead_letters: {{ kafka: {{ brokers: ["{broker.address}"], topic: {source}-{delivery}-letters }} }}
    state: {{ topic: {source}-{delivery}-state, create: true, every: {{ records: 2000, time: 500ms }} }}
    compression: off
    sink: {{ kafka: {{ brokers: ["{broker.address}"], topic: {source}-{delivery}-out, delivery: {delivery} }} }}
"""
    path = folder / f"{source}-{delivery}.yaml"
    path.write_text(text)
    return path


def start(evenkeel: str, path: Path) -> subprocess.Popen[bytes]:
    log = open(path.with_suffix(".log"), "ab")
    return subprocess.Popen([evenkeel, "run", "--config", path], env=os.environ, stdout=log, stderr=log)


def disturbed(evenkeel: str, path: Path, kills: int, generator: random.Random) -> subprocess.Popen[bytes]:
    """Kills the daemon at random moments. One in three hangs instead, and goes on beside its successor."""
    run = start(evenkeel, path)
    for kill in range(kills):
        time.sleep(generator.uniform(0.3, 1.5))
        hangs = kill % 3 == 2
        old = run
        old.send_signal(signal.SIGSTOP if hangs else signal.SIGKILL)
        if not hangs:
            old.wait()
        # On another machine there is no file of the first one.
        lines = path.read_text().splitlines()
        lines[1] = f"state_directory: {path.with_suffix('')}-{kill}"
        path.write_text("\n".join(lines))
        run = start(evenkeel, path)
        if hangs:
            time.sleep(generator.uniform(0.3, 1.5))
            old.send_signal(signal.SIGCONT)
            time.sleep(1)
            old.kill()
            old.wait()
    return run


def stop(run: subprocess.Popen[bytes], path: Path) -> None:
    run.terminate()
    if run.wait() != 0:
        sys.exit(f"the daemon ended with {run.returncode}; see {path.with_suffix('.log')}")


def values(messages: list[Message]) -> list[Any]:
    return [message.value() for message in messages]


def identities(messages: list[Message]) -> list[bytes]:
    return [dict(message.headers())["ek-src"] for message in messages]


def exactly_once(arguments: argparse.Namespace, broker: Broker, folder: Path, generator: random.Random) -> None:
    """Two partitions, with kills: a reader of committed messages has each record once, as one pass writes it."""
    count = arguments.records // PARTITIONS
    topics = [f"paid-{delivery}-{name}" for delivery in ["exactly_once", "at_least_once"] for name in ["out", "letters"]]
    broker.make("paid", *topics, partitions=PARTITIONS)
    for partition in range(PARTITIONS):
        produce(broker, "paid", partition, count)
    path = configuration(broker, folder, "paid", "exactly_once")
    run = disturbed(arguments.evenkeel, path, arguments.kills, generator)
    # One pass without kills tells what must be there.
    calm = configuration(broker, folder, "paid", "at_least_once")
    pass_run = start(arguments.evenkeel, calm)
    hidden = 0
    letters = sum(number % 100 == 17 for number in range(count))
    for partition in range(PARTITIONS):
        # The last batch may be open.
        consume(broker, "paid-exactly_once-out", partition, count - letters - 64, "read_committed")
        consume(broker, "paid-at_least_once-out", partition, count - letters - 64, "read_committed")
    stop(run, path)
    stop(pass_run, calm)
    for partition in range(PARTITIONS):
        for name, expected in [("out", count - letters), ("letters", letters)]:
            topic = f"paid-exactly_once-{name}"
            found = consume(broker, topic, partition, expected, "read_committed")
            once = consume(broker, f"paid-at_least_once-{name}", partition, expected, "read_committed")
            names = identities(found)
            if len(names) != len(set(names)) or len(names) != expected:
                sys.exit(
                    f"{topic}/{partition}: {expected} records expected, {len(names)} found, {len(set(names))} of them "
                    f"differ; see {path.with_suffix('.log')}")
            if name == "out" and arguments.kills > 0 and values(found) != values(once):
                place = next(i for i, pair in enumerate(zip(values(found), values(once))) if pair[0] != pair[1])
                sys.exit(f"{topic}/{partition}: message {place} is another one than without kills")
            hidden += len(consume(broker, topic, partition, expected, "read_uncommitted")) - expected
    shown = subprocess.run(
        [arguments.evenkeel, "inspect", f"kafka://{broker.address}/paid-exactly_once-state/0"], capture_output=True,
        check=True)
    if f"up to record {count:,}".replace(",", " ") not in shown.stdout.decode():
        sys.exit(f"the state is not that of all records: {shown.stdout.decode()}")
    print(
        f"exactly once: {PARTITIONS * count} records, {arguments.kills} kills and pauses: each once and equal to one "
        f"pass; {hidden} messages of aborted transactions are hidden")
    grouped(arguments, broker, folder, path)


def grouped(arguments: argparse.Namespace, broker: Broker, folder: Path, paid: Path) -> None:
    """A group whose offsets are in the transactions: a member that stops has nothing repeated by the next one."""
    count = 5000
    topics = [f"shared-exactly_once-{name}" for name in ["out", "letters"]]
    broker.make("shared", *topics, partitions=PARTITIONS)
    path = configuration(broker, folder, "shared", "exactly_once", ", group: readers")
    letters = sum(number % 100 == 17 for number in range(count))
    for half in range(2):
        for partition in range(PARTITIONS):
            produce(broker, "shared", partition, count)
        run = start(arguments.evenkeel, path)
        expected = (half + 1) * (count - letters)
        for partition in range(PARTITIONS):
            consume(broker, topics[0], partition, expected - 64, "read_committed")
        stop(run, path)
        for partition in range(PARTITIONS):
            found = len(consume(broker, topics[0], partition, expected, "read_committed"))
            if found != expected:
                sys.exit(f"{topics[0]}/{partition}: {expected} records expected, {found} found; see {folder}/*.log")
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "readers", **broker.properties})
    offsets = [entry.offset for entry in consumer.committed([TopicPartition("shared", n) for n in range(PARTITIONS)])]
    consumer.close()
    if offsets != [2 * count] * PARTITIONS:
        sys.exit(f"the offsets of the group are {offsets}, expected {2 * count}")
    print(f"exactly once in a group: two members in turn, {2 * PARTITIONS * count} records once, offsets committed")
