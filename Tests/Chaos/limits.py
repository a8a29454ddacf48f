"""Limits that the chaos run sets and lifts: a disk that is full, threads that cannot be had."""

import contextlib
import os
import subprocess
from pathlib import Path

DISK_BYTES = 1 << 30


class Disk:
    """A small file system of its own under `folder` if this is root, else nothing."""

    def __init__(self, folder: Path):
        self.folder = folder
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "chaos", str(folder)]
        self.is_mounted = os.geteuid() == 0 and subprocess.run(mount).returncode == 0

    @contextlib.contextmanager
    def full(self):
        if not self.is_mounted:
            yield
            return
        ballast = self.folder / "ballast"
        try:
            with ballast.open("wb", buffering=0) as file:
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(1 << 20))
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(1))
            yield
        finally:
            ballast.unlink()

    def release(self):
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=True)


@contextlib.contextmanager
def thread_limit(process: int):
    """Lets a process start no further thread, if this is root and there are groups of processes."""
    root = next(
        (each for each in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")) if each.is_dir()),
        None,
    )
    group = root / f"evenkeel-chaos-{os.getpid()}" if root else None
    try:
        if group is None:
            raise OSError
        group.mkdir()
        (group / "cgroup.procs").write_text(str(process))
        threads = len(os.listdir(f"/proc/{process}/task"))
        (group / "pids.max").write_text(str(threads))
    except OSError:
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (group / "pids.max").write_text("max")
            (root / "cgroup.procs").write_text(str(process))
        with contextlib.suppress(OSError):
            group.rmdir()
