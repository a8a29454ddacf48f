"""Runs the recipe of docs/OPERATIONS.md: stunnel with client certificates before producers, subscribers and
the control plane, all on loopback.

Usage: tls.py --evenkeel BINARY
"""

import argparse
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RECORDS = 1000


def openssl(*arguments, cwd):
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


def make_certificates(folder: Path):
    """An authority, certificates of a server and a client that it signed, and one that it did not."""
    authority = ["-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    for name in ("ca", "stranger"):
        openssl(
            "req", *authority, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
            cwd=folder,
        )
    (folder / "server.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    (folder / "client.ext").write_text("extendedKeyUsage=clientAuth\n")
    for name in ("server", "client"):
        openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr", cwd=folder,
        )
        openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem",
            cwd=folder,
        )


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def wait_for(what: str, is_so, seconds: float = 30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if is_so():
            return
        time.sleep(0.05)
    raise SystemExit(f"expected {what} within {seconds} s")


def connect(port: int, folder: Path, certificate: str | None) -> ssl.SSLSocket:
    """A TLS connection; one that the server refuses fails here or at the first read."""
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    if certificate:
        context.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    return context.wrap_socket(plain, server_hostname="localhost")


def read_all(connection, until: bytes) -> bytes:
    received = b""
    while until not in received:
        more = connection.recv(65536)
        if not more:
            break
        received += more
    return received


def is_refused(port: int, folder: Path, certificate: str | None) -> bool:
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with connect(port, folder, certificate) as connection:
            connection.sendall(request)
            return b"200 OK" not in read_all(connection, b"}")
    except OSError:
        return True


def check_tools(port: int, folder: Path):
    """The two commands that the page names for clients reach the control plane."""
    identity = ["--cert", "client.pem", "--key", "client.key", "--cacert", "ca.pem"]
    request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    for command, typed in (
        (["curl", "-sS", "-i", "-m", "10", *identity, f"https://localhost:{port}/healthz"], None),
        (
            ["openssl", "s_client", "-quiet", "-verify_return_error", "-connect", f"localhost:{port}"]
            + ["-cert", "client.pem", "-key", "client.key", "-CAfile", "ca.pem"],
            request,
        ),
    ):
        told = subprocess.run(
            command, cwd=folder, input=typed, capture_output=True, text=True, timeout=30
        )
        if "200 OK" not in told.stdout:
            raise SystemExit(f"expected {command[0]} to get 200 OK; found {told.stdout}{told.stderr}")


def run(evenkeel: str, folder: Path, processes: list):
    make_certificates(folder)
    control, producers, subscribers, local = free_ports(4)
    (folder / "e.yaml").write_text(f"""\
state_directory: {folder}/state
control: {{ listen: "unix:{folder}/control.sock" }}
streams:
  s:
    source: {{ unix: {{ path: {folder}/in.sock, mode: "0660" }} }}
    format: csv
    features: [a]
    sink: {{ unix: {{ path: {folder}/out.sock, mode: "0660" }} }}
    compression: off
""")
    common = "foreground = yes\npid =\nsyslog = no\n"
    (folder / "server.conf").write_text(f"""{common}
cert = {folder}/server.pem
key = {folder}/server.key
CAfile = {folder}/ca.pem
verifyChain = yes
requireCert = yes
sslVersionMin = TLSv1.2

[producers]
accept = 127.0.0.1:{producers}
connect = {folder}/in.sock

[subscribers]
accept = 127.0.0.1:{subscribers}
connect = {folder}/out.sock

[control]
accept = 127.0.0.1:{control}
connect = {folder}/control.sock
""")
    (folder / "producer.conf").write_text(f"""{common}
client = yes
cert = {folder}/client.pem
key = {folder}/client.key
CAfile = {folder}/ca.pem
verifyChain = yes
checkHost = localhost

[weather]
accept = 127.0.0.1:{local}
connect = 127.0.0.1:{producers}
""")
    log = open(folder / "log", "w")
    for command in (
        [evenkeel, "run", "--config", folder / "e.yaml"],
        ["stunnel4", folder / "server.conf"],
        ["stunnel4", folder / "producer.conf"],
    ):
        processes.append(subprocess.Popen(command, stdout=log, stderr=log))
    wait_for("the control plane behind TLS", lambda: not is_refused(control, folder, "client"))
    for certificate in (None, "stranger"):
        if not is_refused(control, folder, certificate):
            raise SystemExit(f"expected a client with {certificate or 'no'} certificate to be refused")
    check_tools(control, folder)
    with connect(subscribers, folder, "client") as subscriber:
        records = "".join(f"{number},{number % 7}\n" for number in range(RECORDS))
        with socket.create_connection(("127.0.0.1", local), timeout=10) as producer:
            producer.sendall(("id,a\n" + records).encode())
        received = read_all(subscriber, f"\n{RECORDS - 1},".encode())
    found = received.count(b"\n")
    if found < RECORDS:
        raise SystemExit(f"expected {RECORDS} records through TLS, found {found} lines")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--evenkeel", required=True)
    arguments = parser.parse_args()
    processes: list[subprocess.Popen] = []
    with tempfile.TemporaryDirectory(prefix="ek-tls-") as folder:
        try:
            run(arguments.evenkeel, Path(folder), processes)
        except BaseException:
            print((Path(folder) / "log").read_text()[-3000:], file=sys.stderr)
            raise
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(30)
    print("tls: fine")


if __name__ == "__main__":
    sys.exit(main())
