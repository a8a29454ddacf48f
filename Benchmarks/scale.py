"""Computes how streams from topic to topic, with their state in a third one, scale to more partitions than these machines have.

A model over measured constants: each names the command that measures it. Change them to yours, and run it again. docs/SCALE.md
explains the model and shows what this prints; `make documents` compares.

Usage: scale.py [--records A_DAY] [--features N] [--peak RATIO] [--replicas N] [--brokers N] [--scope global] [--every SECONDS]
  [--charts off]
"""

import argparse
import math
from dataclasses import dataclass

SECONDS_A_DAY = 86_400


@dataclass(frozen=True)
class Constants:
    """Medians of runs on two cores of an AMD EPYC that had other work; November 2026."""

    # make kafka-constants ARGS='--only records': JSON of 8 and of 256 features.
    record_seconds: float = 2.5e-6
    value_seconds: float = 0.5e-6
    # make kafka-constants ARGS='--only sizes'.
    state_bytes: int = 3_100
    state_bytes_a_feature: int = 119
    chart_bytes: int = 7_700
    chart_bytes_a_feature: int = 1_344
    # make kafka-constants ARGS='--only states'.
    state_seconds: float = 1.5e-3
    state_seconds_a_byte: float = 3.5e-8
    # make kafka-constants ARGS='--only restart'.
    read_bytes_a_second: float = 17e6
    # make kafka-constants ARGS='--only partitions'.
    threads: int = 14
    # Of each of the four clients of a partition, beside one for each broker: 12 a partition with the one broker there.
    clients: int = 4
    threads_a_client: int = 2
    memory: float = 32
    memory_a_partition: float = 5.7
    # docs/KAFKA.md: the queues of the source and of the sink if they are full, in MiB.
    queues_a_partition: float = 40
    # make kafka-constants ARGS='--only peers', 32 features: reading a state of another partition, and taking it into a view.
    peer_read_seconds: float = 1.7e-3
    peer_merge_seconds: float = 2e-5
    # make kafka-constants ARGS='--only recovery': from the kill to the output of a successor, less the session.
    takeover_seconds: float = 5
    # Settings: session.timeout.ms, state.every, segment.ms of the state topic, the most partitions of a process.
    session_seconds: float = 45
    epoch_seconds: float = 1
    epoch_records: int = 10_000
    segment_seconds: float = 600
    partitions_a_process: int = 128
    cores_a_process: int = 4


def size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == round(value) else f"{value:.2g}"


def row(partitions: int, options: argparse.Namespace, c: Constants) -> list[str]:
    each = options.records * options.peak / SECONDS_A_DAY / partitions
    state = c.state_bytes + c.state_bytes_a_feature * options.features
    if options.charts == "on":
        state += c.chart_bytes + c.chart_bytes_a_feature * options.features
    # A state is written at a cut, so no more often than records come.
    states = min(max(1 / options.every, each / c.epoch_records), each)
    cores = partitions * each * (c.record_seconds + c.value_seconds * options.features)
    cores += partitions * states * (c.state_seconds + state * c.state_seconds_a_byte)
    if options.scope == "global":
        # Every state that is written takes those of all other partitions. Every process reads every state.
        cores += partitions * states * (partitions - 1) * c.peer_merge_seconds * options.features / 32
    reading = partitions * states * c.peer_read_seconds * options.features / 32 if options.scope == "global" else 0
    processes = math.ceil(partitions / c.partitions_a_process)
    while processes < partitions and cores + processes * reading > processes * c.cores_a_process:
        processes += 1
    cores += processes * reading
    one = math.ceil(partitions / processes)
    log = 2 * c.segment_seconds * states * state
    restart = c.session_seconds + c.takeover_seconds + log / c.read_bytes_a_second
    return [
        f"{partitions:,}", number(each), number(cores), number(cores / partitions), number(processes),
        f"{size(partitions * states * state * options.replicas)}/s", size(log * partitions * options.replicas),
        number(each / states), f"{restart:.0f} s", number(c.threads + one * c.clients * (c.threads_a_client + options.brokers)),
        f"{(c.memory + one * (c.memory_a_partition + c.queues_a_partition)) / 1024:.2g} GiB",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=float, default=1e9, help="a day")
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--peak", type=float, default=4, help="the rate of the busiest minutes over the mean")
    parser.add_argument("--replicas", type=int, default=3)
    parser.add_argument("--brokers", type=int, default=3)
    parser.add_argument("--scope", choices=["partition", "global"], default="partition")
    parser.add_argument("--every", type=float, default=Constants.epoch_seconds, help="state.every.time, in seconds")
    parser.add_argument("--charts", choices=["on", "off"], default="on", help="of drift")
    options = parser.parse_args()
    rows = [[
        "partitions", "records/s each", "cores", "a partition", "processes", "states", "state topic", "repeated", "back after",
        "threads", "memory",
    ]]
    rows += [row(partitions, options, Constants()) for partitions in (1, 10, 100, 1000)]
    widths = [max(len(line[column]) for line in rows) for column in range(len(rows[0]))]
    for line in rows:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths)))


if __name__ == "__main__":
    main()
