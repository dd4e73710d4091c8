"""How files of the workspace become objects: linked or copied, verified, flushed, then named."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

from lazydata import links
from lazydata.arrivals import Inbox
from lazydata.digest import Digest, Hashed, hash_file
from lazydata.errors import FileBusy, ObjectCorrupt, ObjectMissing
from lazydata.fsutil import (
    FLUSHED_ALONE,
    add_name,
    flush_files,
    flush_names,
    fsync_dir,
    hand_on,
    make_dirs,
    remove,
)
from lazydata.index import FileRow, Index
from lazydata.lease import has_writer
from lazydata.stamp import Stamp, stamp_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO


class MovedError(FileBusy):
    """The file is no longer what was hashed; look again."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} was changed just now", hint="run it again")


class _Staged(NamedTuple):
    """A file whose bytes lie in a temp file of the store.

    Args:
        path: of the file.
        hashed: what reading it gave.
        temp: of the store.
        how: ``reflink``, ``hardlink`` or ``copy``.
        mode: of the file before that.
    """

    path: str
    hashed: Hashed
    temp: str
    how: str
    mode: int


class Adopting(Inbox):
    """The part of the store that takes in files of the workspace.

    Args:
        directory, index: see ``Inbox``.
        link: see ``Store``.
    """

    def __init__(self, directory: str, index: str | None, *, link: str) -> None:
        super().__init__(directory, index)
        self._link = link

    def check(self, digest: Digest, index: Index, *, fresh: bool = False) -> str:
        """See ``Store``."""
        raise NotImplementedError

    def opened(self, digest: Digest, index: Index) -> BinaryIO:
        """See ``Store``."""
        raise NotImplementedError

    def adopt(self, path: str, hashed: Hashed, index: Index, *, link: bool = True) -> Stamp:
        """Take in a file of the workspace that was just hashed.

        Args:
            path: of the file; it may become a protected hardlink of the object.
            hashed: what reading it gave, a moment ago.
            index: keeps the stamps of what is linked up to date.
            link: False where the file will be written again, so it is not hardlinked.

        Returns:
            The file's stamp afterwards: linking moves the ctime.

        Raises:
            MovedError: the file has changed since it was hashed; nothing was stored.
            OSError: no space, or no right to write.
        """
        stamp = self.adopt_many([(path, hashed)], index, link=link)[0]
        if stamp is None:
            raise MovedError(path)
        return stamp

    def adopt_many(
        self, files: Sequence[tuple[str, Hashed]], index: Index, *, link: bool = True
    ) -> list[Stamp | None]:
        """The same for many files, all of them durable at once.

        Returns:
            The stamp of each; None where it has changed since it was hashed.
        """
        stamps: dict[str, Stamp | None] = {}
        staged: list[_Staged] = []
        try:
            for path, hashed in files:
                try:
                    if self._has_sound(hashed.digest, index):
                        stamps[path] = _same(path, hashed.stamp)
                    else:
                        staged.append(self._stage(path, hashed, link=link))
                except MovedError:
                    stamps[path] = None
            flush_files([each.temp for each in staged])
            self._enter(staged, stamps, index)
        finally:
            for each in staged:
                remove(each.temp)
                is_object = _is_same_file(each.path, self.path_of(each.hashed.digest))
                if each.how == "hardlink" and not is_object:
                    os.chmod(each.path, each.mode)  # it shares nothing after all
        return [stamps[path] for path, _ in files]

    def _has_sound(self, digest: Digest, index: Index) -> bool:
        try:
            self.opened(digest, index).close()
        except (ObjectMissing, ObjectCorrupt):
            return False  # a damaged one lies in the trash now
        path = self.path_of(digest)
        # Whoever stored it may be about to.
        fsync_dir(os.path.dirname(path) if os.path.exists(path) else self.packs.directory)
        return True

    def _stage(self, path: str, hashed: Hashed, *, link: bool) -> _Staged:
        """Bring the bytes of a file into the store, without a name yet."""
        mode = os.stat(path).st_mode & 0o7777
        temp, how = self._temp(), ""
        try:
            how = self._place(path, temp, hashed, link=link)
            _same(path, hashed.stamp)
            # A write within the clock's grain leaves no trace in the stamp.
            if how != "copy" and hashed.racy:
                again = hash_file(temp, algorithm=hashed.digest.algorithm)
                if again.digest != hashed.digest:
                    raise MovedError(path)
            if how != "hardlink":
                # Others may read the object if they may read the file, and no more: what counts
                # is the file's mode, not the umask of whoever stores it.
                hand_on(temp)
                os.chmod(temp, os.stat(temp).st_mode & mode | 0o400)
        except BaseException:
            remove(temp)
            if how == "hardlink":
                os.chmod(path, mode)
            raise
        return _Staged(path, hashed, temp, how, mode)

    def _enter(
        self, staged: Sequence[_Staged], stamps: dict[str, Stamp | None], index: Index
    ) -> None:
        """Give flushed files their names, and follow what that does to stamps."""
        ours: list[tuple[_Staged, bool, str]] = []
        few = len(staged) <= FLUSHED_ALONE  # of more the file system is flushed as a whole
        for each in staged:
            final = self.path_of(each.hashed.digest)
            links.protect(each.temp)
            make_dirs(os.path.dirname(final), durable=few, shared=True)
            ours.append((each, add_name(each.temp, final, durable=False), final))
        flush_names([final for _, is_ours, final in ours if is_ours], together=not few)
        rows: list[tuple[str, FileRow]] = []
        for each, is_ours, final in ours:
            hashed = each.hashed
            try:
                after = stamps[each.path] = _same(each.path, hashed.stamp)
            except MovedError:
                stamps[each.path] = None
                continue
            index.restamp(hashed.stamp, after)
            if not is_ours:
                # Another's, or a damaged one that can't be moved.
                fsync_dir(os.path.dirname(final))
                self.check(hashed.digest, index)
                continue
            # Our own link moved the ctime, and nothing else can have: the mtime stands.
            row = FileRow(
                stamp_of(final), hashed.racy, hashed.digest, hashed.fingerprint, hashed.seen_ns
            )
            rows.append((final, row))
        if rows:
            index.put_files(rows)

    def _place(self, path: str, temp: str, hashed: Hashed, *, link: bool) -> str:
        """Make ``temp`` of the bytes of ``path``, in the cheapest way that is allowed."""
        if self._link in ("auto", "reflink") and links.reflink(path, temp):
            return "reflink"
        wanted = self._link == "hardlink"
        if (wanted or self._link == "auto") and link:
            # A second name that we did not make would become read-only with it, and a
            # file that its owner protected must not become writable when it is unshared.
            status = os.stat(path)
            ours = (status.st_nlink == 1 and status.st_mode & 0o200) or self._was_begun(status)
            ours = ours and self._is_for_group(status)
            if ours and links.may_share(path, forced=wanted) and links.hardlink(path, temp):
                if not has_writer(temp):
                    return "hardlink"
                remove(temp)  # somebody opened it before it was protected
                os.chmod(path, status.st_mode & 0o7777)
        copied = links.copy(path, temp, algorithm=hashed.digest.algorithm)
        if copied.digest != hashed.digest:
            raise MovedError(path)
        return "copy"

    def _is_for_group(self, status: os.stat_result) -> bool:
        """Whether the group that the store belongs to could read a hardlink as it could a copy."""
        store = os.stat(self._temp_dir)
        is_shared = store.st_mode & stat.S_ISGID and store.st_gid != status.st_gid
        return not is_shared or bool(status.st_mode & 0o004)

    def _was_begun(self, status: os.stat_result) -> bool:
        """Whether all other names of a file are temp files of ours: its first link was cut off.

        A copy would leave the file read-only, with nothing that says why.
        """
        if status.st_nlink == 1 or os.stat(self._temp_dir).st_dev != status.st_dev:
            return False
        with os.scandir(self._temp_dir) as entries:
            return status.st_nlink == 1 + sum(each.inode() == status.st_ino for each in entries)


def _same(path: str, before: Stamp) -> Stamp:
    """The stamp now, if nothing but the ctime has moved since."""
    now = stamp_of(path)
    if now[:4] != before[:4]:
        raise MovedError(path)
    return now


def _is_same_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
