"""The remotes of a workspace: add them, take them out, open them, ask what they have."""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Mapping

from lazydata import config, manifest
from lazydata.claimed import IndexedMemory
from lazydata.digest import Digest
from lazydata.errors import LazydataError, UsageError
from lazydata.index import Index
from lazydata.manifest import RemoteSpec
from lazydata.remotes import open_remote, url_of
from lazydata.remotes.base import Remote, shown
from lazydata.remotes.claims import ClaimMemory
from lazydata.remotes.threads import run
from lazydata.repository import Repository
from lazydata.workspace import Workspace


def add_remote(
    workspace: Workspace,
    index: Index,
    url: str,
    *,
    name: str | None = None,
    endpoint: str | None = None,
    region: str | None = None,
    profile: str | None = None,
    check: bool = True,
    cwd: str | None = None,
) -> RemoteSpec:
    """Write a remote to the manifest, once it was seen to work.

    Args:
        url: or a path, relative to ``cwd``.
        name: ``origin`` for the first one.
        endpoint: of an S3-compatible server.
        region: of an S3 bucket.
        profile: of the user's AWS settings; it goes to the user's own file, since others
            call theirs otherwise.
        check: list, write, read and delete there first; a missing base path is made.

    Raises:
        UsageError: the name is taken, or the URL is not one.
        RemoteUnavailable, RemoteDenied: the check failed; nothing was written.
    """
    url = url_of(url, cwd or os.getcwd())
    known = workspace.view(index).remotes
    if name is None:
        if known and all(spec.url != url for spec in known.values()):
            raise UsageError("there is a remote already", hint="name this one with --name NAME")
        name = next((spec.name for spec in known.values() if spec.url == url), "origin")
    if not name.replace("-", "").replace("_", "").isalnum() or name.startswith("-"):
        raise UsageError(f"{name!r} is no name for a remote", hint="letters, digits, - and _")
    if name in known and known[name].url != url:
        raise UsageError(
            f"the remote {name} is {shown(known[name].url)}",
            hint=f"choose another --name, or `lazydata remove-remote {name}` first",
        )
    if (endpoint or region or profile) and not url.startswith("s3://"):
        raise UsageError(f"{url}: only S3 has an endpoint, a region or a profile")
    options = dict(known[name].options) if name in known else {}
    options.update({k: v for k, v in (("endpoint", endpoint), ("region", region)) if v})
    # Clones of one project share it through the manifest: their claims are one project's.
    options.setdefault("project", secrets.token_hex(8))
    spec = RemoteSpec(name, url, options)
    own = {"profile": profile} if profile else {}
    open_remote(url, {**options, **own})  # refuses what no backend is for, checked or not
    if check:

        async def probe() -> None:
            repository = open_repository(spec, IndexedMemory(config.index_dir()), own=own)
            try:
                await repository.probe()
            finally:
                await repository.close()

        run(probe)
    if profile:
        config.put(f"remotes.{name}.profile", profile)
    if name in known and known[name].options == options:
        return spec
    with workspace.baseline.lock():
        workspace.edit(
            index,
            "",
            lambda text, view: (manifest.set_remote(text, spec, file=view.file), None),
        )
    return spec


def remove_remote(workspace: Workspace, index: Index, name: str) -> None:
    """Take a remote out of the manifest; what it holds stays there.

    Raises:
        UsageError: there is none of that name.
    """
    named(workspace, index, name)
    with workspace.baseline.lock():
        workspace.edit(
            index,
            "",
            lambda text, view: (manifest.remove_remote(text, name, file=view.file), None),
        )


def named(workspace: Workspace, index: Index, name: str | None) -> RemoteSpec:
    """The remote of that name, or the first one.

    Raises:
        UsageError: there is none.
    """
    return among(workspace.view(index).remotes, name)


def among(known: Mapping[str, RemoteSpec], name: str | None) -> RemoteSpec:
    """Of some remotes, the one of that name, or the first one.

    Raises:
        UsageError: there is none.
    """
    if not known:
        raise UsageError(
            "there is no remote yet", hint="`lazydata add-remote URL` adds one, such as a directory"
        )
    if name is None:
        return next(iter(known.values()))
    if name not in known:
        raise UsageError(f"there is no remote {name!r}", hint=f"there is {', '.join(known)}")
    return known[name]


def open_repository(
    spec: RemoteSpec,
    memory: ClaimMemory,
    jobs: int | None = None,
    *,
    own: Mapping[str, str] | None = None,
) -> Repository:
    """A remote as a repository; call it in the loop that uses it.

    Args:
        spec: as the manifest has it; the user's own settings are added.
        memory: of its index files.
        jobs: how much it may do at once, where the user says.
        own: settings of the user that are not written yet.
    """
    remote = open_spec(spec, jobs, own=own)
    return Repository(remote, memory=memory, project=project_of(spec))


def open_spec(
    spec: RemoteSpec, jobs: int | None = None, *, own: Mapping[str, str] | None = None
) -> Remote:
    """A remote as bytes under keys; the arguments are those of ``open_repository``."""
    own = {**((config.load().get("remotes") or {}).get(spec.name) or {}), **(own or {})}
    # A cloned manifest must not choose whose credentials are used.
    options = {key: value for key, value in spec.options.items() if key not in config.OWN}
    return open_remote(spec.url, {**options, **own}, jobs=jobs)


def project_of(spec: RemoteSpec) -> str:
    """The project under which a workspace claims there; empty where there is none."""
    return spec.options.get("project", "")


def index_files(spec: RemoteSpec, memory: ClaimMemory) -> set[str]:
    """The names of the index files on a remote; what new ones say is remembered."""

    async def refresh() -> None:
        repository = open_repository(spec, memory)
        try:
            await repository.refresh()
        finally:
            await repository.close()

    run(refresh)
    return memory.names(spec.url)


def ask(spec: RemoteSpec, memory: ClaimMemory, sizes: Mapping[Digest, int | None]) -> set[Digest]:
    """Ask a remote which objects it has, of these sizes (None: of any)."""

    async def confirm() -> set[Digest]:
        repository = open_repository(spec, memory)
        try:
            await repository.check()
            await repository.refresh()
            return await repository.confirm(sizes)
        finally:
            await repository.close()

    return run(confirm)


def on_remotes(
    workspace: Workspace, index: Index, digests: Collection[Digest]
) -> tuple[set[Digest], LazydataError | None]:
    """Those of some objects that a remote of this workspace says it has.

    Returns:
        What was found, and why a remote could not be asked, if one could not.
    """
    memory = IndexedMemory(config.index_dir())
    found: set[Digest] = set()
    failure: LazydataError | None = None
    for spec in workspace.view(index).remotes.values():
        lacking = [digest for digest in digests if digest not in found]
        if not lacking:
            return found, None
        try:
            found |= ask(spec, memory, dict.fromkeys(lacking))
        except LazydataError as error:
            failure = error
    return found, failure


def remember_pushed(
    workspace: Workspace, url: str, there: Collection[Digest], gone: Collection[Digest] = ()
) -> None:
    """Note in the workspace which objects a remote is known to have, and which not."""
    if not there and not gone:
        return
    try:
        with workspace.baseline.lock():
            workspace.baseline.add_pushed(url, there)
            workspace.baseline.drop_pushed(url, gone)
    except OSError:
        pass  # a read-only workspace: `status` will not know, and that is all
