"""Runs the installed service under a real systemd and looks at how it starts, fails and recovers.

Usage: check.py --evenkeel BINARY [--directory DIR] [--quiet-seconds N]
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

import documented
from machine import Machine, bare_root, copy_of

REPOSITORY = Path(__file__).resolve().parents[2]
UNIT = "evenkeel.service"
CONFIGURATION = "etc/evenkeel/evenkeel.yaml"
# In tenths, of `systemd-analyze security`; below 2.0 is "OK".
MOST_EXPOSED = 15


def configuration(momentum="0.1", other=""):
    return f"""\
state_directory: ${{STATE_DIRECTORY}}
control: {{ listen: 127.0.0.1:9600 }}
streams:
  weather:
    source: {{ unix: {{ path: /run/evenkeel/weather.in }} }}
    format: csv
    normalize: {{ momentum: {momentum} }}
    sink: {{ file: {{ path: "${{STATE_DIRECTORY}}/weather.csv" }} }}
{other}"""


class Check:
    def __init__(self, machine: Machine):
        self.machine = machine

    def expect(self, what: str, is_so: bool, found=""):
        if not is_so:
            print(self.machine.run("journalctl", "-u", UNIT, "-n", "20", "--no-pager").stdout)
            raise SystemExit(f"expected {what}; found {found}")
        print(f"fine: {what}", flush=True)

    def write(self, text: str, path=CONFIGURATION):
        # As an editor does it: nobody sees half a file.
        target = self.machine.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        new = target.with_name(target.name + ".new")
        new.write_text(text)
        new.rename(target)

    def show(self, name: str) -> str:
        return self.machine.output("systemctl", "show", "-P", name, UNIT).strip()

    def systemctl(self, *arguments: str) -> int:
        return self.machine.run("systemctl", *arguments).returncode

    def journal(self, since: str) -> list[str]:
        text = self.machine.output(
            "journalctl", "-u", UNIT, "--no-pager", "-o", "cat", f"--since={since}"
        )
        return [line for line in text.splitlines() if line]

    def now(self) -> str:
        time.sleep(1.1)  # --since has a resolution of a second.
        return self.machine.output("date", "+%Y-%m-%d %H:%M:%S").strip()

    def health(self) -> int:
        status = ["curl", "-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}"]
        return int(self.machine.run(*status, "http://127.0.0.1:9600/readyz").stdout or 0)

    def starts(self):
        """As the README says after `make install`."""
        self.expect("systemd to read the unit", self.systemctl("daemon-reload") == 0)
        self.expect("the service to start", self.systemctl("enable", "--now", UNIT) == 0)
        self.expect("it to be ready", self.health() == 200, self.health())

    def stays_failed(self, what: str, code: str):
        """One start, that exit code, no further start."""
        self.systemctl("stop", UNIT)
        self.systemctl("reset-failed", UNIT)
        self.expect(f"no start with {what}", self.systemctl("start", UNIT) != 0)
        time.sleep(6)  # Three times RestartSec=.
        self.expect(f"{what} to leave the unit failed", self.show("ActiveState") == "failed")
        self.expect(f"exit code {code}", self.show("ExecMainStatus") == code)
        self.expect("no further start", self.show("NRestarts") == "0", self.show("NRestarts"))

    def reloads(self):
        self.write(configuration("0.2"))
        self.expect("a good reload to succeed", self.systemctl("reload", UNIT) == 0)
        self.write(configuration("0.2", "sauce: 1\n"))
        self.expect("a bad reload to fail", self.systemctl("reload", UNIT) != 0)
        self.expect("the service to run on", self.show("ActiveState") == "active")
        status = self.show("StatusText")
        self.expect("the status to tell it", "configuration refused" in status, status)
        self.write(configuration("0.2"))
        self.expect("the next good reload to succeed", self.systemctl("reload", UNIT) == 0)
        status = self.show("StatusText")
        self.expect("the status to forget it", "refused" not in status, status)

    def comes_back_from(self, signal: str):
        before = self.show("MainPID")
        self.machine.output("sh", "-c", f"kill -{signal} {before}")

        def is_back():
            pid = self.show("MainPID")
            return pid not in ("0", before) and self.health() == 200

        self.machine.wait(f"another process after SIG{signal}", is_back, 60)
        print(f"fine: it comes back from SIG{signal}", flush=True)

    def passes_sockets(self):
        """A producer that connects while the service is down is served once it is up."""
        self.systemctl("stop", UNIT)
        self.write(
            configuration().replace("{ path: /run/evenkeel/weather.in }", "{ systemd: weather }")
        )
        self.expect("the socket to start", self.systemctl("start", "evenkeel-weather.socket") == 0)
        sender = (
            "import socket; s = socket.socket(socket.AF_UNIX); "
            "s.connect('/run/evenkeel-weather.sock'); s.sendall(b'a\\n1\\n2\\n3\\n')"
        )
        self.machine.output("python3", "-c", sender)
        output = self.machine.root / "var/lib/evenkeel/weather.csv"
        self.machine.wait(
            "the connection to start the service and its records to be written",
            lambda: self.show("ActiveState") == "active"
            and re.search(r"records_total\S* 3\n", self.metrics()),
        )
        print(f"fine: socket activation, {output.name}", flush=True)
        self.systemctl("stop", "evenkeel-weather.socket")
        self.write(configuration())

    def metrics(self) -> str:
        return self.machine.run("curl", "-s", "-m", "5", "http://127.0.0.1:9600/metrics").stdout

    def is_quiet(self, seconds: float):
        since = self.now()
        time.sleep(seconds)
        lines = self.journal(since)
        self.expect(f"no line in {seconds:g} idle seconds", not lines, lines[:5])

    def does_as_documented(self):
        """Runs the commands of docs/OPERATIONS.md, and its drop-in."""
        named, known = documented.commands(), set(documented.PRINTED)
        self.expect("a check of each command of the page", named == known, named ^ known)
        documented.prepare(self.machine.root)
        for command, printed in documented.PRINTED.items():
            result = self.machine.run(*documented.as_typed(command))
            text = result.stdout + result.stderr
            is_so = result.returncode == 0 and re.search(printed, text) is not None
            self.expect(command, is_so, f"{result.returncode}: {text}")

    def uses_the_drop_in(self):
        """A sink in a directory of a group, a credential and a variable, as the page's drop-in allows them."""
        output = self.machine.root / "srv/features/weather.csv"
        override = self.machine.root / "etc/systemd/system/evenkeel.service.d/override.conf"
        self.expect("the drop-in in the unit", override.exists())
        setup = (
            "groupadd --force data && mkdir -p /srv/features && chgrp data /srv/features && "
            "chmod 2770 /srv/features && echo secret > /etc/evenkeel/token && chmod 600 /etc/evenkeel/token"
        )
        self.machine.output("sh", "-c", setup)
        self.write(
            configuration()
            .replace('"${STATE_DIRECTORY}/weather.csv"', "/srv/features/weather.csv")
            .replace("9600 }", "9600, token_file: '${CREDENTIALS_DIRECTORY}/token' }")
            .replace("format: csv", 'format: csv\n    batch: { size: "${BATCH}" }')
        )
        restart = "systemctl daemon-reload && systemctl restart evenkeel"
        self.expect("a start with the drop-in", self.machine.run("sh", "-c", restart).returncode == 0)
        self.expect("it to be ready", self.health() == 200, self.health())
        self.expect("the file in the group's directory", output.exists())
        override.unlink()
        self.write(configuration())
        self.expect("a start without it", self.machine.run("sh", "-c", restart).returncode == 0)

    def is_hardly_exposed(self):
        text = self.machine.run("systemd-analyze", "security", "--no-pager", UNIT).stdout
        level = re.search(r"Overall exposure level for \S+: ([\d.]+)", text)
        self.expect(
            f"an exposure below {MOST_EXPOSED / 10}",
            level is not None and float(level[1]) * 10 < MOST_EXPOSED,
            level and level[1],
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--evenkeel", required=True)
    parser.add_argument("--directory", type=Path, default=REPOSITORY / ".build-debian")
    parser.add_argument("--quiet-seconds", type=float, default=60)
    arguments = parser.parse_args()
    root = copy_of(bare_root(arguments.directory.resolve()), "service")
    subprocess.run(
        ["make", "--no-print-directory", "-s", "-o", "build", "install", f"DESTDIR={root}", "PREFIX=/usr/local"]
        + [f"EVENKEEL={arguments.evenkeel}"],
        cwd=REPOSITORY,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    units = root / "etc/systemd/system"
    socket_unit = (REPOSITORY / "config/evenkeel-weather.socket").read_text()
    (units / "evenkeel-weather.socket").write_text(socket_unit)
    (units / "evenkeel.service.d").mkdir()
    (units / "evenkeel.service.d/watchdog.conf").write_text("[Service]\nWatchdogSec=4s\n")
    with Machine(root) as machine:
        check = Check(machine)
        check.write(configuration())
        check.starts()
        check.is_quiet(arguments.quiet_seconds)
        check.reloads()
        check.does_as_documented()
        check.uses_the_drop_in()
        check.comes_back_from("KILL")
        check.comes_back_from("STOP")
        check.expect("a stop in order", check.systemctl("stop", UNIT) == 0)
        check.expect("exit code 0", check.show("ExecMainStatus") == "0")
        check.write(configuration(other="sauce: 1\n"))
        check.stays_failed("a wrong configuration", "78")
        (root / CONFIGURATION).unlink()
        check.stays_failed("a missing configuration", "66")
        check.passes_sockets()
        check.is_hardly_exposed()
    print("check: fine")


if __name__ == "__main__":
    sys.exit(main())
