"""Runs a stream between topics of brokers that ask for TLS, for certificates of clients and for passwords.

The brokers from PyPI ask for none of these, so a front before one of them does (front.py). Right answers must bring every
record from topic to topic. Wrong ones must be told in one clear line. No secret may be in a log, a status, or the output of
`check`. check.py runs it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import check
from broker import Broker
from front import Front

sys.path.insert(0, str(Path(__file__).parents[1] / "TLS"))
from tls import make_certificates  # noqa: E402

USER = "evenkeel-user"
PASSWORD = "right, s3cret=7"
WRONG = "wr0ng-s3cret"
# Passwords, and the first bytes of each key. No output may hold them.
SECRETS = [PASSWORD, WRONG, "PRIVATE KEY"]
RECORDS = 2000


class Trial:
    """A stream through a front: `check --connect`, or a daemon with its log."""

    def __init__(
        self, arguments: argparse.Namespace, broker: Broker, folder: Path, front: Front, properties: str,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.evenkeel, self.folder, self.front = arguments.evenkeel, folder, front
        self.environment = {**os.environ, **broker.environment, **(environment or {})}
        self.path, self.log = folder / "security.yaml", folder / "security.log"
        own = "".join(f"{name}: {value}, " for name, value in broker.properties.items())
        self.path.write_text(f"""
state_directory: {folder}/state-security
control: {{ listen: "unix:{folder}/control.sock" }}
streams:
  s:
    source:
      kafka: {{ brokers: ["{front.address}"], topic: guarded, partitions: [0], properties: {{ {own}{properties} }} }}
    format: ndjson
    features: [x, y]
    batch: {{ size: 64, max_delay: 100ms }}
    state: {{ topic: guarded-state, create: true, scope: global }}
    normalize: {{ momentum: cumulative }}
    sink: {{ kafka: {{ brokers: ["{front.address}"], topic: guarded-out, properties: {{ {properties} }} }} }}
""")

    def check(self) -> tuple[int, str]:
        """The exit code and the output of `check --connect`."""
        done = subprocess.run(
            [self.evenkeel, "check", "--config", self.path, "--connect"], env=self.environment, capture_output=True,
            text=True)
        refuse_secrets(done.stdout + done.stderr, "the output of check")
        return done.returncode, done.stdout + done.stderr

    def start(self) -> subprocess.Popen[bytes]:
        with open(self.log, "wb") as log:
            return subprocess.Popen(
                [self.evenkeel, "run", "--config", self.path], env=self.environment, stdout=log, stderr=log)

    def stop(self, process: subprocess.Popen[bytes]) -> str:
        process.send_signal(signal.SIGTERM)
        process.wait()
        text = self.log.read_text()
        refuse_secrets(text, "the log")
        return text

    def status(self) -> dict[str, object]:
        """Of the stream; empty while the daemon does not answer."""
        connection = http.client.HTTPConnection("localhost", timeout=30)
        connection.sock = socket.socket(socket.AF_UNIX)
        try:
            connection.sock.connect(str(self.folder / "control.sock"))
            connection.request("GET", "/api/v1/streams/s")
            text = connection.getresponse().read().decode()
        except OSError:
            return {}
        finally:
            connection.close()
        refuse_secrets(text, "the status")
        return json.loads(text)


def refuse_secrets(text: str, place: str) -> None:
    for secret in SECRETS:
        if secret in text:
            sys.exit(f"expected no secret in {place}, found {secret!r}: {text[-2000:]}")


def wait_for(what: str, is_so: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + check.LIMIT_SECONDS
    while time.monotonic() < deadline:
        if is_so():
            return
        time.sleep(0.2)
    sys.exit(f"expected {what} within {check.LIMIT_SECONDS} s, found in the log: {log.read_text()[-2000:]}")


def lets_through(trial: Trial, broker: Broker, what: str) -> None:
    """All records since the last trial come out, through the front alone."""
    code, told = trial.check()
    if code != 0:
        sys.exit(f"{what}: expected check --connect to be fine, found exit code {code}: {told}")
    process = trial.start()
    before, admitted = lets_through.written, trial.front.admitted
    check.produce(broker, "guarded", 0, check.rows(0, before + RECORDS)[before:])
    lets_through.written += RECORDS
    wait_for(
        f"{RECORDS} records {what}",
        lambda: int(str(trial.status().get("records", 0))) >= RECORDS, trial.log)
    trial.stop(process)
    found = {str(json.loads(message.value())["id"]) for message in check.consume(
        broker, "guarded-out", 1, lets_through.written)}
    if len(found) != lets_through.written or trial.front.admitted == admitted:
        sys.exit(f"{what}: expected {lets_through.written} records through the front, found {len(found)}")
    print(f"{what}: {RECORDS} records")


lets_through.written = 0  # type: ignore[attr-defined]


def refuses(trial: Trial, what: str, *words: str) -> None:
    """`check` and the log of a daemon tell the reason in one line each time, and nothing else."""
    code, told = trial.check()
    lines = told.splitlines()
    # One for the source, one for the sink, one for the state.
    if code != 78 or len(lines) != 3 or not all(word in line for line in lines for word in words):
        sys.exit(f"{what}: expected exit code 78 and three lines with {words}, found {code}: {told}")
    process = trial.start()
    wait_for(f"a failed start {what}", lambda: " error " in trial.log.read_text(), trial.log)
    log = trial.stop(process)
    errors = [line for line in log.splitlines() if " notice " not in line]
    if not errors or not all(all(word in line for word in words) for line in errors):
        sys.exit(f"{what}: expected only lines with {words} in the log, found {log}")
    print(f"{what}: {lines[0].split(': ', 3)[-1]}")


def passwords(arguments: argparse.Namespace, broker: Broker, folder: Path, tls: ssl.SSLContext) -> None:
    front = Front(broker, user=USER, password=PASSWORD)
    secure = Front(broker, tls, user=USER, password=PASSWORD)
    (folder / "right").write_text(PASSWORD + "\nanother line\n")
    (folder / "wrong").write_text(WRONG + "\n")

    def properties(mechanism: str, password: str, protocol: str = "SASL_PLAINTEXT") -> str:
        return f"security.protocol: {protocol}, sasl.mechanisms: {mechanism}, sasl.username: {USER}, sasl.password: {password}"

    def trial(where: Front, text: str, environment: dict[str, str] | None = None) -> Trial:
        return Trial(arguments, broker, folder, where, text, environment)

    of_file, wrong = f"{{ file: {folder}/right }}", f"{{ file: {folder}/wrong }}"
    try:
        for mechanism in ("PLAIN", "SCRAM-SHA-512"):
            lets_through(trial(front, properties(mechanism, of_file)), broker, f"{mechanism}, password of a file")
            refuses(trial(front, properties(mechanism, wrong)), f"{mechanism}, wrong password", "Authentication failed")
        of_environment = properties("PLAIN", '"${KAFKA_PASSWORD}"')
        lets_through(
            trial(front, of_environment, {"KAFKA_PASSWORD": PASSWORD}), broker, "PLAIN, password of the environment")
        refuses(
            trial(front, of_environment, {"KAFKA_PASSWORD": WRONG}), "PLAIN, wrong password of the environment",
            "Authentication failed")
        refuses(
            trial(front, properties("SCRAM-SHA-256", of_file)), "another mechanism",
            "broker's supported mechanisms: PLAIN,SCRAM-SHA-512")
        scram = properties("SCRAM-SHA-512", of_file)
        front.strict = True
        # Brokers of Kafka 4 check the nonce so, and librdkafka before 2.6.1, such as that of Debian 12, sends another one.
        if trial(front, scram).check()[0] == 0:
            lets_through(trial(front, scram), broker, "SCRAM-SHA-512 as of Kafka 4")
        else:
            refuses(trial(front, scram), "SCRAM-SHA-512 as of Kafka 4", "Authentication failed", "before 2.6.1")
        front.strict = False
        over_tls = properties("SCRAM-SHA-512", of_file, "SASL_SSL") + f", ssl.ca.location: {folder}/ca.pem"
        lets_through(trial(secure, over_tls), broker, "SCRAM-SHA-512 over TLS")
        revoked(trial(front, properties("PLAIN", of_file)), broker)
    finally:
        front.stop()
        secure.stop()


def revoked(trial: Trial, broker: Broker) -> None:
    """A password that the brokers no longer accept while the stream runs: a warning tells it, and nothing is lost."""
    process = trial.start()
    wait_for("a running stream", lambda: trial.status().get("state") == "running", trial.log)
    trial.front.password = "another one"
    trial.front.drop()
    wait_for(
        "a warning in the status",
        lambda: "Authentication failed" in json.dumps(trial.status().get("warnings", [])), trial.log)
    trial.front.password = PASSWORD
    before = lets_through.written
    check.produce(broker, "guarded", 0, check.rows(0, before + RECORDS)[before:])
    lets_through.written += RECORDS
    wait_for(
        "the records after it", lambda: int(str(trial.status().get("records", 0))) >= RECORDS, trial.log)
    log = trial.stop(process)
    if " warning " not in log:
        sys.exit(f"expected a warning that the password is refused, found {log}")
    print("a password that is refused for a while: told as a warning, nothing lost")


def certificates(arguments: argparse.Namespace, broker: Broker, folder: Path, tls: ssl.SSLContext) -> None:
    anyone, known = Front(broker, tls), Front(broker, client_tls(folder, tls))

    def trial(front: Front, authority: str, certificate: str = "") -> Trial:
        own = f", ssl.certificate.location: {folder}/{certificate}.pem, ssl.key.location: {folder}/{certificate}.key"
        return Trial(
            arguments, broker, folder, front,
            f"security.protocol: SSL, ssl.ca.location: {folder}/{authority}.pem{own if certificate else ''}")

    try:
        lets_through(trial(anyone, "ca"), broker, "TLS")
        lets_through(trial(known, "ca", "client"), broker, "TLS, certificate of the client")
        of_files = ", ".join(
            f"ssl.{name}.pem: {{ file: {folder}/{file} }}"
            for name, file in (("ca", "ca.pem"), ("certificate", "client.pem"), ("key", "client.key")))
        lets_through(
            Trial(arguments, broker, folder, known, f"security.protocol: SSL, {of_files}"), broker,
            "TLS, certificates as PEM of files")
        refuses(trial(anyone, "stranger"), "TLS, wrong authority", "verify that ssl.ca.location")
        refuses(trial(known, "ca"), "TLS, no certificate of the client", "ssl.certificate.location")
        refuses(trial(known, "ca", "stranger"), "TLS, certificate of a stranger", "SSL")
        refuses(trial(known, "nobody"), "TLS, no such authority", f"{folder}/nobody.pem")
        refuses(
            Trial(arguments, broker, folder, anyone, "client.id: plain"), "no TLS", "incorrect security.protocol")
    finally:
        anyone.stop()
        known.stop()


def server_tls(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


def client_tls(folder: Path, tls: ssl.SSLContext) -> ssl.SSLContext:
    """The same, for clients alone that the authority has signed."""
    context = server_tls(folder)
    context.load_verify_locations(folder / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def security(
    arguments: argparse.Namespace, broker: Broker, folder: Path, generator: random.Random
) -> None:
    make_certificates(folder)
    broker.make("guarded", "guarded-out", partitions=1)
    certificates(arguments, broker, folder, server_tls(folder))
    passwords(arguments, broker, folder, server_tls(folder))
