"""Verify a remote: hash again what this project has there, and mend it from good copies."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from lazydata import config
from lazydata.claimed import IndexedMemory
from lazydata.digest import Digest
from lazydata.index import Index
from lazydata.manifest import RemoteSpec
from lazydata.progress import Meter, shown
from lazydata.remotes.claims import FOLDER, name_of
from lazydata.remotes.layout import pack_of
from lazydata.remotes.threads import run
from lazydata.transfer.faults import Fault
from lazydata.transfer.mending import Mending
from lazydata.transfer.verifying import RemoteChecked
from lazydata.workspace import Workspace
from lazydata.workspace.good_copies import Listing, good_copies
from lazydata.workspace.remotes import named, open_spec, project_of, remember_pushed
from lazydata.workspace.verifying import Damage, listed

_ROUNDS = 4  # what was mended may show what else is damaged


class RemoteVerified(NamedTuple):
    """What hashing a remote again came to.

    Args:
        remote: its name.
        objects: how many were hashed.
        damage: what is wrong there, or was.
    """

    remote: str
    objects: int
    damage: list[Damage]


def verify_remote(
    workspace: Workspace, index: Index, remote: str, *, repair: bool = False
) -> RemoteVerified:
    """Hash again what this project has on a remote.

    Args:
        remote: its name.
        repair: put good copies there, from the store, the workspace or another remote.

    Raises:
        UsageError: there is no such remote, or nothing was ever pushed there.
        RemoteUnavailable, RemoteDenied: it can't be reached.
    """
    spec = named(workspace, index, remote)
    listing = listed(workspace, index)
    pushed = workspace.baseline.pushed([spec.url], listing)
    with shown(f"checking {spec.name}") as meter:
        checked = _examine(spec, meter, listing, pushed)
    objects, found = checked.objects, _damage(checked.faults, listing)
    for _ in range(_ROUNDS):
        if not repair or not checked.faults:
            break
        before = checked.faults
        written = _mend(workspace, index, spec, checked, listing)
        had_claims = any(name_of(each.key) for each in before)
        only = None if had_claims else written | {each.key for each in before}
        with shown(f"checking {spec.name} again") as meter:
            checked = _examine(spec, meter, listing, pushed, only)
        found = {**_damage(checked.faults, listing), **found}
        if checked.faults == before:
            break
    left = _damage(checked.faults, listing)
    # What is only not claimed is there: a push claims it.
    remember_pushed(workspace, spec.url, (), {d for key, d in left if key != FOLDER})
    damage = [row._replace(repaired=repair and key not in left) for key, row in found.items()]
    return RemoteVerified(spec.name, objects, damage)


def _examine(
    spec: RemoteSpec,
    meter: Meter,
    listing: Listing,
    pushed: Collection[Digest],
    only: set[str] | None = None,
) -> RemoteChecked:
    async def work() -> RemoteChecked:
        remote = _open(spec, meter)
        try:
            return await remote.examine(listing, pushed=pushed, only=only)
        finally:
            await remote.close()

    return run(work)


def _mend(
    workspace: Workspace, index: Index, spec: RemoteSpec, checked: RemoteChecked, listing: Listing
) -> set[str]:
    others = [each for each in workspace.view(index).remotes.values() if each.url != spec.url]
    wanted = {row.digest for fault in checked.faults for row in fault.rows}
    good = good_copies(workspace, index, sorted(wanted), listing, [*others, spec])
    scratch = workspace.store.scratch()

    async def work() -> set[str]:
        remote = _open(spec, Meter())
        try:
            return await remote.mend(checked, good, listing, scratch)
        finally:
            await remote.close()

    return run(work)


def _open(spec: RemoteSpec, meter: Meter) -> Mending:
    memory = IndexedMemory(config.index_dir())
    return Mending(open_spec(spec), memory=memory, project=project_of(spec), meter=meter)


def _damage(faults: Iterable[Fault], listing: Listing) -> dict[tuple[str, Digest], Damage]:
    """A row for each object that can't be had; for a file with none, its own name."""
    found: dict[tuple[str, Digest], Damage] = {}
    for fault in faults:
        name = pack_of(fault.key) or name_of(fault.key) or fault.key
        of_file = Digest(f"blake3:{name}") if len(name) == 64 else Digest(name)
        for digest in [row.digest for row in fault.rows] or [of_file]:
            paths = tuple(listing.get(digest, ()))
            found[fault.key, digest] = Damage(digest, fault.problem, paths, fault.key)
    return found
