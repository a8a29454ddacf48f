"""Computes how Kafka streams with their state in a topic scale: a model over measured constants.

Each constant names the command that measures it. Change them to yours, and run it again. docs/SCALE.md explains the
model, and has its tables.
"""

from __future__ import annotations

import argparse
import math

SECONDS_A_DAY = 86_400


class Constants:
    """Measured on two cores of an AMD EPYC; November 2026."""

    # make kafka-bench: messages a second of one stream from topic to topic, all of its processor time on one core.
    messages_a_core_second = 130_000
    # make bench-capacity ARGS='--only checkpoints': 7 KiB with 32 features, 31 KiB with 256.
    state_bytes = 3_200
    state_bytes_a_feature = 107
    # state.every.records, state.every.time (docs/CONFIGURATION.md).
    state_records = 10_000
    state_seconds = 1.0
    # segment.ms of the state topic: the brokers keep at most two segments of states.
    segment_seconds = 600
    # docs/KAFKA.md: four clients of librdkafka, two threads each and about one for each of three brokers.
    threads_a_partition = 24
    connections_a_partition = 4
    # make bench-capacity ARGS='--only memory', and the queues of docs/KAFKA.md if they are full.
    memory_a_partition = 1.4
    queues_a_partition = 48
    # The most partitions of a process (docs/KAFKA.md).
    partitions_a_process = 128
    # session.timeout.ms of librdkafka.
    session_seconds = 45
    # Reading a log of states from a broker, in bytes a second of one process.
    read_bytes_a_second = 50e6


def size(bytes_: float) -> str:
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if bytes_ < 1000 or unit == "TB":
            return f"{bytes_:.3g} {unit}"
        bytes_ /= 1000
    raise AssertionError


def row(partitions: int, records: float, features: int, replicas: int, c: type[Constants]) -> list[str]:
    rate = records / SECONDS_A_DAY
    each = rate / partitions
    cores = rate / c.messages_a_core_second
    processes = max(math.ceil(partitions / c.partitions_a_process), math.ceil(cores))
    epoch = min(c.state_seconds, c.state_records / each)
    state = c.state_bytes + c.state_bytes_a_feature * features
    # A partition that has no records writes no states.
    written = partitions * min(1 / epoch, each) * state
    log = 2 * c.segment_seconds * min(1 / epoch, each) * state
    repeated = each * epoch
    restart = c.session_seconds + log / c.read_bytes_a_second + each * epoch / c.messages_a_core_second
    of_process = math.ceil(partitions / processes)
    return [
        f"{partitions:,}", f"{each:,.0f}" if each >= 1 else f"{each:.2g}", f"{cores:.2g}", f"{processes}",
        size(written), size(written * replicas), size(log * partitions), f"{repeated:,.0f}",
        f"{restart:.0f} s", f"{of_process * c.threads_a_partition:,}",
        f"{of_process * (c.memory_a_partition + c.queues_a_partition) / 1000:.2g} GB"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=float, default=1e9, help="a day")
    parser.add_argument("--features", type=int, nargs="+", default=[32, 4096])
    parser.add_argument("--peak", type=float, default=4, help="the rate of the busiest minutes over the mean")
    parser.add_argument("--replicas", type=int, default=3)
    options = parser.parse_args()
    for features in options.features:
        print(
            f"\n{options.records:.0e} records a day, {options.peak:g} times as many in the busiest minutes, {features} "
            f"features\n")
        print(
            "| partitions | records/s each | cores | processes | states/s | with replicas | state topic | repeated "
            "| back after | threads a process | memory a process |")
        print("|" + "--:|" * 11)
        for partitions in (1, 10, 100, 1000):
            cells = row(
                partitions, options.records * options.peak, features, options.replicas, Constants)
            print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
