"""A bare Debian 12 with a real systemd, in a container of systemd-nspawn; needs root."""

import os
import shutil
import subprocess
import time
from pathlib import Path


def bare_root(directory: Path) -> Path:
    """The root of a bare Debian, made by debootstrap at the first call and kept."""
    root = directory / "root"
    if (root / "usr/lib/systemd/systemd").exists() and not (root / "debootstrap").exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    mirror = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True
    ).stdout.split()[:1]
    packages = "systemd,systemd-sysv,dbus,ca-certificates,curl,make,python3-minimal"
    # The libraries that the binary is linked with.
    packages += ",liblz4-1,librdkafka1,libsimdjson14,libstdc++6,libxxhash0,libyaml-0-2,libzstd1,zlib1g"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={packages}", "bookworm", root, *mirror],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return root


def copy_of(root: Path, name: str) -> Path:
    """A copy that a check may change."""
    copy = root.parent / name
    subprocess.run(["rm", "-rf", "--one-file-system", copy], check=True)
    subprocess.run(["cp", "-a", "--reflink=auto", root, copy], check=True)
    return copy


class Machine:
    """A container that has booted systemd, with a network of its own; ends with the `with`."""

    def __init__(self, root: Path):
        self.root = root

    def __enter__(self):
        self.log = open(self.root.parent / f"{self.root.name}.log", "w")
        self.process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "-D", self.root, "--boot", "--register=no"]
            + ["--keep-unit", "--private-network", "--console=pipe"]
            + [f"--machine=evenkeel-{os.getpid()}"],
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=self.log,
        )
        try:
            self.wait("systemd to boot", self.has_booted, 60)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def leader(self) -> str:
        """The process that is the container's first; empty while there is none."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return children.read_text().split()[0] if children.read_text().split() else ""

    def has_booted(self) -> bool:
        if self.process.poll() is not None:
            raise SystemExit(f"systemd-nspawn ended; see {self.log.name}")
        if not self.leader():
            return False
        state = self.run("systemctl", "is-system-running").stdout.strip()
        return state in ("running", "degraded")

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """Runs a command in the container."""
        return subprocess.run(
            ["nsenter", "-t", self.leader(), "-m", "-u", "-i", "-n", "-p", "-r", "-w", *command],
            capture_output=True,
            text=True,
            timeout=120,
        )

    def output(self, *command: str) -> str:
        result = self.run(*command)
        if result.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: {result.returncode}\n{result.stderr}")
        return result.stdout

    def wait(self, what: str, is_so, seconds: float = 30):
        """Waits until something is so; fails with its name if it does not come to be."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if is_so():
                return
            time.sleep(0.1)
        raise SystemExit(f"expected {what} within {seconds} s")
