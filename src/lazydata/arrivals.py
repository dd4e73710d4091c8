"""How bytes from elsewhere become objects: filled, verified, flushed, then named.

    objects-v1/tmp/
        <name>.<host>-<pid>-<random>.part    filled by that process
        <name>.free-0-<random>.part          left by one that failed: the next goes on
        <name>.lock                          held (flock) by the one who fetches it

Nothing rests on the locks: whoever fills a file has it for himself.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from lazydata import links
from lazydata.digest import Digest, Hashed, hash_file
from lazydata.errors import NeedsUpgrade, NoSpace, ObjectCorrupt
from lazydata.following import Following
from lazydata.fsutil import (
    FLUSHED_ALONE,
    add_name,
    flush_files,
    flush_names,
    fsync_file,
    hand_on,
    make_dirs,
    remove,
    temp_name,
    write_new,
)
from lazydata.index import FileRow, Index
from lazydata.lock import host, is_alive
from lazydata.packed import Packs
from lazydata.packs import PackedObject, read_footer, verified
from lazydata.stamp import stamp_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

# Less is fetched again sooner than found again.
_WORTH_KEEPING = 1 << 20
# A smaller object is hashed again sooner than it is looked up.
_WORTH_REMEMBERING = 1 << 20
# A smaller file is hashed in no time once it is there.
_WORTH_FOLLOWING = 16 << 20
# A process on another host is taken for dead when its file has not grown for so long.
_ABANDONED_SECONDS = 86400.0
# Whoever holds a lock touches it every few seconds, unless it was stopped or hangs.
_SILENT_SECONDS = 30.0


class Arrival(AbstractContextManager["Path"]):
    """A file that gets its name when the block ends well; it goes on from what failed before.

    Args:
        directory: for unfinished files.
        name: what it will be, so that an earlier attempt can be found.
        finish: verifies the file and names it; called with its path, and with what is
            known of it if it was followed.
        follow: begins to hash it while it is filled, called with its path.

    Raises:
        ObjectCorrupt: it is something else; nothing of it is kept.
    """

    def __init__(
        self,
        directory: str,
        name: str,
        finish: Callable[[str, Hashed | None], None],
        follow: Callable[[str], Following] | None = None,
    ) -> None:
        self._directory, self._name, self._finish = directory, name, finish
        self._follow = follow
        self._following: Following | None = None
        self._temp = ""

    def __enter__(self) -> Path:
        from pathlib import Path

        make_dirs(self._directory, shared=True)
        self._temp = self._new_name(_host(), os.getpid())
        self._take_up()
        if self._follow is not None:
            self._following = self._follow(self._temp)
        return Path(self._temp)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                following = self._following
                self._finish(self._temp, following.finish() if following else None)
            elif not issubclass(kind, (ObjectCorrupt, NeedsUpgrade, NoSpace)):
                self._leave()
        finally:
            if self._following is not None:
                self._following.close()
            remove(self._temp)

    def _new_name(self, owner: str, pid: int) -> str:
        unique = f"{owner}-{pid}-{os.urandom(4).hex()}"
        return os.path.join(self._directory, f"{self._name}.{unique}.part")

    def _take_up(self) -> None:
        """Have the largest file that somebody gave up: a rename, so only one gets it.

        In a store of several users some are another's, and not to be written by us.
        """
        found = []
        for each in [*os.scandir(self._directory)]:
            if each.name.startswith(self._name + ".") and each.name.endswith(".part"):
                try:
                    status = each.stat(follow_symlinks=False)
                except OSError:
                    continue
                is_ours = os.access(each.path, os.R_OK | os.W_OK)
                if is_ours and _is_abandoned(each.name, status.st_mtime):
                    found.append((status.st_size, each.path))
        for _, path in sorted(found, reverse=True)[:1]:
            try:
                os.rename(path, self._temp)
            except OSError:
                pass  # somebody else was faster

    def _leave(self) -> None:
        try:
            free = os.statvfs(self._directory)
            size = os.path.getsize(self._temp)
            # Nobody sweeps this before somebody needs it: it must not fill up the disk.
            if _WORTH_KEEPING <= size < free.f_bavail * free.f_frsize:
                os.rename(self._temp, self._new_name("free", 0))
        except OSError:
            pass


class Turn:
    """This process is the one that fetches something; see ``take_turn``."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor

    def touch(self) -> None:
        """Show those who wait that it is still done."""
        if self._descriptor >= 0:
            try:
                os.utime(self._descriptor)
            except OSError:
                pass

    def release(self) -> None:
        """Let the others look."""
        if self._descriptor >= 0:
            try:
                remove(self._path)
            except OSError:
                pass
            os.close(self._descriptor)
            self._descriptor = -1


def take_turn(directory: str, name: str) -> Turn | None:
    """Be the one process that fetches something.

    Returns:
        None while another one does, and shows that it lives.
    """
    path = os.path.join(directory, f"{name}.lock")
    alone = Turn(path, -1)
    try:
        import fcntl

        make_dirs(directory, shared=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except (ImportError, OSError):
        return alone  # no locks here, or a store that is only read: what is right stays right
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(descriptor)
        if status.st_nlink:
            return Turn(path, descriptor)
        silent = False  # whoever had it removed it just now: look again
    except BlockingIOError:
        silent = time.time() - os.fstat(descriptor).st_mtime > _SILENT_SECONDS
    except OSError:
        silent = True
    os.close(descriptor)
    return alone if silent else None


class Inbox:
    """The ways into the store for bytes that come from elsewhere.

    Args:
        directory: of the objects.
        index: directory of the index, or None: it remembers what is in packs.
    """

    def __init__(self, directory: str, index: str | None) -> None:
        self.directory = directory
        self._index = index
        self.packs = Packs(os.path.join(directory, "packs"), index)

    def path_of(self, digest: Digest) -> str:
        """Where an object lies, or would lie."""
        algorithm, _, digits = digest.partition(":")
        return f"{self.directory}{os.sep}{algorithm}{os.sep}{digits[:2]}{os.sep}{digits}"

    def incoming(self, digest: Digest, *, grows_to: int = 0) -> Arrival:
        """A file to fill with an object; it is verified and named when the block ends.

        It may hold the beginning already, which an earlier attempt left.

        Args:
            digest: of the object.
            grows_to: about how many bytes there will be, if whoever fills it writes from the
                beginning on and none of them twice; then it may be hashed while it grows.

        Raises:
            ObjectCorrupt: it is something else; the store is as it was.

        Example:
            with store.incoming(digest) as temp:
                temp.write_bytes(data)
        """

        def seed() -> int | None:
            with Index(self._index) as index:
                return index.seed

        def finish(temp: str, hashed: Hashed | None) -> None:
            with Index(self._index) as index:
                hashed = _finish_object(digest, temp, hashed or index.seed)
                final = self.path_of(digest)
                if self._name(temp, final) and hashed.stamp.size >= _WORTH_REMEMBERING:
                    # Nobody else knew the file while it was hashed, so it is not racy.
                    now, seen = stamp_of(final), hashed.seen_ns
                    row = FileRow(now, False, digest, hashed.fingerprint, seen)
                    index.put_files([(final, row)])

        def follow(temp: str) -> Following:
            return Following(temp, digest.algorithm, seed)

        worth_it = grows_to >= _WORTH_FOLLOWING
        return Arrival(self._temp_dir, digest.hex, finish, follow if worth_it else None)

    def incoming_pack(self, name: str) -> Arrival:
        """The same for a whole pack, by its 64 hex digits; all in it is verified."""

        def finish(temp: str, _: Hashed | None) -> None:
            packed = _finish_pack(name, temp)
            with self.packs.noting():
                self._name(temp, self.packs.path_of(name))
                self.packs.note(name, packed)

        return Arrival(self._temp_dir, name, finish)

    def try_lock(self, name: str) -> Turn | None:
        """Be the one process that fetches something; None while another one does."""
        return take_turn(self._temp_dir, name)

    def scratch(self) -> str:
        """A directory for files that nobody needs after this process."""
        make_dirs(self._temp_dir, shared=True)
        return self._temp_dir

    def put(self, objects: Sequence[tuple[Digest, bytes]]) -> None:
        """Take in small objects whose bytes were hashed, all of them durable at once.

        Raises:
            OSError: no space, or no right to write; some may be there, each of them whole.
        """
        make_dirs(self._temp_dir, shared=True)
        temps: dict[str, str] = {}
        try:
            for digest, data in objects:
                temp = temp_name(self._temp_dir)
                temps[temp] = self.path_of(digest)
                write_new(temp, data, mode=0o444)
            flush_files(list(temps))
            for temp, final in temps.items():
                hand_on(temp)
                few = len(temps) <= FLUSHED_ALONE
                make_dirs(os.path.dirname(final), durable=few, shared=True)
                add_name(temp, final, durable=False)
            flush_names(list(temps.values()))
        finally:
            for temp in temps:
                remove(temp)

    def _name(self, temp: str, final: str) -> bool:
        """Give a finished temp file its name; the same object twice is success.

        The first one stays: files of the workspace may share its inode.

        Returns:
            Whether it is this one that has the name now.
        """
        links.protect(temp)
        hand_on(temp)
        make_dirs(os.path.dirname(final), shared=True)
        return add_name(temp, final)

    @property
    def _temp_dir(self) -> str:
        return os.path.join(self.directory, "tmp")

    def _temp(self) -> str:
        make_dirs(self._temp_dir, shared=True)
        return temp_name(self._temp_dir)


def _finish_object(digest: Digest, temp: str, known: Hashed | int | None = None) -> Hashed:
    """Verify and flush a file that is to become an object.

    Args:
        digest: that it should have.
        temp: its path.
        known: what it is, if it was hashed; else the seed of the fingerprint it gets.

    Raises:
        ObjectCorrupt: it is not.
    """
    if isinstance(known, Hashed):
        hashed = known
    else:
        hashed = hash_file(temp, algorithm=digest.algorithm, seed=known)
    if hashed.digest != digest:
        found = hashed.digest
        raise ObjectCorrupt(f"what came for {digest} is {found}", expected=digest, actual=found)
    fsync_file(temp)
    return hashed


def _finish_pack(name: str, temp: str) -> list[PackedObject]:
    """Verify a pack and all that is in it, and flush it.

    Raises:
        ObjectCorrupt: its bytes, or some object's, are not what they should be.
    """
    _finish_object(Digest(f"blake3:{name}"), temp)
    with open(temp, "rb") as file:

        def read(offset: int, length: int) -> bytes:
            return os.pread(file.fileno(), length, offset)

        packed = read_footer(read, os.fstat(file.fileno()).st_size)
        for each in packed:
            verified(each.digest, each.codec, read(each.offset, each.stored), each.size)
        return packed


def _is_abandoned(name: str, mtime: float) -> bool:
    owner, _, rest = name.split(".")[-2].rpartition("-")[0].rpartition("-")
    if owner == "free":
        return True
    if owner == _host():
        return not (rest.isdigit() and is_alive(int(rest)))
    return time.time() - mtime > _ABANDONED_SECONDS


def _host() -> str:
    """This host and its process numbers, as part of a file name."""
    return "".join(each if each.isalnum() else "_" for each in host())
