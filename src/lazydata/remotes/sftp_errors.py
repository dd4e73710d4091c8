"""What an SFTP server says, and what a remote says."""

from __future__ import annotations

import os
import stat as stat_module

import asyncssh

from lazydata.errors import (
    LazydataError,
    NoSpace,
    RemoteDenied,
    RemoteObjectMissing,
    RemoteUnavailable,
)

ABSENT = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory)
_REFUSED = (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect)
_FULL = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
_LOST = (asyncssh.SFTPNoConnection, asyncssh.SFTPConnectionLost)
_READ_ONLY = 1  # ST_RDONLY, in the flags of statvfs
_FULL_BELOW = 1 << 20  # bytes: the last ones are left where a block did not fit any more


def is_lost(error: Exception) -> bool:
    """Whether an error means that the channel is of no more use."""
    return isinstance(error, _LOST) or not isinstance(error, asyncssh.SFTPError)


class Teller:
    """Turns the errors of one remote's server into ours; asks it where it said too little.

    Args:
        url: of the remote, for messages.
        base: its directory on the server.
    """

    def __init__(self, url: str, base: bytes) -> None:
        self._url = url
        self._base = base
        self._shown = os.fsdecode(base)

    async def explain(
        self, sftp: asyncssh.SFTPClient, error: Exception, doing: str, key: str
    ) -> LazydataError:
        """The error to raise.

        Args:
            sftp: the channel that it happened on.
            error: what was said.
            doing: the work, as in "can't read".
            key: what it is about; empty for the base.
        """
        try:
            return await self._explain(sftp, error, doing, key)
        except (asyncssh.Error, OSError) as another:
            return self._outage(another, doing, key)

    async def _explain(
        self, sftp: asyncssh.SFTPClient, error: Exception, doing: str, key: str
    ) -> LazydataError:
        what = f"{self._url}: can't {doing} {key or 'the directory'}"
        if is_lost(error):
            return self._outage(error, doing, key)
        if isinstance(error, ABSENT) and doing != "create":
            return await self._absent(sftp, what, key, writing=doing == "write")
        if isinstance(error, _REFUSED):
            return self._refused(what, error)
        if isinstance(error, _FULL):
            return self._no_space(what)
        return await self._failure(sftp, what, error, key, doing)

    def _outage(self, error: Exception, doing: str, key: str) -> RemoteUnavailable:
        why = str(error) or type(error).__name__
        return RemoteUnavailable(
            f"{self._url}: the connection was lost (can't {doing} {key or 'the directory'}): {why}"
        )

    def _refused(self, what: str, error: Exception) -> RemoteDenied:
        return RemoteDenied(
            f"{what}: {error}",
            hint=f"check the owner and the mode of {self._shown} on the server, and your groups",
        )

    def _no_space(self, what: str) -> NoSpace:
        return NoSpace(
            f"no space left on the server: {what}",
            path=self._shown,
            hint="free some space there (or raise the quota) and run it again; nothing was lost",
        )

    async def _failure(
        self, sftp: asyncssh.SFTPClient, what: str, error: Exception, key: str, doing: str
    ) -> LazydataError:
        """Of a full disk and much else the protocol says no more than "failure"."""
        # Not of a listing: that a folder can't be read does not mean that it is empty.
        if key and doing != "list" and await self._is_folder(sftp, self.path(key)):
            if doing != "write":
                return RemoteObjectMissing(f"{self._url} has no {key}: that is a directory")
            return RemoteDenied(
                f"{what}: there is a directory of that name", hint="move it away on the server"
            )
        disk = await self._disk(sftp) if doing != "read" else None
        if disk and disk.flags & _READ_ONLY:
            return self._refused(f"{what}: the file system is read-only there", error)
        if disk and (disk.bavail * disk.frsize < _FULL_BELOW or disk.files > 0 == disk.favail):
            return self._no_space(what)
        return RemoteUnavailable(
            f"{what}: the server says: {error}",
            hint="it says no more than that; a quota that is used up, for example, looks like this",
        )

    async def _disk(self, sftp: asyncssh.SFTPClient) -> asyncssh.SFTPVFSAttrs | None:
        try:
            return await sftp.statvfs(self._base)
        except asyncssh.SFTPError:
            return None

    async def _absent(
        self, sftp: asyncssh.SFTPClient, what: str, key: str, *, writing: bool
    ) -> LazydataError:
        """Tell a key that is not there from a directory that is not there."""
        try:
            found = await sftp.stat(self._base)
        except ABSENT:
            why = "is not there"
        except _REFUSED as error:
            return self._refused(what, error)
        else:
            if is_folder(found):
                if writing:  # a folder went away meanwhile: the next attempt makes it
                    return RemoteUnavailable(f"{what}: a directory went away meanwhile")
                return RemoteObjectMissing(f"{self._url} has no {key}")
            why = "is not a directory"
        return RemoteUnavailable(
            f"{self._url}: {self._shown} {why}", hint="is the disk mounted on the server?"
        )

    async def _is_folder(self, sftp: asyncssh.SFTPClient, path: bytes) -> bool:
        try:
            return is_folder(await sftp.stat(path))
        except asyncssh.SFTPError:
            return False

    def path(self, key: str) -> bytes:
        """Where a key is on the server."""
        return b"%s/%s" % (self._base, key.encode())


def is_folder(found: asyncssh.SFTPAttrs) -> bool:
    """Whether attributes are those of a directory."""
    return found.permissions is not None and stat_module.S_ISDIR(found.permissions)
