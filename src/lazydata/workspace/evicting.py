"""Evict: let go of objects that remotes verifiably hold, those first that nobody used lately."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from lazydata import config
from lazydata.claimed import IndexedMemory
from lazydata.digest import Digest
from lazydata.errors import LazydataError
from lazydata.manifest import RemoteSpec
from lazydata.remotes.threads import run
from lazydata.survey import Found, Survey, packed_size, whole
from lazydata.workspace.remotes import open_repository
from lazydata.workspace.roots import Demand

_AT_LEAST = 1000  # objects that are asked for in one go


class Eviction(NamedTuple):
    """What was asked of remotes.

    Args:
        failed: one line for each that could not be asked.
        short: bytes that are over what was wanted still: nothing else may go.
    """

    failed: list[str]
    short: int


class Holders:
    """Which objects may go, since each demand to them can be met from a remote of its own.

    Args:
        demands: of all workspaces.
        by: which of them need an object, a bit for each.
    """

    def __init__(self, demands: Sequence[Demand], by: Mapping[Digest, int]) -> None:
        self._demands, self._by = demands, by
        self._memory = IndexedMemory(config.index_dir())
        self.failed: list[str] = []
        self._unasked: set[str] = set()

    def held(self, sizes: Mapping[Digest, int]) -> set[Digest]:
        """Ask the remotes, now.

        Args:
            sizes: of objects that are needed, bytes.
        """
        there: list[dict[str, set[Digest]]] = []
        for nr, demand in enumerate(self._demands):
            mine = {d: size for d, size in sizes.items() if self._by.get(d, 0) >> nr & 1}
            there.append(self._of_demand(demand, mine) if mine else {})
        return {digest for digest in sizes if self._is_held(digest, there)}

    def _is_held(self, digest: Digest, there: Sequence[Mapping[str, set[Digest]]]) -> bool:
        for nr, demand in enumerate(self._demands):
            if not self._by.get(digest, 0) >> nr & 1:
                continue
            for served in demand.workspaces:
                if not any(digest in there[nr].get(spec.url, ()) for spec in served.remotes):
                    return False
        return True

    def _of_demand(self, demand: Demand, sizes: Mapping[Digest, int]) -> dict[str, set[Digest]]:
        """What the remotes of a demand hold, by their URLs."""
        specs = {spec.url: spec for served in demand.workspaces for spec in served.remotes}
        found = {}
        for url, spec in specs.items():
            # What this machine sent or got itself. An index file may say anything.
            known = {
                digest
                for served in demand.workspaces
                for digest in served.workspace.baseline.pushed([url], sizes)
            }
            found[url] = self._ask(spec, {digest: sizes[digest] for digest in known})
        return found

    def _ask(self, spec: RemoteSpec, sizes: Mapping[Digest, int]) -> set[Digest]:
        async def confirm() -> set[Digest]:
            repository = open_repository(spec, self._memory)
            try:
                await repository.check()
                await repository.refresh()
                there = await repository.confirm(sizes)
                # What another project claims may be gone when that lets go of it.
                return there - await repository.unclaimed(there)
            finally:
                await repository.close()

        if not sizes or spec.url in self._unasked:
            return set()
        try:
            return run(confirm)
        except LazydataError as error:
            self._unasked.add(spec.url)
            self.failed.append(f"{spec.name} can't be asked: {error.message}")
            return set()


def settle_evicted(
    survey: Survey, demands: Sequence[Demand], by: Mapping[Digest, int]
) -> Eviction | None:
    """Of what was evicted and lies in the trash long enough: it goes if a remote still has it."""
    if not survey.evicted:
        return None
    holders = Holders(demands, by)
    held = holders.held(_sizes(survey.evicted))
    for found in survey.evicted:
        if all(each.digest in held for each in found.objects):
            survey.due.append(found)
        else:
            (survey.waiting if holders.failed else survey.back).append(found)
    return Eviction(holders.failed, 0)


def evict(
    survey: Survey,
    demands: Sequence[Demand],
    by: Mapping[Digest, int],
    trees: Collection[Digest],
    at_most: int,
    before: Eviction | None,
) -> Eviction:
    """Choose what goes, until no more than some bytes are left.

    Args:
        survey: of the store; is told what goes.
        demands: of all workspaces.
        by: which of them need an object.
        trees: these stay: they say what else is needed.
        at_most: bytes.
        before: what was asked before.
    """
    holders = Holders(demands, by)
    over = survey.size - at_most
    chosen: set[str] = set()
    candidates = sorted(_candidates(survey, trees), key=lambda found: found.used)
    while over > 0 and candidates:
        some = _first(candidates, over)
        candidates = candidates[len(some) :]
        wanted = {each.digest: each.size for found in some for each in whole(found)}
        held = holders.held({d: size for d, size in wanted.items() if d not in trees})
        for found in some:
            stays = tuple(each for each in whole(found) if each.digest not in held)
            gain = found.size - packed_size(stays)
            if over > 0 and 2 * gain > found.size:
                survey.evicting.append(found)
                survey.keeping[found.path] = stays
                chosen.add(found.path)
                over -= gain
    survey.kept["needed"] = [f for f in survey.kept.get("needed", ()) if f.path not in chosen]
    return Eviction([*(before.failed if before else ()), *holders.failed], max(over, 0))


def _candidates(survey: Survey, trees: Collection[Digest]) -> Iterator[Found]:
    """Objects and packs that may go, with what of them may."""
    since = survey.began - survey.grace
    for found in survey.kept.get("needed", ()):
        is_idle = found.moved[2] <= since and found.names == 1
        if is_idle and any(each.digest not in trees for each in whole(found)):
            yield found


def _first(candidates: Sequence[Found], over: int) -> list[Found]:
    """So many that it would do, if remotes held them all."""
    some: list[Found] = []
    for found in candidates:
        if over <= 0 and len(some) >= _AT_LEAST:
            break
        some.append(found)
        over -= found.size
    return some


def _sizes(some: Iterable[Found]) -> dict[Digest, int]:
    return {each.digest: each.size for found in some for each in found.objects}
