"""A file system in a file, whose power can be cut."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

from fault_scene import Scene

_SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN: ext4 and XFS
_WITHOUT_FLUSH = 2
# How each is made, and how large it has to be.
KINDS = {
    "ext4": (("mkfs.ext4", "-q", "-F"), 64 << 20),
    "xfs": (("mkfs.xfs", "-q", "-f"), 300 << 20),
}


class UnavailableError(Exception):
    """No file system can be mounted here."""


class Disk:
    """One file system, mounted.

    Args:
        base: directory for its image.
        kind: one of ``KINDS``.

    Raises:
        UnavailableError: saying why.
    """

    def __init__(self, base: Path, kind: str) -> None:
        self.image, self.at = base / "image", base / "disk"
        make, size = KINDS[kind]
        if os.geteuid() != 0:
            raise UnavailableError("only root can mount a file system")
        if not shutil.which(make[0]):
            raise UnavailableError(f"{make[0]} is not installed")
        self.at.mkdir(parents=True)
        with open(self.image, "wb") as file:
            file.truncate(size)
        _run(*make, str(self.image))
        self.mount()

    def mount(self) -> None:
        """Have it there; what its journal holds is carried out."""
        _run("mount", "-o", "loop", str(self.image), str(self.at))

    def unmount(self) -> None:
        """Put it away; what was written and not cut off is on the disk then."""
        _run("umount", str(self.at))

    def cut(self) -> None:
        """Cut the power: nothing that was not flushed by now is ever written."""
        import fcntl

        top = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(top, _SHUTDOWN, struct.pack("I", _WITHOUT_FLUSH))
        finally:
            os.close(top)
        self.unmount()
        self.mount()

    def copy_to(self, target: Path) -> None:
        """Keep it as it is now."""
        self.unmount()
        _copy(self.image, target)
        self.mount()

    def copy_from(self, source: Path) -> None:
        """Be as it was kept."""
        self.unmount()
        _copy(source, self.image)
        self.mount()


class CutScene(Scene):
    """A scene on a disk of its own, which loses its power when a process is killed.

    Args:
        base: a directory.
        kind: of the file system.
    """

    def __init__(self, base: Path, kind: str) -> None:
        self.disk = Disk(base, kind)
        try:
            super().__init__(self.disk.at / "scene", base / "logs")
        except BaseException:
            self.disk.unmount()
            raise

    def close(self) -> None:
        """See ``Scene``."""
        super().close()
        self.disk.unmount()

    def save(self) -> None:
        """See ``Scene``; with all that makes up the file system."""
        self.disk.copy_to(self._saved)

    def reset(self) -> None:
        """See ``Scene``."""
        self.disk.copy_from(self._saved)

    def cut(self) -> None:
        """See ``Scene``."""
        self.disk.cut()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnavailableError(f"{command[0]} failed: {done.stderr.strip()}")


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "--sparse=always", "--", str(source), str(target)], check=True)
