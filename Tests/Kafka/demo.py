"""Normalises a year of weather between two topics by two members, kills one, and shows that nothing is lost.

Starts a broker from PyPI (noida-db) on loopback, and ends it again. Each row of the sample is a message of JSON with its
airport as the key. Each member reads two of the four partitions.

Usage: demo.py --evenkeel BINARY [--keep DIRECTORY]
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from confluent_kafka import Message, Producer

from broker import Broker
from check import consume, without_copies

PARTITIONS = 4
FEATURES = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
SAMPLE = Path(__file__).parents[2] / "samples/weather.csv.zst"
CONFIGURATION = """\
state_directory: {folder}/{name}
control: {{ listen: "unix:{folder}/{name}.sock" }}
streams:
  weather:
    source:
      kafka:
        brokers: ["{broker}"]
        topic: weather
        partitions: {partitions}
        properties: {{ receive.message.max.bytes: 2000000000 }}
    format: ndjson
    features: [{features}]
    batch: {{ size: 64, max_delay: 1s }}
    checkpoint: {{ interval: 1s }}
    sink: {{ kafka: {{ brokers: ["{broker}"], topic: weather-normalised }} }}
"""


def rows() -> list[dict[str, object]]:
    text = subprocess.run(["zstd", "-dc", str(SAMPLE)], check=True, capture_output=True, text=True).stdout
    table = []
    for number, row in enumerate(csv.DictReader(io.StringIO(text))):
        found: dict[str, object] = {"row": number, "airport": row["origin"], "hour": row["time_hour"]}
        for name in FEATURES:
            found[name] = None if row[name] in ("", "NA") else float(row[name])
        table.append(found)
    return table


def produce(broker: Broker, table: list[dict[str, object]]) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    for number, row in enumerate(table):
        producer.produce(
            "weather", json.dumps(row).encode(), key=str(row["airport"]), partition=number % PARTITIONS)
        producer.poll(0)
    if producer.flush(60) > 0:
        sys.exit("the broker took not all messages")


class Member:
    """A daemon with one stream, which reads some of the partitions."""

    def __init__(self, evenkeel: str, folder: Path, name: str, partitions: list[int], broker: Broker) -> None:
        self.name = name
        self.log = open(folder / f"{name}.log", "ab")
        path = folder / f"{name}.yaml"
        path.write_text(CONFIGURATION.format(
            folder=folder, name=name, partitions=partitions, broker=broker.address, features=", ".join(FEATURES)))
        self.command = [evenkeel, "run", "--config", str(path)]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def kept(broker: Broker, enough: int) -> tuple[list[Message], list[Message]]:
    messages = consume(broker, "weather-normalised", PARTITIONS, enough)
    return messages, without_copies(messages, PARTITIONS)


def run(evenkeel: str, folder: Path) -> None:
    broker = Broker("noida", folder)
    members: list[Member] = []
    try:
        print(f"broker: noida-db at {broker.address}, topics weather and weather-normalised")
        broker.make("weather", "weather-normalised", partitions=PARTITIONS)
        table = rows()
        half = len(table) // 2
        members = [
            Member(evenkeel, folder, "one", [0, 1], broker), Member(evenkeel, folder, "two", [2, 3], broker)]
        print("members: one reads partitions 0 and 1, two reads partitions 2 and 3")
        produce(broker, table[:half])
        time.sleep(2)
        members[1].kill()
        produce(broker, table[half:])
        print(f"produced {len(table):,} messages; two was killed in between (SIGKILL)")
        time.sleep(1)
        members[1].start()
        print("two runs again, from its checkpoint")
        deadline = time.monotonic() + 120
        messages, once = kept(broker, len(table))
        while len(once) < len(table) and time.monotonic() < deadline:
            messages, once = kept(broker, len(table))
        lost = set(range(len(table))) - {json.loads(message.value())["row"] for message in once}
        copies = len(messages) - len(once)
        print(f"weather-normalised: {len(messages):,} messages, {copies:,} of them copies by their header ek-src")
        print(f"{len(once):,} of {len(table):,} records once, {len(lost):,} lost")
        print(f"one of them: key {once[-1].key().decode()}, {once[-1].value().decode()}")
        if lost or len(once) != len(table):
            sys.exit(f"records are missing or too many; see {folder}")
    finally:
        for member in members:
            member.stop()
        broker.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", required=True)
    parser.add_argument("--keep", type=Path, help="a new directory for configurations, states and logs, which stay")
    arguments = parser.parse_args()
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True)
        run(arguments.evenkeel, arguments.keep.resolve())
        return
    with tempfile.TemporaryDirectory() as folder:
        run(arguments.evenkeel, Path(folder))


if __name__ == "__main__":
    main()
