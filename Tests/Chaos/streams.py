"""The streams of the chaos run: their configuration and the files and sockets beside them."""

from dataclasses import dataclass
from pathlib import Path

SHUTDOWN_SECONDS = 5


@dataclass
class Stream:
    """One stream; `kind` is SOURCE-SINK."""

    name: str
    kind: str
    # Given to a changed configuration; streams whose bytes are compared never change.
    momentum: float = 0.1

    @property
    def source(self) -> str:
        return self.kind.split("-")[0]

    @property
    def sink(self) -> str:
        return self.kind.split("-")[1]

    @property
    def is_exact(self) -> bool:
        """Whether delivery promises every record once, whatever happens."""
        return self.source in ("directory", "follow") and self.sink in ("file", "rotated")

    @property
    def mode(self) -> str:
        """Both modes; in `running` the values depend on when a record left, so only its number is compared."""
        return "batch" if int(self.name[1:]) % 2 == 0 else "running"


KINDS = (
    ["directory-rotated"] * 3
    + ["directory-file"] * 2
    + ["follow-file"] * 3
    + ["follow-rotated"]
    + ["unix-file"] * 2
    + ["tcp-file", "tcp-rotated", "fifo-file"]
    + ["unix-unix", "unix-drop", "tcp-tcp", "tcp-drop"]
    + ["unix-fifo", "follow-drop"]
)


def streams() -> list[Stream]:
    return [Stream(f"s{index}", kind) for index, kind in enumerate(KINDS)]


def section(stream: Stream, inputs: Path, outputs: Path, ports: dict[str, int]) -> str:
    name = stream.name
    source = {
        "directory": f"directory: {{ path: {inputs}/{name}, pattern: '*.csv' }}",
        "follow": f"follow: {{ path: {inputs}/{name}.csv }}",
        "unix": f"unix: {{ path: {outputs}/{name}.in }}",
        "tcp": f"tcp: {{ address: '127.0.0.1:{ports.get(name + '.in')}' }}",
        "fifo": f"fifo: {{ path: {outputs}/{name}.in, create: true }}",
    }[stream.source]
    sink = {
        "file": f"file: {{ path: {outputs}/{name}.csv }}",
        "rotated": f"file: {{ path: {outputs}/{name}.csv, rotate: {{ size: 64KiB }} }}",
        "unix": f"unix: {{ path: {outputs}/{name}.out }}",
        "tcp": f"tcp: {{ address: '127.0.0.1:{ports.get(name + '.out')}' }}",
        "drop": f"unix: {{ path: {outputs}/{name}.out, when_full: drop_oldest, queue: 256KiB }}",
        "fifo": f"fifo: {{ path: {outputs}/{name}.out, create: true }}",
    }[stream.sink]
    # Batches of exact streams are cut by count alone, so that two runs cut them alike.
    delay = "1d" if stream.is_exact else "20ms"
    return f"""\
  {name}:
    source: {{ {source} }}
    sink: {{ {sink} }}
    format: csv
    features: ["f*"]
    batch: {{ size: 64, max_delay: {delay} }}
    normalize: {{ mode: {stream.mode}, momentum: {stream.momentum:.2f} }}
    checkpoint: {{ interval: 300ms }}
    restart: {{ initial: 50ms, max: 1s }}
    on_bad_record: dead_letter
    compression: off
"""


def configuration(
    all_streams: list[Stream], inputs: Path, outputs: Path, ports: dict[str, int], control: Path
) -> str:
    sections = "".join(section(stream, inputs, outputs, ports) for stream in all_streams)
    return f"""\
state_directory: {outputs}/state
control: {{ listen: "unix:{control}" }}
shutdown_timeout: {SHUTDOWN_SECONDS}s
streams:
{sections}"""
