"""Objects between store and remotes: many at once, each verified, each failing alone.

Small objects travel together: in packs upwards; in ranges of packs, or whole packs, down.
``plan`` says what travels with what, ``pushing`` and ``pulling`` carry it out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from lazydata.digest import Digest
from lazydata.progress import Meter
from lazydata.remotes.threads import run
from lazydata.repository import ObjectStore, Repository
from lazydata.transfer.pulling import Pulled, Pulling
from lazydata.transfer.pushing import CLAIM_EVERY, Find, Pushed, Pushing

__all__ = ["Pulled", "Pushed", "pull", "push"]


def push(
    open_repository: Callable[[], Repository],
    wanted: Iterable[Digest],
    find: Find,
    *,
    scratch: str,
    meter: Meter | None = None,
    jobs: int | None = None,
    dry_run: bool = False,
    claim_every: float = CLAIM_EVERY,
    clock: Callable[[], float] = time.monotonic,
) -> Pushed:
    """Put objects on a remote, and claim them for the project.

    What the project has claimed before costs nothing but the listing of the
    remote's index files. An object that fails leaves the others alone.

    Args:
        open_repository: called in the loop that does the work.
        wanted: what the project needs there, each digest once or several times; those
            that belong together follow each other.
        find: gives the local files of those that are to be sent, and says why one is
            none; called in a worker thread.
        scratch: a local directory that packs are made in.
        meter: told of what is sent.
        jobs: how many are sent at once; by default what the remote says.
        dry_run: send nothing; ``uploaded`` is what would be.
        claim_every: seconds after which a long push claims what it has so far.
        clock: seconds that only go forward.

    Raises:
        RemoteUnavailable, RemoteDenied, NoSpace: the remote as a whole fails:
            one error for one cause. What was sent by then stays there,
            unclaimed, and the next push goes on from it.

    Example::

        done = push(lambda: Repository(open_remote(url), memory=memory, project=id),
                    digests, find, scratch="/tmp")
    """

    async def work() -> Pushed:
        repository = open_repository()
        pushing = Pushing(repository, scratch, meter or Meter(), jobs, claim_every, clock)
        try:
            return await pushing.run(wanted, find, dry_run=dry_run)
        finally:
            await repository.close()

    return run(work)


def pull(
    open_repositories: Sequence[Callable[[], Repository]],
    wanted: Iterable[Digest],
    store: ObjectStore,
    *,
    sizes: Mapping[Digest, int | None] | None = None,
    meter: Meter | None = None,
    jobs: int | None = None,
) -> Pulled:
    """Bring objects into the store, each from the first remote that gives it whole.

    Args:
        open_repositories: the remotes in the order to try them; each is called
            in the loop that does the work, and only if something is left for it.
        wanted: digests, each once or several times.
        store: where verified bytes go; what it has is left alone.
        sizes: bytes that they have at most, where that is known: a remote that has more
            under such a name has something else, and is not listened to any longer.
        meter: told of what arrives.
        jobs: how many are fetched at once; by default what the remote says.

    Raises:
        RemoteUnavailable, RemoteDenied, UsageError: nothing arrived, and this
            is the one cause of it all.
        NoSpace, FileDenied: the store can't take it.

    Example::

        done = pull([lambda: Repository(...)], [digest], store)
    """
    return run(lambda: Pulling(store, meter or Meter(), jobs, sizes).run(open_repositories, wanted))
