"""A remote in a bucket of S3, or of a server that speaks as S3 does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from lazydata.errors import LazydataError, RemoteObjectMissing, RemoteUnavailable
from lazydata.progress import Progress, attempt
from lazydata.remotes import s3_downloads, s3_uploads
from lazydata.remotes.base import Stat, check_folder, check_key
from lazydata.remotes.s3_address import address_of
from lazydata.remotes.s3_client import AnsweredError, Bucket
from lazydata.remotes.s3_errors import Answer, no_bucket, of_answer
from lazydata.remotes.threads import spread

_DELETED_AT_ONCE = 1000
_EMPTY_AT_MOST = 1000  # pages of a listing in a row
_LISTED = ("Key", "Size", "LastModified")
# To a HEAD there is no body that would say more.
_NOT_SAID = ("404", "400", "403", "301")
# What servers say that know no DeleteObjects, or that want it with an MD5.
_NO_BATCHES = ("400", "403", "405", "411", "501")


class S3Remote:
    """Keys are objects below one prefix of one bucket.

    Nothing outside the prefix is listed or touched. Credentials are looked for where
    every AWS tool looks for them.

    Args:
        url: ``s3://bucket`` or ``s3://bucket/prefix``, percent-encoded.
        options: ``endpoint``, ``region`` and ``profile`` count, see the how-to on S3.

    Raises:
        UsageError: the URL or an option can't be right.

    Example:
        >>> remote = S3Remote("s3://bucket/lazydata", {"endpoint": "http://127.0.0.1:8333"})
    """

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.concurrency = 10
        self._address = address_of(url, options or {})
        self._opened: Bucket | None = None
        self._seen = False
        self._in_batches = True

    async def prepare(self) -> None:
        """A bucket is its owner's to make; this only says what is wrong with it."""
        await self._bucket.run(lambda stop: self._look())

    async def put(self, key: str, source: Path, progress: Progress) -> None:
        """See ``Remote.put``."""
        check_key(key)
        with attempt(progress) as report:
            await s3_uploads.put(self._bucket, key, source, report)

    async def put_bytes(self, key: str, data: bytes) -> None:
        """See ``Remote.put_bytes``."""
        await self._call("put_object", check_key(key), Body=data)

    async def get(self, key: str, target: Path, progress: Progress) -> None:
        """See ``Remote.get``."""
        check_key(key)
        with attempt(progress) as report:
            await s3_downloads.get(self._bucket, key, target, report)

    async def get_range(self, key: str, start: int, length: int) -> bytes:
        """See ``Remote.get_range``."""
        check_key(key)
        if length <= 0:
            if await self.stat(key) is None:
                raise RemoteObjectMissing(f"{self.url} has no {key}")
            return b""
        bucket = self._bucket
        return await bucket.run(
            lambda stop: s3_downloads.get_range(bucket, key, start, length, stop)
        )

    async def stat(self, key: str) -> Stat | None:
        """See ``Remote.stat``."""
        check_key(key)
        return await self._bucket.run(lambda stop: self._stat(key))

    async def list(self, prefix: str) -> AsyncIterator[Stat]:
        """See ``Remote.list``."""
        check_folder(prefix)
        whole = self._address.prefix + prefix
        more: dict[str, str] = {}
        empty = 0
        while True:
            page = await self._call("list_objects_v2", Prefix=whole, **more)
            empty = 0 if page.get("Contents") else empty + 1
            if empty > _EMPTY_AT_MOST:
                raise RemoteUnavailable(f"{self.url}: the server's listing comes to no end")
            for each in page.get("Contents", ()):
                found = self._listed(each, whole)
                if found:
                    yield found
            if not page.get("IsTruncated"):
                return
            token = page.get("NextContinuationToken")
            if not token or token == more.get("ContinuationToken"):
                raise RemoteUnavailable(f"{self.url}: the server cut its listing short")
            more = {"ContinuationToken": token}

    async def delete(self, keys: Collection[str]) -> None:
        """See ``Remote.delete``."""
        waiting = [check_key(key) for key in keys]
        while waiting:
            some, waiting = waiting[:_DELETED_AT_ONCE], waiting[_DELETED_AT_ONCE:]
            if len(some) == 1 or not await self._delete_batch(some):
                await spread(some, self._bucket.concurrency, self._delete_one)

    async def close(self) -> None:
        """See ``Remote.close``."""
        if self._opened is not None:
            self._opened.close()

    @property
    def _bucket(self) -> Bucket:
        # Not before the first call: until then another concurrency may be set.
        if self._opened is None:
            self._opened = Bucket(self._address, self.concurrency)
        return self._opened

    async def _call(self, operation: str, key: str | None = None, **more: Any) -> Any:
        bucket = self._bucket
        return await bucket.run(lambda stop: bucket.call(operation, key, **more))

    def _look(self) -> None:
        self._bucket.call("list_objects_v2", Prefix=self._address.prefix, MaxKeys=1)
        self._seen = True

    def _stat(self, key: str) -> Stat | None:
        try:
            found = self._bucket.call(
                "head_object", key, telling=_NOT_SAID, needing=("ContentLength", "LastModified")
            )
        except AnsweredError as error:
            if error.answer.status != 404:
                raise self._bucket.explain(error, "head_object", key) from None
            self._check_bucket()
            return None
        return Stat(key, int(found["ContentLength"]), found["LastModified"].timestamp())

    def _check_bucket(self) -> None:
        """Tell a missing key from a missing bucket: asked for a key, both are 404."""
        if self._seen:
            return
        try:
            self._bucket.call("head_bucket", telling=("404", "403", "400", "405", "501"))
        except AnsweredError as error:
            if error.answer.status == 404:
                raise no_bucket(self._address) from None
        self._seen = True

    def _listed(self, each: Mapping[str, Any], whole: str) -> Stat | None:
        """What a listing says of a key, if it is one of ours."""
        if any(name not in each for name in _LISTED):
            raise RemoteUnavailable(f"{self.url}: the server's listing is not complete")
        name = str(each["Key"])
        if not name.startswith(whole):
            return None
        try:
            key = check_key(name[len(self._address.prefix) :])
        except ValueError:
            return None
        return Stat(key, int(each["Size"]), each["LastModified"].timestamp())

    async def _delete_one(self, key: str) -> None:
        try:
            await self._call("delete_object", key)
        except RemoteObjectMissing:
            pass

    async def _delete_batch(self, keys: Sequence[str]) -> bool:
        """Delete many at once.

        Returns:
            False where the server does not do that.
        """
        if not self._in_batches:
            return False
        named = [{"Key": self._address.prefix + key} for key in keys]
        try:
            answer = await self._call(
                "delete_objects",
                telling=_NO_BATCHES,
                Delete={"Objects": named, "Quiet": True},
            )
        except AnsweredError:
            self._in_batches = False
            return False
        failed = [e for e in answer.get("Errors", ()) if e.get("Code") != "NoSuchKey"]
        if failed:
            raise self._not_deleted(failed)
        return True

    def _not_deleted(self, failed: Collection[Mapping[str, Any]]) -> LazydataError:
        """The error for keys that stayed, by what the server says of the first one."""
        first = next(iter(failed))
        code = str(first.get("Code", ""))
        key = str(first.get("Key", "")).removeprefix(self._address.prefix)
        status = {"AccessDenied": 403, "InternalError": 500, "SlowDown": 503}.get(code, 400)
        error = of_answer(Answer(code, status), self._address, "delete_objects", key)
        if len(failed) > 1:
            error.message += f", nor {len(failed) - 1} more"
        return error
