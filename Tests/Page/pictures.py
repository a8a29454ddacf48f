"""Takes the pictures of the live page for the README: a daemon that normalises the sample, in Chromium.

The weather of each airport is a stream, and a year of it passes in a minute and a half. Usage:
pictures.py --evenkeel PROGRAM --chromium PROGRAM [--seconds N] DIRECTORY
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
AIRPORTS = ["EWR", "JFK", "LGA"]
WIDTH, HEIGHT = 1280, 1028
CONFIGURATION = """\
state_directory: state
control: {{ listen: "127.0.0.1:{port}" }}
streams:
"""
STREAM = """\
  {name}:
    source: {{ unix: {{ path: {name}.in }} }}
    format: csv
    features: [temp, dewp, humid, "wind_*", precip, pressure, visib]
    batch: {{ size: 32 }}
    sink: {{ file: {{ path: {name}.csv }} }}
"""


class Browser:
    """Chromium, by the DevTools protocol: JSON messages that end with NUL, over two pipes."""

    def __init__(self, program: str, profile: Path) -> None:
        to_browser, self.writer = os.pipe()
        self.reader, from_browser = os.pipe()
        # The browser reads descriptor 3 and writes 4.
        redirect = f'exec 3<&{to_browser} 4>&{from_browser}; exec "$@"'
        self.process = subprocess.Popen(
            ["bash", "-c", redirect, "bash", program, "--headless", "--no-sandbox", "--disable-gpu"]
            + ["--remote-debugging-pipe", "--hide-scrollbars", f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(to_browser, from_browser), stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self.numbers = itertools.count(1)
        self.rest = b""
        self.session: str | None = None
        targets = self.ask("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        self.session = self.ask("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self.numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.rest:
                part = os.read(self.reader, 1 << 20)
                if not part:
                    raise SystemExit("expected an answer of the browser, found its end")
                self.rest += part
            text, self.rest = self.rest.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("id") == number:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return dict(answer["result"])


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def rows_by_airport() -> tuple[bytes, dict[str, list[bytes]]]:
    sample = ROOT / "samples" / "weather.csv.zst"
    text = subprocess.run(["zstd", "-dc", sample], check=True, capture_output=True).stdout
    header, *rows = text.splitlines(True)
    return header, {name: [row for row in rows if row.startswith(name.encode())] for name in AIRPORTS}


def in_inches(rows: list[bytes], header: bytes) -> list[bytes]:
    """The rows with the pressure in inches of mercury from three quarters on, as after a change of the sensor."""
    place = header.rstrip().split(b",").index(b"pressure")
    changed = []
    for number, row in enumerate(rows):
        fields = row.split(b",")
        if number >= len(rows) * 3 // 4 and fields[place] != b"NA":
            fields[place] = b"%.2f" % (float(fields[place]) / 33.8639)
        changed.append(b",".join(fields))
    return changed


def send(path: Path, header: bytes, rows: list[bytes], seconds: float, is_over: threading.Event) -> None:
    """Sends the rows evenly over the time, until all is over."""
    with socket.socket(socket.AF_UNIX) as producer:
        producer.connect(str(path))
        producer.sendall(header)
        begin, sent = time.monotonic(), 0
        while sent < len(rows) and not is_over.is_set():
            due = min(len(rows), int(len(rows) * (time.monotonic() - begin) / seconds) + 1)
            producer.sendall(b"".join(rows[sent:due]))
            sent = due
            time.sleep(0.05)


def wait(port: int, path: str, expected: bytes) -> None:
    """Waits until an answer of the daemon contains some text."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                if expected in answer.read():
                    return
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"expected {expected!r} at {path}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evenkeel", type=Path, required=True)
    parser.add_argument("--chromium", required=True)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("directory", type=Path)
    arguments = parser.parse_args()
    header, rows = rows_by_airport()
    rows["LGA"] = in_inches(rows["LGA"], header)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="evenkeel-page-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        names = [airport.lower() for airport in AIRPORTS]
        streams = "".join(STREAM.format(name=each) for each in names)
        (folder / "evenkeel.yaml").write_text(CONFIGURATION.format(port=port) + streams)
        with open(folder / "log", "w") as log:
            command = [arguments.evenkeel.resolve(), "run", "--config", "evenkeel.yaml"]
            daemon = subprocess.Popen(command, cwd=folder, stderr=log)
        browser = Browser(arguments.chromium, folder / "profile")
        is_over = threading.Event()
        # Longer than the browser looks, so that the last rates are those of a live stream.
        producers = [
            threading.Thread(
                target=send,
                args=(folder / f"{airport.lower()}.in", header, rows[airport], arguments.seconds + 9, is_over),
            )
            for airport in AIRPORTS
        ]
        try:
            wait(port, "/readyz", b'"ready"')
            for producer in producers:
                producer.start()
            # Before its first batch a stream has no moments to draw.
            wait(port, "/metrics", b'batches_total{stream="jfk"} 1')
            size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
            browser.ask("Emulation.setDeviceMetricsOverride", **size)
            browser.ask("Page.navigate", url=f"http://127.0.0.1:{port}/#stream=jfk")
            # The page draws the course of a stream since it was chosen.
            time.sleep(arguments.seconds * 0.6)
            pictures = [("jfk", "light", "page-light"), ("jfk", "dark", "page-dark"), ("lga", "light", "page-drift")]
            for stream, theme, picture in pictures:
                if stream != "jfk":
                    browser.ask("Page.navigate", url=f"http://127.0.0.1:{port}/#stream={stream}&features=p")
                    wait(port, "/metrics", b'evenkeel_drift_alarm{stream="lga",feature="pressure",kind="mean"} 1')
                    time.sleep(5)
                features = [{"name": "prefers-color-scheme", "value": theme}]
                browser.ask("Emulation.setEmulatedMedia", features=features)
                # A look of the page draws the plots in the new colours.
                time.sleep(2)
                data = browser.ask("Page.captureScreenshot", format="png")["data"]
                (arguments.directory / f"{picture}.png").write_bytes(base64.b64decode(data))
        finally:
            is_over.set()
            for producer in producers:
                if producer.ident is not None:
                    producer.join()
            browser.process.terminate()
            daemon.terminate()
            browser.process.wait()
            daemon.wait()
    print(f"pictures: {arguments.directory}/page-light.png, page-dark.png, page-drift.png")


if __name__ == "__main__":
    main()
