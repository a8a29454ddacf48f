"""Compares a stream between two topics with a bare loop over librdkafka, on the same messages and the same broker.

The loop (loop.c) copies each message with its key, timestamp and headers, and looks into none. Evenkeel also reads the
JSON, normalises the features, and writes the numbers. Both run in turn, several times. Each writes to a topic of its own. The
rate is measured at the output, from a tenth of the messages on to all of them, so that the start does not count.

Usage: bench.py --evenkeel BINARY --loop BINARY [--messages N] [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import Consumer, Producer, TopicPartition

from broker import Broker

PARTITIONS = 4
FEATURES = 8
LIMIT_SECONDS = 600
CONFIGURATION = """\
state_directory: {folder}/state-{topic}
control: {{ listen: off }}
streams:
  s:
    source:
      kafka:
        brokers: ["{broker}"]
        topic: in
        properties: {{ receive.message.max.bytes: 2000000000 }}
    format: ndjson
    features: [{features}]
    batch: {{ size: 256 }}
    sink: {{ kafka: {{ brokers: ["{broker}"], topic: {topic} }} }}
"""


def fill(broker: Broker, count: int) -> int:
    """Writes the messages, and tells the size of one."""
    generator = random.Random(1)
    producer = Producer({"bootstrap.servers": broker.address, "queue.buffering.max.messages": 1_000_000})
    size = 0
    for number in range(count):
        values = ",".join(f'"f{feature}":{generator.gauss(20, 5):.3f}' for feature in range(FEATURES))
        value = f'{{"id":{number},{values}}}'.encode()
        size += len(value)
        while True:
            try:
                producer.produce(
                    "in", value, key=f"key-{number % 1000}", partition=number % PARTITIONS,
                    headers=[("trace", b"0123456789abcdef")])
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if producer.flush(120) > 0:
        sys.exit("the broker took not all messages")
    return size // count


class Watch:
    """Counts the messages of a topic by the ends of its partitions."""

    def __init__(self, broker: Broker) -> None:
        self.consumer = Consumer({
            "bootstrap.servers": broker.address, "group.id": "watch", "log_level": 0, **broker.properties})

    def count(self, topic: str) -> int:
        return sum(
            self.consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)[1]
            for partition in range(PARTITIONS))

    def rate(self, topic: str, count: int) -> float:
        """Messages a second, from a tenth of them on."""
        deadline = time.monotonic() + LIMIT_SECONDS
        first = (0.0, 0)
        while time.monotonic() < deadline:
            found, now = self.count(topic), time.monotonic()
            if found >= count // 10 and first[1] == 0:
                first = (now, found)
            if found >= count:
                return (found - first[1]) / max(1e-3, now - first[0])
            time.sleep(0.02)
        sys.exit(f"{topic}: not all messages after {LIMIT_SECONDS} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", required=True)
    parser.add_argument("--loop", required=True)
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        broker = Broker("noida", folder)
        try:
            broker.make("in", partitions=PARTITIONS)
            size = fill(broker, arguments.messages)
            print(
                f"{arguments.messages:,} messages of {size} bytes with key and header, {FEATURES} features, "
                f"{PARTITIONS} partitions, {os.cpu_count()} processors, beside the broker")
            watch = Watch(broker)
            ratios = []
            for number in range(arguments.rounds):
                rates = {}
                for name in ("loop", "evenkeel"):
                    topic = f"{name}-{number}"
                    broker.make(topic, partitions=PARTITIONS)
                    if name == "loop":
                        command = [
                            arguments.loop, broker.address, "in", topic, str(PARTITIONS),
                            broker.properties["receive.message.max.bytes"]]
                    else:
                        path = folder / f"{topic}.yaml"
                        path.write_text(CONFIGURATION.format(
                            folder=folder, topic=topic, broker=broker.address,
                            features=", ".join(f"f{feature}" for feature in range(FEATURES))))
                        command = [arguments.evenkeel, "run", "--config", str(path)]
                    process = subprocess.Popen(command, stdout=broker.log, stderr=broker.log)
                    try:
                        rates[name] = watch.rate(topic, arguments.messages)
                    finally:
                        process.kill()
                        process.wait()
                ratios.append(rates["evenkeel"] / rates["loop"])
                print(
                    f"round {number + 1}: bare loop {rates['loop']:,.0f} messages/s, "
                    f"evenkeel {rates['evenkeel']:,.0f} messages/s, ratio {ratios[-1]:.2f}")
            print(f"ratio: median {statistics.median(ratios):.2f} of {len(ratios)} rounds")
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
