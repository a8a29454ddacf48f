"""Installs, uses, upgrades, removes and purges the Debian package on a bare Debian 12 under a real systemd.

Needs root. Usage: check_deb.py PACKAGE.deb [--directory DIR]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "Tests" / folder) for folder in ("Systemd", "Documents")]

from commands import Page  # noqa: E402
from machine import Machine, bare_root, copy_of  # noqa: E402

SEND = """
import socket
with socket.socket(socket.AF_UNIX) as producer:
    producer.connect("/run/evenkeel/weather.in.sock")
    producer.sendall(open("/srv/weather.csv", "rb").read())
"""
ROWS = 2560
# The machine of the README is used by root, so its sudo is nothing. Changes over TCP need a token.
SUDO = """#!/bin/sh
exec "$@"
"""
USE_TOKEN = """#!/bin/bash
set -e
install -m 600 /dev/stdin /etc/evenkeel/token <<< a-word
install -D -m 644 /dev/stdin /etc/systemd/system/evenkeel.service.d/token.conf <<'END'
[Service]
LoadCredential=token:/etc/evenkeel/token
END
sed -i 's,# token_file: .*,token_file: ${CREDENTIALS_DIRECTORY}/token,' /etc/evenkeel/evenkeel.yaml
systemctl daemon-reload
systemctl restart evenkeel
"""
# Each completes `evenkeel normalize --half`. fish and zsh find the file; zsh only completes at a terminal, and
# loses what is typed before its prompt.
COMPLETIONS = {
    "bash": """
source /usr/share/bash-completion/completions/evenkeel
COMP_WORDS=(evenkeel normalize --half) COMP_CWORD=2
_evenkeel
echo "${COMPREPLY[@]}"
""",
    "fish": "complete -C 'evenkeel normalize --half'",
    "zsh": r"""
zmodload zsh/zpty
zpty shell "env TERM=xterm PS1='ready> ' zsh -f -i"
expect() { zpty -r -m shell said "*$1*" }
expect 'ready> '
zpty -w shell "autoload -Uz compinit; compinit -u -D; evenkeel() print completed: \$2; PS1='set> '"
expect $'\n*set> '
zpty -w -n shell $'evenkeel normalize --half\t'
expect half-life
zpty -w -n shell $'\r'
expect $'\ncompleted:*\n'
print -r -- ${said##*completed:}
zpty -d shell
""",
}
APT = ("apt-get", "-q", "-y", "-o", "Dpkg::Use-Pty=0")


def expect(what: str, is_so: bool, found: object = "") -> None:
    if not is_so:
        raise SystemExit(f"expected {what}; found {found}")
    print(f"fine: {what}", flush=True)


def later_version(package: Path, folder: Path) -> Path:
    """The same package with a higher version."""
    tree = folder / "later"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 9:", 1))
    target = folder / "later.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, target]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return target


def prepare(root: Path, package: Path, folder: Path) -> None:
    """Puts packages, their dependencies and a stream into the machine, which has no network later."""
    shutil.copy(package, root / "srv" / "evenkeel.deb")
    shutil.copy(later_version(package, folder), root / "srv" / "later.deb")
    sample = REPOSITORY / "samples" / "weather.csv.zst"
    text = subprocess.run(["zstd", "-dc", sample], capture_output=True, check=True).stdout
    (root / "srv" / "weather.csv").write_bytes(b"".join(text.splitlines(True)[: ROWS + 1]))
    (root / "srv" / "send.py").write_text(SEND)
    shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
    readme = root / "srv" / "readme"
    (readme / "dist").mkdir(parents=True)
    shutil.copy(package, readme / "dist")
    (readme / "samples").mkdir()
    shutil.copy(sample, readme / "samples")
    for path, script in ((root / "usr/local/bin/sudo", SUDO), (readme / "use-token", USE_TOKEN)):
        path.write_text(script)
        path.chmod(0o755)
    # The package must bring what it needs; another check's root may have it already.
    subprocess.run(["chroot", root, "dpkg", "--purge", "libsimdjson14"], capture_output=True)
    tools = ["install", "--no-install-recommends", "fish", "socat", "zsh", "zstd"]
    for command in (["update"], tools, ["--download-only", "install", "/srv/evenkeel.deb"]):
        subprocess.run(["chroot", root, *APT, *command], check=True, stdout=subprocess.DEVNULL)


class Check:
    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def state(self, name: str = "ActiveState") -> str:
        return self.machine.output("systemctl", "show", "-P", name, "evenkeel").strip()

    def values(self) -> int:
        """How many values of the first feature the stream has seen."""
        url = "http://127.0.0.1:9600/api/v1/streams/weather/features"
        answer = self.machine.run("curl", "-sf", url)
        features: list[dict[str, Any]] = json.loads(answer.stdout or '{"features":[]}')["features"]
        return int(features[0]["values"]) if features else 0

    def send(self, total: int) -> None:
        self.machine.output("python3", "/srv/send.py")
        self.machine.wait(f"{total} values", lambda: self.values() == total)

    def left(self) -> list[str]:
        """The files of the package and of its service."""
        places = ("/etc", "/usr", "/var/lib", "/run")
        found = self.machine.run("find", *places, "-iname", "*evenkeel*").stdout.split()
        # dpkg's and apt's own records of what there was, and the name of the machine.
        return [path for path in found if "/machines" not in path and "/host" not in path]

    def run(self) -> None:
        machine = self.machine
        # The three commands of the README: install, send, look.
        machine.output(*APT, "install", "/srv/evenkeel.deb")
        expect("the service to run and to be enabled", self.state() == "active", self.state())
        enabled = machine.output("systemctl", "is-enabled", "evenkeel").strip()
        expect("it to start at boot", enabled == "enabled", enabled)
        self.send(ROWS)
        expect("a stream from its socket to its file", self.values() == ROWS)
        found = self.left()
        for path in ("man1/evenkeel.1.gz", "man1/evenkeel-normalize.1.gz", "man5/evenkeel.yaml.5.gz"):
            expect(path, f"/usr/share/man/{path}" in found, found)
        for shell, script in COMPLETIONS.items():
            said = machine.output(shell, "-c", script)
            expect(f"{shell} to complete an option", "--half-life-records" in said, said)

        configuration = machine.root / "etc/evenkeel/evenkeel.yaml"
        configuration.write_text(configuration.read_text() + "# mine\n")
        before = self.state("MainPID")
        machine.output(*APT, "install", "/srv/later.deb")
        machine.wait("the new daemon", lambda: self.state() == "active")
        expect("an upgrade to restart it", self.state("MainPID") != before)
        expect("a changed configuration to stay", configuration.read_text().endswith("# mine\n"))
        machine.wait("the state", lambda: self.values() == ROWS)
        self.send(2 * ROWS)
        expect("the stream to go on from its state", self.values() == 2 * ROWS)

        machine.output(*APT, "remove", "evenkeel")
        expect("a removal to stop it", self.state() != "active", self.state())
        expect("a removal to keep the configuration", configuration.exists())
        kept = machine.run("sh", "-c", "ls /var/lib/private/evenkeel/weather/*.safetensors")
        expect("a removal to keep the state", kept.returncode == 0, kept.stderr)
        machine.output(*APT, "purge", "evenkeel")
        expect("a purge to leave nothing", not self.left(), self.left())

    def readme(self) -> None:
        """Runs the blocks of the README that are left to `make deb-check`."""
        page = Page((REPOSITORY / "README.md").read_text(), "deb-check")
        ran = self.machine.run("bash", "-c", "cd /srv/readme\n" + page.script())
        failures = page.failures(page.results(ran.stdout))
        expect("commands of the README to print its lines", not failures, "\n".join(failures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("--directory", type=Path, default=Path(".build-machine"))
    arguments = parser.parse_args()
    root = copy_of(bare_root(arguments.directory.resolve()), "deb")
    with tempfile.TemporaryDirectory() as folder:
        prepare(root, arguments.package.resolve(), Path(folder))
    try:
        with Machine(root) as machine:
            check = Check(machine)
            check.run()
            check.readme()
    finally:
        subprocess.run(["rm", "-rf", "--one-file-system", root], check=True)


if __name__ == "__main__":
    main()
