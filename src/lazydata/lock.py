"""A lock file, for writers on any host and any file system."""

from __future__ import annotations

import errno
import os
import time

from lazydata.errors import FileBusy
from lazydata.fsutil import hand_on, remove, temp_name

_STALE_SECONDS = 60.0
_GUARD_SECONDS = 10.0
_WAIT_SECONDS = 120.0
_LONGEST = 4096  # bytes of what a lock says
_left: set[bytes] = set()  # locks that this process could not remove: we would wait for ourselves


class Lock:
    """Hold a lock file while the ``with`` block runs; others wait for it.

    It is made by linking a file that names the holder, since ``flock`` does nothing
    on some cluster file systems. A holder on this host whose process is gone loses it
    at once; one on another host once it has stood for a minute by our own clock, and
    one that says nothing after ten seconds.

    Args:
        path: of the lock; its directory exists.

    Raises:
        FileBusy: it could not be had within two minutes.
        OSError: the directory can't be written.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._mine = f"{host()}\t{os.getpid()}\t{_boot_id()}\t{os.urandom(8).hex()}\n".encode()
        self._refused = 0.0
        self._identity: tuple[int, ...] | None = None

    def __enter__(self) -> None:
        temp = temp_name(os.path.dirname(self._path))
        try:
            with open(temp, "xb") as file:
                file.write(self._mine)
            hand_on(temp)
            self._wait(temp)
            self._identity = _identity(self._path)
        finally:
            try:
                remove(temp)
            except OSError:
                pass  # the lock may be ours by now: an error would leave it held

    def __exit__(self, *_: object) -> None:
        try:
            is_ours = _read(self._path) == self._mine
        except OSError:  # there may be no descriptor left; we would wait for ourselves next time
            found = _identity(self._path)
            is_ours = found is not None and found == self._identity
        if is_ours:
            try:
                remove(self._path)
            except OSError:
                _left.add(self._mine)
                raise

    def _wait(self, temp: str) -> None:
        begun = since = time.monotonic()
        holder, pause = b"", 0.001
        while not self._taken(temp):
            found, now = _read(self._path), time.monotonic()
            if found != holder:
                holder, since, self._refused = found, now, 0.0
            if found in _left or _is_gone(found, now - since):
                self._break(found)
            if now - begun > _WAIT_SECONDS:
                raise FileBusy(
                    f"{self._path} is held by another process: {_name(found)}",
                    hint="wait for it; remove the file if that process is gone",
                )
            # Each waiter at its own pace: in step, they would all wake for one lock.
            time.sleep(pause * (0.5 + os.urandom(1)[0] / 255))
            pause = min(pause * 1.5, 0.05)

    def _taken(self, temp: str) -> bool:
        try:
            os.link(temp, self._path)
        except FileExistsError:
            return False
        except OSError:  # no hardlinks here
            try:
                file = open(self._path, "xb")  # noqa: SIM115
            except FileExistsError:
                return False
            try:
                with file:
                    file.write(self._mine)
            except BaseException:
                remove(self._path)
                raise
        return True

    def _break(self, holder: bytes) -> None:
        """Take away the lock of one who is gone; one waiter at a time, looking again first."""
        guard = self._path + ".break"
        try:
            with open(guard, "xb"):
                pass
        except FileExistsError:
            self._refused = self._refused or time.monotonic()
            if time.monotonic() - self._refused > _GUARD_SECONDS:
                self._refused = 0.0  # whoever was to break the lock has died over it
                remove(guard)
            return
        self._refused = 0.0
        try:
            if _read(self._path) == holder:
                remove(self._path)
        finally:
            remove(guard)


def _identity(path: str) -> tuple[int, ...] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_mtime_ns


def _is_gone(holder: bytes, stood: float) -> bool:
    fields = holder.decode("ascii", "replace").split("\t")
    if len(fields) == 4 and fields[0] == host():
        return fields[2] != _boot_id() or not (fields[1].isdigit() and is_alive(int(fields[1])))
    # A power cut keeps the name of a lock and may lose what it says: that is not flushed.
    return stood > (_STALE_SECONDS if holder.strip(b"\0") else _GUARD_SECONDS)


def _name(holder: bytes) -> str:
    fields = holder.decode("ascii", "replace").split("\t")
    return f"process {fields[1]} on {fields[0]}" if len(fields) == 4 else "unknown"


def is_alive(pid: int) -> bool:
    """Whether a process of this host is there."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # no process has such a number
        return False
    except OSError:
        pass
    return True


def host() -> str:
    """This host, as far as its process numbers mean the same: containers may share the rest."""
    try:
        numbers = os.readlink("/proc/self/ns/pid")
    except OSError:
        numbers = ""
    name = f"{os.uname().nodename} {numbers}".strip()
    return name.encode("ascii", "replace").decode().replace("\t", " ")


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def _read(path: str) -> bytes:
    """What a lock says; nothing where it is a symlink, which none of ours is."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        with open(os.open(path, flags), "rb") as file:
            return file.read(_LONGEST)
    except FileNotFoundError:
        return b""
    except OSError as error:
        if error.errno == errno.ELOOP:
            return b""
        raise
