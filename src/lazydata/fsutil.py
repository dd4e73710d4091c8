"""Files made durable and replaced in one step; the only module that replaces files."""

from __future__ import annotations

import errno
import os
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_NETWORK = (
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "9p", "ceph", "lustre", "gpfs"),
    *("beegfs", "glusterfs", "afpfs", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs"),
    *("fuse.rclone", "fuse.juicefs", "fuse.gcsfuse"),
)
# So few files are flushed one by one: the others' data on that disk is not waited for.
FLUSHED_ALONE = 8
_BINARY = getattr(os, "O_BINARY", 0)
_IS_LINUX = sys.platform == "linux"
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # linux/fcntl.h, linux/fs.h
_CAN_NOT = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
_network_devices: dict[int, bool] = {}


def fsync_file(path: str) -> None:
    """Flush a file's bytes to disk.

    A file that we may only read is flushed as well: fsync needs no right to write.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_dir(path: str) -> None:
    """Flush a directory's names to disk, where the system can (Windows can't)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except PermissionError:
        return  # a directory that may be written but not read: nothing more can be done
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and FUSE file systems refuse this; a disk that fails is another thing.
        if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
            raise
    finally:
        os.close(descriptor)


def flush_files(paths: Sequence[str], *, together: bool | None = None) -> None:
    """Flush files, and the names in their directories.

    Many of them are flushed together (``syncfs``, Linux), which costs about what one
    costs: https://man7.org/linux/man-pages/man2/syncfs.2.html.

    Args:
        paths: of the files.
        together: with all else on their file systems, directories that were made for them
            too; by default only where they are more than ``FLUSHED_ALONE``.
    """
    if not _flushed_together(paths, together):
        for path in paths:
            fsync_file(path)
        flush_names(paths, together=False)


def flush_names(paths: Sequence[str], *, together: bool | None = None) -> None:
    """Flush the names of files, whose bytes are flushed; somebody may have moved them since.

    Args:
        paths: of the files.
        together: as for ``flush_files``.
    """
    if not _flushed_together(paths, together):
        for directory in dict.fromkeys(map(os.path.dirname, paths)):
            try:
                fsync_dir(directory)
            except FileNotFoundError:
                pass  # the names went with it


def _flushed_together(paths: Sequence[str], together: bool | None) -> bool:
    if not (len(paths) > FLUSHED_ALONE if together is None else together):
        return False
    there = filter(os.path.isdir, dict.fromkeys(map(os.path.dirname, paths)))
    devices = {os.stat(each).st_dev: each for each in there}
    return all(_sync_file_system(each) for each in devices.values())


def _sync_file_system(path: str) -> bool:
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    descriptor = os.open(path, os.O_RDONLY)
    try:
        if call(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
    finally:
        os.close(descriptor)
    return True


def make_dirs(path: str, *, durable: bool = True, shared: bool = False) -> None:
    """Make a directory and its parents, each durable in its own parent.

    Args:
        path: of the directory.
        durable: False where the caller flushes all of it afterwards.
        shared: hand each on to the group; see ``hand_on``.
    """
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if parent != path:
        make_dirs(parent, durable=durable, shared=shared)
    try:
        make = _make_shared if shared else os.mkdir
        make(path)
    except OSError:
        if not os.path.isdir(path):  # else somebody was faster
            raise
    else:
        if durable:
            fsync_dir(parent)


def _make_shared(path: str) -> None:
    """Make a directory; where it is the group's, the group may use it from its first moment on."""
    above = os.path.dirname(path)
    if not os.stat(above).st_mode & stat.S_ISGID:
        os.mkdir(path)
        return
    temp = temp_name(above)
    os.mkdir(temp)
    try:
        hand_on(temp)
        os.rename(temp, path)  # also over an empty one, which somebody made just now
    except BaseException:
        os.rmdir(temp)
        raise


def hand_on(path: str) -> None:
    """In a directory of a group (setgid), let the group use what we made, whatever our umask.

    A directory gets the group's rights that the one above has; a file may be read.
    """
    above = os.stat(os.path.dirname(path)).st_mode
    if above & stat.S_ISGID:
        mode = os.stat(path).st_mode
        wanted = mode | above & (0o070 if stat.S_ISDIR(mode) else 0o040)
        if wanted != mode:
            os.chmod(path, stat.S_IMODE(wanted))


def readers(directory: str) -> int:
    """The read bits of the mode that a new file in a directory gets; see ``hand_on``.

    Args:
        directory: absolute; it may be missing yet.
    """
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    try:
        with open("/proc/self/status", "rb") as file:  # asking the system would set it for a moment
            umask = int(file.read().partition(b"Umask:")[2].split(None, 1)[0], 8)
    except (OSError, IndexError, ValueError):
        umask = os.umask(0o077)
        os.umask(umask)
    group = 0o040 if os.stat(directory).st_mode & stat.S_ISGID else 0
    return 0o444 & ~umask | group


def temp_name(directory: str, kind: str = "") -> str:
    """A name in ``directory`` that nobody else uses, on this host or another.

    Args:
        directory: where the file goes.
        kind: ``aside-`` for bytes of the user: what sweeps temp files has to spare them.
    """
    return os.path.join(directory, f".lazydata-{kind}{os.getpid():x}-{os.urandom(8).hex()}.tmp")


def replace(source: str, target: str, *, durable: bool = True) -> None:
    """Put ``source`` in the place of ``target`` in one step.

    Windows refuses while another program has the target open: tried again for a second.

    Raises:
        OSError: as ``os.replace``; ``source`` is still there then.
    """
    for attempt in range(20):
        try:
            os.replace(source, target)
            break
        except PermissionError:
            if os.name != "nt" or attempt == 19:
                raise
            time.sleep(0.05)
    if durable:
        fsync_dir(os.path.dirname(target))


def exchange(one: str, other: str) -> bool:
    """Let two files have each other's name, in one step: nothing gets lost in between.

    https://man7.org/linux/man-pages/man2/rename.2.html; Linux, on most local file systems.

    Returns:
        False, and nothing done, where that can't be.

    Raises:
        OSError: one of them is not there, or may not be renamed.
    """
    import ctypes

    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if _IS_LINUX else None
    if call is None:
        return False
    names = os.fsencode(one), os.fsencode(other)
    if call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CAN_NOT:
        return False
    raise OSError(number, os.strerror(number), other)


def write_new(path: str, data: bytes, *, mode: int = 0o666) -> None:
    """Write a new file, not flushed; it is gone again where that fails.

    Args:
        path: of the file.
        data: all its bytes.
        mode: as far as the umask lets it be.

    Raises:
        FileExistsError: there is one already.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, mode)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
    except BaseException:
        remove(path)
        raise
    finally:
        os.close(descriptor)


def write_atomic(
    path: str, data: bytes, *, temp_dir: str | None = None, shared: bool = False
) -> None:
    """Write a whole file so that a reader, or a crash, sees the old one or the new one.

    Args:
        path: of the file; its mode is kept where it exists, else the umask decides.
        data: all its bytes.
        temp_dir: where the temp file goes; on the same file system as ``path``.
        shared: hand it on to the group; see ``hand_on``.
    """
    temp = temp_name(temp_dir or os.path.dirname(path))
    descriptor = os.open(temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if os.path.exists(path):
                keep_mode(path, temp)
            if shared:
                hand_on(temp)
            os.fsync(file.fileno())
        replace(temp, path)
    except BaseException:
        remove(temp)
        raise


def create_atomic(path: str, data: bytes) -> bool:
    """Write a new file that appears whole; False, and nothing done, if there is one already."""
    temp = temp_name(os.path.dirname(path))
    try:
        with open(temp, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        return add_name(temp, path)
    finally:
        remove(temp)


def add_name(source: str, target: str, *, durable: bool = True) -> bool:
    """Give a file the name ``target`` unless that is taken; ``source`` is then unchanged.

    Args:
        source: a temp file on the same file system.
        target: its new name.
        durable: False where the caller flushes the directory afterwards.

    Returns:
        Whether the file has the name now, and only that.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        if durable:
            fsync_dir(os.path.dirname(target))  # whoever made it may still be about to
        return False
    except OSError:  # no hardlinks here: what comes in this very moment is lost
        if os.path.lexists(target):
            return False
        replace(source, target, durable=durable)
    else:
        remove(source)
        if durable:
            fsync_dir(os.path.dirname(target))
    return True


def keep_mode(model: str, path: str, *, add: int = 0) -> None:
    """Give ``path`` the mode (and, where allowed, the owner) that ``model`` has."""
    status = os.stat(model)
    own = os.stat(path)
    if (status.st_uid, status.st_gid) != (own.st_uid, own.st_gid):
        for owner in (status.st_uid, -1):
            try:
                os.chown(path, owner, status.st_gid)
                break
            except OSError:
                pass  # only root gives files away; others may still give them to a group
    os.chmod(path, (status.st_mode & 0o7777) | add)


def remove(path: str) -> None:
    """Unlink a file that may be gone already."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def is_network(path: str, device: int) -> bool:
    """Whether a file system is mounted over a network (Linux tells; elsewhere: no).

    Args:
        path: anything on it; used only in the first look.
        device: its ``st_dev``, under which the answer is remembered.
    """
    known = _network_devices.get(device)
    if known is None:
        known = _network_devices[device] = _mount_kind(device) in _NETWORK
    return known


def _mount_kind(device: int) -> str:
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                fields, _, tail = line.partition(" - ")
                if fields.split(" ", 3)[2] == wanted:
                    return tail.split(" ", 1)[0]
    except OSError:
        pass
    return ""


def is_inside(path: str, directory: str) -> bool:
    """Whether ``path`` is ``directory`` or below it; both absolute and normalised."""
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)
