"""Verify: hash all of the store again, and mend it from good copies."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import NamedTuple

from lazydata.digest import Digest
from lazydata.errors import (
    ObjectCorrupt,
    ObjectMissing,
    from_os_error,
)
from lazydata.index import Index
from lazydata.messages import warn
from lazydata.progress import shown
from lazydata.store import Store
from lazydata.transfer.faults import CORRUPT, MISSING, UNKNOWN
from lazydata.trees import Trees
from lazydata.workspace import Workspace
from lazydata.workspace.good_copies import Listing, good_copies
from lazydata.workspace.inside import objects_of
from lazydata.workspace.remotes import on_remotes

DENIED = "denied"
_ROUNDS = 4  # what was mended may show what else is damaged


class Damage(NamedTuple):
    """One thing that ``verify`` found.

    Args:
        digest: of the object; of a pack or an index file, its name.
        problem: ``corrupt``, ``missing`` (listed, and not there), ``unknown`` (it, or a remote
            that may have it, could not be asked), ``newer`` (only a newer lazydata can read it)
            or ``denied`` (this user may not read it).
        paths: entries of this workspace that list it.
        where: path of the store, or key on the remote; empty where it is nowhere.
        repaired: a good copy is there now.
    """

    digest: Digest
    problem: str
    paths: tuple[str, ...]
    where: str = ""
    repaired: bool = False


class Checked(NamedTuple):
    """What hashing the store again came to.

    Args:
        objects: how many were hashed.
        corrupt: those that are in the trash now, and where they lay; a pack where it is not
            known what was in it.
        denied: those that this user may not read, and where they lie; packs by their names.
    """

    objects: int
    corrupt: dict[Digest, str]
    denied: dict[Digest, str]


def check_store(store: Store, index: Index) -> Checked:
    """Hash every object of the store again; what is damaged goes to the trash."""
    count = 0
    corrupt: dict[Digest, str] = {}
    denied: dict[Digest, str] = {}
    with shown("checking the store") as meter:
        meter.expect()
        for digest in store.objects():
            count += 1
            try:
                store.check(digest, index, fresh=True)
            except ObjectCorrupt:
                corrupt[digest] = store.path_of(digest)
            except ObjectMissing:
                count -= 1  # a gc was faster
            except PermissionError:
                count -= 1
                denied[digest] = store.path_of(digest)
            except OSError as error:
                raise from_os_error(error, "read", store.path_of(digest)) from error
            meter.done()
        for name in store.packs.names():
            path = store.packs.path_of(name)
            try:
                number, bad = store.check_pack(name)
            except FileNotFoundError:
                continue
            except PermissionError:
                denied[Digest(f"blake3:{name}")] = path
                continue
            except OSError as error:
                raise from_os_error(error, "read", path) from error
            count += number
            corrupt.update(dict.fromkeys(bad, path))
            if not os.path.exists(path) and not bad:
                corrupt[Digest(f"blake3:{name}")] = path
            meter.done(number)
    return Checked(count, corrupt, denied)


def verify(
    workspace: Workspace, index: Index, checked: Checked, *, repair: bool = False
) -> list[Damage]:
    """Look for every listed version, now that the store was checked.

    Args:
        repair: bring what is damaged or nowhere from wherever a good copy is.

    Returns:
        What is wrong, or was, with the paths of this workspace that it is about.
    """
    found: dict[Digest, Damage] = {}
    listing: Listing = {}
    for _ in range(_ROUNDS if repair else 1):
        listing = listed(workspace, index)
        new = _new_damage(workspace, index, checked, listing, found.keys())
        found.update(new)
        if not new or not repair:
            break
        remotes = list(workspace.view(index).remotes.values())
        good = good_copies(workspace, index, sorted(new), listing, remotes)
        found.update({each: row._replace(repaired=each in good) for each, row in new.items()})
    if repair:
        _settle_packs(found)
    _add_denied(found, checked.denied, listing)
    return [row._replace(paths=tuple(listing.get(row.digest, ()))) for row in found.values()]


def _new_damage(
    workspace: Workspace,
    index: Index,
    checked: Checked,
    listing: Listing,
    known: Collection[Digest],
) -> dict[Digest, Damage]:
    """What is damaged, and what is listed and nowhere; what is on a remote is only not here."""
    found = {
        digest: Damage(digest, CORRUPT, (), where)
        for digest, where in checked.corrupt.items()
        if digest not in known
    }
    told = {*known, *found}
    lacking = [digest for digest in workspace.store.lacking(listing) if digest not in told]
    there, failure = on_remotes(workspace, index, lacking) if lacking else (set(), None)
    if failure is not None:
        warn(str(failure))
    problem = UNKNOWN if failure else MISSING
    found.update({each: Damage(each, problem, ()) for each in lacking if each not in there})
    return found


def _add_denied(
    found: dict[Digest, Damage], denied: Mapping[Digest, str], listing: Listing
) -> None:
    """What this workspace needs and may not read is a problem; what others have is theirs."""
    theirs = [path for digest, path in denied.items() if digest not in listing]
    for digest in denied.keys() & listing.keys() - found.keys():
        found[digest] = Damage(digest, DENIED, (), denied[digest])
    if theirs:
        also = f" and {len(theirs) - 1} more" if len(theirs) > 1 else ""
        warn(f"may not be read, so that it was not checked: {theirs[0]}{also}")


def _settle_packs(found: dict[Digest, Damage]) -> None:
    """A pack that does not say what was in it is mended if nothing that is listed is lacking."""
    whole = all(row.repaired for row in found.values() if not _is_pack(row))
    for digest, row in found.items():
        if _is_pack(row):
            found[digest] = row._replace(repaired=whole)


def _is_pack(row: Damage) -> bool:
    return os.path.basename(row.where) == f"{row.digest.hex}.pack"


def listed(workspace: Workspace, index: Index) -> dict[Digest, list[str]]:
    """All that the manifest lists, with the paths that it is for, as far as trees are here."""
    found: dict[Digest, list[str]] = {}
    trees = Trees(workspace.store, index)
    for entry in workspace.view(index).files.values():
        for version in entry.versions:
            for digest, _, path in objects_of(trees, entry, version):
                paths = found.setdefault(digest, [])
                if path not in paths:
                    paths.append(path)
    return found
