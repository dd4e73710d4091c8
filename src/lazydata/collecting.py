"""Take out of a store what nothing needs: look at all of it, then sweep.

Objects and packs are only renamed, into ``trash/<time>/``, where a look-up finds them. A
later gc, which has found once more that nothing needs them, unlinks them. In between lies
the grace period: whoever saw an object before it was moved has that long to say that it is
needed. Times are those of the store's file system.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Sequence

from lazydata.digest import Digest
from lazydata.errors import FileDenied, ObjectCorrupt, ObjectMissing, from_os_error
from lazydata.fsutil import remove, temp_name
from lazydata.gathering import Gathering
from lazydata.index import Index
from lazydata.lock import is_alive
from lazydata.packs import PackedObject
from lazydata.store import Store
from lazydata.survey import Found, Survey, look_at, packed_size, was_in, whole
from lazydata.trash import Folder, put_back

_DAY_NS = 86400 * 1_000_000_000
_REMAINS_NS = 90 * _DAY_NS  # so long a damaged pack is kept that does not say what was in it
_UNFINISHED_NS = 30 * _DAY_NS  # no process fills one file for so long
_UNFINISHED = re.compile(r"\.lazydata-([0-9a-f]+)-[0-9a-f]{16}\.tmp|.*-(\d+)-[0-9a-f]{8}\.part")


class Everything:
    """Contains all: for where nobody knows what is needed."""

    def __contains__(self, digest: object) -> bool:
        return True


class Collector:
    """The work on one store.

    Args:
        store: to be tidied.
        index: directory of the index, or None.
        grace: ns; 0 only where nothing else uses the store.
    """

    def __init__(self, store: Store, index: str | None, *, grace: int) -> None:
        self._store, self._index, self._grace = store, index, grace
        self.began = _clock(store)

    def survey(self, needed: Container[Digest], *, known: bool = True) -> Survey:
        """Look at all that is there; nothing is changed.

        Args:
            needed: what must stay; found out after this was made.
            known: whether that is so; else all stays but what processes left unfinished.

        Raises:
            OSError: the store can't be read.
        """
        survey = Survey(self.began, self._grace)
        for found in self._objects():
            self._place_object(survey, found, needed, known)
        for found in self._packs():
            self._place_pack(survey, found, needed, known)
        for found in self._unfinished():
            survey.unfinished.append(found)
        if known:
            for folder in self._store.trash.folders():
                self._look_into(folder, survey, needed)
        return survey

    # Looking

    def _objects(self) -> Iterator[Found]:
        for digest in self._store.objects():
            found = look_at("object", self._store.path_of(digest))
            if found is not None:
                yield found._replace(digest=digest)

    def _packs(self) -> Iterator[Found]:
        for name in self._store.packs.names():
            found = look_at("pack", self._store.packs.path_of(name))
            if found is not None:
                yield found

    def _place_object(
        self, survey: Survey, found: Found, needed: Container[Digest], known: bool
    ) -> None:
        if not known:
            survey.keep("unknown", found)
        elif found.digest in needed:
            survey.keep("needed", found)
        elif self._is_recent(found):
            survey.keep("recent", found)
        elif found.names > 1:
            survey.keep("shared", found)  # it would free nothing, and unshare would not find it
        else:
            survey.going.append(found)

    def _place_pack(
        self, survey: Survey, found: Found, needed: Container[Digest], known: bool
    ) -> None:
        if not known or self._is_recent(found):
            survey.keep("recent" if known else "unknown", found)
            return
        objects = self._in_pack(found.path)
        if objects is None:
            survey.keep("damaged", found)
            return
        wanted = tuple(each for each in objects if each.digest in needed)
        found = found._replace(objects=wanted)
        if not wanted:
            survey.going.append(found)
        elif 2 * packed_size(wanted) < found.size:
            survey.rewriting.append(found)
        else:
            survey.keep("needed", found)

    def _in_pack(self, path: str) -> list[PackedObject] | None:
        """What is in a pack; None where that can't be told."""
        try:
            return self._store.packs.objects(_pack_name(path))
        except (ObjectCorrupt, OSError):
            return None

    def _is_recent(self, found: Found) -> bool:
        return found.moved[2] > self.began - self._grace

    def _unfinished(self) -> Iterator[Found]:
        """What processes left that were killed, as far as they are gone."""
        directory = os.path.join(self._store.directory, "tmp")
        for name in _listed(directory):
            found = look_at("unfinished", os.path.join(directory, name))
            if found is None or self._is_recent(found):
                continue
            match = _UNFINISHED.fullmatch(name)
            pid = int(match[1], 16) if match and match[1] else int(match[2]) if match else 0
            is_old = found.moved[2] <= self.began - _UNFINISHED_NS
            if is_old or not pid or not is_alive(pid):
                yield found

    def _look_into(self, folder: Folder, survey: Survey, needed: Container[Digest]) -> None:
        is_due = folder.when <= self.began - self._grace
        for found in self._aside(folder, needed):
            if found.kind == "damaged":
                (survey.due if self._is_over(found, folder, is_due) else survey.waiting).append(
                    found
                )
            elif found.objects and not folder.is_evicted:
                survey.back.append(found)
            elif not is_due:
                survey.waiting.append(found)
            else:
                (survey.evicted if found.objects else survey.due).append(found)

    def _aside(self, folder: Folder, needed: Container[Digest]) -> Iterator[Found]:
        """What is in a folder of the trash, each with what is needed of it and nowhere else."""
        packs = folder.packs(self._index)
        there: list[tuple[Found, list[PackedObject]]] = []
        for digest in folder.objects():
            found = look_at("object", folder.path_of(digest))
            if found is not None:
                found = found._replace(digest=digest)
                there.append((found, list(whole(found))))
        for name in packs.names():
            found = look_at("pack", packs.path_of(name))
            if found is not None:
                try:
                    there.append((found, packs.objects(name)))
                except (ObjectCorrupt, OSError):
                    there.append((found._replace(kind="damaged"), []))
        for path in folder.remains():
            found = look_at("damaged", path)
            if found is not None:
                there.append((found, was_in(path) or []))
        wanted = {each.digest for _, some in there for each in some if each.digest in needed}
        lacking = self._lacking(wanted)
        for found, some in there:
            yield found._replace(objects=tuple(each for each in some if each.digest in lacking))

    def _is_over(self, found: Found, folder: Folder, is_due: bool) -> bool:
        """Whether what damage left may go: it may be all that is left of something."""
        if found.objects or not is_due:
            return False
        return was_in(found.path) is not None or folder.when <= self.began - _REMAINS_NS

    def _lacking(self, digests: Collection[Digest]) -> set[Digest]:
        """Those that are neither in a file nor in a pack; the trash is not asked."""
        left = {each for each in digests if not os.path.exists(self._store.path_of(each))}
        return left - self._store.packs.locate(left).keys()

    # Sweeping

    def sweep(self, survey: Survey) -> list[str]:
        """Carry out what a survey says.

        Returns:
            One line for each thing that could not be removed, and why.

        Raises:
            FileDenied: the store can't be written; nothing was done.
        """
        failed: list[str] = []
        now = _clock(self._store, writing=True)
        aside, evicted = (self._store.trash.folder(now, evicted=which) for which in (False, True))
        for found in survey.back:
            self._take_back(found)
        for found in [*survey.unfinished, *survey.due]:
            _try(failed, found.path, remove, found.path)
            if found.kind == "damaged":
                _try(failed, found.path, remove, f"{found.path}.why")
        for found in survey.going:
            self._move(found, aside, failed)
        self._rewrite(survey.rewriting, aside, failed)
        kept = [f._replace(objects=survey.keeping[f.path]) for f in survey.evicting]
        self._rewrite(kept, evicted, failed)
        self._tidy(() if self._grace else (aside, evicted))
        return failed

    def _take_back(self, found: Found) -> None:
        if found.digest is not None:
            put_back(found.path, self._store.path_of(found.digest))
        else:
            put_back(found.path, self._store.packs.path_of(_pack_name(found.path)))

    def _move(self, found: Found, folder: Folder, failed: list[str]) -> None:
        """Put something into the trash, if it still is what was looked at."""
        now = look_at(found.kind, found.path)
        if now is not None and now.moved == found.moved:
            move = self._store.trash.move
            _try(failed, found.path, move, found.path, folder, found.digest)

    def _rewrite(self, packs: Sequence[Found], folder: Folder, failed: list[str]) -> None:
        """Write what is needed of packs to new ones, durably; then the old ones go."""
        done: list[Found] = []
        try:
            with Gathering(self._store) as gathering:
                for found in packs:
                    data = self._sound(found)
                    if data is not None:
                        gathering.add(data)
                        done.append(found)
                gathering.finish()
        except OSError as error:
            failed.append(f"packs could not be written anew: {error.strerror or error}")
            done = [found for found in done if not found.objects]
        for found in done:
            self._move(found, folder, failed)

    def _sound(self, found: Found) -> list[tuple[Digest, bytes]] | None:
        """What is needed of a pack; None where not all of it can be had."""
        if not found.objects:
            return []
        wanted = {each.digest for each in found.objects}
        try:
            every = self._store.packs.sound(_pack_name(found.path))
            sound = {digest: data for digest, data in every if digest in wanted}
        except (ObjectCorrupt, OSError):
            return None
        for digest in wanted:
            self._put_aside_if_damaged(digest)
        return list(sound.items()) if wanted == sound.keys() else None

    def _put_aside_if_damaged(self, digest: Digest) -> None:
        """A whole object of that name would be taken for the one that is to be written."""
        if os.path.exists(self._store.path_of(digest)):
            with Index(self._index) as index:
                try:
                    self._store.check(digest, index)
                except (ObjectCorrupt, ObjectMissing):
                    pass  # it lies in the trash now

    def _tidy(self, now: Iterable[Folder]) -> None:
        """Remove empty folders of the trash, and all that is in some of them."""
        for folder in now:
            packs = folder.packs(self._index)
            for path in [
                *map(folder.path_of, folder.objects()),
                *map(packs.path_of, packs.names()),
            ]:
                remove(path)
        for folder in self._store.trash.folders():
            packs = folder.packs(self._index)
            if os.path.isdir(packs.directory) and not packs.names():
                packs.forget()
            for path in (*(os.path.join(folder.path, each) for each in _IN_TRASH), folder.path):
                _remove_if_empty(path)
        _remove_if_empty(os.path.join(self._store.directory, "trash"))


_IN_TRASH = ("blake3", "sha256", "packs")


def _try(failed: list[str], path: str, do: Callable[..., object], *values: object) -> None:
    """Remove or move something; one that is gone already is no failure."""
    try:
        do(*values)
    except FileNotFoundError:
        pass
    except OSError as error:
        failed.append(f"{path}: {error.strerror or error}")


def _clock(store: Store, *, writing: bool = False) -> int:
    """What time it is on the store's file system, ns: other clocks may differ.

    Args:
        writing: a store that can't be written is an error.
    """
    try:
        path = temp_name(store.scratch())
        with open(path, "xb") as file:
            now = os.fstat(file.fileno()).st_ctime_ns
        remove(path)
    except OSError as error:
        failure = from_os_error(error, "tidy", store.directory)
        if writing and isinstance(failure, FileDenied):
            raise failure from error
        return time.time_ns()  # it is only read, or full: then what is removed makes room
    return now


def _pack_name(path: str) -> str:
    return os.path.basename(path)[:64]


def _listed(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _remove_if_empty(directory: str) -> None:
    try:
        os.rmdir(directory)
    except OSError:
        pass
